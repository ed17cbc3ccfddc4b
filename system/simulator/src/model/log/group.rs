//! What a group knows: members, who owns what, what was committed.
//!
//! In: joins, leaves, silence, acknowledgements. Out: events in the members' queues. Elsewhere: sharing itself (`sharing`), waiting
//! (`consumer`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bankstorm_outside::log::{Assignment, ConsumerEvent, TopicPartition};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::sharing::{MemberId, share};
use super::{REVOKE_LIMIT, SESSION_TIMEOUT};

/// A member, as the group sees it.
pub(super) struct Member {
    /// Events before any record.
    pub(super) events: VecDeque<ConsumerEvent>,
    /// The next offset of each partition it may read.
    pub(super) positions: BTreeMap<TopicPartition, i64>,
    /// Partitions that it paused.
    pub(super) paused: BTreeSet<TopicPartition>,
    /// Wakes it.
    pub(super) bell: Arc<Notify>,
    /// Since when nothing was heard of it.
    silent_since: Option<Instant>,
}

/// A revocation that waits for its acknowledgement.
struct Revocation {
    member: MemberId,
    partitions: Vec<TopicPartition>,
    done: oneshot::Receiver<()>,
    until: Instant,
}

/// A group.
#[derive(Default)]
pub(super) struct Group {
    pub(super) members: BTreeMap<MemberId, Member>,
    pub(super) committed: BTreeMap<TopicPartition, i64>,
    pub(super) generation: i32,
    owners: BTreeMap<TopicPartition, MemberId>,
    revocations: Vec<Revocation>,
}

impl Group {
    pub(super) fn wake_all(&self) {
        for member in self.members.values() {
            member.bell.notify_one();
        }
    }

    pub(super) fn join(&mut self, id: MemberId, bell: Arc<Notify>) {
        let member = Member {
            events: VecDeque::new(),
            positions: BTreeMap::new(),
            paused: BTreeSet::new(),
            bell,
            silent_since: None,
        };
        self.members.insert(id, member);
        self.generation += 1;
    }

    pub(super) fn leave(&mut self, id: MemberId) {
        if self.members.remove(&id).is_some() {
            self.owners.retain(|_, owner| *owner != id);
            self.revocations.retain(|revocation| revocation.member != id);
            self.generation += 1;
            self.wake_all();
        }
    }

    /// A member's handle was dropped: it sends no heartbeats any more.
    pub(super) fn fall_silent(&mut self, id: MemberId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.silent_since = Some(Instant::now());
            member.events.clear();
        }
        // An acknowledgement that it owes will never come: its partitions wait for its session.
        self.revocations.retain(|revocation| revocation.member != id);
        self.wake_all();
    }

    /// Every member loses everything at once.
    pub(super) fn lose_all(&mut self) {
        for member in self.members.values_mut() {
            let partitions: Vec<_> = std::mem::take(&mut member.positions).into_keys().collect();
            member.paused.clear();
            if !partitions.is_empty() {
                member.events.push_back(ConsumerEvent::Lost(partitions));
            }
        }
        self.owners.clear();
        self.revocations.clear();
        self.generation += 1;
    }

    /// Whether a member may commit for a partition: while it owns it, a revocation in progress included.
    pub(super) fn owns(&self, id: MemberId, at: &TopicPartition) -> bool {
        self.owners.get(at) == Some(&id)
    }

    /// When something happens although nobody does anything: a session or a revocation's limit runs out.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let sessions = self.members.values().filter_map(|member| Some(member.silent_since? + SESSION_TIMEOUT));
        sessions.chain(self.revocations.iter().map(|revocation| revocation.until)).min()
    }

    /// Brings the group to the present: sessions that ran out, revocations that ended, partitions to be shared.
    pub(super) fn advance(&mut self, partitions: &[TopicPartition]) {
        let now = Instant::now();
        let gone: Vec<_> = self.members.iter().filter(|(_, member)| is_gone(member, now)).map(|(id, _)| *id).collect();
        for id in gone {
            self.leave(id);
        }
        self.end_revocations(now);
        let live: Vec<_> = self.members.keys().copied().collect();
        let target = share(partitions, &live, &self.owners);
        self.give(&target);
        self.take_away(&target, now);
    }

    fn end_revocations(&mut self, now: Instant) {
        let mut waiting = Vec::new();
        for mut revocation in std::mem::take(&mut self.revocations) {
            // A dropped sender is an acknowledgement too; so is the limit.
            let open = matches!(revocation.done.try_recv(), Err(oneshot::error::TryRecvError::Empty));
            if open && now < revocation.until {
                waiting.push(revocation);
                continue;
            }
            for at in &revocation.partitions {
                self.owners.remove(at);
            }
            self.wake_all();
        }
        self.revocations = waiting;
    }

    /// Partitions without an owner go to whom they are meant for.
    fn give(&mut self, target: &BTreeMap<TopicPartition, MemberId>) {
        let mut given: BTreeMap<MemberId, Vec<TopicPartition>> = BTreeMap::new();
        for (at, id) in target {
            if !self.owners.contains_key(at) {
                given.entry(*id).or_default().push(at.clone());
            }
        }
        for (id, partitions) in given {
            let Some(member) = self.members.get_mut(&id) else { continue };
            for at in &partitions {
                self.owners.insert(at.clone(), id);
                member.positions.insert(at.clone(), self.committed.get(at).copied().unwrap_or(0));
            }
            let generation = Some(self.generation);
            member.events.push_back(ConsumerEvent::Assigned(Assignment { partitions, generation }));
            member.bell.notify_one();
        }
    }

    /// Partitions that are meant for somebody else are revoked from their owners, once.
    fn take_away(&mut self, target: &BTreeMap<TopicPartition, MemberId>, now: Instant) {
        let mut taken: BTreeMap<MemberId, Vec<TopicPartition>> = BTreeMap::new();
        for (at, owner) in &self.owners {
            let readable = self.members.get(owner).is_some_and(|member| member.positions.contains_key(at));
            if readable && target.get(at) != Some(owner) {
                taken.entry(*owner).or_default().push(at.clone());
            }
        }
        for (id, partitions) in taken {
            let Some(member) = self.members.get_mut(&id) else { continue };
            for at in &partitions {
                member.positions.remove(at);
                member.paused.remove(at);
            }
            let (done, acknowledged) = oneshot::channel();
            if member.silent_since.is_none() {
                member.events.push_back(ConsumerEvent::Revoked { partitions: partitions.clone(), done });
                member.bell.notify_one();
                let until = now + REVOKE_LIMIT;
                self.revocations.push(Revocation { member: id, partitions, done: acknowledged, until });
            }
        }
    }
}

fn is_gone(member: &Member, now: Instant) -> bool {
    member.silent_since.is_some_and(|since| now >= since + SESSION_TIMEOUT)
}
