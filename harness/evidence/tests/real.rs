//! The collectors on real stores: what was put into PostgreSQL and Kafka is what the evidence holds.
//!
//! The test binary is executed again as the reaper of its environment.

mod real {
    pub(crate) mod databases;
    pub(crate) mod kafka;
}

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    bankstorm_environment::reaper::hook();
    let arguments = Arguments::from_args();
    let trials = vec![
        Trial::test("databases_become_sorted_evidence_of_one_snapshot", || run(real::databases::evidence())),
        Trial::test("convergence_is_seen_and_a_limit_says_what_was_behind", || run(real::databases::convergence())),
        Trial::test("a_deadlock_is_counted_by_its_database_and_told_in_its_log", || run(real::databases::deadlock())),
        Trial::test("topic_and_lag_are_those_of_the_broker", || run(real::kafka::topic_and_lag())),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(test: impl Future<Output = ()>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(test);
    Ok(())
}
