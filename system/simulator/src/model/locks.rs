//! Locks of rows and of keys, with queues, and who waits for whom.
//!
//! In: an owner (a transaction) and a key. Out: the lock, or a place in its queue. Elsewhere: how long an owner waits and what becomes of
//! owners (`database`), what the locks guard (the stores).
//!
//! A lock goes to waiters in the order in which they came, and back when its owner's transaction ends, as in PostgreSQL. A waiter whose
//! client has gone takes it too, and goes on to the rest of its statement: only after that is it seen that nobody listens.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Seq, TransferId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::trace::told;

/// Who holds a lock: a transaction's number.
pub(super) type Owner = u64;

/// What is locked. Rows and keys are one table, so that who waits for whom is one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// An account's row.
    Row(AccountNo),
    /// A transfer's id in its unique index, from its insertion on.
    Id(TransferId),
    /// The row of a transfer that stands.
    Transfer(TransferId),
    /// A change of a standing transfer's row, from its writing on. Whoever would insert against that row waits for its end: what stands
    /// there is not certain before.
    Change(TransferId),
    /// A guard in its unique index, from the insertion of its transfer on.
    Guard(i64),
    /// An entry's serial in its unique index, from its insertion on: only of accounts whose row was not locked, since a row's lock covers its
    /// serials.
    Serial(AccountNo, Seq),
}

impl Key {
    /// For people.
    pub(super) fn told(self) -> String {
        match self {
            Self::Row(account) => format!("the row of {}", told::account(account)),
            Self::Id(id) => format!("the id of {}", told::transfer(id)),
            Self::Transfer(id) => format!("the row of {}", told::transfer(id)),
            Self::Change(id) => format!("what becomes of {}", told::transfer(id)),
            Self::Guard(guard) => format!("guard {guard}"),
            Self::Serial(account, seq) => format!("serial {seq} of {}", told::account(account)),
        }
    }
}

/// What became of an owner while others gave their locks back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was granted what it waited for.
    Granted,
    /// Its client has gone, and its wait is over: so is its transaction.
    Ended,
}

/// What asking for a lock gave.
#[derive(Debug)]
pub(super) enum Asked {
    /// The lock.
    Held,
    /// A place in the queue. The sender is dropped when the lock will not come any more.
    Waits(oneshot::Receiver<()>),
}

/// What a statement does after a wait, should nobody listen to it any more by then.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// The rows that it locks next; the last one comes first.
    rows: Vec<Key>,
    /// How long it waits for each.
    limit: Duration,
}

impl Rest {
    /// These rows in turn, each within `limit`.
    pub(super) fn rows(rows: impl DoubleEndedIterator<Item = Key>, limit: Duration) -> Self {
        Self { rows: rows.rev().collect(), limit }
    }
}

#[derive(Debug)]
struct Waiter {
    owner: Owner,
    until: Option<Instant>,
    grant: oneshot::Sender<()>,
    rest: Rest,
    /// It waits for the holder's end, and takes nothing.
    outwaits: bool,
}

#[derive(Debug)]
struct Lock {
    holder: Owner,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug, Default)]
struct Standing {
    held: Vec<Key>,
    wait: Option<(Key, Option<Instant>)>,
}

/// All locks of a server.
#[derive(Debug, Default)]
pub(super) struct Locks {
    locks: BTreeMap<Key, Lock>,
    owners: BTreeMap<Owner, Standing>,
    news: Vec<(Owner, News)>,
}

impl Locks {
    /// Whether `owner` holds the lock.
    pub(super) fn is_held_by(&self, owner: Owner, key: Key) -> bool {
        self.holder(key) == Some(owner)
    }

    /// Who holds the lock.
    pub(super) fn holder(&self, key: Key) -> Option<Owner> {
        self.locks.get(&key).map(|lock| lock.holder)
    }

    /// How many wait at this moment.
    pub(super) fn waiting(&self) -> usize {
        self.locks.values().flat_map(|lock| &lock.waiting).filter(|waiter| !waiter.grant.is_closed()).count()
    }

    /// Until when `owner` waits, if it does; `Some(None)` is for ever.
    pub(super) fn wait_of(&self, owner: Owner) -> Option<Option<Instant>> {
        self.owners.get(&owner)?.wait.map(|(_, until)| until)
    }

    /// Whether `owner` waits, directly or through others, for itself.
    pub(super) fn in_cycle(&self, owner: Owner) -> bool {
        let mut at = owner;
        // Each owner waits for one lock at most, so a walk longer than there are owners runs in a circle that `owner` is not on.
        for _ in 0..self.owners.len() {
            let Some((key, _)) = self.owners.get(&at).and_then(|standing| standing.wait) else { return false };
            let Some(holder) = self.holder(key) else { return false };
            if holder == owner {
                return true;
            }
            at = holder;
        }
        false
    }

