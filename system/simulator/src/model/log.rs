//! A model of Kafka: partitions, producers, groups.
//!
//! In: a seed, topics. Out: [`ModelLog`], an `EventLog` on virtual time. Elsewhere: who gets which partition (`sharing`, pure), what a
//! group knows (`group`), the two ends (`producer`, `consumer`).
//!
//! Kept of Kafka: a record is appended once or not at all and in the order of calls; a producer that failed once is of no use; a
//! revocation waits for its acknowledgement within a limit; a member that falls silent keeps its partitions until its session runs out;
//! commits of others are refused. Left out: brokers, leaders, fetching ahead.

mod consumer;
mod group;
mod producer;
mod sharing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_outside::log::{EventLog, LogError, Record, TopicPartition};

use super::chance::Chance;
use super::hook::Hook;
use group::Group;

pub use consumer::ModelConsumer;
pub use producer::ModelProducer;

/// After this long without a sign of life the group goes on without a member.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a rebalance waits for the acknowledgement of a revocation.
pub const REVOKE_LIMIT: Duration = Duration::from_secs(2);

/// What happens to a record instead of an acknowledgement. Either way the producer is of no use afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProduceFault {
    /// It is not appended.
    Before,
    /// It is appended, and the acknowledgement is lost.
    After,
    /// It is acknowledged and not appended. No log that keeps its promises does this: it is there to be caught.
    Swallowed,
}

/// A record as it lies in its partition.
#[derive(Clone, Debug)]
struct Stored {
    key: Vec<u8>,
    value: Vec<u8>,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<String, Vec<Vec<Stored>>>,
    groups: BTreeMap<String, Group>,
    next_member: u64,
}

impl State {
    fn partitions_of(&self, topics: &[String]) -> Vec<TopicPartition> {
        let mut partitions = Vec::new();
        for topic in topics {
            let count = self.topics.get(topic).map_or(0, Vec::len);
            partitions.extend((0..count).map(|index| TopicPartition {
                topic: topic.clone(),
                partition: i32::try_from(index).expect("a small number"),
            }));
        }
        partitions
    }

    /// The record at an offset.
    fn record(&self, at: &TopicPartition, offset: i64) -> Option<Record> {
        let partition = self.topics.get(&at.topic)?.get(usize::try_from(at.partition).ok()?)?;
        let stored = partition.get(usize::try_from(offset).ok()?)?;
        Some(Record { at: at.clone(), offset, key: stored.key.clone(), value: stored.value.clone() })
    }

    fn wake_all(&self) {
        for group in self.groups.values() {
            group.wake_all();
        }
    }
}

struct Inner {
    chance: Chance,
    state: Mutex<State>,
    produces: Hook<ProduceFault>,
}

/// A log on virtual time. Clones are the same log.
#[derive(Clone)]
pub struct ModelLog {
    inner: Arc<Inner>,
}

impl ModelLog {
    /// A log without topics.
    pub fn new(seed: u64) -> Self {
        let chance = Chance::new(seed, "log");
        Self { inner: Arc::new(Inner { chance, state: Mutex::default(), produces: Hook::default() }) }
    }

    /// Makes a topic.
    ///
    /// # Panics
    /// When it exists, or without a partition.
    pub fn create_topic(&self, name: &str, partitions: u32) {
        assert!(partitions > 0, "a topic has a partition");
        let empty = vec![Vec::new(); partitions as usize];
        assert!(self.state().topics.insert(name.to_owned(), empty).is_none(), "topic {name} exists");
    }

    /// Every record of a topic: by partition, in offset order.
    pub fn records(&self, topic: &str) -> Vec<Record> {
        let state = self.state();
        let mut records = Vec::new();
        for at in state.partitions_of(&[topic.to_owned()]) {
            records.extend((0..).map_while(|offset| state.record(&at, offset)));
        }
        records
    }

    /// What a group has committed.
    pub fn committed(&self, group: &str) -> BTreeMap<TopicPartition, i64> {
        self.state().groups.get(group).map(|group| group.committed.clone()).unwrap_or_default()
    }

    /// How often membership of a group changed.
    pub fn generation(&self, group: &str) -> i32 {
        self.state().groups.get(group).map_or(0, |group| group.generation)
    }

    /// Takes every partition from every member of a group at once, as when their sessions ran out; they come again by themselves.
    pub fn lose_all(&self, group: &str) {
        let mut state = self.state();
        if let Some(group) = state.groups.get_mut(group) {
            group.lose_all();
        }
        drop(state);
        self.rebalance_later();
    }

    /// What records meet.
    pub fn produces(&self) -> &Hook<ProduceFault> {
        &self.inner.produces
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Members look at their group when they are woken.
    fn rebalance_later(&self) {
        self.state().wake_all();
    }
}

impl EventLog for ModelLog {
    type Producer = ModelProducer;
    type Consumer = ModelConsumer;

    async fn producer(&self) -> Result<ModelProducer, LogError> {
        self.inner.chance.pause().await;
        Ok(ModelProducer::start(self.clone()))
    }

    async fn consumer(&self, group: &str, topics: &[&str]) -> Result<ModelConsumer, LogError> {
        self.inner.chance.pause().await;
        let consumer = ModelConsumer::join(self.clone(), group, topics);
        self.inner.chance.pause().await;
        Ok(consumer)
    }
}
