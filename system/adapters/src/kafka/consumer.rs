//! A member of a consumer group, as the service holds it.
//!
//! In: offsets to commit, partitions to pause. Out: events in order. Elsewhere: the thread that polls (`poll`), the queue between
//! (`queue`).

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bankstorm_outside::log::{ConsumerEvent, EventConsumer, LogError, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::poll::{Callbacks, list, run};
use super::queue::EventQueue;
use super::{CLOSE_LIMIT, COMMIT_LIMIT, other};

/// How long to wait before a commit that met a rebalance is tried again.
const REBALANCE_PAUSE: Duration = Duration::from_millis(20);

/// A member of a consumer group. Dropping it leaves the group too, but waits for nothing.
pub struct KafkaConsumer {
    queue: Arc<EventQueue>,
    /// The polling thread owns the client, so that its blocking drop happens there.
    client: Weak<BaseConsumer<Callbacks>>,
    ended: Option<oneshot::Receiver<()>>,
    /// Held by the commit that runs, to the end of its blocking call and not only of its future: a second one never overtakes it.
    committing: Arc<Mutex<()>>,
}

impl KafkaConsumer {
    pub(super) fn start(config: &ClientConfig, topics: &[&str]) -> Result<Self, LogError> {
        let queue = Arc::new(EventQueue::default());
        let callbacks = Callbacks::new(Arc::clone(&queue));
        let client: BaseConsumer<Callbacks> = config.create_with_context(callbacks).map_err(|error| other(&error))?;
        client.subscribe(topics).map_err(|error| other(&error))?;
        let client = Arc::new(client);
        let weak = Arc::downgrade(&client);
        let (send, ended) = oneshot::channel();
        let thread_queue = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("kafka-poll".to_owned())
            .spawn(move || {
                run(client, &thread_queue);
                // The handle may be gone.
                let _ = send.send(());
            })
            .map_err(|error| LogError::Other(format!("the polling thread did not start: {error}")))?;
        Ok(Self { queue, client: weak, ended: Some(ended), committing: Arc::default() })
    }

    fn client(&self) -> Result<Arc<BaseConsumer<Callbacks>>, LogError> {
        self.client.upgrade().ok_or_else(|| LogError::Other("the consumer has ended".to_owned()))
    }
}

fn refuse_strangers<'a>(
    queue: &EventQueue,
    partitions: impl Iterator<Item = &'a TopicPartition>,
) -> Result<(), LogError> {
    match queue.stranger(partitions) {
        Some(at) => Err(LogError::NotAssigned(format!("{} partition {}", at.topic, at.partition))),
        None => Ok(()),
    }
}

/// Why a commit was not taken.
enum Refused {
    /// The group is between two generations.
    Rebalance,
    /// For good.
    For(LogError),
}

impl Refused {
    fn of(error: &KafkaError) -> Self {
        match error.rdkafka_error_code() {
            // A commit that crosses the end of a rebalance on its way bears the last generation, although its member may keep its
            // partitions. Whoever lost them is told so, and refused before the next attempt.
            Some(RDKafkaErrorCode::RebalanceInProgress | RDKafkaErrorCode::IllegalGeneration) => Self::Rebalance,
            Some(
                RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::FencedInstanceId
                | RDKafkaErrorCode::StaleMemberEpoch,
            ) => Self::For(LogError::NotAssigned(error.to_string())),
            _ => Self::For(other(error)),
        }
    }
}

impl From<LogError> for Refused {
    fn from(error: LogError) -> Self {
        Self::For(error)
    }
}

/// What a commit needs of its consumer.
struct Commit {
    queue: Arc<EventQueue>,
    client: Weak<BaseConsumer<Callbacks>>,
    committing: Arc<Mutex<()>>,
    offsets: Vec<(TopicPartition, i64)>,
}

impl Commit {
    /// One commit, answered by the broker. librdkafka's asynchronous form answers through the poll queue, which stands still while a
    /// revocation is drained, and that is when commits matter most; so the synchronous one runs on a thread that may block.
    async fn once(&self) -> Result<(), Refused> {
        let turn = Arc::clone(&self.committing).lock_owned().await;
        refuse_strangers(&self.queue, self.offsets.iter().map(|(at, _)| at))?;
        let client = self.client.upgrade().ok_or_else(|| LogError::NotAssigned("the consumer has ended".to_owned()))?;
        let mut list = TopicPartitionList::with_capacity(self.offsets.len());
        for (at, offset) in &self.offsets {
            list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*offset))
                .map_err(|error| other(&error))?;
        }
        #[expect(clippy::disallowed_methods, reason = "a blocking call of librdkafka, on a thread that may block")]
        let answer = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            client.commit(&list, CommitMode::Sync)
        });
        match answer.await.unwrap_or(Err(KafkaError::Canceled)) {
            Ok(()) => Ok(()),
            Err(error) => Err(Refused::of(&error)),
        }
    }

    /// Commits, again where the group is between two generations: the same commit is taken in the next one.
    async fn run(self) -> Result<(), LogError> {
        if self.offsets.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + COMMIT_LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.once()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Refused::Rebalance)) => sleep(REBALANCE_PAUSE).await,
                Ok(Err(Refused::For(error))) => return Err(error),
                Err(_) => {
                    return Err(LogError::Other(format!("limit of commit hit: no answer within {COMMIT_LIMIT:?}")));
                }
            }
        }
    }
}

impl EventConsumer for KafkaConsumer {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        self.queue.next().await
    }

    fn commit(&self, offsets: &[(TopicPartition, i64)]) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        let commit = Commit {
            queue: Arc::clone(&self.queue),
            client: Weak::clone(&self.client),
            committing: Arc::clone(&self.committing),
            offsets: offsets.to_vec(),
        };
        commit.run()
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        let _taps = self.queue.taps();
        refuse_strangers(&self.queue, partitions.iter())?;
        self.client()?.pause(&list(partitions)).map_err(|error| other(&error))?;
        self.queue.pause(partitions);
        Ok(())
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        let _taps = self.queue.taps();
        refuse_strangers(&self.queue, partitions.iter())?;
        if !self.queue.is_full() {
            self.client()?.resume(&list(partitions)).map_err(|error| other(&error))?;
        }
        self.queue.resume(partitions);
        Ok(())
    }

    async fn close(mut self) {
        self.queue.close();
        let Some(ended) = self.ended.take() else { return };
        // A thread that ended by a panic dropped its sender, which is an end as well.
        if timeout(CLOSE_LIMIT, ended).await.is_err() {
            tracing::warn!(limit = ?CLOSE_LIMIT, "limit of close hit: the group notices by the session time-out");
        }
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        self.queue.close();
    }
}
