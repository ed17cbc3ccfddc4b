//! Topics, and what lies in their partitions.
//!
//! In: records. Out: the same, as they lie there or as consumers see them. Elsewhere: who reads which (`group`), who appends
//! (`producer`).
//!
//! Inside the model a partition is a number over all topics, its [`Slot`]; a topic's name is spelt out at the edge only.

use bankstorm_outside::log::{Record, TopicPartition};
use tokio::time::Instant;

/// A partition's number over all topics.
pub(super) type Slot = usize;

/// What consumers make of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They see it.
    Whole,
    /// They never see it.
    Lost,
    /// They see this value.
    Damaged(Vec<u8>),
}

struct Stored {
    key: Vec<u8>,
    value: Vec<u8>,
    fate: Fate,
    at: Instant,
}

struct Topic {
    name: String,
    slots: Vec<Slot>,
}

struct Partition {
    topic: usize,
    number: i32,
    records: Vec<Stored>,
    /// One past the last offset that consumers see.
    seen_end: i64,
}

/// All of them.
#[derive(Default)]
pub(super) struct Partitions {
    topics: Vec<Topic>,
    all: Vec<Partition>,
}

impl Partitions {
    /// Adds a topic; false when it exists.
    pub(super) fn create(&mut self, name: &str, partitions: usize) -> bool {
        if self.topics.iter().any(|topic| topic.name == name) {
            return false;
        }
        self.topics.push(Topic { name: name.to_owned(), slots: Vec::new() });
        self.add(name, partitions)
    }

    /// Adds partitions to a topic; false when there is none of this name.
    pub(super) fn add(&mut self, name: &str, partitions: usize) -> bool {
        let Some(topic) = self.topics.iter().position(|topic| topic.name == name) else { return false };
        for _ in 0..partitions {
            let slots = &mut self.topics[topic].slots;
            let number = i32::try_from(slots.len()).expect("a small number");
            slots.push(self.all.len());
            self.all.push(Partition { topic, number, records: Vec::new(), seen_end: 0 });
        }
        true
    }

    /// A topic's partitions; none when there is no such topic.
    pub(super) fn slots_of(&self, topic: &str) -> &[Slot] {
        self.topics.iter().find(|known| known.name == topic).map_or(&[], |topic| &topic.slots)
    }

    /// The number of a partition.
    pub(super) fn slot(&self, at: &TopicPartition) -> Option<Slot> {
        self.slots_of(&at.topic).get(usize::try_from(at.partition).ok()?).copied()
    }

    /// The name of a partition.
    pub(super) fn at(&self, slot: Slot) -> TopicPartition {
        let partition = &self.all[slot];
        TopicPartition { topic: self.topics[partition.topic].name.clone(), partition: partition.number }
    }

    /// The number of a partition within its topic.
    pub(super) fn number(&self, slot: Slot) -> i32 {
        self.all[slot].number
    }

    /// The offset of the next record.
    pub(super) fn end(&self, slot: Slot) -> i64 {
        i64::try_from(self.all[slot].records.len()).expect("fewer records than numbers")
    }

    /// One past the last offset that consumers see.
    pub(super) fn seen_end(&self, slot: Slot) -> i64 {
        self.all[slot].seen_end
    }

    /// Appends a record; its offset.
    pub(super) fn append(&mut self, slot: Slot, key: Vec<u8>, value: Vec<u8>, fate: Fate) -> i64 {
        let offset = self.end(slot);
        let partition = &mut self.all[slot];
        if fate != Fate::Lost {
            partition.seen_end = offset + 1;
        }
        partition.records.push(Stored { key, value, fate, at: Instant::now() });
        offset
    }

    /// The first offset from `offset` on that consumers see.
    pub(super) fn next_seen(&self, slot: Slot, offset: i64) -> Option<i64> {
        (offset..self.all[slot].seen_end).find(|offset| self.stored(slot, *offset).fate != Fate::Lost)
    }

    /// A record as consumers see it.
    pub(super) fn seen(&self, slot: Slot, offset: i64) -> Record {
        let stored = self.stored(slot, offset);
        let value = if let Fate::Damaged(value) = &stored.fate { value } else { &stored.value };
        Record { at: self.at(slot), offset, key: stored.key.clone(), value: value.clone() }
    }

    /// A topic's records as they lie there.
    pub(super) fn records(&self, topic: &str) -> Vec<Record> {
        self.collect(self.slots_of(topic).iter().copied(), |_| true)
    }

    /// When a record was appended.
    pub(super) fn appended_at(&self, slot: Slot, offset: i64) -> Instant {
        self.stored(slot, offset).at
    }

    /// Records that no consumer sees.
    pub(super) fn lost(&self) -> Vec<Record> {
        self.collect(0..self.all.len(), |stored| stored.fate == Fate::Lost)
    }

    fn collect(&self, slots: impl Iterator<Item = Slot>, wanted: impl Fn(&Stored) -> bool) -> Vec<Record> {
        let mut records = Vec::new();
        for slot in slots {
            for (offset, stored) in (0..).zip(&self.all[slot].records) {
                if wanted(stored) {
                    let (key, value) = (stored.key.clone(), stored.value.clone());
                    records.push(Record { at: self.at(slot), offset, key, value });
                }
            }
        }
        records
    }

    fn stored(&self, slot: Slot, offset: i64) -> &Stored {
        &self.all[slot].records[usize::try_from(offset).expect("offsets begin at 0")]
    }
}
