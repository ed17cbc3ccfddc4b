//! The entries topic as evidence: every record of every partition, up to what was there when the reading began.
//!
//! In: a bootstrap address. Out: `topic`, sorted by (partition, offset), and what did not fit a row. Elsewhere: the record's form
//! (`contracts::event`), who reads it in the bank (`channel`). The reader joins no group, so that it moves no one's partitions.

use bankstorm_contracts::event;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::{ParquetRow, RowWriter};
use bankstorm_record::rows::TopicRow;
use rdkafka::message::{BorrowedMessage, Message};

use crate::Evidence;
use crate::error::EvidenceError;
use crate::reading::{aside, consumer, drain, partitions, stamp_us};

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
    aside("the topic's reader", move || read(&bootstrap, &topic, &folder)).await
}

fn read(bootstrap: &str, topic: &str, folder: &RunFolder) -> Result<CollectedTopic, EvidenceError> {
    let consumer = consumer(bootstrap)?;
    let mut collected = CollectedTopic::default();
    let mut writer = RowWriter::<TopicRow>::create(folder.evidence_file(TopicRow::NAME))?;
    for partition in partitions(&consumer, topic)? {
        collected.removed += drain(&consumer, topic, partition, |record| {
            match row(record) {
                Ok(row) => writer.push(row)?,
                Err(problem) => {
                    collected.malformed += 1;
                    let at = format!("{topic} partition {partition} offset {}: {problem}", record.offset());
                    collected.first_malformed.get_or_insert(at);
                }
            }
            Ok(())
        })?;
    }
    collected.evidence.insert(TopicRow::NAME.to_owned(), writer.finish()?);
    Ok(collected)
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
        timestamp_us: stamp_us(record),
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
