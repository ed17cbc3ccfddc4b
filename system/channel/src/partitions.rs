//! What one member of the group knows of its partitions: pure bookkeeping, no IO.
//!
//! In: assignments, records, completions. Out: jobs for the workers, offsets that may be committed, what to pause and resume. Elsewhere:
//! the loop that feeds it (`consumer`), the work (`workers`), the two structures that it is made of (`keys`, `watermark`), what the store
//! is told of it (`ownership`).
//!
//! An assignment of a partition begins an epoch. Jobs carry it, so that what finishes after the partition went away is told apart from
//! what belongs to a later assignment of the same partition.

mod job;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bankstorm_outside::log::{Assignment, Record, TopicPartition};

use crate::config::{ChannelConfig, GenerationFence, Offsets, Share, SlotHash, WorkerMode};
use crate::keys::KeyQueues;
use crate::ownership::Claim;
use crate::slots::slot;
use crate::watermark::Watermark;

pub(crate) use job::{Completion, End, Epoch, Job, Lane, Step};
use job::{Content, Item};

#[derive(Debug)]
struct Partition {
    epoch: Arc<Epoch>,
    topic: Arc<str>,
    watermark: Watermark,
    queues: KeyQueues<Lane, Item>,
    committed: Option<i64>,
    /// Whether its fetching is paused, as far as is known.
    paused: bool,
    /// Whether the store knows that it is this member's: nothing of it is begun before (D36).
    owned: bool,
    /// Slots that ever had work.
    slots: BTreeSet<usize>,
    /// The most lanes in work at once.
    peak: usize,
}

/// A member's partitions.
#[derive(Debug)]
pub(crate) struct Partitions {
    mode: WorkerMode,
    workers: usize,
    slot_hash: SlotHash,
    most_records: usize,
    span: i64,
    offsets: Offsets,
    fence: GenerationFence,
    share: Option<Share>,
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
    /// Its account lies in another database (A21): done as it came.
    Foreign,
}

impl Partitions {
    pub(crate) fn new(config: &ChannelConfig) -> Self {
        let serial = config.worker_mode == WorkerMode::Serial;
        let one_by_one = serial || config.worker_mode == WorkerMode::Slots;
        Self {
            mode: config.worker_mode,
            workers: if serial { 1 } else { config.workers.max(1) },
            slot_hash: config.slot_hash,
            most_records: if one_by_one { 1 } else { config.batch_records.max(1) },
            span: config.span.max(1),
            offsets: config.offsets,
            fence: config.generation_fence,
            share: config.share,
            epochs: 0,
            map: BTreeMap::new(),
        }
    }

    /// New partitions begin afresh; the generation holds for the retained ones too. Gives what the store has to be told before records of
    /// the new ones are begun and the retained ones adopt it, if anything.
    pub(crate) fn assign(&mut self, assignment: Assignment) -> Option<Claim> {
        let fenced = self.fence == GenerationFence::On && assignment.generation.is_some();
        self.lose(&assignment.partitions);
        for at in assignment.partitions {
            self.epochs += 1;
            let partition = Partition {
                epoch: Epoch::new(at.clone(), self.epochs, assignment.generation),
                topic: at.topic.as_str().into(),
                watermark: Watermark::default(),
                queues: KeyQueues::default(),
                committed: None,
                // A pause that was meant for the assignment before may have met this one, whose news was still on its way. So it is
                // resumed first of all, which changes nothing where it was not paused.
                paused: true,
                owned: !fenced,
                slots: BTreeSet::new(),
                peak: 0,
            };
            self.map.insert(at, partition);
        }
        let generation = assignment.generation?;
        let live = self.map.values().map(|partition| &partition.epoch).filter(|epoch| epoch.is_live());
        let epochs: Vec<_> = live.cloned().collect();
        if !fenced {
            epochs.iter().for_each(|epoch| epoch.holding.adopt(generation));
            return None;
        }
        epochs.iter().for_each(|epoch| epoch.holding.claim(generation));
        (!epochs.is_empty()).then_some(Claim { generation, epochs })
    }

    /// The store has answered a claim: what it did not refuse may begin, or goes on under the new generation. Gives what somebody newer
    /// owns: that is lost.
    pub(crate) fn adopt(&mut self, claim: &Claim, refused: &[i32]) -> Vec<TopicPartition> {
        let mut lost = Vec::new();
        for epoch in &claim.epochs {
            if !refused.contains(&epoch.at.partition) {
                epoch.holding.adopt(claim.generation);
                if let Some(partition) = self.current_mut(epoch) {
                    partition.owned = true;
                }
            } else if epoch.holding.claims(claim.generation) && self.current(epoch).is_some() {
                lost.push(epoch.at.clone());
            }
        }
        self.lose(&lost);
        lost
    }

