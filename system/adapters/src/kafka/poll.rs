//! The thread that polls librdkafka, and what its callbacks do.
//!
//! In: a `BaseConsumer`. Out: events on the queue. Elsewhere: who takes them (`consumer`).
//!
//! Rebalances happen inside `poll`: a revocation is queued, and the callback waits for its acknowledgement while librdkafka's own
//! threads keep the heartbeats going; only then are the partitions given up.
//!
//! Every rebalance ends with an assignment, of what is new: with none where a member keeps what it has. It is told all the same, since the
//! group's generation is another one (D36). The generation is read before the partitions are taken: a member that is thrown out right
//! after has none, and must not be taken for one of a log without generations. Without one, the consumer is of no use any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bankstorm_outside::log::{Assignment, ConsumerEvent, LogError, Record, TopicPartition};
use rdkafka::ClientContext;
use rdkafka::bindings;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::oneshot;

use super::REVOKE_LIMIT;
use super::blocking::wait_at_most;
use super::queue::{EventQueue, Pressure};

/// How long one poll may take; it bounds how late a close is noticed.
const POLL: Duration = Duration::from_millis(50);
/// The same while fetching is paused: it bounds how late it goes on.
const POLL_PAUSED: Duration = Duration::from_millis(2);
/// The longest wait for the answer that wakes fetching.
const WAKE_LIMIT: Duration = Duration::from_millis(200);

/// No generation, in librdkafka's word.
const NONE: i32 = -1;

/// What librdkafka calls back.
pub(super) struct Callbacks {
    queue: Arc<EventQueue>,
    /// Of the assignment under way; negative for none.
    generation: AtomicI32,
}

impl Callbacks {
    pub(super) const fn new(queue: Arc<EventQueue>) -> Self {
        Self { queue, generation: AtomicI32::new(NONE) }
    }
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        trace_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka consumer");
    }
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let list = match rebalance {
            Rebalance::Assign(_) => return self.generation.store(generation(consumer), Ordering::SeqCst),
            Rebalance::Revoke(list) => list,
            Rebalance::Error(_) => return,
        };
        let partitions = partitions(list);
        if partitions.is_empty() {
            return;
        }
        self.queue.forget_records(&partitions);
        if consumer.assignment_lost() {
            self.queue.unassign(&partitions);
            self.queue.push(ConsumerEvent::Lost(partitions));
            return;
        }
        let (done, acknowledged) = oneshot::channel();
        self.queue.push(ConsumerEvent::Revoked { partitions: partitions.clone(), done });
        // A dropped `done` is an acknowledgement too.
        if wait_at_most(REVOKE_LIMIT, acknowledged).is_none() {
            tracing::warn!(?partitions, limit = ?REVOKE_LIMIT, "limit of revoke hit: partitions are given up before the drain ended");
        }
        self.queue.unassign(&partitions);
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = partitions(list);
                if !partitions.is_empty() {
                    let _taps = self.queue.taps();
                    if self.queue.assign(&partitions) {
                        report("pause", consumer.pause(list));
                    } else {
                        // librdkafka remembers a pause from before the partition went away.
                        report("resume", consumer.resume(list));
                    }
                }
                tell_assigned(&self.queue, partitions, self.generation.swap(NONE, Ordering::SeqCst));
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed; the group tries again"),
        }
    }
}

/// Kafka's groups have generations: an assignment without one is of a member that is none any more, and nothing would fence what it writes.
fn tell_assigned(queue: &EventQueue, partitions: Vec<TopicPartition>, generation: i32) {
    if generation < 0 {
        queue.fail(LogError::Other("assigned without a generation".to_owned()));
    } else {
        queue.push(ConsumerEvent::Assigned(Assignment { partitions, generation: Some(generation) }));
    }
}

/// The generation of which the member is now; [`NONE`] while it is of none.
#[expect(unsafe_code, reason = "librdkafka tells a group's generation by no call that rdkafka wraps")]
fn generation(consumer: &BaseConsumer<Callbacks>) -> i32 {
    let client = consumer.client().native_ptr();
    // SAFETY: the client lives as long as `consumer`. What is asked for is a copy of the caller's own, or null; it is freed once and read
    // before.
    unsafe {
        let metadata = bindings::rd_kafka_consumer_group_metadata(client);
        if metadata.is_null() {
            return NONE;
        }
        let generation = bindings::rd_kafka_consumer_group_metadata_generation_id(metadata);
        bindings::rd_kafka_consumer_group_metadata_destroy(metadata);
        generation
    }
}

