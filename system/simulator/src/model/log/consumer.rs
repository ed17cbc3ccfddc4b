//! A member of a group of the model log.
//!
//! In: offsets, pauses. Out: events. Elsewhere: what the group decides (`group`).
//!
//! Whoever waits for an event also keeps the group's time: it wakes at the next deadline and brings the group to the present.

use std::sync::{Arc, MutexGuard};

use bankstorm_outside::log::{ConsumerEvent, EventConsumer, LogError, TopicPartition};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::sharing::MemberId;
use super::{ModelLog, State};

/// A consumer on virtual time. Dropping it without [`EventConsumer::close`] is what a kill does: the group waits for its session.
pub struct ModelConsumer {
    log: ModelLog,
    group: String,
    topics: Vec<String>,
    id: MemberId,
    bell: Arc<Notify>,
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
        let id = {
            let mut state = log.state();
            state.next_member += 1;
            let id = state.next_member;
            let group = state.groups.entry(group.to_owned()).or_default();
            group.join(id, Arc::clone(&bell));
            group.wake_all();
            id
        };
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Self { log, group: group.to_owned(), topics, id, bell, taken: None, left: false }
    }

    fn look(&self) -> Look {
        let mut state = self.log.state();
        let partitions = state.partitions_of(&self.topics);
        let Some(group) = state.groups.get_mut(&self.group) else { return Look::NotAMember };
        group.advance(&partitions);
        let deadline = group.next_deadline();
        let Some(member) = group.members.get_mut(&self.id) else { return Look::NotAMember };
        if let Some(event) = member.events.pop_front() {
            return Look::Event(event);
        }
        match self.next_record(&mut state) {
            Some(event) => Look::Event(event),
            None => Look::Nothing(deadline),
        }
    }

    /// A record of any partition that may be read, drawn: partitions have no order among each other.
    fn next_record(&self, state: &mut MutexGuard<'_, State>) -> Option<ConsumerEvent> {
        let member = state.groups.get(&self.group)?.members.get(&self.id)?;
        let open = member.positions.iter().filter(|(at, _)| !member.paused.contains(at));
        let mut ready: Vec<_> = open.filter_map(|(at, offset)| state.record(at, *offset)).collect();
        if ready.is_empty() {
            return None;
        }
        let drawn = self.log.inner.chance.below(ready.len() as u64);
        let record = ready.swap_remove(usize::try_from(drawn).expect("an index"));
        let member = state.groups.get_mut(&self.group)?.members.get_mut(&self.id)?;
        member.positions.insert(record.at.clone(), record.offset + 1);
        Some(ConsumerEvent::Record(record))
    }

    fn owner(&self) -> Owner {
        Owner { log: self.log.clone(), group: self.group.clone(), id: self.id }
    }
}

/// A member that does something as the owner of partitions.
struct Owner {
    log: ModelLog,
    group: String,
    id: MemberId,
}

impl Owner {
    /// Does it while `partitions` are all its own.
    fn act<'a, T>(
        &self,
        mut partitions: impl Iterator<Item = &'a TopicPartition>,
        act: impl FnOnce(&mut super::group::Group) -> T,
    ) -> Result<T, LogError> {
        let mut state = self.log.state();
        let group = state.groups.get_mut(&self.group).ok_or_else(gone)?;
        match partitions.find(|at| !group.owns(self.id, at)) {
            Some(at) => Err(LogError::NotAssigned(format!("{} partition {}", at.topic, at.partition))),
            None => Ok(act(group)),
        }
    }
}

fn gone() -> LogError {
    LogError::Other("not a member of the group".to_owned())
}

impl EventConsumer for ModelConsumer {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        self.log.inner.chance.pause().await;
        while self.taken.is_none() {
            let bell = Arc::clone(&self.bell);
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
        self.log.inner.chance.pause().await;
        self.taken.take().ok_or_else(gone)
    }

    fn commit(&self, offsets: &[(TopicPartition, i64)]) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        let (owner, offsets) = (self.owner(), offsets.to_vec());
        async move {
            owner.log.inner.chance.pause().await;
            owner.act(offsets.iter().map(|(at, _)| at), |group| group.committed.extend(offsets.iter().cloned()))?;
            owner.log.inner.chance.pause().await;
            Ok(())
        }
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.owner().act(partitions.iter(), |group| {
            if let Some(member) = group.members.get_mut(&self.id) {
                member.paused.extend(partitions.iter().cloned());
            }
        })
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.owner().act(partitions.iter(), |group| {
            if let Some(member) = group.members.get_mut(&self.id) {
                member.paused.retain(|at| !partitions.contains(at));
            }
        })?;
        self.bell.notify_one();
        Ok(())
    }

    async fn close(mut self) {
        self.log.inner.chance.pause().await;
        self.left = true;
        if let Some(group) = self.log.state().groups.get_mut(&self.group) {
            group.leave(self.id);
        }
        self.log.inner.chance.pause().await;
    }
}

impl Drop for ModelConsumer {
    fn drop(&mut self) {
        if !self.left
            && let Some(group) = self.log.state().groups.get_mut(&self.group)
        {
            group.fall_silent(self.id);
        }
    }
}
