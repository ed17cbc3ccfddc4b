//! What one member of the group knows of its partitions: pure bookkeeping, no IO.
//!
//! In: assignments, records, completions. Out: jobs for the workers, offsets that may be committed, what to pause and resume. Elsewhere:
//! the loop that feeds it (`consumer`), the work (`workers`), the two structures that it is made of (`keys`, `watermark`).
//!
//! An assignment of a partition begins an epoch. Jobs carry it, so that what finishes after the partition went away is told apart from
//! what belongs to a later assignment of the same partition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bankstorm_contracts::{AccountNo, Entry, event};
use bankstorm_outside::channel_store::Source;
use bankstorm_outside::log::{Assignment, Record, TopicPartition};

use crate::advance::{Move, Origin};
use crate::config::{ChannelConfig, WorkerMode};
use crate::keys::KeyQueues;
use crate::watermark::Watermark;

/// One assignment of one partition.
#[derive(Debug)]
pub(crate) struct Epoch {
    /// The partition.
    pub(crate) at: TopicPartition,
    number: u64,
    stage: AtomicU8,
}

const LIVE: u8 = 0;
const DRAINING: u8 = 1;
const ENDED: u8 = 2;

impl Epoch {
    /// Whether failed attempts may be tried again.
    pub(crate) fn is_live(&self) -> bool {
        self.stage.load(Ordering::SeqCst) == LIVE
    }

    /// Whether the partition is gone: nothing of it is begun any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.stage.load(Ordering::SeqCst) == ENDED
    }

    fn enter(&self, stage: u8) {
        self.stage.fetch_max(stage, Ordering::SeqCst);
    }
}

/// What is worked one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// The whole partition.
    Partition,
    /// One account.
    Account(AccountNo),
    /// A record that names no account.
    Nameless(i64),
}

/// A record, as far as it could be read.
#[derive(Clone, Debug)]
enum Content {
    Entry(Entry),
    Unreadable { account: Option<AccountNo>, why: String },
}

#[derive(Clone, Debug)]
struct Item {
    offset: i64,
    content: Content,
}

/// A record that could not be read.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    /// Its offset.
    pub(crate) offset: i64,
    /// Whether its key names an account that can be repaired.
    pub(crate) repairable: bool,
    /// What was wrong.
    pub(crate) why: String,
}

/// Records of one lane that a worker has.
#[derive(Debug)]
pub(crate) struct Job {
    /// The assignment that it belongs to.
    pub(crate) epoch: Arc<Epoch>,
    /// What it occupies.
    pub(crate) lane: Lane,
    /// The offsets that are done when it is.
    pub(crate) offsets: Vec<i64>,
    /// What it brings to the account.
    pub(crate) mv: Move,
    /// The last record of the account that could not be read.
    pub(crate) unreadable: Option<Unreadable>,
}

/// A worker is through with a job.
#[derive(Debug)]
pub(crate) struct Completion {
    epoch: Arc<Epoch>,
    lane: Lane,
    offsets: Vec<i64>,
    done: bool,
}

impl Job {
    /// `done` says that everything is durable; otherwise the job was given up, which only happens to partitions that go away.
    pub(crate) fn complete(self, done: bool) -> Completion {
        Completion { epoch: self.epoch, lane: self.lane, offsets: self.offsets, done }
    }
}

#[derive(Debug)]
struct Partition {
    epoch: Arc<Epoch>,
    topic: Arc<str>,
    watermark: Watermark,
    queues: KeyQueues<Lane, Item>,
    committed: Option<i64>,
    /// Whether its fetching is paused, as far as is known.
    paused: bool,
}

/// A member's partitions.
#[derive(Debug)]
pub(crate) struct Partitions {
    mode: WorkerMode,
    workers: usize,
    most_records: usize,
    span: i64,
    generation: Option<i32>,
    epochs: u64,
    map: BTreeMap<TopicPartition, Partition>,
}

/// What became of a delivered record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It waits for a worker.
    Queued,
    /// Its partition is not this member's, or goes away: its next owner reads it.
    NotOurs,
    /// It was delivered before in this assignment.
    Again,
}

