//! `serve core|channel`: one process of the bank, until SIGTERM.
//!
//! In: addresses. Out: a listening service; exit code 3 when it could not start. Elsewhere: the assemblies (`adapters::process`).

use std::time::Duration;

use bankstorm_adapters::process::{channel, core};
use bankstorm_channel::config::{ChannelConfig, WorkerMode};
use bankstorm_core::config::CoreConfig;

use crate::args::{Serve, ServeChannel, ServeCore};
use crate::error::CliError;

/// Serves until asked to stop.
pub(crate) async fn run(process: Serve) -> Result<u8, CliError> {
    match process {
        Serve::Core(options) => serve_core(options).await,
        Serve::Channel(options) => serve_channel(options).await,
    }
}

async fn serve_core(options: ServeCore) -> Result<u8, CliError> {
    let serve = core::CoreServe {
        database: options.database,
        kafka: options.kafka,
        listen: options.listen,
        connections: options.connections,
        config: CoreConfig::default(),
    };
    core::serve_core(serve).await.map_err(|error| CliError::Environment(format!("core: {error}")))?;
    Ok(0)
}

async fn serve_channel(options: ServeChannel) -> Result<u8, CliError> {
    let config = ChannelConfig {
        worker_mode: worker_mode(&options.worker_mode)?,
        workers: usize::try_from(options.workers).expect("a machine with at least 32 bits"),
        sync_cost: Duration::from_micros(options.sync_cost_us),
        ..ChannelConfig::default()
    };
    let serve = channel::ChannelServe {
        database: options.database,
        kafka: options.kafka,
        core_url: options.core,
        listen: options.listen,
        instance: options.instance,
        visible_log: options.visible_log,
        connections: options.connections,
        config,
    };
    channel::serve_channel(serve).await.map_err(|error| CliError::Environment(format!("channel: {error}")))?;
    Ok(0)
}

fn worker_mode(word: &str) -> Result<WorkerMode, CliError> {
    match word {
        "serial" => Ok(WorkerMode::Serial),
        "keyed" => Ok(WorkerMode::Keyed),
        "keyed_batched" => Ok(WorkerMode::KeyedBatched),
        other => Err(CliError::Usage(format!("--worker-mode {other}: accepted are serial, keyed and keyed_batched"))),
    }
}
