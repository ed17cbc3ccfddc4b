//! What workers get of a partition: a lane's records, and the assignment that they belong to.
//!
//! In: records. Out: jobs and their completions. Elsewhere: the bookkeeping (`partitions`), the work (`workers`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bankstorm_contracts::dead_letter::Class;
use bankstorm_contracts::{AccountNo, Entry, event};
use bankstorm_outside::channel_store::Source;
use bankstorm_outside::log::{Record, TopicPartition};

use crate::advance::{AdvanceError, Move, Origin};
use crate::letters::Failed;
use crate::ownership::Holding;

/// One assignment of one partition.
#[derive(Debug)]
pub(crate) struct Epoch {
    /// The partition.
    pub(crate) at: TopicPartition,
    /// Under which generation it is held.
    pub(crate) holding: Arc<Holding>,
    pub(super) number: u64,
    stage: AtomicU8,
}

const LIVE: u8 = 0;
const DRAINING: u8 = 1;
const ENDED: u8 = 2;

impl Epoch {
    pub(super) fn new(at: TopicPartition, number: u64, generation: Option<i32>) -> Arc<Self> {
        Arc::new(Self { at, holding: Arc::new(Holding::new(generation)), number, stage: AtomicU8::new(LIVE) })
    }

    /// Whether failed attempts may be tried again.
    pub(crate) fn is_live(&self) -> bool {
        self.stage.load(Ordering::SeqCst) == LIVE
    }

    /// Whether the partition is gone: nothing of it is begun any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.stage.load(Ordering::SeqCst) == ENDED
    }

    pub(super) fn drain(&self) {
        self.stage.fetch_max(DRAINING, Ordering::SeqCst);
    }

    pub(super) fn end(&self) {
        self.stage.fetch_max(ENDED, Ordering::SeqCst);
    }
}

/// What is worked one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// The whole partition.
    Partition,
    /// One slot.
    Slot(usize),
    /// One account.
    Account(AccountNo),
    /// A record that names no account.
    Nameless(i64),
}

/// A record, as far as it could be read.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Entry(Entry),
    Unreadable { account: Option<AccountNo>, why: String },
}

impl Content {
    pub(super) fn read(record: &Record) -> Self {
        let why = match event::decode(&record.value) {
            Ok(entry) if entry.seq >= 1 => return Self::Entry(entry),
            Ok(entry) => format!("serial {} is below 1", entry.seq),
            Err(error) => error.to_string(),
        };
        let number = std::str::from_utf8(&record.key).ok().and_then(|key| key.parse::<i64>().ok());
        Self::Unreadable { account: number.map(AccountNo::new), why }
    }

    pub(super) const fn account(&self) -> Option<AccountNo> {
        match self {
            Self::Entry(entry) => Some(entry.account),
            Self::Unreadable { account, .. } => *account,
        }
    }
}

/// A record that waits for a worker.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(super) offset: i64,
    pub(super) content: Content,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// Records of one lane that a worker has: those that come next are in its move, the others wait behind them.
#[derive(Debug)]
pub(crate) struct Job {
    /// The assignment that it belongs to.
    pub(crate) epoch: Arc<Epoch>,
    /// What it occupies.
    pub(crate) lane: Lane,
    /// The offsets that are done when it is.
    pub(crate) offsets: Vec<i64>,
    /// What it brings to the account next.
    pub(crate) mv: Move,
    /// Keys and values of the records in the move.
    bytes: BTreeMap<i64, (Vec<u8>, Vec<u8>)>,
    /// What comes after the move.
    rest: VecDeque<Item>,
    /// Whether its records go on one by one: one of them failed, and nobody knows which.
    narrow: bool,
}

/// What a job has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: it is done.
    Done,
    /// Its move.
    Records,
    /// A record that cannot be read.
    Unreadable,
}

