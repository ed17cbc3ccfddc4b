//! Reading a topic from its beginning to what was there when the reading began.
//!
//! In: a bootstrap address, a topic. Out: its partitions and their records, one after the other. Elsewhere: what is made of them (`topic`,
//! `dead_letters`, `group_commits`). The reader joins no group, so that it moves no one's partitions.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::error::EvidenceError;

/// How long the broker may take to answer, or to give the next record.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Runs what blocks on a thread that may; `what` is what errors call it.
pub(crate) async fn aside<T: Send + 'static>(
    what: &'static str,
    read: impl FnOnce() -> Result<T, EvidenceError> + Send + 'static,
) -> Result<T, EvidenceError> {
    #[expect(clippy::disallowed_methods, reason = "librdkafka's calls block; this is a thread that may")]
    let reading = tokio::task::spawn_blocking(read);
    reading.await.unwrap_or(Err(EvidenceError::Lost(what)))
}

pub(crate) fn consumer(bootstrap: &str) -> Result<BaseConsumer, EvidenceError> {
    let consumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        // librdkafka wants a name although no group is joined.
        .set("group.id", "bankstorm-evidence")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "20")
        .create();
    consumer.map_err(EvidenceError::kafka("making a reader"))
}

/// The topic's partitions, rising; none where there is no such topic.
pub(crate) fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>, EvidenceError> {
    let what = format!("partitions of {topic}");
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_LIMIT).map_err(EvidenceError::kafka(what))?;
    let found = metadata.topics().iter().filter(|found| found.name() == topic);
    let mut partitions: Vec<i32> = found.flat_map(|found| found.partitions().iter().map(|one| one.id())).collect();
    partitions.sort_unstable();
    Ok(partitions)
}

/// Gives each record of a partition to `each`; in the end, how many the broker had removed before they could be read.
pub(crate) fn drain(
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    mut each: impl FnMut(&BorrowedMessage<'_>) -> Result<(), EvidenceError>,
) -> Result<u64, EvidenceError> {
    let place = format!("{topic} partition {partition}");
    let fail = || EvidenceError::kafka(place.as_str());
    let (low, high) = consumer.fetch_watermarks(topic, partition, ANSWER_LIMIT).map_err(fail())?;
    let removed = u64::try_from(low).unwrap_or(0);
    if low >= high {
        return Ok(removed);
    }
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(low)).map_err(fail())?;
    consumer.assign(&assignment).map_err(fail())?;
    loop {
        match consumer.poll(ANSWER_LIMIT) {
            None => return Err(EvidenceError::limit(format!("the next record of {place}"), ANSWER_LIMIT)),
            // The high watermark, where the last offsets hold no records.
            Some(Err(KafkaError::PartitionEOF(ended))) if ended == partition => break,
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => return Err(fail()(error)),
            Some(Ok(record)) if record.partition() != partition => {}
            Some(Ok(record)) if record.offset() >= high => break,
            Some(Ok(record)) => {
                each(&record)?;
                if record.offset() + 1 >= high {
                    break;
                }
            }
        }
    }
    consumer.unassign().map_err(fail())?;
    Ok(removed)
}

/// A record's timestamp in microseconds since the epoch; 0 where it has none.
pub(crate) fn stamp_us(record: &BorrowedMessage<'_>) -> i64 {
    record.timestamp().to_millis().unwrap_or(0) * 1_000
}
