//! The log's list on the model, and on models with planted faults.
//!
//! In: a seed. Out: trials. Elsewhere: the list (`outside::conformance::log`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bankstorm_outside::conformance::log::{Case, LogFixture, cases};
use bankstorm_simulator::model::log::{ModelLog, ProduceFault};
use libtest_mimic::Trial;

use crate::{caught, on_virtual_time, over_seeds};

pub(crate) struct Fixture {
    log: ModelLog,
    topics: AtomicU64,
}

impl Fixture {
    /// An empty log of its own.
    pub(crate) fn new(seed: u64) -> Self {
        Self { log: ModelLog::new(seed), topics: AtomicU64::new(0) }
    }
}

impl LogFixture for Fixture {
    type Log = ModelLog;

    fn log(&self) -> ModelLog {
        self.log.clone()
    }

    async fn topic(&self, partitions: u32) -> String {
        let name = format!("topic-{}", self.topics.fetch_add(1, Ordering::Relaxed));
        self.log.create_topic(&name, partitions);
        name
    }
}

fn run(case: &Case<Fixture>, seed: u64, plant: fn(&ModelLog)) {
    on_virtual_time(async {
        let fixture = Fixture::new(seed);
        plant(&fixture.log);
        (case.run)(Arc::new(fixture)).await;
    });
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials: Vec<_> = cases::<Fixture>()
        .into_iter()
        .map(|case| over_seeds(format!("log::{}", case.name), move |seed| run(&case, seed, |_| {})))
        .collect();
    trials.push(caught("log::a_swallowed_record_is_caught".to_owned(), |seed| {
        let case = named("acknowledgements_name_partition_and_offset");
        run(&case, seed, |log| log.produces().plan(20, ProduceFault::Swallowed));
    }));
    trials.push(caught("log::a_refused_record_is_caught".to_owned(), |seed| {
        let case = named("records_of_a_key_keep_the_order_of_calls");
        run(&case, seed, |log| log.produces().plan(20, ProduceFault::Before));
    }));
    trials
}

fn named(name: &str) -> Case<Fixture> {
    cases().into_iter().find(|case| case.name == name).expect("a case of the list")
}
