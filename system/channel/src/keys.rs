//! Key queues: order per key, no key on two workers, nobody behind a slow key but that key.
//!
//! In: items with keys. Out: a key with what waits for it, once no worker has the key. Elsewhere: what a worker does (`workers`).
//!
//! A queue per key rather than a hash onto slots: with the partitioner's own hash most slots would never run, and with any hash a slow
//! account would hold up strangers (D14).

use std::collections::{BTreeMap, VecDeque};

/// Queues of one partition.
#[derive(Debug)]
pub struct KeyQueues<K, T> {
    /// A key is here while it has items or a worker.
    lanes: BTreeMap<K, Lane<T>>,
    /// Keys with items and without a worker, longest waiting first.
    ready: VecDeque<K>,
    busy: usize,
}

#[derive(Debug)]
struct Lane<T> {
    items: VecDeque<T>,
    busy: bool,
}

impl<K, T> Default for KeyQueues<K, T> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), ready: VecDeque::new(), busy: 0 }
    }
}

impl<K: Ord + Clone, T> KeyQueues<K, T> {
    /// Appends an item to its key's queue.
    pub fn push(&mut self, key: K, item: T) {
        let lane = self.lanes.entry(key.clone()).or_insert_with(|| Lane { items: VecDeque::new(), busy: false });
        if lane.items.is_empty() && !lane.busy {
            self.ready.push_back(key);
        }
        lane.items.push_back(item);
    }

    /// Hands the longest waiting key and up to `most` of its items, in order, to a worker. The key stays with that worker until
    /// [`KeyQueues::release`].
    pub fn take(&mut self, most: usize) -> Option<(K, Vec<T>)> {
        let key = self.ready.pop_front()?;
        let lane = self.lanes.get_mut(&key).expect("a ready key has a lane");
        lane.busy = true;
        self.busy += 1;
        let count = lane.items.len().min(most.max(1));
        let items = lane.items.drain(..count).collect();
        Some((key, items))
    }

    /// The worker is through with the key.
    pub fn release(&mut self, key: &K) {
        let Some(lane) = self.lanes.get_mut(key).filter(|lane| lane.busy) else { return };
        lane.busy = false;
        self.busy -= 1;
        if lane.items.is_empty() {
            self.lanes.remove(key);
        } else {
            self.ready.push_back(key.clone());
        }
    }

    /// Drops what no worker has taken; keys with workers stay with them.
    pub fn clear_waiting(&mut self) {
        self.ready.clear();
        self.lanes.retain(|_, lane| {
            lane.items.clear();
            lane.busy
        });
    }

    /// Keys with a worker.
    pub const fn busy(&self) -> usize {
        self.busy
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::KeyQueues;

    #[test]
    fn a_slow_key_holds_up_nobody_else() {
        let mut queues = KeyQueues::default();
        for (key, item) in [(1, 'a'), (1, 'b'), (2, 'c')] {
            queues.push(key, item);
        }
        assert_eq!(queues.take(1), Some((1, vec!['a'])));
        assert_eq!(queues.take(1), Some((2, vec!['c'])));
        assert_eq!(queues.take(1), None, "key 1 still has its worker");
        queues.release(&1);
        assert_eq!(queues.take(9), Some((1, vec!['b'])));
    }

    #[test]
    fn clearing_leaves_keys_with_their_workers() {
        let mut queues = KeyQueues::default();
        for (key, item) in [(1, 'a'), (1, 'b'), (2, 'c')] {
            queues.push(key, item);
        }
        assert_eq!(queues.take(1), Some((1, vec!['a'])));
        queues.clear_waiting();
        assert_eq!(queues.busy(), 1);
        queues.release(&1);
        assert_eq!((queues.busy(), queues.take(1)), (0, None));
    }

    proptest! {
        #[test]
        fn order_per_key_holds_and_no_key_is_on_two_workers(
            steps in proptest::collection::vec((0u8..3, 0u8..6, 1usize..4), 1..300),
        ) {
            let mut queues = KeyQueues::default();
            let mut pushed: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
            let mut taken: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
            let mut held: BTreeSet<u8> = BTreeSet::new();
            for (number, (step, key, most)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        queues.push(key, number);
                        pushed.entry(key).or_default().push(number);
                    }
                    1 => {
                        if let Some((key, items)) = queues.take(most) {
                            prop_assert!(held.insert(key), "key {key} is on two workers");
                            prop_assert!(!items.is_empty() && items.len() <= most);
                            taken.entry(key).or_default().extend(items);
                        }
                    }
                    _ => {
                        if held.remove(&key) {
                            queues.release(&key);
                        }
                    }
                }
                prop_assert_eq!(queues.busy(), held.len());
            }
            held.iter().for_each(|key| queues.release(key));
            while let Some((key, items)) = queues.take(1) {
                taken.entry(key).or_default().extend(items);
                queues.release(&key);
            }
            prop_assert_eq!(taken, pushed);
        }
    }
}
