//! What this process settled lately, so that it can tell which way round a race went (R8). Nothing depends on it but markers.
//!
//! In: ids as they are settled, as they stand in the way, as their events come. Out: who was first. Elsewhere: the markers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bankstorm_contracts::TransferId;

/// How many ids are remembered of each sort; the oldest are forgotten.
const MOST: usize = 1_000;

/// Who completed a transfer before its event came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// Core's answer.
    Answer,
    /// The poller.
    Poller,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    completed: Mutex<Memory<First>>,
    in_the_way: Mutex<Memory<()>>,
}

impl Recent {
    /// A transfer was completed, not by its event.
    pub(crate) fn completed(&self, id: TransferId, first: First) {
        self.completed.lock().unwrap_or_else(PoisonError::into_inner).keep(id, first);
    }

    /// The event of a completed transfer came: who was first, where that is known. Told once.
    pub(crate) fn event(&self, id: TransferId) -> Option<First> {
        self.completed.lock().unwrap_or_else(PoisonError::into_inner).take(id)
    }

    /// A transfer stood in another's way.
    pub(crate) fn in_the_way(&self, id: TransferId) {
        self.in_the_way.lock().unwrap_or_else(PoisonError::into_inner).keep(id, ());
    }

    /// A transfer is settled: whether it had stood in another's way. Told once.
    pub(crate) fn settled(&self, id: TransferId) -> bool {
        self.in_the_way.lock().unwrap_or_else(PoisonError::into_inner).take(id).is_some()
    }
}

#[derive(Debug)]
struct Memory<T> {
    by_id: BTreeMap<TransferId, T>,
    order: VecDeque<TransferId>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<T> Memory<T> {
    fn keep(&mut self, id: TransferId, what: T) {
        if self.by_id.insert(id, what).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.by_id.remove(&oldest);
            }
        }
    }

    fn take(&mut self, id: TransferId) -> Option<T> {
        let what = self.by_id.remove(&id)?;
        self.order.retain(|kept| *kept != id);
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::TransferId;

    use super::{First, MOST, Recent};

    fn id(number: usize) -> TransferId {
        format!("00000000-0000-0000-0000-{number:012}").parse().expect("an id")
    }

    #[test]
    fn each_is_told_once_and_the_oldest_are_forgotten() {
        let recent = Recent::default();
        (0..=MOST).for_each(|number| recent.completed(id(number), First::Answer));
        recent.completed(id(1), First::Poller);
        assert_eq!(recent.event(id(0)), None);
        assert_eq!(recent.event(id(1)), Some(First::Poller));
        assert_eq!(recent.event(id(1)), None);
        recent.in_the_way(id(7));
        assert_eq!((recent.settled(id(7)), recent.settled(id(7))), (true, false));
    }
}
