//! A member of a consumer group, as the service holds it.
//!
//! In: offsets to commit, partitions to pause. Out: events in order. Elsewhere: the thread that polls (`poll`), the queue between
//! (`queue`).

use std::sync::{Arc, Weak};
use std::time::Duration;

use bankstorm_outside::log::{ConsumerEvent, EventConsumer, LogError, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::oneshot;
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
}

impl KafkaConsumer {
    pub(super) fn start(config: &ClientConfig, topics: &[&str]) -> Result<Self, LogError> {
        let queue = Arc::new(EventQueue::default());
        let callbacks = Callbacks { queue: Arc::clone(&queue) };
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
        Ok(Self { queue, client: weak, ended: Some(ended) })
    }

    fn client(&self) -> Result<Arc<BaseConsumer<Callbacks>>, LogError> {
        self.client.upgrade().ok_or_else(|| LogError::Other("the consumer has ended".to_owned()))
    }

    fn refuse_strangers<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) -> Result<(), LogError> {
        match self.queue.stranger(partitions) {
            Some(at) => Err(LogError::NotAssigned(format!("{} partition {}", at.topic, at.partition))),
            None => Ok(()),
        }
    }

    /// One commit, answered by the broker. librdkafka's asynchronous form answers through the poll queue, which stands still while a
    /// revocation is drained, and that is when commits matter most; so the synchronous one runs on a thread that may block.
    async fn commit_once(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), KafkaError> {
        let Some(client) = self.client.upgrade() else {
            return Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownMemberId));
        };
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (at, offset) in offsets {
            list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*offset))?;
        }
        #[expect(clippy::disallowed_methods, reason = "a blocking call of librdkafka, on a thread that may block")]
        let answer = tokio::task::spawn_blocking(move || client.commit(&list, CommitMode::Sync)).await;
        answer.unwrap_or(Err(KafkaError::Canceled))
    }
}

impl EventConsumer for KafkaConsumer {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        self.queue.next().await
    }

    async fn commit(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + COMMIT_LIMIT;
        loop {
            self.refuse_strangers(offsets.iter().map(|(at, _)| at))?;
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(answer) = timeout(left, self.commit_once(offsets)).await else {
                return Err(LogError::Other(format!("limit of commit hit: no answer within {COMMIT_LIMIT:?}")));
            };
            match answer {
                Ok(()) => return Ok(()),
                Err(error) => match error.rdkafka_error_code() {
                    // The group is between two generations: the same commit is taken in the next one.
                    Some(RDKafkaErrorCode::RebalanceInProgress) => sleep(REBALANCE_PAUSE).await,
                    Some(
                        RDKafkaErrorCode::IllegalGeneration
                        | RDKafkaErrorCode::UnknownMemberId
                        | RDKafkaErrorCode::FencedInstanceId
                        | RDKafkaErrorCode::StaleMemberEpoch,
                    ) => return Err(LogError::NotAssigned(error.to_string())),
                    _ => return Err(other(&error)),
                },
            }
        }
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.refuse_strangers(partitions.iter())?;
        self.queue.pause(partitions);
        self.client()?.pause(&list(partitions)).map_err(|error| other(&error))
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.refuse_strangers(partitions.iter())?;
        if self.queue.resume(partitions) {
            self.client()?.resume(&list(partitions)).map_err(|error| other(&error))?;
        }
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
