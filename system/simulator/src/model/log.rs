//! A model of Kafka: partitions, producers, groups, one broker.
//!
//! In: a seed, topics, what is to go wrong. Out: [`ModelLog`], an `EventLog` on virtual time. Elsewhere, in `log/`: what lies in
//! partitions (`partitions`), what a group knows (`group`), what time does to it (`session`), who gets which partition (`sharing`, pure),
//! the two ends (`producer`, `consumer`), broker and processes that stop (`broker`), faults call by call (`faults`).
//!
//! Kept of Kafka: a record is appended once or not at all and in the order of calls; a producer that failed once is of no use; one whose
//! broker is away waits, however long, and sends again without doubling; a revocation waits for its acknowledgement within a limit; a
//! member that falls silent keeps its partitions until its session runs out, and holds a rebalance up until then; commits of others are
//! refused; a member gives up its partitions when it cannot reach the broker for a session;
//! a client that failed for good is of no use, and a new one is. Left out: several brokers, leaders, fetching
//! ahead, members of one group that read different topics, requests that a stopped broker takes after their client gave up.

mod broker;
mod consumer;
mod faults;
mod group;
mod partitions;
mod producer;
mod session;
mod sharing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_outside::log::{EventLog, LogError, Record, TopicPartition};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::chance::Chance;
use super::hook::Hook;
use broker::{Broker, Client};
use group::Group;
use partitions::{Partitions, Slot};

use crate::trace::note_of;

pub use consumer::ModelConsumer;
pub use faults::{Damage, OffsetCommitFault, ProduceFault, RecordFault};
pub use producer::ModelProducer;

/// After this long without a sign of life the group goes on without a member.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a rebalance waits for the acknowledgement of a revocation.
pub const REVOKE_LIMIT: Duration = Duration::from_secs(2);
/// How long an offset commit waits for the broker and its answer: the consumer's socket time-out.
pub const COMMIT_WAIT: Duration = Duration::from_secs(3);
/// How long `discard` waits for what is under way. What was not appended by then never is.
pub const DISCARD_LIMIT: Duration = Duration::from_secs(15);

#[derive(Default)]
struct State {
    partitions: Partitions,
    groups: Vec<Group>,
    clients: Vec<Client>,
    broker: Broker,
    /// Counts the broker's kills: connections of an older one are broken.
    connection: u64,
    next_member: u64,
}

impl State {
    fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The number of a group, which is made when there is none.
    fn group_number(&mut self, name: &str) -> usize {
        self.groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
            self.groups.push(Group::new(name));
            self.groups.len() - 1
        })
    }

    /// Wakes whoever reads a partition.
    fn wake_readers(&self, slot: Slot) {
        for group in &self.groups {
            group.wake_readers(slot);
        }
    }
}

struct Inner {
    chance: Chance,
    state: Mutex<State>,
    /// The broker or a process stopped or goes on, or a producer was given up.
    changed: Notify,
    produces: Hook<ProduceFault>,
    offset_commits: Hook<OffsetCommitFault>,
    appends: Hook<RecordFault>,
}

/// A log on virtual time, as one process sees it. Clones are the same log.
#[derive(Clone)]
pub struct ModelLog {
    inner: Arc<Inner>,
    /// The number of the process.
    client: usize,
    who: &'static str,
}

impl ModelLog {
    /// A log without topics, as a process without a name sees it.
    pub fn new(seed: u64) -> Self {
        Self::with(Chance::new(seed, "log"))
    }

    /// The same with pauses of up to `pace_ms` milliseconds.
    pub fn paced(seed: u64, pace_ms: u64) -> Self {
        Self::with(Chance::paced(seed, "log", pace_ms))
    }

    fn with(chance: Chance) -> Self {
        let inner = Inner {
            chance,
            state: Mutex::default(),
            changed: Notify::new(),
            produces: Hook::default(),
            offset_commits: Hook::default(),
            appends: Hook::default(),
        };
        let log = Self { inner: Arc::new(inner), client: 0, who: "" };
        log.of("")
    }