impl Partitions {
    pub(crate) fn new(config: &ChannelConfig) -> Self {
        let serial = config.worker_mode == WorkerMode::Serial;
        Self {
            mode: config.worker_mode,
            workers: if serial { 1 } else { config.workers.max(1) },
            most_records: if serial { 1 } else { config.batch_records.max(1) },
            span: config.span.max(1),
            generation: None,
            epochs: 0,
            map: BTreeMap::new(),
        }
    }

    /// New partitions begin afresh; the generation holds for the retained ones too.
    pub(crate) fn assign(&mut self, assignment: Assignment) {
        self.generation = assignment.generation;
        self.lose(&assignment.partitions);
        for at in assignment.partitions {
            self.epochs += 1;
            let partition = Partition {
                epoch: Arc::new(Epoch { at: at.clone(), number: self.epochs, stage: AtomicU8::new(LIVE) }),
                topic: at.topic.as_str().into(),
                watermark: Watermark::default(),
                queues: KeyQueues::default(),
                committed: None,
                // A pause that was meant for the assignment before may have met this one, whose news was still on its way. So it is
                // resumed first of all, which changes nothing where it was not paused.
                paused: true,
            };
            self.map.insert(at, partition);
        }
    }

    /// Partitions go away: what no worker has is dropped, the rest may finish. Gives their epochs.
    pub(crate) fn drain(&mut self, partitions: &[TopicPartition]) -> Vec<Arc<Epoch>> {
        let mut epochs = Vec::new();
        for at in partitions {
            if let Some(partition) = self.map.get_mut(at) {
                partition.epoch.enter(DRAINING);
                partition.queues.clear_waiting();
                epochs.push(Arc::clone(&partition.epoch));
            }
        }
        epochs
    }

    /// Jobs of these epochs that workers still have.
    pub(crate) fn in_work_of(&self, epochs: &[Arc<Epoch>]) -> usize {
        epochs.iter().filter_map(|epoch| self.current(epoch)).map(|partition| partition.queues.busy()).sum()
    }

    /// Forgets these epochs, unless their partitions were assigned anew.
    pub(crate) fn forget(&mut self, epochs: &[Arc<Epoch>]) {
        for epoch in epochs {
            epoch.enter(ENDED);
            if self.current(epoch).is_some() {
                self.map.remove(&epoch.at);
            }
        }
    }

