//! What lies between the polling thread and the consumer's handle: events in order, and which partitions are whose.
//!
//! In: events from the polling thread. Out: the same events to the handle, and when fetching should pause. Elsewhere: librdkafka
//! (`poll`). The queue never blocks the polling thread: full means "pause fetching and keep polling", so that heartbeats, rebalances and
//! the poll interval go on whatever the handle does.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bankstorm_outside::log::{ConsumerEvent, LogError, TopicPartition};
use tokio::sync::Notify;

/// Fetching pauses at this many queued events. A pause costs what librdkafka has fetched and not handed over, and the fetch after it begins
/// with the first partition again: pauses have to be rare beside records, or a backlog comes in slowly and a partition after the other.
pub(super) const HIGH: usize = 8_192;
/// Fetching goes on at this many.
pub(super) const LOW: usize = 4_096;

#[derive(Default)]
struct State {
    events: VecDeque<ConsumerEvent>,
    failed: Option<LogError>,
    closed: bool,
    full: bool,
    assigned: BTreeSet<TopicPartition>,
    paused: BTreeSet<TopicPartition>,
    /// Resumed by the handle, and the fetching thread not woken yet.
    resumed: Vec<TopicPartition>,
}

/// The queue of one consumer.
#[derive(Default)]
pub(super) struct EventQueue {
    state: Mutex<State>,
    taps: Mutex<()>,
    arrived: Notify,
}

/// What the polling thread should do about fetching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressure {
    /// Nothing changed.
    Same,
    /// The queue became full: pause every assigned partition.
    Pause,
    /// The queue is low again: resume what the handle did not pause.
    Resume,
}

