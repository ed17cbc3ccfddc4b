//! The event log's conformance list on a real broker.
//!
//! In: a bootstrap address. Out: one trial a case. Elsewhere: the list (`outside::conformance::log`), what else a group's members meet
//! (`members`), the broker (`real`).

mod members;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bankstorm_adapters::kafka::KafkaLog;
use bankstorm_outside::conformance::log::{Case, LogFixture, cases};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio::runtime::Runtime;

/// A broker whose topics are made as cases ask for them.
pub(crate) struct Broker {
    bootstrap: String,
    made: AtomicU32,
}

impl Broker {
    /// The broker at `bootstrap`.
    pub(crate) fn new(bootstrap: String) -> Self {
        Self { bootstrap, made: AtomicU32::new(0) }
    }

    fn address(&self) -> &str {
        &self.bootstrap
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create().expect("an admin client can be made")
    }
}

impl LogFixture for Broker {
    type Log = KafkaLog;

    fn log(&self) -> KafkaLog {
        KafkaLog::new(&self.bootstrap, "conformance")
    }

    async fn topic(&self, partitions: u32) -> String {
        let name = format!("conformance-{}", self.made.fetch_add(1, Ordering::Relaxed));
        let partitions = i32::try_from(partitions).expect("a small number");
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
        let made = self.admin().create_topics([&topic], &options).await.expect("the broker answers");
        assert!(made.iter().all(Result::is_ok), "topic {name}: {made:?}");
        name
    }
}

/// What is tried on the broker beside the list.
pub(crate) fn trials(runtime: &Arc<Runtime>, broker: &Arc<Broker>) -> Vec<Trial> {
    members::trials(runtime, broker)
}

/// The list.
pub(crate) fn list() -> Vec<Case<Broker>> {
    cases()
}

/// Runs one case on a runtime of its own; panics as the case does.
pub(crate) fn run(case: &Case<Broker>, broker: &Arc<Broker>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on((case.run)(Arc::clone(broker)));
}
