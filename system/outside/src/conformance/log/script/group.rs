//! A run's members, and what it makes of their events.
//!
//! In: events. Out: the ledger kept, broken laws noted, revocations answered. Elsewhere: what a step asks for (`steps`), the laws of one
//! partition (`ledger`).

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;

use futures_util::future::select_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::ledger::{Entry, MemberId, Partition};
use super::{OnRevoke, Transcript};
use crate::conformance::log::LIMIT;
use crate::conformance::log::member::outgoing;
use crate::log::{ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, LogError, Record, TopicPartition};

/// A wait hit its limit, or a call that must not fail did: the run ends.
pub(super) struct Stuck(pub(super) String);

/// A member.
pub(super) struct Member<C> {
    pub(super) consumer: C,
    /// As its events told.
    pub(super) owned: BTreeSet<usize>,
    /// It takes no events.
    pub(super) stalled: bool,
    /// It was stalled and has not come to rest: it may hear late of what happened.
    pub(super) late: bool,
}

/// A run of a script on a log.
pub(super) struct Run<L: EventLog> {
    pub(super) log: L,
    pub(super) topic: String,
    pub(super) keys: Vec<[String; 2]>,
    pub(super) producers: Vec<L::Producer>,
    pub(super) members: BTreeMap<MemberId, Member<L::Consumer>>,
    pub(super) partitions: Vec<Partition>,
    pub(super) on_revoke: OnRevoke,
    pub(super) sent: usize,
    pub(super) joined: MemberId,
    pub(super) transcript: Transcript,
}

/// The next event of whichever member takes events.
async fn next_of<C: EventConsumer>(
    members: &mut BTreeMap<MemberId, Member<C>>,
) -> (MemberId, Result<ConsumerEvent, LogError>) {
    let awake = members.iter_mut().filter(|(_, member)| !member.stalled);
    let nexts: Vec<_> =
        awake.map(|(id, member)| Box::pin(async move { (*id, member.consumer.next().await) })).collect();
    if nexts.is_empty() {
        return std::future::pending().await;
    }
    select_all(nexts).await.0
}

impl<L: EventLog> Run<L> {
    pub(super) fn line(&mut self, text: impl Into<String>) {
        self.transcript.lines.push(text.into());
    }

    /// A law was broken.
    pub(super) fn broken(&mut self, what: &str) {
        self.line(format!("! {what}"));
    }

    pub(super) fn at(&self, partition: usize) -> TopicPartition {
        let partition = i32::try_from(partition).expect("a small number");
        TopicPartition { topic: self.topic.clone(), partition }
    }

    fn index(&self, at: &TopicPartition) -> Result<usize, Stuck> {
        let known = usize::try_from(at.partition).ok().filter(|index| *index < self.partitions.len());
        match known {
            Some(index) if at.topic == self.topic => Ok(index),
            _ => Err(Stuck(format!("an event of {at:?}, which the group does not read"))),
        }
    }

    /// Takes events until `enough`.
    pub(super) async fn until(&mut self, what: &str, enough: impl Fn(&Self) -> bool + Send) -> Result<(), Stuck> {
        let deadline = Instant::now() + LIMIT;
        while !enough(self) {
            match timeout_at(deadline, next_of(&mut self.members)).await {
                Ok((id, event)) => self.take(id, event).await?,
                Err(_) => return Err(Stuck(format!("limit of {LIMIT:?} hit while waiting for: {what}"))),
            }
        }
        Ok(())
    }

