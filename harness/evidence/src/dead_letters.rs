//! The dead-letter topic as evidence: every letter of every partition.
//!
//! In: a bootstrap address. Out: `dlt`, sorted by the place of the record that each letter is about. Elsewhere: a letter's form
//! (`contracts::dead_letter`), the channel's own table of them (`channel`), what they must agree in (`check`: T4).

use bankstorm_contracts::dead_letter;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::{ParquetRow, RowWriter};
use bankstorm_record::rows::DltRow;
use rdkafka::message::{BorrowedMessage, Message};

use crate::Evidence;
use crate::error::EvidenceError;
use crate::reading::{aside, consumer, drain, partitions, stamp_us};

/// What the dead-letter topic gave.
#[derive(Clone, Debug, Default)]
pub struct CollectedDeadLetters {
    /// The file `dlt`; without rows where there is no such topic.
    pub evidence: Evidence,
    /// Records that are no letters: they have no row.
    pub malformed: u64,
    /// The first of them, with its partition and offset.
    pub first_malformed: Option<String>,
    /// Records that the broker had removed before they could be read.
    pub removed: u64,
}

/// Reads all partitions of `topic`, and writes the letters about records of `about` into `folder`.
///
/// # Errors
/// When the broker refuses, a limit is hit or the file cannot be written.
pub async fn collect_dead_letters(
    bootstrap: &str,
    topic: &str,
    about: &str,
    folder: &RunFolder,
) -> Result<CollectedDeadLetters, EvidenceError> {
    let (bootstrap, topic, about, folder) = (bootstrap.to_owned(), topic.to_owned(), about.to_owned(), folder.clone());
    aside("the dead-letter topic's reader", move || read(&bootstrap, &topic, &about, &folder)).await
}

fn read(bootstrap: &str, topic: &str, about: &str, folder: &RunFolder) -> Result<CollectedDeadLetters, EvidenceError> {
    let consumer = consumer(bootstrap)?;
    let mut collected = CollectedDeadLetters::default();
    let mut rows: Vec<DltRow> = Vec::new();
    for partition in partitions(&consumer, topic)? {
        collected.removed += drain(&consumer, topic, partition, |record| {
            match row(record, about) {
                Ok(row) => rows.extend(row),
                Err(problem) => {
                    collected.malformed += 1;
                    let at = format!("{topic} partition {partition} offset {}: {problem}", record.offset());
                    collected.first_malformed.get_or_insert(at);
                }
            }
            Ok(())
        })?;
    }
    rows.sort_by_key(|row| (row.partition, row.record_offset, row.dlt_partition, row.dlt_offset));
    let mut writer = RowWriter::<DltRow>::create(folder.evidence_file(DltRow::NAME))?;
    rows.into_iter().try_for_each(|row| writer.push(row))?;
    collected.evidence.insert(DltRow::NAME.to_owned(), writer.finish()?);
    Ok(collected)
}

/// A letter's row, if it is about a record of that topic.
fn row(record: &BorrowedMessage<'_>, about: &str) -> Result<Option<DltRow>, String> {
    let letter = dead_letter::decode(record.payload().unwrap_or_default()).map_err(|error| error.to_string())?;
    Ok((letter.topic == about).then(|| DltRow {
        partition: letter.partition,
        record_offset: letter.offset,
        dlt_partition: record.partition(),
        dlt_offset: record.offset(),
        account: letter.account.map(|account| account.get()),
        seq: letter.seq,
        class: letter.class.as_str().to_owned(),
        code: Some(letter.code),
        attempts: letter.attempts.into(),
        timestamp_us: stamp_us(record),
    }))
}
