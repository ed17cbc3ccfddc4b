//! The `bankstorm` binary: every command, and `serve` for the processes of the bank.
//!
//! In: the command line. Out: an exit code (see `--help`). Elsewhere: everything that is done; this crate only joins the rooms.

mod args;
mod bank;
mod commands;
mod error;
mod judge;
mod output;
mod progress;
mod run;
mod stop;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command};
use crate::error::CliError;

fn main() -> ExitCode {
    bankstorm_environment::reaper::hook();
    let cli = Cli::parse();
    log_to_stderr(&cli.command);
    let runtime = runtime_for(&cli.command);
    // A panic is a bug of ours and has an exit code of its own; what it said is on standard error already.
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(dispatch(cli.command))));
    // Blocking threads of a client library must not hold back the end.
    runtime.shutdown_background();
    match ended {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            output::note(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
        Err(_) => ExitCode::from(1),
    }
}

/// A proxy adds least when one thread does all of it: nothing is handed from one to another.
fn runtime_for(command: &Command) -> Runtime {
    let mut builder = match command {
        Command::Proxy(_) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.enable_all().build().expect("threads for the runtime")
}

async fn dispatch(command: Command) -> Result<u8, CliError> {
    match command {
        Command::Run(args) => run::run(args).await,
        Command::Up(args) => commands::up::run(args).await,
        Command::Sweep(args) => commands::sweep::run(args).await,
        Command::Serve { process } => commands::serve::run(process).await,
        Command::Proxy(args) => commands::proxy::run(args).await,
        Command::Calibrate(args) => commands::calibrate::run(args).await,
        Command::Health { url } => commands::health::run(&url),
        Command::Simulate(args) => commands::simulate::run(args).await,
        Command::Ablate(args) => commands::ablate::run(args).await,
        Command::Replay(args) => commands::replay::run(args).await,
        Command::Shrink(args) => commands::shrink::run(args).await,
        Command::Check(args) => commands::check::run(&args),
        Command::Report(args) => commands::report::run(&args),
        Command::Publish(args) => commands::publish::run(&args),
        Command::Redrive(args) => commands::redrive::run(&args).await,
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Scenarios(args) => commands::scenarios::run(&args),
        Command::Checks => commands::checks::run(),
        Command::Faults => commands::faults::run(),
        Command::Schema { of } => commands::schema::run(of),
    }
}

/// Services log JSON lines at `info`; commands that talk to a person log warnings only. `RUST_LOG` overrides both. Simulated services
/// warn of every fault they meet, in virtual time: their lines belong to `replay`'s trace.
fn log_to_stderr(command: &Command) {
    if matches!(command, Command::Simulate(_) | Command::Ablate(_) | Command::Replay(_) | Command::Shrink(_)) {
        return;
    }
    let service = matches!(command, Command::Serve { .. } | Command::Proxy(_));
    // What librdkafka says of its settings is of no use to whoever runs a sweep.
    let default = if service { "info" } else { "warn,bankstorm_adapters::kafka=error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if service {
        builder.json().init();
    } else {
        builder.without_time().init();
    }
}