/// However polling ends, by a panic too, the handle hears of it.
struct Ending<'a>(&'a EventQueue);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.fail(LogError::Other("the polling thread has ended".to_owned()));
    }
}

/// Polls until the handle leaves or the consumer fails for good; then leaves the group.
pub(super) fn run(consumer: Arc<BaseConsumer<Callbacks>>, queue: &EventQueue) {
    let _ending = Ending(queue);
    while !queue.is_closed() {
        relieve(&consumer, queue);
        let wait = if queue.is_held_up() { POLL_PAUSED } else { POLL };
        match consumer.poll(wait) {
            None => {}
            Some(Ok(message)) => queue.push(ConsumerEvent::Record(record(&message))),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                queue.fail(LogError::Other(error.to_string()));
                break;
            }
            // Brokers that are down, a topic that is not there yet: librdkafka goes on by itself.
            Some(Err(error)) => tracing::warn!(%error, "kafka consumer"),
        }
    }
    // Whatever is still owed at the end is not waited for.
    queue.close();
    // The last owner: dropping leaves the group.
    drop(consumer);
}

/// Pauses fetching when the queue became full, and goes on when it is low again.
fn relieve(consumer: &BaseConsumer<Callbacks>, queue: &EventQueue) {
    let mut resumed = queue.take_resumed();
    {
        let _taps = queue.taps();
        match queue.pressure() {
            (Pressure::Same, _) => {}
            (Pressure::Pause, partitions) => report("pause", consumer.pause(&list(&partitions))),
            (Pressure::Resume, partitions) => {
                report("resume", consumer.resume(&list(&partitions)));
                resumed.extend(partitions);
            }
        }
    }
    if !resumed.is_empty() {
        wake(consumer, &resumed);
    }
}

/// Where all partitions of a broker were paused, librdkafka's thread of that broker sleeps for up to a second, and a resume does not wake it. A
/// request to the broker does; this one asks for what nobody needs.
fn wake(consumer: &BaseConsumer<Callbacks>, partitions: &[TopicPartition]) {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for at in partitions {
        // It has no offset that could be refused.
        let _ = list.add_partition_offset(&at.topic, at.partition, Offset::End);
    }
    if let Err(error) = consumer.offsets_for_times(list, WAKE_LIMIT) {
        tracing::debug!(%error, "nobody answered the request that wakes fetching; it goes on within a second");
    }
}

fn report(what: &str, result: Result<(), KafkaError>) {
    if let Err(error) = result {
        tracing::warn!(%error, what, "fetching could not be paused or resumed");
    }
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    Record {
        at: TopicPartition { topic: message.topic().to_owned(), partition: message.partition() },
        offset: message.offset(),
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().unwrap_or_default().to_vec(),
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .iter()
        .map(|element| TopicPartition { topic: element.topic().to_owned(), partition: element.partition() })
        .collect()
}

/// librdkafka's form of a list of partitions.
pub(super) fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for at in partitions {
        list.add_partition(&at.topic, at.partition);
    }
    list
}

/// Passes a line of librdkafka's log on.
pub(super) fn trace_log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(facility, message, "librdkafka");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka"),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use bankstorm_outside::log::{ConsumerEvent, LogError, TopicPartition};

    use super::{Ending, NONE, tell_assigned};
    use crate::kafka::queue::EventQueue;

    #[tokio::test]
    async fn d36_an_assignment_without_a_generation_ends_the_consumer() {
        let at = TopicPartition { topic: "t".to_owned(), partition: 0 };
        let queue = EventQueue::default();
        tell_assigned(&queue, vec![at.clone()], 0);
        tell_assigned(&queue, vec![at], NONE);
        let told = queue.next().await.expect("the first one");
        assert!(matches!(told, ConsumerEvent::Assigned(assignment) if assignment.generation == Some(0)));
        assert!(matches!(queue.next().await, Err(LogError::Other(_))), "nothing would fence it");
    }

    #[tokio::test]
    async fn a_panic_while_polling_is_heard_by_the_handle() {
        let queue = EventQueue::default();
        let polling = catch_unwind(AssertUnwindSafe(|| {
            let _ending = Ending(&queue);
            panic!("a panic of the polling thread");
        }));
        assert!(polling.is_err());
        assert!(matches!(queue.next().await, Err(LogError::Other(_))));
    }
}