    /// Partitions are gone: everything of theirs is forgotten, and what finishes late is not heard.
    pub(crate) fn lose(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            if let Some(partition) = self.map.remove(at) {
                partition.epoch.enter(ENDED);
            }
        }
    }

    /// All partitions.
    pub(crate) fn all(&self) -> Vec<TopicPartition> {
        self.map.keys().cloned().collect()
    }

    /// A record came.
    pub(crate) fn deliver(&mut self, record: Record) -> Delivery {
        let Some(partition) = self.map.get_mut(&record.at).filter(|partition| partition.epoch.is_live()) else {
            return Delivery::NotOurs;
        };
        if !partition.watermark.deliver(record.offset) {
            return Delivery::Again;
        }
        let item = Item { offset: record.offset, content: read(&record) };
        let lane = match (&item.content, self.mode) {
            (_, WorkerMode::Serial) => Lane::Partition,
            (Content::Entry(entry), _) => Lane::Account(entry.account),
            (Content::Unreadable { account: Some(account), .. }, _) => Lane::Account(*account),
            (Content::Unreadable { account: None, .. }, _) => Lane::Nameless(item.offset),
        };
        partition.queues.push(lane, item);
        Delivery::Queued
    }

    /// The next job for which a worker is free.
    pub(crate) fn next_job(&mut self) -> Option<Job> {
        let workers = self.workers;
        let (most, generation) = (self.most_records, self.generation);
        self.map.values_mut().filter(|partition| partition.queues.busy() < workers).find_map(|partition| {
            let (lane, items) = partition.queues.take(most)?;
            Some(job(partition, lane, items, generation))
        })
    }

    /// A worker is through with a job; `false` when its partition has gone away meanwhile.
    pub(crate) fn complete(&mut self, completion: &Completion) -> bool {
        let Some(partition) = self.map.get_mut(&completion.epoch.at) else { return false };
        if partition.epoch.number != completion.epoch.number {
            return false;
        }
        partition.queues.release(&completion.lane);
        if completion.done {
            completion.offsets.iter().for_each(|offset| partition.watermark.done(*offset));
        }
        true
    }

    /// Watermarks that moved since they were committed last.
    pub(crate) fn committable(&self) -> Vec<(TopicPartition, i64)> {
        let moved = self.map.iter().filter_map(|(at, partition)| {
            let low = partition.watermark.low().filter(|low| Some(*low) != partition.committed)?;
            Some((at.clone(), low))
        });
        moved.collect()
    }

    /// These watermarks are committed.
    pub(crate) fn committed(&mut self, offsets: &[(TopicPartition, i64)]) {
        for (at, offset) in offsets {
            if let Some(partition) = self.map.get_mut(at) {
                partition.committed = Some(*offset);
            }
        }
    }

    /// Partitions whose span above the watermark is full, to be paused (`true`), and those that are below half of it again, to be
    /// resumed (`false`). They are told again until [`Partitions::turned`] hears that it was done.
    pub(crate) fn to_turn(&self) -> Vec<(TopicPartition, bool)> {
        let turn = |(at, partition): (&TopicPartition, &Partition)| {
            let span = partition.watermark.span();
            let full = if partition.paused { span > self.span / 2 } else { span >= self.span };
            (full != partition.paused).then(|| (at.clone(), full))
        };
        self.map.iter().filter_map(turn).collect()
    }

    /// A partition is paused now, or resumed.
    pub(crate) fn turned(&mut self, at: &TopicPartition, paused: bool) {
        if let Some(partition) = self.map.get_mut(at) {
            partition.paused = paused;
        }
    }

    /// Jobs that workers have.
    pub(crate) fn in_work(&self) -> usize {
        self.map.values().map(|partition| partition.queues.busy()).sum()
    }

    /// How many partitions are assigned.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    fn current(&self, epoch: &Epoch) -> Option<&Partition> {
        self.map.get(&epoch.at).filter(|partition| partition.epoch.number == epoch.number)
    }
}

fn read(record: &Record) -> Content {
    let why = match event::decode(&record.value) {
        Ok(entry) if entry.seq >= 1 => return Content::Entry(entry),
        Ok(entry) => format!("serial {} is below 1", entry.seq),
        Err(error) => error.to_string(),
    };
    let number = std::str::from_utf8(&record.key).ok().and_then(|key| key.parse::<i64>().ok());
    Content::Unreadable { account: number.map(AccountNo::new), why }
}

fn job(partition: &Partition, lane: Lane, items: Vec<Item>, generation: Option<i32>) -> Job {
    let epoch = Arc::clone(&partition.epoch);
    let origin = Origin::Record { topic: Arc::clone(&partition.topic), partition: epoch.at.partition, generation };
    let offsets = items.iter().map(|item| item.offset).collect();
    let mut account = None;
    let mut unreadable = None;
    let mut records = Vec::with_capacity(items.len());
    for Item { offset, content } in items {
        match content {
            Content::Entry(entry) => {
                account = Some(entry.account);
                records.push((offset, entry));
            }
            Content::Unreadable { account: named, why } => {
                account = account.or(named);
                unreadable = Some(Unreadable { offset, repairable: named.is_some(), why });
            }
        }
    }
    // A record without an account is alone in its job, and its job touches none.
    let account = account.unwrap_or(AccountNo::new(0));
    let mv = Move { account, records, source: Source::Event, origin, unsure: None, found: None, stands: None };
    Job { epoch, lane, offsets, mv, unreadable }
}

#[cfg(test)]
#[path = "partitions/tests.rs"]
mod tests;
