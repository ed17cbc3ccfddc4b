//! The event log: an idempotent producer and a consumer of one group.
//!
//! In: records and offsets. Out: acknowledgements, assignments, records. Elsewhere: which record is sent when (`core::relay`), which
//! offset may be committed (`channel::watermark`).

use std::future::Future;

use thiserror::Error;
use tokio::sync::oneshot;

/// A topic's partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
}

/// A record to be produced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The key; equal keys go to one partition.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// A record as consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it lies.
    pub at: TopicPartition,
    /// Its offset there.
    pub offset: i64,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Where a record landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Why the log did not do something.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// Not delivered, or nobody can tell. Nothing later of that key may be sent through this producer: it must be discarded (D35).
    #[error("not delivered: {0}")]
    NotDelivered(String),
    /// The consumer was asked about a partition that is not its own any more.
    #[error("not assigned: {0}")]
    NotAssigned(String),
    /// Anything else.
    #[error("log error: {0}")]
    Other(String),
}

/// What a consumer yields.
#[derive(Debug)]
pub enum ConsumerEvent {
    /// These partitions are this member's now, beside those that it kept. Comes after every rebalance, with no partitions where none are
    /// new: the generation is another one.
    Assigned(Assignment),
    /// These partitions go away: drain what is in work, commit, then send on `done` (dropping it counts too). The log waits for it within
    /// a limit of its own.
    Revoked {
        /// Which.
        partitions: Vec<TopicPartition>,
        /// The acknowledgement.
        done: oneshot::Sender<()>,
    },
    /// These partitions are gone already: drain nothing, commit nothing.
    Lost(Vec<TopicPartition>),
    /// A record of an assigned partition, in offset order per partition.
    Record(Record),
}

impl ConsumerEvent {
    /// The partitions that it tells to be lost or assigned. A revocation is no such news: until it is acknowledged they are the member's.
    pub fn news(&self) -> &[TopicPartition] {
        match self {
            Self::Lost(partitions) => partitions,
            Self::Assigned(assignment) => &assignment.partitions,
            Self::Revoked { .. } | Self::Record(_) => &[],
        }
    }
}

/// An assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The partitions that came (with cooperative rebalancing: only the new ones).
    pub partitions: Vec<TopicPartition>,
    /// The group's generation, where the log tells it.
    pub generation: Option<i32>,
}

/// The log.
pub trait EventLog: Clone + Send + Sync + 'static {
    /// Its producer.
    type Producer: EventProducer;
    /// Its consumer.
    type Consumer: EventConsumer;

    /// A new idempotent producer with acknowledgement by all replicas.
    fn producer(&self) -> impl Future<Output = Result<Self::Producer, LogError>> + Send;

    /// A new member of `group`, reading `topics` from the earliest offset where nothing was committed.
    fn consumer(&self, group: &str, topics: &[&str]) -> impl Future<Output = Result<Self::Consumer, LogError>> + Send;
}

/// A producer. Records handed over first are appended first, per partition.
pub trait EventProducer: Send + Sync + 'static {
    /// Hands a record over *now*, in call order; the returned future waits for the acknowledgement.
    fn produce(&self, record: Outgoing) -> impl Future<Output = Result<Delivered, LogError>> + Send + 'static;

    /// Gives up: waits until nothing of this producer can reach the log any more (D35). Records still unacknowledged may or may not have
    /// been written.
    fn discard(self) -> impl Future<Output = ()> + Send;
}

/// A member of a consumer group. Nothing is committed but by [`EventConsumer::commit`].
pub trait EventConsumer: Send + 'static {
    /// The next event; cancel-safe. An error means that this consumer is of no use any more.
    fn next(&mut self) -> impl Future<Output = Result<ConsumerEvent, LogError>> + Send;

    /// Commits "everything below this offset is done" for partitions that are this member's. The returned future does not borrow the
    /// consumer, so that events are taken while it waits; dropped before its end it leaves open whether the offsets are committed.
    fn commit(&self, offsets: &[(TopicPartition, i64)]) -> impl Future<Output = Result<(), LogError>> + Send + 'static;

    /// Stops fetching from partitions; records already fetched may still come. A partition that goes away and comes back is fetched
    /// again. Nothing changes on an error.
    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), LogError>;

    /// Fetches from them again.
    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), LogError>;

    /// Leaves the group.
    fn close(self) -> impl Future<Output = ()> + Send;
}
