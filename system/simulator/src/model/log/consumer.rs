//! A member of a group of the model log.
//!
//! In: offsets, pauses. Out: events. Elsewhere: what the group decides (`group`, `session`).
//!
//! Whoever waits for an event also keeps the group's time: it wakes at the next deadline and brings the group to the present.

use std::sync::Arc;

use bankstorm_outside::log::{ConsumerEvent, EventConsumer, LogError, TopicPartition};
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep, sleep_until};

use super::broker::Broker;
use super::group::{Group, Member};
use super::partitions::{Partitions, Slot};
use super::session::Standing;
use super::sharing::MemberId;
use super::{COMMIT_WAIT, ModelLog, OffsetCommitFault, State};
use crate::model::chance::Chance;
use crate::trace::note_of;

/// A consumer on virtual time. Dropping it without [`EventConsumer::close`] is what a kill does: the group waits for its session.
pub struct ModelConsumer {
    owner: Owner,
    bell: Arc<Notify>,
    /// Held by the commit that runs: a second one never overtakes it.
    committing: Arc<Mutex<()>>,
    /// Taken from the group and not given to the caller yet: it survives a dropped `next`.
    taken: Option<ConsumerEvent>,
    left: bool,
}

/// What a look at the group gives.
enum Look {
    Event(ConsumerEvent),
    Nothing(Option<Instant>),
    NotAMember,
}

impl ModelConsumer {
    pub(super) fn join(log: ModelLog, group: &str, topics: &[&str]) -> Self {
        let bell = Arc::new(Notify::new());
        let mut state = log.state();
        state.next_member += 1;
        let (id, group) = (state.next_member, state.group_number(group));
        let mut member = Member::new(log.client, log.who, Arc::clone(&bell));
        member.frozen = state.clients[log.client].is_apart();
        let moment = log.moment(&state);
        let joined = &mut state.groups[group];
        joined.subscribe(topics);
        joined.members.insert(id, member);
        joined.greet(id, &moment);
        drop(state);
        let owner = Owner { log, group, id };
        Self { owner, bell, committing: Arc::default(), taken: None, left: false }
    }

    /// Without a way to the broker nobody hears it: the session runs out instead.
    fn leave(&mut self) {
        let mut state = self.owner.log.state();
        let failed = self.owner.has_failed(&state);
        if state.broker == Broker::Up && !failed && !state.clients[self.owner.log.client].is_apart() {
            state.groups[self.owner.group].leave(self.owner.id);
            self.left = true;
        }
    }

    fn look(&self) -> Look {
        let Owner { log, group, id } = &self.owner;
        let mut state = log.state();
        let moment = log.moment(&state);
        let State { partitions, groups, clients, .. } = &mut *state;
        let group = &mut groups[*group];
        group.advance(&moment, partitions);
        let deadline = group.deadline;
        let Some(member) = group.members.get_mut(id).filter(|member| !member.dropped) else { return Look::NotAMember };
        if member.frozen {
            return Look::Nothing(deadline);
        }
        if let Some(event) = member.events.pop_front() {
            member.telling = event.news().to_vec();
            return Look::Event(event);
        }
        if !moment.is_up() || !member.standing.fetches() {
            return Look::Nothing(deadline);
        }
        if let Some(stalled) = clients[log.client].stalled.filter(|stalled| moment.now < *stalled) {
            return Look::Nothing(Some(deadline.map_or(stalled, |deadline| deadline.min(stalled))));
        }
        next_record(member, partitions, &log.inner.chance).map_or(Look::Nothing(deadline), Look::Event)
    }
}