    /// The same log as a process of this name sees it.
    pub fn of(&self, client: &'static str) -> Self {
        let number = self.state().client(client);
        let who = if client.is_empty() { "log" } else { client };
        Self { inner: Arc::clone(&self.inner), client: number, who }
    }

    /// Makes a topic.
    ///
    /// # Panics
    /// When it exists, or without a partition.
    pub fn create_topic(&self, name: &str, partitions: u32) {
        assert!(partitions > 0, "a topic has a partition");
        let mut state = self.state();
        assert!(state.partitions.create(name, partitions as usize), "topic {name} exists");
        state.groups.iter_mut().for_each(Group::changed);
    }

    /// Gives a topic more partitions: producers and groups learn of it at once, and keys are spread anew.
    pub fn add_partitions(&self, topic: &str, more: u32) {
        note_of("kafka", || format!("{topic} gets {more} partitions more"));
        let mut state = self.state();
        self.advance_all(&mut state);
        if state.partitions.add(topic, more as usize) {
            state.groups.iter_mut().for_each(Group::regroup);
        }
    }

    /// When each record of a topic was appended, as [`Self::records`] lists them.
    pub fn appended_at(&self, topic: &str) -> Vec<Instant> {
        let state = self.state();
        let of = |slot| (0..state.partitions.end(slot)).map(move |offset| (slot, offset));
        let all = state.partitions.slots_of(topic).iter().copied().flat_map(of);
        all.map(|(slot, offset)| state.partitions.appended_at(slot, offset)).collect()
    }

    /// What a group has committed and when, in the order of its commits.
    pub fn commits_of(&self, group: &str) -> Vec<(TopicPartition, i64, Instant)> {
        let state = self.state();
        let commits = state.group(group).map(|group| group.commits.as_slice()).unwrap_or_default();
        commits.iter().map(|(slot, offset, at)| (state.partitions.at(*slot), *offset, *at)).collect()
    }

    /// Every record of a topic as it lies there: by partition, in offset order.
    pub fn records(&self, topic: &str) -> Vec<Record> {
        self.state().partitions.records(topic)
    }

    /// What no consumer sees ([`RecordFault::Lost`]), as it lies there.
    pub fn lost(&self) -> Vec<Record> {
        self.state().partitions.lost()
    }

    /// What a group has committed.
    pub fn committed(&self, group: &str) -> BTreeMap<TopicPartition, i64> {
        let state = self.state();
        state.group(group).map(|group| group.all_committed(&state.partitions)).unwrap_or_default()
    }

    /// Whether a group has committed everything of a topic that consumers see.
    pub fn caught_up(&self, group: &str, topic: &str) -> bool {
        let state = self.state();
        let committed = |slot| state.group(group).and_then(|group| group.committed(slot)).unwrap_or(0);
        state.partitions.slots_of(topic).iter().all(|slot| committed(*slot) >= state.partitions.seen_end(*slot))
    }

    /// How often a group was rebalanced.
    pub fn generation(&self, group: &str) -> i32 {
        self.state().group(group).map_or(0, |group| group.generation)
    }

    /// Takes every partition from every member of a group at once, as when their sessions ran out; they come again by themselves.
    pub fn lose_all(&self, group: &str) {
        let mut state = self.state();
        let State { partitions, groups, .. } = &mut *state;
        if let Some(group) = groups.iter_mut().find(|known| known.name == group) {
            group.lose_all(partitions);
        }
    }

    /// What records meet on their way, counted at the broker.
    pub fn produces(&self) -> &Hook<ProduceFault> {
        &self.inner.produces
    }

    /// What offset commits meet, counted at the broker.
    pub fn offset_commits(&self) -> &Hook<OffsetCommitFault> {
        &self.inner.offset_commits
    }

    /// What becomes of appended records.
    pub fn appends(&self) -> &Hook<RecordFault> {
        &self.inner.appends
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
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