    /// Partitions go away: what no worker has is dropped, the rest may finish. Gives their epochs.
    pub(crate) fn drain(&mut self, partitions: &[TopicPartition]) -> Vec<Arc<Epoch>> {
        let mut epochs = Vec::new();
        for at in partitions {
            if let Some(partition) = self.map.get_mut(at) {
                partition.epoch.drain();
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
            epoch.end();
            if self.current(epoch).is_some() {
                self.map.remove(&epoch.at);
            }
        }
    }

    /// Partitions are gone: everything of theirs is forgotten, and what finishes late is not heard.
    pub(crate) fn lose(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            if let Some(partition) = self.map.remove(at) {
                partition.epoch.end();
            }
        }
    }

    /// All partitions.
    pub(crate) fn all(&self) -> Vec<TopicPartition> {
        self.map.keys().cloned().collect()
    }

    /// A record came. The one place that decides whose it is, where there are several databases (A21).
    pub(crate) fn deliver(&mut self, record: Record) -> Delivery {
        let Some(partition) = self.map.get_mut(&record.at).filter(|partition| partition.epoch.is_live()) else {
            return Delivery::NotOurs;
        };
        if !partition.watermark.deliver(record.offset) {
            return Delivery::Again;
        }
        let content = Content::read(&record);
        if self.share.is_some_and(|share| !share.takes(content.account())) {
            partition.watermark.done(record.offset);
            return Delivery::Foreign;
        }
        let lane = match (content.account(), self.mode) {
            (_, WorkerMode::Serial) => Lane::Partition,
            (None, _) => Lane::Nameless(record.offset),
            (Some(account), WorkerMode::Slots) => Lane::Slot(slot(self.slot_hash, account, self.workers)),
            (Some(account), WorkerMode::Keyed | WorkerMode::KeyedBatched) => Lane::Account(account),
        };
        let Record { offset, key, value, .. } = record;
        partition.queues.push(lane, Item { offset, content, key, value });
        Delivery::Queued
    }

    /// The next job for which a worker is free.
    pub(crate) fn next_job(&mut self) -> Option<Job> {
        let (workers, most) = (self.workers, self.most_records);
        let free = |partition: &&mut Partition| partition.owned && partition.queues.busy() < workers;
        self.map.values_mut().filter(free).find_map(|partition| {
            let (lane, items) = partition.queues.take(most)?;
            partition.peak = partition.peak.max(partition.queues.busy());
            if let Lane::Slot(slot) = lane {
                partition.slots.insert(slot);
            }
            Some(Job::new(Arc::clone(&partition.epoch), &partition.topic, lane, items))
        })
    }

    /// A worker is through with a job; `false` when its partition has gone away meanwhile. One that was fenced loses its partition.
    pub(crate) fn complete(&mut self, completion: &Completion) -> bool {
        let Some(partition) = self.current_mut(&completion.epoch) else { return false };
        partition.queues.release(&completion.lane);
        match completion.end {
            End::Done => completion.offsets.iter().for_each(|offset| partition.watermark.done(*offset)),
            End::GivenUp => {}
            End::Fenced => self.lose(std::slice::from_ref(&completion.epoch.at)),
        }
        true
    }

    /// Offsets to commit that moved since they were committed last: the low watermarks. The one place that decides it (P20, P21).
    pub(crate) fn committable(&self) -> Vec<(TopicPartition, i64)> {
        let moved = self.map.iter().filter_map(|(at, partition)| {
            let offset = match self.offsets {
                Offsets::LowWatermark => partition.watermark.low(),
                Offsets::OnPoll => partition.watermark.end(),
                Offsets::HighestDone => partition.watermark.highest_done(),
            };
            Some((at.clone(), offset.filter(|offset| Some(*offset) != partition.committed)?))
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

    /// Whether the store knows that all are this member's.
    pub(crate) fn are_owned(&self) -> bool {
        self.map.values().all(|partition| partition.owned)
    }

    /// How many partitions are assigned.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// Workers that ever had work, over the partitions assigned: distinct slots, or the most lanes at once where there are none.
    pub(crate) fn slots_used(&self) -> usize {
        self.map
            .values()
            .map(|partition| partition.slots.len().max(if self.has_slots() { 0 } else { partition.peak }))
            .sum()
    }

    const fn has_slots(&self) -> bool {
        matches!(self.mode, WorkerMode::Slots)
    }

    fn current(&self, epoch: &Epoch) -> Option<&Partition> {
        self.map.get(&epoch.at).filter(|partition| partition.epoch.number == epoch.number)
    }

    fn current_mut(&mut self, epoch: &Epoch) -> Option<&mut Partition> {
        self.map.get_mut(&epoch.at).filter(|partition| partition.epoch.number == epoch.number)
    }
}

#[cfg(test)]
#[path = "partitions/tests.rs"]
mod tests;
