//! Rows of an advance as columns, since one statement takes them all.

use bankstorm_contracts::Entry;
use bankstorm_contracts::{Head, Seq};
use bankstorm_outside::channel_store::{AdvanceWrites, JournalLine};
use uuid::Uuid;

/// Entries by column.
#[derive(Default)]
pub(super) struct EntryColumns {
    pub(super) account: Vec<i64>,
    pub(super) seq: Vec<i64>,
    pub(super) transfer: Vec<Uuid>,
    pub(super) amount: Vec<i64>,
    pub(super) balance_after: Vec<i64>,
    pub(super) kind: Vec<&'static str>,
    pub(super) posted_at: Vec<i64>,
}

/// Heads by column.
#[derive(Default)]
pub(super) struct HeadColumns {
    pub(super) account: Vec<i64>,
    pub(super) from_seq: Vec<i64>,
    pub(super) to_seq: Vec<i64>,
    pub(super) balance: Vec<i64>,
}

/// Journal lines by column.
#[derive(Default)]
pub(super) struct JournalColumns<'a> {
    pub(super) account: Vec<i64>,
    pub(super) from_seq: Vec<i64>,
    pub(super) to_seq: Vec<i64>,
    pub(super) source: Vec<&'static str>,
    pub(super) topic: Vec<&'a str>,
    pub(super) partition: Vec<i32>,
    pub(super) record_offset: Vec<i64>,
    pub(super) generation: Vec<Option<i32>>,
}

/// Everything that an advance writes.
pub(super) struct Columns<'a> {
    pub(super) entries: EntryColumns,
    pub(super) heads: HeadColumns,
    pub(super) journal: JournalColumns<'a>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(writes: &'a AdvanceWrites) -> Self {
        let mut columns = Self {
            entries: EntryColumns::default(),
            heads: HeadColumns::default(),
            journal: JournalColumns::default(),
        };
        writes.entries.iter().for_each(|entry| columns.entries.push(entry));
        writes.heads.iter().for_each(|(from, head)| columns.heads.push(*from, *head));
        writes.journal.iter().for_each(|line| columns.journal.push(line));
        columns
    }
}

impl EntryColumns {
    fn push(&mut self, entry: &Entry) {
        self.account.push(entry.account.get());
        self.seq.push(entry.seq);
        self.transfer.push(entry.transfer.0);
        self.amount.push(entry.amount.get());
        self.balance_after.push(entry.balance_after.get());
        self.kind.push(entry.kind.as_str());
        self.posted_at.push(entry.posted_at.0);
    }
}

impl HeadColumns {
    fn push(&mut self, from: Seq, head: Head) {
        self.account.push(head.account.get());
        self.from_seq.push(from);
        self.to_seq.push(head.seq);
        self.balance.push(head.balance.get());
    }
}

impl<'a> JournalColumns<'a> {
    fn push(&mut self, line: &'a JournalLine) {
        self.account.push(line.account.get());
        self.from_seq.push(line.from_seq);
        self.to_seq.push(line.to_seq);
        self.source.push(line.source.as_str());
        self.topic.push(&line.cause.topic);
        self.partition.push(line.cause.partition);
        self.record_offset.push(line.cause.offset);
        self.generation.push(line.cause.generation);
    }
}
