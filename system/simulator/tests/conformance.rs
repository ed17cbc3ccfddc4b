//! The models under the conformance lists, and the real services over the models: all on virtual time.
//!
//! In: seeds. Out: one trial a case, each over several seeds. Elsewhere: the lists (`outside::conformance`), the same lists on the real
//! things (`adapters/tests`).

#[path = "conformance/ablation.rs"]
mod ablation;
#[path = "conformance/channel.rs"]
mod channel;
#[path = "conformance/log.rs"]
mod log;
#[path = "conformance/log_scripts.rs"]
mod log_scripts;
#[path = "conformance/neighbours.rs"]
mod neighbours;
#[path = "conformance/plans.rs"]
mod plans;
#[path = "conformance/planted.rs"]
mod planted;
#[path = "conformance/store_scripts.rs"]
mod store_scripts;
#[path = "conformance/stores.rs"]
mod stores;
#[path = "conformance/worlds.rs"]
mod worlds;

use std::future::Future;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};

/// Names the variable that asks for other seeds: `BANKSTORM_SEEDS=100..400`.
const SEEDS_VARIABLE: &str = "BANKSTORM_SEEDS";
/// The longest that anything here may take on virtual time: beyond it a run is stuck.
const VIRTUAL_LIMIT: Duration = Duration::from_secs(3600);

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = log::trials();
    trials.extend(log_scripts::trials());
    trials.extend(stores::trials());
    trials.extend(store_scripts::trials());
    trials.extend(channel::trials());
    trials.extend(neighbours::trials());
    trials.extend(worlds::trials());
    trials.extend(plans::trials());
    trials.extend(planted::trials());
    trials.extend(ablation::trials());
    libtest_mimic::run(&arguments, trials).exit();
}

/// Runs a future on virtual time. The runtime has time and nothing else, so that a socket would panic instead of racing the clock.
fn on_virtual_time<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime can be made").block_on(async {
        let limited = tokio::time::timeout(VIRTUAL_LIMIT, run).await;
        limited.unwrap_or_else(|_| panic!("no-liveness: not done after {VIRTUAL_LIMIT:?} of virtual time"))
    })
}

/// Seeds of each case.
fn seeds() -> std::ops::Range<u64> {
    let Ok(asked) = std::env::var(SEEDS_VARIABLE) else { return 0..8 };
    let range = asked.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("{SEEDS_VARIABLE} is {asked:?}; accepted is a range such as 0..8"))
}

/// A trial over all seeds; what fails names its seed.
fn over_seeds(name: String, run: impl Fn(u64) + Send + std::panic::RefUnwindSafe + 'static) -> Trial {
    Trial::test(name, move || {
        for seed in seeds() {
            std::panic::catch_unwind(|| run(seed)).map_err(|panic| format!("seed {seed}: {}", message(&*panic)))?;
        }
        Ok(())
    })
}

/// A trial that must fail on some seed: the list sees what was planted.
fn caught(name: String, run: impl Fn(u64) + Send + std::panic::RefUnwindSafe + 'static) -> Trial {
    Trial::test(name, move || {
        if seeds().any(|seed| std::panic::catch_unwind(|| run(seed)).is_err()) {
            Ok(())
        } else {
            Err("the planted fault was not caught on any seed".into())
        }
    })
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}