    /// Waits for an answer and takes events meanwhile: a rebalance that the answer waits for needs each member.
    pub(super) async fn answer<T>(&mut self, what: &str, answer: impl Future<Output = T> + Send) -> Result<T, Stuck> {
        let deadline = Instant::now() + LIMIT;
        let mut answer = pin!(answer);
        loop {
            let either = async {
                tokio::select! {
                    biased;
                    value = &mut answer => Ok(value),
                    event = next_of(&mut self.members) => Err(event),
                }
            };
            match timeout_at(deadline, either).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err((id, event))) => self.take(id, event).await?,
                Err(_) => return Err(Stuck(format!("limit of {LIMIT:?} hit while waiting for: {what}"))),
            }
        }
    }

    async fn take(&mut self, id: MemberId, event: Result<ConsumerEvent, LogError>) -> Result<(), Stuck> {
        match event.map_err(|error| Stuck(format!("a member is of no use any more: {error}")))? {
            ConsumerEvent::Assigned(assignment) => {
                for at in &assignment.partitions {
                    let index = self.index(at)?;
                    self.assigned(id, index);
                }
            }
            ConsumerEvent::Revoked { partitions, done } => {
                let indices: Vec<_> = partitions.iter().map(|at| self.index(at)).collect::<Result<_, _>>()?;
                self.revoked(id, &indices, done).await?;
            }
            ConsumerEvent::Lost(partitions) => {
                for at in &partitions {
                    let index = self.index(at)?;
                    self.gives_up(id, index);
                }
            }
            ConsumerEvent::Record(record) => self.record(id, &record)?,
        }
        Ok(())
    }

    fn assigned(&mut self, id: MemberId, index: usize) {
        let others = self.members.iter().any(|(other, member)| {
            // Who is stalled, or was, hears of its loss later.
            *other != id && !member.late && member.owned.contains(&index)
        });
        if others {
            self.broken(&format!("p{index} was assigned while it was another's"));
        }
        if self.members.get_mut(&id).is_some_and(|member| !member.owned.insert(index)) {
            self.broken(&format!("p{index} was assigned twice to one member"));
        }
        self.partitions[index].assign(id);
    }

    /// A partition is not this member's any more.
    fn gives_up(&mut self, id: MemberId, index: usize) {
        if self.members.get_mut(&id).is_some_and(|member| !member.owned.remove(&index)) {
            self.broken(&format!("p{index} was taken from a member that did not have it"));
        }
        let partition = &mut self.partitions[index];
        if partition.owner == Some(id) {
            partition.owner = None;
            partition.paused = false;
        }
    }

    async fn revoked(&mut self, id: MemberId, indices: &[usize], done: oneshot::Sender<()>) -> Result<(), Stuck> {
        if done.is_closed() {
            self.transcript.count("revocation ran out");
            if self.members.get(&id).is_some_and(|member| !member.late) {
                self.broken("nobody waits for the acknowledgement of a revocation that was taken at once");
            }
        } else {
            match self.on_revoke {
                OnRevoke::AtOnce => self.transcript.count("revoked: AtOnce"),
                OnRevoke::Drop => self.transcript.count("revoked: Drop"),
                OnRevoke::Late => {
                    self.transcript.count("revoked: Late");
                    for index in indices {
                        self.send_uncertain(*index).await?;
                    }
                }
                OnRevoke::Commit => {
                    self.transcript.count("revoked: Commit");
                    self.commit_inside(id, indices).await;
                }
            }
        }
        for index in indices {
            self.gives_up(id, *index);
        }
        if self.on_revoke != OnRevoke::Drop {
            // Where the limit was hit nobody waits any more.
            let _ = done.send(());
        }
        Ok(())
    }

    /// Commits what was taken of partitions that are being revoked.
    async fn commit_inside(&mut self, id: MemberId, indices: &[usize]) {
        let Some(member) = self.members.get(&id) else { return };
        let late = member.late;
        let due = |index: &usize| i64::try_from(self.partitions[*index].due).expect("few records");
        let offsets: Vec<_> = indices.iter().map(|index| (self.at(*index), due(index))).collect();
        let commit = member.consumer.commit(&offsets);
        match commit.await {
            Ok(()) => {
                for index in indices {
                    let partition = &mut self.partitions[*index];
                    partition.committed = partition.due;
                }
            }
            // The limit was hit between the question whether somebody waits and here.
            Err(LogError::NotAssigned(_)) if late => {}
            Err(error) => self.broken(&format!("a commit inside a revocation: {error}")),
        }
    }

    fn record(&mut self, id: MemberId, record: &Record) -> Result<(), Stuck> {
        let index = self.index(&record.at)?;
        self.transcript.count("record");
        let partition = &mut self.partitions[index];
        if partition.owner != Some(id) {
            self.broken(&format!("a record of p{index} came to a member that does not have it"));
            return Ok(());
        }
        match partition.deliver(record) {
            Ok(false) => {}
            Ok(true) => self.transcript.count("record again"),
            Err(law) => self.broken(&format!("p{index}: {law}")),
        }
        Ok(())
    }

    /// The next value and its key in a partition.
    pub(super) fn fresh(&mut self, partition: usize, certain: bool) -> Entry {
        let key = self.keys[partition][self.sent % 2].clone();
        let value = format!("v{}", self.sent);
        self.sent += 1;
        Entry { key, value, certain }
    }

    /// A record that is produced when placement says so: the other side of the comparison may not have it.
    async fn send_uncertain(&mut self, partition: usize) -> Result<(), Stuck> {
        let key = self.keys[partition][0].clone();
        let entry = Entry { key, value: "between".to_owned(), certain: false };
        let answer = self.producers[0].produce(outgoing(&self.topic, &entry.key, &entry.value));
        self.acknowledged(partition, entry, answer).await
    }

    /// Waits for an acknowledgement, which must name the end of the partition.
    pub(super) async fn acknowledged(
        &mut self,
        partition: usize,
        entry: Entry,
        answer: impl Future<Output = Result<Delivered, LogError>> + Send,
    ) -> Result<(), Stuck> {
        let answer = timeout_at(Instant::now() + LIMIT, answer).await;
        let delivered = answer
            .map_err(|_| Stuck(format!("limit of {LIMIT:?} hit while waiting for: an acknowledgement")))?
            .map_err(|error| Stuck(format!("a record was not delivered: {error}")))?;
        let end = self.partitions[partition].end();
        let at = (usize::try_from(delivered.partition).ok(), usize::try_from(delivered.offset).ok());
        if at != (Some(partition), Some(end)) {
            let Delivered { partition: named, offset } = delivered;
            self.broken(&format!("the end of p{partition} was {end}, acknowledged was {offset} of p{named}"));
        }
        self.partitions[partition].entries.push(entry);
        Ok(())
    }

    /// Who has a partition, as its events told.
    pub(super) fn owner(&self, partition: usize) -> Option<MemberId> {
        self.partitions[partition].owner.filter(|owner| self.members.contains_key(owner))
    }

    /// How many partitions each member has, most first.
    pub(super) fn shares(&self) -> Vec<usize> {
        let mut shares: Vec<_> = self.members.values().map(|member| member.owned.len()).collect();
        shares.sort_unstable_by(|a, b| b.cmp(a));
        shares
    }

    /// Every partition has one owner, and no two members differ by more than one.
    pub(super) fn at_rest(&self) -> bool {
        let shares = self.shares();
        let even = shares.first().zip(shares.last()).is_none_or(|(most, least)| most - least <= 1);
        let owned = (0..self.partitions.len()).all(|partition| {
            self.owner(partition).is_some_and(|owner| self.members[&owner].owned.contains(&partition))
        });
        self.members.is_empty() || (even && owned && shares.iter().sum::<usize>() == self.partitions.len())
    }

    /// Everything was read that may be read: what is paused may not, and who is stalled reads nothing.
    pub(super) fn drained(&self) -> bool {
        (0..self.partitions.len()).all(|index| {
            let partition = &self.partitions[index];
            match self.owner(index) {
                Some(owner) => self.members[&owner].stalled || partition.paused || partition.due == partition.end(),
                None => self.members.is_empty(),
            }
        })
    }
}