impl Job {
    pub(super) fn new(epoch: Arc<Epoch>, topic: &Arc<str>, lane: Lane, items: Vec<Item>) -> Self {
        let origin = Origin::Record {
            topic: Arc::clone(topic),
            partition: epoch.at.partition,
            holding: Arc::clone(&epoch.holding),
        };
        // A record without an account is alone in its job, and its job touches none.
        let account = items.iter().find_map(|item| item.content.account()).unwrap_or(AccountNo::new(0));
        let mv = Move::new(account, Source::Event, origin, Vec::with_capacity(items.len()));
        let offsets = items.iter().map(|item| item.offset).collect();
        let mut job = Self { epoch, lane, offsets, mv, bytes: BTreeMap::new(), rest: items.into(), narrow: false };
        job.next();
        job
    }

    /// What is to be done next: the records up to the first one that cannot be read, or that one.
    pub(crate) fn next(&mut self) -> Step {
        if self.mv.records.is_empty() {
            let most = if self.narrow { 1 } else { usize::MAX };
            while self.mv.records.len() < most {
                let Some(Item { offset, content, key, value }) = self.rest.pop_front() else { break };
                match content {
                    Content::Entry(entry) => {
                        self.bytes.insert(offset, (key, value));
                        self.mv.records.push((offset, entry));
                    }
                    content @ Content::Unreadable { .. } => {
                        self.rest.push_front(Item { offset, content, key, value });
                        break;
                    }
                }
            }
        }
        match (self.mv.records.is_empty(), self.rest.is_empty()) {
            (false, _) => Step::Records,
            (true, false) => Step::Unreadable,
            (true, true) => Step::Done,
        }
    }

    /// Whether there is anything behind the move.
    pub(crate) fn has_more(&self) -> bool {
        !self.rest.is_empty()
    }

    /// From now on its records go one by one, so that what fails is known by its record. `false` where they do already.
    pub(crate) fn narrow(&mut self) -> bool {
        self.narrow = true;
        let several = self.mv.records.len() > 1;
        for (offset, entry) in self.mv.records.drain(1.min(self.mv.records.len())..).rev() {
            let (key, value) = self.bytes.remove(&offset).unwrap_or_default();
            self.rest.push_front(Item { offset, content: Content::Entry(entry), key, value });
        }
        several
    }

    /// The error of a record that cannot be read, where that comes next.
    pub(crate) fn unreadable(&self) -> Option<AdvanceError> {
        match &self.rest.front()?.content {
            Content::Unreadable { why, .. } => Some(AdvanceError::Unreadable(why.clone())),
            Content::Entry(_) => None,
        }
    }

    /// The first record, taken out as it failed.
    pub(crate) fn fail(&mut self, error: &AdvanceError, class: Class, attempts: u32) -> Option<Failed> {
        let (offset, account, seq, (key, value)) = if self.mv.records.is_empty() {
            let item = self.rest.pop_front()?;
            (item.offset, item.content.account(), None, (item.key, item.value))
        } else {
            let (offset, entry) = self.mv.records.remove(0);
            let bytes = self.bytes.remove(&offset).unwrap_or_default();
            (offset, Some(entry.account), Some(entry.seq), bytes)
        };
        self.mv.found = None;
        Some(Failed {
            at: self.epoch.at.clone(),
            offset,
            key,
            value,
            account,
            seq,
            class,
            code: error.code().to_owned(),
            detail: error.to_string(),
            attempts,
        })
    }

    /// A worker is through with it.
    pub(crate) fn complete(self, end: End) -> Completion {
        Completion { epoch: self.epoch, lane: self.lane, offsets: self.offsets, end }
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything is durable.
    Done,
    /// It was given up, which only happens to partitions that go away.
    GivenUp,
    /// The store says that its partition has another owner.
    Fenced,
}

/// A worker is through with a job.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(super) epoch: Arc<Epoch>,
    pub(super) lane: Lane,
    pub(super) offsets: Vec<i64>,
    pub(super) end: End,
}

impl Completion {
    /// The partition that its job found to be somebody else's.
    pub(crate) fn lost(&self) -> Option<&TopicPartition> {
        (self.end == End::Fenced).then_some(&self.epoch.at)
    }
}
