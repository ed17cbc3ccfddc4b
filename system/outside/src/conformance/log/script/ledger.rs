//! What lies in each partition, who reads it and what comes next: the laws that hold wherever partitions are placed.
//!
//! In: acknowledgements, commits, events. Out: broken laws as text; offsets as transcripts show them. Elsewhere: who hears events
//! (`group`).

use std::collections::BTreeSet;

use crate::log::Record;

/// A member's number in its run.
pub(super) type MemberId = usize;

/// A record that lies in the log.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: String,
    /// Both sides of a comparison have it.
    pub(super) certain: bool,
}

/// One partition. Offsets are counted from 0, as in the log.
#[derive(Default)]
pub(super) struct Partition {
    pub(super) entries: Vec<Entry>,
    pub(super) committed: usize,
    /// To whom it was assigned last.
    pub(super) owner: Option<MemberId>,
    /// The offset that its owner gets next.
    pub(super) due: usize,
    pub(super) paused: bool,
    /// Records that came although it was paused.
    pub(super) during_pause: usize,
    /// Nobody took a record yet since its owner went.
    pub(super) taken_over: bool,
    /// Where that one began.
    pub(super) went_on_at: Option<usize>,
    delivered: BTreeSet<usize>,
}

impl Partition {
    pub(super) fn end(&self) -> usize {
        self.entries.len()
    }

    /// How many records whose fate is certain lie before an offset.
    pub(super) fn shown(&self, offset: usize) -> usize {
        self.entries.iter().take(offset).filter(|entry| entry.certain).count()
    }

    /// The offset of the last but `less` certain record before `offset`; `offset` itself for none less.
    pub(super) fn back(&self, offset: usize, less: usize) -> usize {
        let certain = self.entries.iter().enumerate().take(offset).filter(|(_, entry)| entry.certain);
        let certain: Vec<_> = certain.map(|(index, _)| index).collect();
        match less {
            0 => offset,
            _ => certain.len().checked_sub(less).map_or(0, |index| certain[index]),
        }
    }

    /// It is this member's from the committed offset on.
    pub(super) fn assign(&mut self, member: MemberId) {
        self.owner = Some(member);
        self.due = self.committed;
        self.paused = false;
    }

    /// Its owner went; who comes next is watched.
    pub(super) fn orphan(&mut self) {
        self.owner = None;
        self.paused = false;
        self.watch();
    }

    /// Notes where the next record comes from.
    pub(super) fn watch(&mut self) {
        self.taken_over = true;
        self.went_on_at = None;
    }

    /// A record came. Says whether it was delivered before, or which law it breaks.
    pub(super) fn deliver(&mut self, record: &Record) -> Result<bool, String> {
        let offset = usize::try_from(record.offset).map_err(|_| format!("offset {}", record.offset))?;
        let due = self.due;
        // One broken law is told once: what follows is judged from here on.
        self.due = offset + 1;
        if self.taken_over {
            self.taken_over = false;
            self.went_on_at = Some(offset);
        }
        if self.paused {
            self.during_pause += 1;
        }
        let again = !self.delivered.insert(offset);
        if offset != due {
            let committed = self.shown(self.committed);
            return Err(format!(
                "record {} came, due was {} (committed {committed})",
                self.shown(offset),
                self.shown(due)
            ));
        }
        let Some(entry) = self.entries.get(offset) else { return Err("a record came that nobody sent".to_owned()) };
        if entry.key.as_bytes() != record.key || entry.value.as_bytes() != record.value {
            let value = String::from_utf8_lossy(&record.value);
            return Err(format!("record {} is {value}, sent was {}", self.shown(offset), entry.value));
        }
        Ok(again)
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Partition};
    use crate::log::{Record, TopicPartition};

    fn partition(certain: &[bool]) -> Partition {
        let entry = |(index, certain): (usize, &bool)| Entry {
            key: "k".to_owned(),
            value: index.to_string(),
            certain: *certain,
        };
        Partition { entries: certain.iter().enumerate().map(entry).collect(), ..Partition::default() }
    }

    fn record(offset: i64, value: &str) -> Record {
        let at = TopicPartition { topic: "t".to_owned(), partition: 0 };
        Record { at, offset, key: b"k".to_vec(), value: value.as_bytes().to_vec() }
    }

    #[test]
    fn offsets_are_shown_in_records_whose_fate_is_certain() {
        let partition = partition(&[true, false, true, true]);
        assert_eq!([0, 1, 2, 4].map(|offset| partition.shown(offset)), [0, 1, 1, 3]);
        assert_eq!([0, 1, 2, 3, 4].map(|less| partition.back(4, less)), [4, 3, 2, 0, 0]);
    }

    #[test]
    fn a_gap_another_value_and_a_record_again_are_told_apart() {
        let mut partition = partition(&[true, true, true]);
        partition.assign(1);
        assert_eq!(partition.deliver(&record(0, "0")), Ok(false));
        assert!(partition.deliver(&record(2, "2")).is_err(), "a gap");
        partition.assign(2);
        assert_eq!(partition.deliver(&record(0, "0")), Ok(true));
        assert!(partition.deliver(&record(1, "x")).is_err(), "another value");
    }
}