    /// Takes the lock if nobody else holds it.
    pub(super) fn try_acquire(&mut self, owner: Owner, key: Key) -> bool {
        match self.holder(key) {
            Some(holder) => holder == owner,
            None => {
                self.locks.insert(key, Lock { holder: owner, waiting: VecDeque::new() });
                self.owners.entry(owner).or_default().held.push(key);
                true
            }
        }
    }

    /// Takes the lock, or a place in its queue. A wait that is not over when its turn comes after `until` is passed over. `rest` is looked
    /// at only if the lock comes when nobody listens any more.
    pub(super) fn acquire(
        &mut self,
        owner: Owner,
        key: Key,
        until: Option<Instant>,
        rest: impl FnOnce() -> Rest,
    ) -> Asked {
        if self.try_acquire(owner, key) {
            return Asked::Held;
        }
        let (grant, granted) = oneshot::channel();
        self.queue(key, Waiter { owner, until, grant, rest: rest(), outwaits: false });
        Asked::Waits(granted)
    }

    /// Waits until whoever else holds the lock has given it back, and takes nothing: all who wait so learn of it at once, as those do who
    /// wait in a unique index for a transaction's end.
    pub(super) fn outwait(&mut self, owner: Owner, key: Key, until: Option<Instant>) -> Asked {
        if self.holder(key).is_none_or(|holder| holder == owner) {
            return Asked::Held;
        }
        let (grant, granted) = oneshot::channel();
        self.queue(key, Waiter { owner, until, grant, rest: Rest::default(), outwaits: true });
        Asked::Waits(granted)
    }

    fn queue(&mut self, key: Key, waiter: Waiter) {
        self.owners.entry(waiter.owner).or_default().wait = Some((key, waiter.until));
        self.locks.get_mut(&key).expect("somebody holds it").waiting.push_back(waiter);
    }

    /// Gives one lock back.
    pub(super) fn release(&mut self, owner: Owner, key: Key, now: Instant) {
        let Some(standing) = self.owners.get_mut(&owner) else { return };
        let Some(place) = standing.held.iter().position(|held| *held == key) else { return };
        standing.held.swap_remove(place);
        let mut leaving = Vec::new();
        self.hand_on(key, now, &mut leaving);
        self.leave(leaving, now);
    }

    /// Gives every lock of `owner` back, and its place in a queue.
    pub(super) fn release_all(&mut self, owner: Owner, now: Instant) {
        self.leave(vec![owner], now);
    }

    /// What became of others since the last call.
    pub(super) fn news(&mut self) -> Vec<(Owner, News)> {
        std::mem::take(&mut self.news)
    }

