//! Models of the log that are wrong on purpose: scripts must tell them from the broker.
//!
//! In: a model and a fault. Out: a log that does as the model does, but for the fault; without one it is the model. Elsewhere: what it is
//! held against (`kafka_scripts`).

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bankstorm_outside::conformance::log::LogFixture;
use bankstorm_outside::log::{ConsumerEvent, EventConsumer, EventLog, LogError, TopicPartition};
use bankstorm_simulator::model::log::{ModelConsumer, ModelLog, ModelProducer};
use tokio::time::timeout;

/// How long a record waits for one behind it that may overtake it.
const OVERTAKING: Duration = Duration::from_millis(20);

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A commit for a partition of another member succeeds.
    CommitOfAnother,
    /// A commit of an owner is answered and forgotten.
    ForgottenCommit,
    /// A new owner begins at the end where an offset was committed.
    BeginsAtTheEnd,
    /// Of two records of a partition that are there, the later comes first.
    Overtaking,
    /// A pause does nothing.
    IgnoredPause,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] =
        [Self::CommitOfAnother, Self::ForgottenCommit, Self::BeginsAtTheEnd, Self::Overtaking, Self::IgnoredPause];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CommitOfAnother => "a_commit_of_another_that_succeeds",
            Self::ForgottenCommit => "a_commit_that_is_forgotten",
            Self::BeginsAtTheEnd => "an_owner_that_begins_at_the_end",
            Self::Overtaking => "a_record_that_overtakes",
            Self::IgnoredPause => "a_pause_that_does_nothing",
        }
    }
}

/// The log's fixture.
pub(crate) struct Wrong {
    log: WrongLog,
    topics: AtomicU64,
}

impl Wrong {
    pub(crate) fn new(log: ModelLog, fault: Option<Fault>) -> Self {
        Self { log: WrongLog { log, fault }, topics: AtomicU64::new(0) }
    }
}

impl LogFixture for Wrong {
    type Log = WrongLog;

    fn log(&self) -> WrongLog {
        self.log.clone()
    }

    async fn topic(&self, partitions: u32) -> String {
        let name = format!("topic-{}", self.topics.fetch_add(1, Ordering::Relaxed));
        self.log.log.create_topic(&name, partitions);
        name
    }
}

/// The log.
#[derive(Clone)]
pub(crate) struct WrongLog {
    log: ModelLog,
    fault: Option<Fault>,
}

impl EventLog for WrongLog {
    type Producer = ModelProducer;
    type Consumer = WrongConsumer;

    async fn producer(&self) -> Result<ModelProducer, LogError> {
        self.log.producer().await
    }

    async fn consumer(&self, group: &str, topics: &[&str]) -> Result<WrongConsumer, LogError> {
        let consumer = self.log.consumer(group, topics).await?;
        let (log, group, fault) = (self.log.clone(), group.to_owned(), self.fault);
        Ok(WrongConsumer { consumer, log, group, fault, queued: VecDeque::new(), from: BTreeMap::new() })
    }
}

/// A member.
pub(crate) struct WrongConsumer {
    consumer: ModelConsumer,
    log: ModelLog,
    group: String,
    fault: Option<Fault>,
    /// Taken from the model and not given on yet.
    queued: VecDeque<ConsumerEvent>,
    /// Where a partition's records begin for this member.
    from: BTreeMap<TopicPartition, i64>,
}

impl WrongConsumer {
    fn begin_at_the_end(&mut self, partitions: &[TopicPartition]) {
        let committed = self.log.committed(&self.group);
        for at in partitions.iter().filter(|at| committed.contains_key(at)) {
            let records = self.log.records(&at.topic);
            let end = records.iter().filter(|record| record.at == *at).count();
            self.from.insert(at.clone(), i64::try_from(end).expect("few records"));
        }
    }
}

/// The answer to a commit, in a type that borrows nothing: generic code alone is believed so by the compiler.
fn committing<C: EventConsumer>(
    consumer: &C,
    offsets: &[(TopicPartition, i64)],
) -> Pin<Box<dyn Future<Output = Result<(), LogError>> + Send>> {
    Box::pin(consumer.commit(offsets))
}

impl EventConsumer for WrongConsumer {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        loop {
            if self.fault == Some(Fault::Overtaking)
                && let [ConsumerEvent::Record(first)] = self.queued.make_contiguous()
            {
                let partition = first.at.clone();
                if let Ok(second) = timeout(OVERTAKING, self.consumer.next()).await {
                    let second = second?;
                    let overtakes = matches!(&second, ConsumerEvent::Record(record) if record.at == partition);
                    if overtakes { self.queued.push_front(second) } else { self.queued.push_back(second) }
                    // Two are queued: the front one goes now, and the other without another wait.
                }
                return self.queued.pop_front().ok_or_else(|| LogError::Other("nothing is queued".to_owned()));
            }
            if let Some(event) = self.queued.pop_front() {
                return Ok(event);
            }
            let event = self.consumer.next().await?;
            match (self.fault, &event) {
                (Some(Fault::BeginsAtTheEnd), ConsumerEvent::Assigned(assignment)) => {
                    let partitions = assignment.partitions.clone();
                    self.begin_at_the_end(&partitions);
                }
                (Some(Fault::BeginsAtTheEnd), ConsumerEvent::Record(record))
                    if self.from.get(&record.at).is_some_and(|from| record.offset < *from) =>
                {
                    continue;
                }
                (Some(Fault::Overtaking), ConsumerEvent::Record(_)) => {
                    self.queued.push_back(event);
                    continue;
                }
                _ => {}
            }
            return Ok(event);
        }
    }

    fn commit(&self, offsets: &[(TopicPartition, i64)]) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        let mut offsets = offsets.to_vec();
        if self.fault == Some(Fault::ForgottenCommit) {
            let committed = self.log.committed(&self.group);
            for (at, offset) in &mut offsets {
                *offset = committed.get(at).copied().unwrap_or(0);
            }
        }
        let (commit, fault) = (committing(&self.consumer, &offsets), self.fault);
        async move {
            match commit.await {
                Err(LogError::NotAssigned(_)) if fault == Some(Fault::CommitOfAnother) => Ok(()),
                answer => answer,
            }
        }
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        let ignored = self.fault == Some(Fault::IgnoredPause);
        self.consumer.pause(if ignored { &[] } else { partitions })
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.consumer.resume(partitions)
    }

    async fn close(self) {
        self.consumer.close().await;
    }
}
