//! The binary as its users meet it: real processes, real folders, real exit codes.
//!
//! In: the built binary. Out: one test binary, run one test after the other, since each brings up a whole bank on the same two cores.
//! Elsewhere: each room's own tests. Nothing here asserts how fast the machine was: counts, verdicts and what is left behind must be right
//! on any machine.

#[path = "real/support.rs"]
mod support;

#[path = "real/containers.rs"]
mod containers;
#[path = "real/faults.rs"]
mod faults;
#[path = "real/interrupt.rs"]
mod interrupt;
#[path = "real/kill.rs"]
mod kill;
#[path = "real/leftovers.rs"]
mod leftovers;
#[path = "real/links.rs"]
mod links;
#[path = "real/protections.rs"]
mod protections;
#[path = "real/proxy.rs"]
mod proxy;
#[path = "real/publish.rs"]
mod publish;
#[path = "real/run.rs"]
mod run;
#[path = "real/simulate.rs"]
mod simulate;
#[path = "real/stamp.rs"]
mod stamp;
#[path = "real/sweep.rs"]
mod sweep;
#[path = "real/tamper.rs"]
mod tamper;
#[path = "real/transfers.rs"]
mod transfers;
#[path = "real/usage.rs"]
mod usage;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let root = leftovers::Root::new();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mut trials: Vec<Trial> = Vec::new();
    let simulated = simulate::cases();
    let broken = [interrupt::cases(), kill::cases(), faults::cases(), links::cases(), sweep::cases()];
    let real = [run::cases(), publish::cases(), tamper::cases(), transfers::cases(), protections::cases()];
    let real = real.into_iter().chain(broken);
    for cases in [usage::cases(), proxy::cases(), stamp::cases(), simulated].into_iter().chain(real) {
        trials.extend(cases.into_iter().map(trial));
    }
    let engine = bankstorm_environment::containers::available_blocking();
    if let Err(reason) = &engine {
        eprintln!("trials in containers are ignored: {reason}");
    }
    for case in containers::cases() {
        trials.push(match &engine {
            Ok(()) => trial(case),
            // The kind is printed before the name.
            Err(reason) => trial(case).with_kind(reason.in_brief()).with_ignored_flag(true),
        });
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    support::remove_short_run();
    let left = root.left();
    drop(root);
    if !left.is_empty() {
        eprintln!("the trials left something in their temporary folder: {left:#?}");
        std::process::exit(101);
    }
    conclusion.exit();
}

fn trial((name, case): support::Case) -> Trial {
    Trial::test(name, move || {
        case();
        Ok(())
    })
}
