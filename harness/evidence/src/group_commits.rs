//! The offsets that a consumer group committed, as evidence: when the group said that it was done with what (D16).
//!
//! In: a bootstrap address. Out: `group_commit`, sorted by (partition, moment), commits of one moment as the log has them. Elsewhere: what was
//! done by then (`check`: T3, T4).
//!
//! The broker keeps committed offsets as records of a topic of its own, all of a group on one partition. It compacts that topic, but never
//! the segment that it is writing: in the time of a run nothing is gone. Key: version (1; others are about members), group, topic, partition.
//! Value: version, offset, and what differs by version. All numbers are big-endian, texts have a length of two bytes before them.

use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::{ParquetRow, RowWriter};
use bankstorm_record::rows::GroupCommitRow;
use rdkafka::message::Message;

use crate::Evidence;
use crate::error::EvidenceError;
use crate::reading::{aside, consumer, drain, partitions, stamp_us};

/// The broker's topic of committed offsets.
const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The versions of keys that are about offsets.
const OFFSET_KEYS: std::ops::RangeInclusive<i16> = 0..=1;
/// The versions of values in which the offset comes first.
const OFFSET_VALUES: std::ops::RangeInclusive<i16> = 0..=4;

/// What the offsets topic gave.
#[derive(Clone, Debug, Default)]
pub struct CollectedCommits {
    /// The file `group_commit`.
    pub evidence: Evidence,
    /// Records about the group's offsets of that topic in a form that is not known: they have no row.
    pub malformed: u64,
    /// Records that the broker had removed before they could be read.
    pub removed: u64,
}

/// Reads what `group` committed of `topic`, into `folder`.
///
/// # Errors
/// When the broker refuses, a limit is hit or the file cannot be written.
pub async fn collect_group_commits(
    bootstrap: &str,
    group: &str,
    topic: &str,
    folder: &RunFolder,
) -> Result<CollectedCommits, EvidenceError> {
    let (bootstrap, group, topic, folder) = (bootstrap.to_owned(), group.to_owned(), topic.to_owned(), folder.clone());
    aside("the offsets topic's reader", move || read(&bootstrap, &group, &topic, &folder)).await
}

fn read(bootstrap: &str, group: &str, topic: &str, folder: &RunFolder) -> Result<CollectedCommits, EvidenceError> {
    let consumer = consumer(bootstrap)?;
    let mut collected = CollectedCommits::default();
    let mut rows: Vec<GroupCommitRow> = Vec::new();
    for partition in partitions(&consumer, OFFSETS_TOPIC)? {
        collected.removed += drain(&consumer, OFFSETS_TOPIC, partition, |record| {
            match commit(record.key().unwrap_or_default(), record.payload(), group, topic) {
                Commit::Of { partition, committed_offset } => {
                    rows.push(GroupCommitRow { partition, committed_offset, at_us: stamp_us(record) });
                }
                Commit::Other => {}
                Commit::Unknown => collected.malformed += 1,
            }
            Ok(())
        })?;
    }
    rows.sort_by_key(|row| (row.partition, row.at_us));
    let mut writer = RowWriter::<GroupCommitRow>::create(folder.evidence_file(GroupCommitRow::NAME))?;
    rows.into_iter().try_for_each(|row| writer.push(row))?;
    collected.evidence.insert(GroupCommitRow::NAME.to_owned(), writer.finish()?);
    Ok(collected)
}

/// What a record of the offsets topic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commit {
    /// A commit of the group's for a partition of the topic.
    Of { partition: i32, committed_offset: i64 },
    /// About something else, or an offset that was taken back.
    Other,
    /// About the group and the topic, and in another form.
    Unknown,
}

fn commit(key: &[u8], value: Option<&[u8]>, group: &str, topic: &str) -> Commit {
    let mut key = Bytes(key);
    if !key.short().is_some_and(|version| OFFSET_KEYS.contains(&version)) {
        return Commit::Other;
    }
    if key.text() != Some(group.as_bytes()) || key.text() != Some(topic.as_bytes()) {
        return Commit::Other;
    }
    let Some(value) = value else { return Commit::Other };
    let mut value = Bytes(value);
    let is_known = value.short().is_some_and(|version| OFFSET_VALUES.contains(&version));
    match (key.int(), value.long().filter(|_| is_known)) {
        (Some(partition), Some(committed_offset)) => Commit::Of { partition, committed_offset },
        _ => Commit::Unknown,
    }
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn short(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn int(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn long(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.short()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Commit, commit};

    fn key(version: i16, group: &str, topic: &str, partition: i32) -> Vec<u8> {
        let text = |text: &str| [(text.len() as i16).to_be_bytes().as_slice(), text.as_bytes()].concat();
        [version.to_be_bytes().to_vec(), text(group), text(topic), partition.to_be_bytes().to_vec()].concat()
    }

    fn value(version: i16, offset: i64) -> Vec<u8> {
        // What follows differs by version: a leader's epoch, metadata, a timestamp.
        [version.to_be_bytes().as_slice(), &offset.to_be_bytes(), &[0, 0, 0, 5, 0, 0, 1, 2, 3]].concat()
    }

    #[test]
    fn t3_an_offset_is_read_whatever_the_version_of_its_value() {
        for version in 0..=4 {
            let found =
                commit(&key(1, "channel", "core.entries", 7), Some(&value(version, 900)), "channel", "core.entries");
            assert_eq!(found, Commit::Of { partition: 7, committed_offset: 900 }, "version {version}");
        }
    }

    #[test]
    fn what_is_about_others_is_left_out_and_what_is_not_understood_is_told() {
        let told = |key: &[u8], value: Option<&[u8]>| commit(key, value, "channel", "core.entries");
        let good = value(3, 900);
        for (version, group, topic) in
            [(2, "channel", "core.entries"), (1, "channels", "core.entries"), (1, "channel", "core.entries.dlt")]
        {
            assert_eq!(told(&key(version, group, topic, 7), Some(&good)), Commit::Other);
        }
        let ours = key(1, "channel", "core.entries", 7);
        assert_eq!(told(&ours, None), Commit::Other, "taken back");
        assert_eq!(told(&ours, Some(&value(5, 900))), Commit::Unknown);
        assert_eq!(told(&ours, Some(&good[..9])), Commit::Unknown);
        assert_eq!(told(&ours[..ours.len() - 1], Some(&good)), Commit::Unknown);
        for length in 0..20 {
            assert_eq!(told(&ours[..length], Some(&good)), Commit::Other, "{length}");
        }
    }
}
