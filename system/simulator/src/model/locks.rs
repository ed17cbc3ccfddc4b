//! Locks of rows and of keys, with queues.
//!
//! In: an owner (a transaction) and a key. Out: the lock, or word that the limit was hit. Elsewhere: what the locks guard (the stores).
//! A lock goes to waiters in the order in which they came, and back when its owner's transaction ends, as in PostgreSQL.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Who holds a lock.
pub(super) type Owner = u64;

#[derive(Debug)]
struct Lock {
    holder: Owner,
    waiting: VecDeque<(Owner, oneshot::Sender<()>)>,
}

/// All locks of one kind.
#[derive(Clone, Debug)]
pub(super) struct Locks<K> {
    held: Arc<Mutex<BTreeMap<K, Lock>>>,
}

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self { held: Arc::default() }
    }
}

impl<K: Ord + Clone> Locks<K> {
    fn held(&self) -> MutexGuard<'_, BTreeMap<K, Lock>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `owner` holds the lock.
    pub(super) fn is_held_by(&self, owner: Owner, key: &K) -> bool {
        self.held().get(key).is_some_and(|lock| lock.holder == owner)
    }

    /// How many wait at this moment.
    pub(super) fn waiting(&self) -> usize {
        let held = self.held();
        held.values().flat_map(|lock| &lock.waiting).filter(|(_, grant)| !grant.is_closed()).count()
    }

    /// Takes the lock if nobody else holds it.
    pub(super) fn try_acquire(&self, owner: Owner, key: &K) -> bool {
        let mut held = self.held();
        match held.get(key) {
            Some(lock) => lock.holder == owner,
            None => {
                held.insert(key.clone(), Lock { holder: owner, waiting: VecDeque::new() });
                true
            }
        }
    }

    /// Takes the lock, in turn, within `limit`; `false` when it was hit.
    pub(super) async fn acquire(&self, owner: Owner, key: &K, limit: Duration) -> bool {
        let granted = {
            let mut held = self.held();
            match held.get_mut(key) {
                None => {
                    held.insert(key.clone(), Lock { holder: owner, waiting: VecDeque::new() });
                    return true;
                }
                Some(lock) if lock.holder == owner => return true,
                Some(lock) => {
                    let (grant, granted) = oneshot::channel();
                    lock.waiting.push_back((owner, grant));
                    granted
                }
            }
        };
        if timeout(limit, granted).await.is_ok() {
            return true;
        }
        // Granted in the very moment of the limit counts as granted: the lock is ours and would be nobody's otherwise.
        self.is_held_by(owner, key)
    }

    /// Gives one lock back.
    pub(super) fn release(&self, owner: Owner, key: &K) {
        let mut held = self.held();
        if held.get(key).is_some_and(|lock| lock.holder == owner) {
            pass_on(&mut held, key);
        }
    }

    /// Gives every lock of `owner` back.
    pub(super) fn release_all(&self, owner: Owner) {
        let mut held = self.held();
        let keys: Vec<K> = held.iter().filter(|(_, lock)| lock.holder == owner).map(|(key, _)| key.clone()).collect();
        for key in keys {
            pass_on(&mut held, &key);
        }
    }
}

fn pass_on<K: Ord + Clone>(held: &mut BTreeMap<K, Lock>, key: &K) {
    let Some(lock) = held.get_mut(key) else { return };
    while let Some((owner, grant)) = lock.waiting.pop_front() {
        // A waiter that gave up, or whose future was dropped, is passed over.
        if grant.send(()).is_ok() {
            lock.holder = owner;
            return;
        }
    }
    held.remove(key);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Locks;

    #[tokio::test(start_paused = true)]
    async fn a_lock_goes_to_waiters_in_turn_and_past_those_who_gave_up() {
        let locks = Locks::<u8>::default();
        assert!(locks.try_acquire(1, &7));
        assert!(!locks.try_acquire(2, &7));
        assert!(!locks.acquire(2, &7, Duration::from_millis(5)).await, "the limit is hit");
        let (second, third, ()) = tokio::join!(
            biased;
            locks.acquire(3, &7, Duration::from_secs(1)),
            async {
                let granted = locks.acquire(4, &7, Duration::from_secs(1)).await;
                (granted, locks.is_held_by(3, &7))
            },
            async {
                locks.release_all(1);
                assert!(locks.is_held_by(3, &7), "first come, first served");
                locks.release(3, &7);
            },
        );
        assert!(second);
        assert_eq!(third, (true, false));
        assert!(locks.is_held_by(4, &7));
    }
}