/// A record of any partition that may be read, drawn: partitions have no order among each other.
fn next_record(member: &mut Member, partitions: &Partitions, chance: &Chance) -> Option<ConsumerEvent> {
    let mut ready = 0;
    for (slot, reading) in member.reading.iter().filter(|(_, reading)| !reading.paused) {
        ready += u64::from(partitions.next_seen(*slot, reading.offset).is_some());
    }
    let drawn = match ready {
        0 => return None,
        1 => 0,
        _ => usize::try_from(chance.below(ready)).expect("an index"),
    };
    let open = member.reading.iter_mut().filter(|(_, reading)| !reading.paused);
    let mut seen =
        open.filter_map(|(slot, reading)| Some((slot, partitions.next_seen(*slot, reading.offset)?, reading)));
    let (slot, offset, reading) = seen.nth(drawn)?;
    reading.offset = offset + 1;
    Some(ConsumerEvent::Record(partitions.seen(*slot, offset)))
}

/// A member that does something as the owner of partitions.
#[derive(Clone)]
struct Owner {
    log: ModelLog,
    group: usize,
    id: MemberId,
}

impl Owner {
    /// Whether this member is of no use any more.
    fn has_failed(&self, state: &State) -> bool {
        state.groups[self.group].members.get(&self.id).is_none_or(|member| member.dropped)
    }

    /// The handle hears the event that was taken for it.
    fn told(&self) {
        if let Some(member) = self.log.state().groups[self.group].members.get_mut(&self.id) {
            member.telling.clear();
        }
    }

    /// Turns the taps of partitions that its client takes for its own.
    fn turn(&self, asked: &[TopicPartition], paused: bool) -> Result<(), LogError> {
        let mut state = self.log.state();
        if self.has_failed(&state) {
            return Err(gone());
        }
        let State { partitions, groups, .. } = &mut *state;
        let group = &mut groups[self.group];
        let mut slots = Vec::with_capacity(asked.len());
        for at in asked {
            let slot = partitions.slot(at).filter(|slot| group.takes_for_own(self.id, *slot));
            let slot = slot.filter(|_| !group.has_news_of(self.id, at));
            slots.push(slot.ok_or_else(|| not_assigned(at))?);
        }
        if let Some(member) = group.members.get_mut(&self.id) {
            for slot in slots {
                if let Some(reading) = member.reading.get_mut(&slot) {
                    reading.paused = paused;
                }
            }
        }
        Ok(())
    }

    fn slots(&self, offsets: &[(TopicPartition, i64)]) -> Result<Vec<(Slot, i64)>, LogError> {
        let state = self.log.state();
        let slot = |(at, offset): &(TopicPartition, i64)| Some((state.partitions.slot(at)?, *offset));
        offsets.iter().map(|asked| slot(asked).ok_or_else(|| not_assigned(&asked.0))).collect()
    }

    /// Waits until the broker takes a request; the connection that it took it on.
    async fn reach(&self, limit: Instant) -> Result<u64, LogError> {
        loop {
            let changed = self.log.inner.changed.notified();
            {
                let state = self.log.state();
                let apart = state.clients[self.log.client].is_apart();
                if self.has_failed(&state) {
                    return Err(LogError::NotAssigned("the consumer has ended".to_owned()));
                }
                if state.broker == Broker::Up && !apart {
                    return Ok(state.connection);
                }
                let member = state.groups[self.group].members.get(&self.id);
                if !apart && member.is_none_or(|member| matches!(member.standing, Standing::Out { .. })) {
                    return Err(LogError::NotAssigned("its session ran out".to_owned()));
                }
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(limit) => {
                    return Err(LogError::Other(format!("limit of commit hit: no answer within {COMMIT_WAIT:?}")));
                }
            }
        }
    }

    /// The commit as the broker does it.
    fn commit(&self, offsets: &[(Slot, i64)]) -> Result<(), LogError> {
        let mut state = self.log.state();
        let moment = self.log.moment(&state);
        let State { partitions, groups, .. } = &mut *state;
        let group = &mut groups[self.group];
        group.advance(&moment, partitions);
        let may = |slot| group.owns(self.id, slot) && !group.has_news_of(self.id, &partitions.at(slot));
        if let Some((slot, _)) = offsets.iter().find(|(slot, _)| !may(*slot)) {
            let refused = not_assigned(&partitions.at(*slot));
            note_of(self.log.who, || format!("kafka: offsets refused: {refused}"));
            return Err(refused);
        }
        for (slot, offset) in offsets {
            group.commit(*slot, *offset, moment.now);
        }
        note_of(self.log.who, || {
            let shown = offsets.iter().map(|(slot, offset)| format!("{}@{offset}", partitions.number(*slot)));
            format!("kafka: offsets committed: {}", shown.collect::<Vec<_>>().join(", "))
        });
        Ok(())
    }

