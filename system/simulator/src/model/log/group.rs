//! What a group knows: members, who owns what, what was committed.
//!
//! In: joins, leaves, silence, acknowledgements, the present moment. Out: events in the members' queues. Elsewhere: how a member's
//! standing changes with time (`session`), sharing itself (`sharing`), waiting (`consumer`).
//!
//! Nothing is worked out while nothing happened: a change sets `dirty`, and time matters only from `deadline` on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bankstorm_outside::log::{Assignment, ConsumerEvent, TopicPartition};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::REVOKE_LIMIT;
use super::partitions::{Partitions, Slot};
use super::session::{Moment, Standing};
use super::sharing::{MemberId, share};
use crate::trace::note_of;

/// Where a member reads a partition.
pub(super) struct Reading {
    /// Its next offset.
    pub(super) offset: i64,
    /// It was paused by the member.
    pub(super) paused: bool,
}

/// A member, as the group and its own client see it.
pub(super) struct Member {
    /// The number of its client.
    pub(super) client: usize,
    /// The name of its client.
    pub(super) who: &'static str,
    /// Events before any record.
    pub(super) events: VecDeque<ConsumerEvent>,
    /// Partitions that an event is about which was taken from there and has not reached the handle.
    pub(super) telling: Vec<TopicPartition>,
    /// The partitions that it reads, as far as it knows.
    pub(super) reading: BTreeMap<Slot, Reading>,
    /// Wakes it.
    pub(super) bell: Arc<Notify>,
    /// Its process is stopped, or cut off from the broker.
    pub(super) frozen: bool,
    /// Its handle is gone.
    pub(super) dropped: bool,
    /// The generation that it was told last.
    told: i32,
    /// What it is to the group.
    pub(super) standing: Standing,
}

impl Member {
    pub(super) fn new(client: usize, who: &'static str, bell: Arc<Notify>) -> Self {
        let standing = Standing::Out { back: None, ghost: false };
        let (events, reading) = (VecDeque::new(), BTreeMap::new());
        Self {
            client,
            who,
            events,
            telling: Vec::new(),
            reading,
            bell,
            frozen: false,
            dropped: false,
            told: 0,
            standing,
        }
    }

    /// Whether its handle is still to hear that a partition was lost or assigned: until then what it asks for is meant for the assignment
    /// before.
    pub(super) fn has_news_of(&self, at: &TopicPartition) -> bool {
        self.telling.contains(at) || self.events.iter().any(|event| event.news().contains(at))
    }

    /// What it reads is gone, and it is told.
    pub(super) fn lose(&mut self, partitions: &Partitions) {
        let slots: Vec<_> = std::mem::take(&mut self.reading).into_keys().collect();
        if slots.is_empty() {
            return;
        }
        note_of(self.who, || format!("kafka: lost {}", named(partitions, &slots)));
        self.events.push_back(ConsumerEvent::Lost(slots.iter().map(|slot| partitions.at(*slot)).collect()));
        self.bell.notify_one();
    }
}

/// A revocation that waits for its acknowledgement.
pub(super) struct Revocation {
    pub(super) member: MemberId,
    slots: Vec<Slot>,
    done: oneshot::Receiver<()>,
    pub(super) until: Instant,
}

/// A group.
pub(super) struct Group {
    /// Its name.
    pub(super) name: String,
    pub(super) members: BTreeMap<MemberId, Member>,
    pub(super) generation: i32,
    pub(super) revocations: Vec<Revocation>,
    /// When something happens although nobody does anything.
    pub(super) deadline: Option<Instant>,
    /// Something changed since partitions were shared.
    pub(super) dirty: bool,
    /// What its members read, all of them the same.
    topics: Vec<String>,
    /// By slot; missing ones have none.
    committed: Vec<Option<i64>>,
    /// Every commit, with its moment.
    pub(super) commits: Vec<(Slot, i64, Instant)>,
    /// By slot; missing ones have none.
    owners: Vec<Option<MemberId>>,
    /// The owners before everybody lost everything, until partitions are shared again.
    lost_by: Option<Vec<Option<MemberId>>>,
}

