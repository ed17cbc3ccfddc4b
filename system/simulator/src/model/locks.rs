//! Locks of rows and of keys, with queues, and who waits for whom.
//!
//! In: an owner (a transaction) and a key. Out: the lock, or a place in its queue. Elsewhere: how long an owner waits and what becomes of
//! owners (`database`), what the locks guard (the stores).
//!
//! A lock goes to waiters in the order in which they came, and back when its owner's transaction ends, as in PostgreSQL. A waiter whose
//! client has gone takes it too, and goes on to the rest of its statement: only after that is it seen that nobody listens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// Who owns a partition: its topic's hash, its number.
    Partition(u64, i32),
    /// An entry's serial in its unique index, from its insertion on: only of accounts whose row was not locked, since a row's lock covers its
    /// serials.
    Serial(AccountNo, Seq),
}

impl Key {
    /// The owner of a topic's partition.
    pub(super) fn owner(topic: &str, partition: i32) -> Self {
        let hash = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self::Partition(topic.bytes().fold(0xcbf2_9ce4_8422_2325, hash), partition)
    }

    /// For people.
    pub(super) fn told(self) -> String {
        match self {
            Self::Row(account) => format!("the row of {}", told::account(account)),
            Self::Id(id) => format!("the id of {}", told::transfer(id)),
            Self::Transfer(id) => format!("the row of {}", told::transfer(id)),
            Self::Change(id) => format!("what becomes of {}", told::transfer(id)),
            Self::Guard(guard) => format!("guard {guard}"),
            Self::Partition(_, partition) => format!("the owner of partition {partition}"),
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
    wants: Wants,
}

/// What a waiter does when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// It takes the lock for itself.
    Alone,
    /// It takes the lock beside others who share it.
    Shared,
    /// It waits for the holder's end, and takes nothing.
    Nothing,
}

#[derive(Debug)]
struct Lock {
    /// One, or those who share it.
    holders: Vec<Owner>,
    shared: bool,
    waiting: VecDeque<Waiter>,
}

impl Lock {
    fn of(holder: Owner, shared: bool) -> Self {
        Self { holders: vec![holder], shared, waiting: VecDeque::new() }
    }
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
    /// Whether `owner` holds the lock, alone or beside others.
    pub(super) fn is_held_by(&self, owner: Owner, key: Key) -> bool {
        self.holders(key).contains(&owner)
    }

    /// Who holds the lock; the first of those who share it.
    pub(super) fn holder(&self, key: Key) -> Option<Owner> {
        self.holders(key).first().copied()
    }

    /// Who holds the lock, all of them.
    pub(super) fn holders(&self, key: Key) -> &[Owner] {
        self.locks.get(&key).map_or(&[], |lock| &lock.holders)
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
        let (mut met, mut open) = (BTreeSet::new(), vec![owner]);
        while let Some(at) = open.pop() {
            let Some((key, _)) = self.owners.get(&at).and_then(|standing| standing.wait) else { continue };
            for holder in self.holders(key) {
                if *holder == owner {
                    return true;
                }
                if met.insert(*holder) {
                    open.push(*holder);
                }
            }
        }
        false
    }

    /// Takes the lock if nobody else holds it.
    pub(super) fn try_acquire(&mut self, owner: Owner, key: Key) -> bool {
        match self.locks.get_mut(&key) {
            Some(lock) => {
                let is_own = lock.holders == [owner];
                lock.shared &= !is_own;
                is_own
            }
            None => {
                self.locks.insert(key, Lock::of(owner, false));
                self.owners.entry(owner).or_default().held.push(key);
                true
            }
        }
    }

    /// Takes the lock beside those who share it, unless somebody waits for it.
    fn try_share(&mut self, owner: Owner, key: Key) -> bool {
        let free = || Lock { shared: true, holders: Vec::new(), waiting: VecDeque::new() };
        let lock = self.locks.entry(key).or_insert_with(free);
        if lock.holders.contains(&owner) {
            return true;
        }
        let may = lock.shared && lock.waiting.is_empty();
        if may {
            lock.holders.push(owner);
            self.owners.entry(owner).or_default().held.push(key);
        }
        may
    }

    /// Takes the lock beside others, or a place in its queue behind whoever has it or wants it alone.
    pub(super) fn share(&mut self, owner: Owner, key: Key, until: Option<Instant>) -> Asked {
        if self.try_share(owner, key) {
            return Asked::Held;
        }
        let (grant, granted) = oneshot::channel();
        self.queue(key, Waiter { owner, until, grant, rest: Rest::default(), wants: Wants::Shared });
        Asked::Waits(granted)
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
        self.queue(key, Waiter { owner, until, grant, rest: rest(), wants: Wants::Alone });
        Asked::Waits(granted)
    }

    /// Waits until whoever else holds the lock has given it back, and takes nothing: all who wait so learn of it at once, as those do who
    /// wait in a unique index for a transaction's end.
    pub(super) fn outwait(&mut self, owner: Owner, key: Key, until: Option<Instant>) -> Asked {
        if self.holders(key).iter().all(|holder| *holder == owner) {
            return Asked::Held;
        }
        let (grant, granted) = oneshot::channel();
        self.queue(key, Waiter { owner, until, grant, rest: Rest::default(), wants: Wants::Nothing });
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
        self.hand_on(owner, key, now, &mut leaving);
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
                if lock.shared {
                    // Others may have waited behind it alone.
                    self.grant(key, now, &mut leaving);
                }
            }
            for key in standing.held {
                self.hand_on(owner, key, now, &mut leaving);
            }
        }
    }

    /// An owner gives a lock back.
    fn hand_on(&mut self, owner: Owner, key: Key, now: Instant, leaving: &mut Vec<Owner>) {
        let Some(lock) = self.locks.get_mut(&key) else { return };
        lock.holders.retain(|holder| *holder != owner);
        if lock.holders.is_empty() {
            lock.shared = false;
            self.grant(key, now, leaving);
        }
    }

    /// Gives a lock that is free to the next one in its queue who still wants it, and one that is shared to all next ones who share it; those
    /// passed over are done for.
    fn grant(&mut self, key: Key, now: Instant, leaving: &mut Vec<Owner>) {
        let Some(lock) = self.locks.get_mut(&key) else { return };
        while let Some(next) = lock.waiting.front() {
            if lock.shared && next.wants != Wants::Shared {
                return;
            }
            let Some(Waiter { owner, until, grant, rest, wants }) = lock.waiting.pop_front() else { return };
            let standing = self.owners.entry(owner).or_default();
            standing.wait = None;
            // Granted in the very moment of the limit counts as granted.
            let in_time = until.is_none_or(|until| now <= until);
            if grant.is_closed() {
                if in_time && !rest.rows.is_empty() && !lock.shared {
                    lock.holders.push(owner);
                    standing.held.push(key);
                    self.go_on(owner, grant, rest, now, leaving);
                    return;
                }
                self.news.push((owner, News::Ended));
            } else if in_time && grant.send(()).is_ok() {
                self.news.push((owner, News::Granted));
                if wants == Wants::Nothing {
                    continue;
                }
                lock.holders.push(owner);
                standing.held.push(key);
                if wants == Wants::Alone {
                    return;
                }
                lock.shared = true;
                continue;
            }
            leaving.push(owner);
        }
        if lock.holders.is_empty() {
            self.locks.remove(&key);
        }
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
                self.queue(key, Waiter { owner, until, grant, rest, wants: Wants::Alone });
                return;
            }
        }
        self.news.push((owner, News::Ended));
        leaving.push(owner);
    }
}

#[cfg(test)]
mod tests;
