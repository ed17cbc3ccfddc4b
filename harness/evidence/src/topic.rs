//! The entries topic as evidence: every record of every partition, up to what was there when the reading began.
//!
//! In: a bootstrap address. Out: `topic`, sorted by (partition, offset), and what did not fit a row. Elsewhere: the record's form
//! (`contracts::event`), who reads it in the bank (`channel`). The reader joins no group, so that it moves no one's partitions.

use std::time::Duration;

use bankstorm_contracts::event;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::{ParquetRow, RowWriter};
use bankstorm_record::rows::TopicRow;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::Evidence;
use crate::error::EvidenceError;

/// How long the broker may take to answer, or to give the next record.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What the topic gave.
#[derive(Clone, Debug, Default)]
pub struct CollectedTopic {
    /// The file `topic`.
    pub evidence: Evidence,
    /// Records whose value is no entry: they have no row.
    pub malformed: u64,
    /// The first of them, with its partition and offset.
    pub first_malformed: Option<String>,
    /// Records that the broker had removed before they could be read.
    pub removed: u64,
}

/// Reads all partitions of `topic` into `folder`.
///
/// # Errors
/// When the broker refuses, a limit is hit or the file cannot be written.
pub async fn collect_topic(bootstrap: &str, topic: &str, folder: &RunFolder) -> Result<CollectedTopic, EvidenceError> {
    let (bootstrap, topic, folder) = (bootstrap.to_owned(), topic.to_owned(), folder.clone());
    #[expect(clippy::disallowed_methods, reason = "librdkafka's calls block; this is a thread that may")]
    let reading = tokio::task::spawn_blocking(move || read(&bootstrap, &topic, &folder));
    reading.await.unwrap_or(Err(EvidenceError::Lost("the topic's reader")))
}

fn read(bootstrap: &str, topic: &str, folder: &RunFolder) -> Result<CollectedTopic, EvidenceError> {
    let consumer = consumer(bootstrap).map_err(EvidenceError::kafka("making a reader"))?;
    let mut collected = CollectedTopic::default();
    let mut writer = RowWriter::<TopicRow>::create(folder.evidence_file(TopicRow::NAME))?;
    for partition in partitions(&consumer, topic)? {
        drain(&consumer, topic, partition, &mut writer, &mut collected)?;
    }
    collected.evidence.insert(TopicRow::NAME.to_owned(), writer.finish()?);
    Ok(collected)
}

fn consumer(bootstrap: &str) -> Result<BaseConsumer, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        // librdkafka wants a name although no group is joined.
        .set("group.id", "bankstorm-evidence")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "20")
        .create()
}

/// The topic's partitions, rising.
pub(crate) fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>, EvidenceError> {
    let what = format!("partitions of {topic}");
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_LIMIT).map_err(EvidenceError::kafka(what))?;
    let found = metadata.topics().iter().filter(|found| found.name() == topic);
    let mut partitions: Vec<i32> = found.flat_map(|found| found.partitions().iter().map(|one| one.id())).collect();
    partitions.sort_unstable();
    Ok(partitions)
}

fn drain(
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    writer: &mut RowWriter<TopicRow>,
    collected: &mut CollectedTopic,
) -> Result<(), EvidenceError> {
    let place = format!("{topic} partition {partition}");
    let fail = || EvidenceError::kafka(place.as_str());
    let (low, high) = consumer.fetch_watermarks(topic, partition, ANSWER_LIMIT).map_err(fail())?;
    collected.removed += u64::try_from(low).unwrap_or(0);
    if low >= high {
        return Ok(());
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
                match row(&record) {
                    Ok(row) => writer.push(row)?,
                    Err(problem) => {
                        collected.malformed += 1;
                        let at = format!("{place} offset {}: {problem}", record.offset());
                        collected.first_malformed.get_or_insert(at);
                    }
                }
                if record.offset() + 1 >= high {
                    break;
                }
            }
        }
    }
    consumer.unassign().map_err(fail())
}

fn row(record: &BorrowedMessage<'_>) -> Result<TopicRow, String> {
    let entry = event::decode(record.payload().unwrap_or_default()).map_err(|error| error.to_string())?;
    Ok(TopicRow {
        partition: record.partition(),
        record_offset: record.offset(),
        key_account: key_account(record.key()),
        account: entry.account.get(),
        seq: entry.seq,
        transfer: entry.transfer.0.as_u128(),
        amount: entry.amount.get(),
        balance_after: entry.balance_after.get(),
        timestamp_us: record.timestamp().to_millis().unwrap_or(0) * 1_000,
    })
}

/// The account that a key names, if it is one as `contracts` writes it.
fn key_account(key: Option<&[u8]>) -> Option<i64> {
    std::str::from_utf8(key?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::key_account;

    #[test]
    fn a_key_is_decimal_text_or_no_account() {
        assert_eq!(key_account(Some(b"1000001")), Some(1_000_001));
        assert_eq!(key_account(Some(b"10x")), None);
        assert_eq!(key_account(Some(&[0xff])), None);
        assert_eq!(key_account(None), None);
    }
}