    /// Forgets everything: whoever waits learns that the lock will not come.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn leave(&mut self, mut leaving: Vec<Owner>, now: Instant) {
        while let Some(owner) = leaving.pop() {
            let Some(standing) = self.owners.remove(&owner) else { continue };
            if let Some((key, _)) = standing.wait
                && let Some(lock) = self.locks.get_mut(&key)
            {
                lock.waiting.retain(|waiter| waiter.owner != owner);
            }
            for key in standing.held {
                self.hand_on(key, now, &mut leaving);
            }
        }
    }

    /// Gives a lock to the next one in its queue who still wants it; those passed over are done for.
    fn hand_on(&mut self, key: Key, now: Instant, leaving: &mut Vec<Owner>) {
        let Some(lock) = self.locks.get_mut(&key) else { return };
        while let Some(Waiter { owner, until, grant, rest, outwaits }) = lock.waiting.pop_front() {
            let standing = self.owners.entry(owner).or_default();
            standing.wait = None;
            // Granted in the very moment of the limit counts as granted.
            let in_time = until.is_none_or(|until| now <= until);
            if grant.is_closed() {
                if in_time && !rest.rows.is_empty() {
                    lock.holder = owner;
                    standing.held.push(key);
                    self.go_on(owner, grant, rest, now, leaving);
                    return;
                }
                self.news.push((owner, News::Ended));
            } else if in_time && grant.send(()).is_ok() {
                self.news.push((owner, News::Granted));
                if outwaits {
                    continue;
                }
                lock.holder = owner;
                standing.held.push(key);
                return;
            }
            leaving.push(owner);
        }
        self.locks.remove(&key);
    }

    /// A statement to which nobody listens locks the rest of its rows, up to one for which it has to wait.
    fn go_on(
        &mut self,
        owner: Owner,
        grant: oneshot::Sender<()>,
        mut rest: Rest,
        now: Instant,
        leaving: &mut Vec<Owner>,
    ) {
        while let Some(key) = rest.rows.pop() {
            if !self.try_acquire(owner, key) {
                let until = Some(now + rest.limit);
                self.queue(key, Waiter { owner, until, grant, rest, outwaits: false });
                return;
            }
        }
        self.news.push((owner, News::Ended));
        leaving.push(owner);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bankstorm_contracts::{AccountNo, TransferId};
    use tokio::sync::oneshot::error::TryRecvError;
    use tokio::time::Instant;

    use super::{Asked, Key, Locks, News, Owner, Rest};

    const ROW: Key = Key::Row(AccountNo::new(7));
    const OTHER: Key = Key::Row(AccountNo::new(8));

    fn acquire(locks: &mut Locks, owner: Owner, key: Key, until: Option<Instant>) -> Asked {
        locks.acquire(owner, key, until, Rest::default)
    }

    fn waits(asked: Asked) -> tokio::sync::oneshot::Receiver<()> {
        match asked {
            Asked::Held => panic!("it should have waited"),
            Asked::Waits(granted) => granted,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_goes_to_waiters_in_turn_and_past_those_who_have_gone_or_are_late() {
        let (mut locks, now) = (Locks::default(), Instant::now());
        let second = now + Duration::from_secs(1);
        assert!(locks.try_acquire(1, ROW) && locks.try_acquire(1, ROW), "its own lock is no hindrance");
        assert!(!locks.try_acquire(2, ROW));
        drop(waits(acquire(&mut locks, 2, ROW, None)));
        assert!(locks.try_acquire(3, OTHER));
        let mut late = waits(acquire(&mut locks, 3, ROW, Some(second)));
        let mut fourth = waits(acquire(&mut locks, 4, ROW, None));
        let mut fifth = waits(acquire(&mut locks, 5, OTHER, Some(second + Duration::from_secs(1))));
        assert_eq!(locks.waiting(), 3, "the second one has gone");
        locks.release_all(1, second + Duration::from_millis(1));
        assert_eq!(fourth.try_recv(), Ok(()));
        assert_eq!(late.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(fifth.try_recv(), Ok(()), "whoever is late has lost everything it held");
        assert_eq!(locks.news(), [(2, News::Ended), (4, News::Granted), (5, News::Granted)]);
        assert!(locks.is_held_by(4, ROW) && locks.is_held_by(5, OTHER));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_only_outwaits_a_holder_takes_nothing_and_holds_nobody_up() {
        let (mut locks, now, guard) = (Locks::default(), Instant::now(), Key::Guard(7));
        let until = Some(now + Duration::from_secs(1));
        assert!(matches!(locks.outwait(1, guard, until), Asked::Held), "nobody is in the way");
        assert!(locks.try_acquire(1, guard) && locks.try_acquire(2, ROW));
        let [mut second, mut third] = [2, 3].map(|owner| waits(locks.outwait(owner, guard, until)));
        let _first = waits(locks.outwait(1, ROW, until));
        assert!(locks.in_cycle(1) && locks.in_cycle(2) && !locks.in_cycle(3));
        locks.release_all(1, now);
        assert_eq!((second.try_recv(), third.try_recv()), (Ok(()), Ok(())));
        assert_eq!((locks.holder(guard), locks.wait_of(2), locks.wait_of(3)), (None, None, None));
        assert!(locks.try_acquire(3, guard), "whoever comes first has it");
    }

    #[test]
    fn a_circle_is_seen_through_rows_and_keys_alike_by_those_on_it() {
        let (mut locks, id) = (Locks::default(), Key::Id(TransferId(uuid::Uuid::from_u128(1))));
        assert!(locks.try_acquire(1, ROW) && locks.try_acquire(2, id));
        let _first = waits(acquire(&mut locks, 1, id, None));
        assert!(!locks.in_cycle(1));
        let _second = waits(acquire(&mut locks, 2, ROW, None));
        let _third = waits(acquire(&mut locks, 3, ROW, None));
        assert!(locks.in_cycle(1) && locks.in_cycle(2));
        assert!(!locks.in_cycle(3), "it waits for a circle and is not on it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_whose_client_has_gone_locks_the_rest_of_its_rows_before_it_ends() {
        let (mut locks, now) = (Locks::default(), Instant::now());
        let (second, free) = (Duration::from_secs(1), AccountNo::new(9));
        let rest = || Rest::rows([Key::Row(free), OTHER].into_iter(), second);
        assert!(locks.try_acquire(1, ROW) && locks.try_acquire(2, OTHER));
        drop(locks.acquire(3, ROW, Some(now + second), rest));
        let mut fourth = waits(acquire(&mut locks, 4, ROW, None));
        let later = now + second / 2;
        locks.release_all(1, later);
        assert!(locks.is_held_by(3, ROW) && locks.is_held_by(3, Key::Row(free)), "it waits for the last one");
        assert_eq!((locks.wait_of(3), locks.news()), (Some(Some(later + second)), vec![]));
        locks.release_all(2, later);
        assert_eq!(fourth.try_recv(), Ok(()), "nothing is left to lock, so it has ended");
        assert_eq!(locks.news(), [(3, News::Ended), (4, News::Granted)]);
        assert!(locks.holder(OTHER).is_none() && locks.holder(Key::Row(free)).is_none());
    }
}