    /// A commit with its way there and back.
    async fn carry(&self, offsets: &[(Slot, i64)]) -> Result<(), LogError> {
        let chance = &self.log.inner.chance;
        let limit = Instant::now() + COMMIT_WAIT;
        chance.pause().await;
        let connection = self.reach(limit).await?;
        let fault = self.log.inner.offset_commits.call();
        let result = match fault {
            Some(OffsetCommitFault::Refused) => {
                note_of(self.log.who, || "kafka: offsets refused by the broker".to_owned());
                Err(LogError::Other("the broker refused the offsets".to_owned()))
            }
            _ => self.commit(offsets),
        };
        if let Some(OffsetCommitFault::Late(late)) = fault {
            let left = limit.saturating_duration_since(Instant::now());
            sleep(late.min(left)).await;
            if late >= left {
                return Err(LogError::Other(format!("limit of commit hit: no answer within {COMMIT_WAIT:?}")));
            }
        }
        chance.pause().await;
        let answered = self.reach(limit).await? == connection;
        result.and_then(|()| {
            answered.then_some(()).ok_or_else(|| LogError::Other("the connection broke before the answer".to_owned()))
        })
    }
}

impl Group {
    /// Whether a member's handle is still to hear what became of a partition.
    fn has_news_of(&self, id: MemberId, at: &TopicPartition) -> bool {
        self.members.get(&id).is_some_and(|member| member.has_news_of(at))
    }

    /// Whether a member's client takes a partition for its own: it reads it, or is being asked for it back.
    fn takes_for_own(&self, id: MemberId, slot: Slot) -> bool {
        self.owns(id, slot) || self.members.get(&id).is_some_and(|member| member.reading.contains_key(&slot))
    }
}

fn not_assigned(at: &TopicPartition) -> LogError {
    LogError::NotAssigned(format!("{} partition {}", at.topic, at.partition))
}

fn gone() -> LogError {
    LogError::Other("not a member of the group".to_owned())
}

impl EventConsumer for ModelConsumer {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        let bell = Arc::clone(&self.bell);
        self.owner.log.inner.chance.pause().await;
        while self.taken.is_none() {
            let rung = bell.notified();
            match self.look() {
                Look::Event(event) => self.taken = Some(event),
                Look::NotAMember => return Err(gone()),
                Look::Nothing(None) => rung.await,
                Look::Nothing(Some(deadline)) => {
                    tokio::select! {
                        biased;
                        () = rung => {}
                        () = sleep_until(deadline) => {}
                    }
                }
            }
        }
        self.owner.log.inner.chance.pause().await;
        self.owner.told();
        self.taken.take().ok_or_else(gone)
    }

    fn commit(&self, offsets: &[(TopicPartition, i64)]) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        let (owner, slots, committing) = (self.owner.clone(), self.owner.slots(offsets), Arc::clone(&self.committing));
        async move {
            let slots = slots?;
            if slots.is_empty() {
                return Ok(());
            }
            let _turn = committing.lock_owned().await;
            owner.carry(&slots).await
        }
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.owner.turn(partitions, true)
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.owner.turn(partitions, false)?;
        self.bell.notify_one();
        Ok(())
    }

    async fn close(mut self) {
        let chance = self.owner.log.inner.chance.clone();
        chance.pause().await;
        self.leave();
        chance.pause().await;
    }
}

impl Drop for ModelConsumer {
    fn drop(&mut self) {
        if !self.left {
            let now = Instant::now();
            self.owner.log.state().groups[self.owner.group].fall_silent(self.owner.id, now);
        }
    }
}