impl Group {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            members: BTreeMap::new(),
            generation: 0,
            revocations: Vec::new(),
            deadline: None,
            dirty: false,
            topics: Vec::new(),
            committed: Vec::new(),
            commits: Vec::new(),
            owners: Vec::new(),
            lost_by: None,
        }
    }

    /// Members look at their group when they are woken.
    pub(super) fn wake_all(&self) {
        for member in self.members.values() {
            member.bell.notify_one();
        }
    }

    /// Wakes whoever reads a partition.
    pub(super) fn wake_readers(&self, slot: Slot) {
        for member in self.members.values().filter(|member| member.reading.contains_key(&slot)) {
            member.bell.notify_one();
        }
    }

    /// Something happened that everybody in it should look at.
    pub(super) fn changed(&mut self) {
        self.dirty = true;
        self.wake_all();
    }

    /// Its members join again: there is something else to share.
    pub(super) fn regroup(&mut self) {
        self.generation += 1;
        self.changed();
    }

    /// Its members read these topics too.
    pub(super) fn subscribe(&mut self, topics: &[&str]) {
        for topic in topics {
            if !self.topics.iter().any(|known| known == topic) {
                self.topics.push((*topic).to_owned());
            }
        }
    }

    /// Every member loses everything at once; it goes to others than before, where there are others.
    pub(super) fn lose_all(&mut self, partitions: &Partitions) {
        for member in self.members.values_mut() {
            member.lose(partitions);
        }
        self.lost_by = Some(std::mem::take(&mut self.owners));
        self.revocations.clear();
        self.generation += 1;
        self.changed();
    }

    /// Whether a member may commit for a partition: while it owns it, a revocation in progress included.
    pub(super) fn owns(&self, id: MemberId, slot: Slot) -> bool {
        self.owners.get(slot).copied().flatten() == Some(id)
    }

    /// Its committed offset of a partition.
    pub(super) fn committed(&self, slot: Slot) -> Option<i64> {
        self.committed.get(slot).copied().flatten()
    }

    /// Commits an offset.
    pub(super) fn commit(&mut self, slot: Slot, offset: i64, now: Instant) {
        self.commits.push((slot, offset, now));
        *entry(&mut self.committed, slot) = Some(offset);
    }

    /// All committed offsets.
    pub(super) fn all_committed(&self, partitions: &Partitions) -> BTreeMap<TopicPartition, i64> {
        let committed = self.committed.iter().enumerate();
        committed.filter_map(|(slot, offset)| Some((partitions.at(slot), (*offset)?))).collect()
    }

    /// Nothing is this member's any more.
    pub(super) fn disown(&mut self, id: MemberId) {
        for owner in self.owners.iter_mut().filter(|owner| **owner == Some(id)) {
            *owner = None;
        }
        self.revocations.retain(|revocation| revocation.member != id);
        self.generation += 1;
        self.changed();
    }

    /// Brings the group to the present: sessions that ran out, revocations that ended, partitions to be shared.
    pub(super) fn advance(&mut self, moment: &Moment<'_>, partitions: &Partitions) {
        if moment.is_up() && !self.revocations.is_empty() {
            self.end_revocations(moment.now);
        }
        if !self.dirty && self.deadline.is_none_or(|deadline| moment.now < deadline) {
            return;
        }
        self.keep_time(moment, partitions);
        // A rebalance ends when every member was heard; one that is silent is waited for until its session runs out.
        if self.dirty && moment.is_up() && !self.members.values().any(|member| member.standing.is_silent()) {
            self.dirty = false;
            self.rebalance(moment.now, partitions);
        }
        let deadline = self.next_deadline(moment.is_up());
        if deadline != self.deadline {
            self.deadline = deadline;
            // Whoever waits, waits for the old one.
            self.wake_all();
        }
    }

    fn end_revocations(&mut self, now: Instant) {
        let mut waiting = Vec::new();
        for mut revocation in std::mem::take(&mut self.revocations) {
            // A dropped sender is an acknowledgement too; so is the limit, which the member's own client keeps.
            let open = matches!(revocation.done.try_recv(), Err(oneshot::error::TryRecvError::Empty));
            // Neither it nor the end of its limit is heard while the member is cut off.
            let frozen = self.members.get(&revocation.member).is_some_and(|member| member.frozen);
            if frozen || (open && now < revocation.until) {
                waiting.push(revocation);
                continue;
            }
            for slot in &revocation.slots {
                *entry(&mut self.owners, *slot) = None;
            }
            // Whoever gave something up joins again.
            self.regroup();
        }
        self.revocations = waiting;
    }

    fn rebalance(&mut self, now: Instant, partitions: &Partitions) {
        let slots: Vec<Slot> = self.topics.iter().flat_map(|topic| partitions.slots_of(topic)).copied().collect();
        let live: Vec<_> =
            self.members.iter().filter(|(_, member)| member.standing.is_in()).map(|(id, _)| *id).collect();
        let after = |owner: MemberId| live.iter().find(|id| **id > owner).or(live.first()).copied();
        let lost_by = self.lost_by.take();
        let passed_on: Option<Vec<_>> =
            lost_by.map(|lost_by| lost_by.into_iter().map(|owner| owner.and_then(after)).collect());
        let target = share(&slots, &live, passed_on.as_ref().unwrap_or(&self.owners));
        self.give(&target, partitions);
        self.take_away(&target, now, partitions);
        self.tell_generation(&live);
    }

    /// Members to whom a rebalance gave nothing new hear of its generation alone; those that are being asked for something back hear of the
    /// next one.
    fn tell_generation(&mut self, live: &[MemberId]) {
        let generation = self.generation;
        for id in live {
            let is_asked = self.revocations.iter().any(|revocation| revocation.member == *id);
            let Some(member) = self.members.get_mut(id).filter(|member| member.told != generation && !is_asked) else {
                continue;
            };
            member.told = generation;
            let assignment = Assignment { partitions: Vec::new(), generation: Some(generation) };
            member.events.push_back(ConsumerEvent::Assigned(assignment));
            member.bell.notify_one();
        }
    }

    /// Partitions without an owner go to whom they are meant for.
    fn give(&mut self, target: &BTreeMap<Slot, MemberId>, partitions: &Partitions) {
        let mut given: BTreeMap<MemberId, Vec<Slot>> = BTreeMap::new();
        for (slot, id) in target {
            if entry(&mut self.owners, *slot).is_none() {
                given.entry(*id).or_default().push(*slot);
            }
        }
        for (id, slots) in given {
            let Some(member) = self.members.get_mut(&id) else { continue };
            for slot in &slots {
                self.owners[*slot] = Some(id);
                let offset = self.committed.get(*slot).copied().flatten().unwrap_or(0);
                member.reading.insert(*slot, Reading { offset, paused: false });
            }
            let generation = self.generation;
            note_of(member.who, || format!("kafka: assigned {} in generation {generation}", named(partitions, &slots)));
            let partitions = slots.iter().map(|slot| partitions.at(*slot)).collect();
            member.told = generation;
            let assignment = Assignment { partitions, generation: Some(generation) };
            member.events.push_back(ConsumerEvent::Assigned(assignment));
            member.bell.notify_one();
        }
    }

    /// Partitions that are meant for somebody else are revoked from their owners, once.
    fn take_away(&mut self, target: &BTreeMap<Slot, MemberId>, now: Instant, partitions: &Partitions) {
        let mut taken: BTreeMap<MemberId, Vec<Slot>> = BTreeMap::new();
        for (slot, owner) in self.owners.iter().enumerate() {
            let Some(owner) = owner else { continue };
            let reads = self.members.get(owner).is_some_and(|member| member.reading.contains_key(&slot));
            if reads && target.get(&slot) != Some(owner) {
                taken.entry(*owner).or_default().push(slot);
            }
        }
        for (id, slots) in taken {
            let Some(member) = self.members.get_mut(&id) else { continue };
            for slot in &slots {
                member.reading.remove(slot);
            }
            note_of(member.who, || format!("kafka: revoked {}", named(partitions, &slots)));
            let (done, acknowledged) = oneshot::channel();
            let partitions = slots.iter().map(|slot| partitions.at(*slot)).collect();
            member.events.push_back(ConsumerEvent::Revoked { partitions, done });
            member.bell.notify_one();
            self.revocations.push(Revocation { member: id, slots, done: acknowledged, until: now + REVOKE_LIMIT });
        }
    }
}

/// The entry of a slot, made when it is missing.
fn entry<T: Clone>(entries: &mut Vec<Option<T>>, slot: Slot) -> &mut Option<T> {
    if entries.len() <= slot {
        entries.resize(slot + 1, None);
    }
    &mut entries[slot]
}

/// Partitions for people.
pub(super) fn named(partitions: &Partitions, slots: &[Slot]) -> String {
    let names: Vec<_> = slots.iter().map(|slot| partitions.at(*slot)).collect();
    names.iter().map(|at| format!("{}/{}", at.topic, at.partition)).collect::<Vec<_>>().join(" ")
}