impl EventQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each critical section leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while somebody decides about fetching and tells librdkafka, so that the polling thread's resume and the handle's pause do
    /// not cross. Never held while polling.
    pub(super) fn taps(&self) -> MutexGuard<'_, ()> {
        self.taps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an event; dropped when the handle is gone.
    pub(super) fn push(&self, event: ConsumerEvent) {
        let mut state = self.state();
        if !state.closed {
            state.events.push_back(event);
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// These partitions are ours now, and nobody has paused them yet. Whether fetching is paused for lack of room is told back.
    pub(super) fn assign(&self, partitions: &[TopicPartition]) -> bool {
        let mut state = self.state();
        for partition in partitions {
            state.paused.remove(partition);
            state.assigned.insert(partition.clone());
        }
        state.full
    }

    /// These partitions go away: their records that nobody took yet will come to the next owner instead.
    pub(super) fn forget_records(&self, partitions: &[TopicPartition]) {
        let mut state = self.state();
        state.events.retain(|event| !matches!(event, ConsumerEvent::Record(record) if partitions.contains(&record.at)));
    }

    /// These partitions are not ours any more.
    pub(super) fn unassign(&self, partitions: &[TopicPartition]) {
        let mut state = self.state();
        for partition in partitions {
            state.assigned.remove(partition);
            state.paused.remove(partition);
        }
    }

    /// The first of `partitions` that is not assigned, as far as the handle knows: one that was lost and came back while the news of it
    /// lies here is a stranger too, or what was meant for the assignment before would be done to this one.
    pub(super) fn stranger<'a>(
        &self,
        mut partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Option<&'a TopicPartition> {
        let state = self.state();
        let has_news = |partition| state.events.iter().any(|event| event.news().contains(partition));
        partitions.find(|partition| !state.assigned.contains(partition) || has_news(partition))
    }

    /// The handle has paused partitions.
    pub(super) fn pause(&self, partitions: &[TopicPartition]) {
        self.state().paused.extend(partitions.iter().cloned());
    }

    /// The handle has resumed partitions. While the queue is full they are fetched when there is room again.
    pub(super) fn resume(&self, partitions: &[TopicPartition]) {
        let mut state = self.state();
        for partition in partitions {
            state.paused.remove(partition);
        }
        if !state.full {
            state.resumed.extend(partitions.iter().cloned());
        }
    }

    /// What the handle has resumed since this was asked last.
    pub(super) fn take_resumed(&self) -> Vec<TopicPartition> {
        std::mem::take(&mut self.state().resumed)
    }

    /// Called between polls: what changed about room, and the partitions that it concerns.
    pub(super) fn pressure(&self) -> (Pressure, Vec<TopicPartition>) {
        let mut state = self.state();
        if !state.full && state.events.len() >= HIGH {
            state.full = true;
            return (Pressure::Pause, state.assigned.iter().cloned().collect());
        }
        if state.full && state.events.len() <= LOW {
            state.full = false;
            return (Pressure::Resume, state.assigned.difference(&state.paused).cloned().collect());
        }
        (Pressure::Same, Vec::new())
    }

    /// Whether fetching is paused for lack of room.
    pub(super) fn is_full(&self) -> bool {
        self.state().full
    }

    /// Whether anything is paused, by whomever: it may go on at any moment.
    pub(super) fn is_held_up(&self) -> bool {
        let state = self.state();
        state.full || !state.paused.is_empty() || !state.resumed.is_empty()
    }

    /// The consumer is of no use any more.
    pub(super) fn fail(&self, error: LogError) {
        self.state().failed.get_or_insert(error);
        self.arrived.notify_one();
    }

    /// The handle is gone, or leaves: events are of no use, and acknowledgements that it still owes count as given.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let unread = std::mem::take(&mut state.events);
        drop(state);
        drop(unread);
    }

    /// Whether the handle is gone or leaves.
    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// The next event. Cancel-safe: an event is taken in the poll that returns it.
    pub(super) async fn next(&self) -> Result<ConsumerEvent, LogError> {
        loop {
            let arrived = self.arrived.notified();
            {
                let mut state = self.state();
                if let Some(event) = state.events.pop_front() {
                    return Ok(event);
                }
                if let Some(error) = &state.failed {
                    return Err(error.clone());
                }
            }
            arrived.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_outside::log::{Assignment, ConsumerEvent, LogError, Record, TopicPartition};

    use super::{EventQueue, HIGH, LOW, Pressure};

    fn at(partition: i32) -> TopicPartition {
        TopicPartition { topic: "t".to_owned(), partition }
    }

    fn record(partition: i32, offset: i64) -> ConsumerEvent {
        ConsumerEvent::Record(Record { at: at(partition), offset, key: Vec::new(), value: Vec::new() })
    }

    #[tokio::test]
    async fn records_of_a_revoked_partition_are_forgotten_and_the_rest_stays_in_order() {
        let queue = EventQueue::default();
        let assignment = Assignment { partitions: vec![at(0), at(1)], generation: None };
        queue.push(ConsumerEvent::Assigned(assignment));
        for offset in 0..3 {
            queue.push(record(0, offset));
            queue.push(record(1, offset));
        }
        queue.forget_records(&[at(0)]);
        assert!(matches!(queue.next().await, Ok(ConsumerEvent::Assigned(_))));
        for offset in 0..3 {
            let Ok(ConsumerEvent::Record(next)) = queue.next().await else { panic!("a record is left") };
            assert_eq!((next.at, next.offset), (at(1), offset));
        }
    }

    #[tokio::test]
    async fn a_full_queue_pauses_everything_and_a_low_one_resumes_what_the_handle_did_not_pause() {
        let queue = EventQueue::default();
        queue.assign(&[at(0), at(1)]);
        queue.pause(&[at(1)]);
        for offset in 0..HIGH {
            assert_eq!(queue.pressure().0, Pressure::Same);
            queue.push(record(0, i64::try_from(offset).expect("small")));
        }
        assert_eq!(queue.pressure(), (Pressure::Pause, vec![at(0), at(1)]));
        assert!(queue.is_full());
        let relieved = loop {
            queue.next().await.expect("events are queued");
            let (pressure, partitions) = queue.pressure();
            if pressure != Pressure::Same {
                break (pressure, partitions);
            }
        };
        assert_eq!(queue.state().events.len(), LOW);
        assert_eq!(relieved, (Pressure::Resume, vec![at(0)]));
        assert!(queue.is_held_up(), "the handle's own pause stands");
        queue.resume(&[at(1)]);
        assert_eq!(queue.take_resumed(), [at(1)]);
        assert!(!queue.is_held_up());
    }

    #[tokio::test]
    async fn what_was_paused_before_it_went_away_is_fetched_when_it_comes_back() {
        let queue = EventQueue::default();
        queue.assign(&[at(0)]);
        queue.pause(&[at(0)]);
        queue.assign(&[at(0)]);
        for offset in 0..HIGH {
            queue.push(record(0, i64::try_from(offset).expect("small")));
        }
        assert_eq!(queue.pressure(), (Pressure::Pause, vec![at(0)]));
        for _ in LOW..HIGH {
            queue.next().await.expect("events are queued");
        }
        assert_eq!(queue.pressure(), (Pressure::Resume, vec![at(0)]));
    }

    #[tokio::test]
    async fn failure_comes_after_what_was_queued() {
        let queue = EventQueue::default();
        queue.push(record(0, 0));
        queue.fail(LogError::Other("gone".to_owned()));
        assert!(queue.next().await.is_ok());
        assert_eq!(queue.next().await.expect_err("failed"), LogError::Other("gone".to_owned()));
    }

    #[tokio::test]
    async fn a_partition_that_came_back_is_a_stranger_until_its_news_is_taken() {
        let queue = EventQueue::default();
        queue.assign(&[at(0), at(1)]);
        queue.push(ConsumerEvent::Lost(vec![at(0)]));
        queue.push(ConsumerEvent::Assigned(Assignment { partitions: vec![at(0)], generation: None }));
        for _ in 0..2 {
            assert_eq!(queue.stranger([at(1), at(0)].iter()), Some(&at(0)));
            queue.next().await.expect("news");
        }
        assert_eq!(queue.stranger([at(1), at(0)].iter()), None);
    }

    #[test]
    fn a_partition_that_went_away_is_a_stranger() {
        let queue = EventQueue::default();
        queue.assign(&[at(0), at(1)]);
        queue.unassign(&[at(0)]);
        assert_eq!(queue.stranger([at(1), at(0)].iter()), Some(&at(0)));
        assert_eq!(queue.stranger([at(1)].iter()), None);
    }
}
