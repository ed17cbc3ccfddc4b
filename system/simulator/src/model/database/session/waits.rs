//! Locks as a client waits for them.
//!
//! In: keys, limits. Out: the lock, or how the wait ended. Elsewhere: who has what (`locks`), the rest of a step (`session`).

use std::time::Duration;

use bankstorm_outside::StoreError;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::Session;
use crate::model::database::{STEP_LIMIT, unanswered};
use crate::model::locks::{Asked, Key, Owner, Rest};
use crate::trace::told::seconds;

/// Lock waits from here on are told.
const LONG_WAIT: Duration = Duration::from_millis(100);
/// PostgreSQL's shortest `lock_timeout`: 0 would mean "for ever".
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

impl Session {
    /// Takes a lock if it is free.
    pub(in crate::model) async fn try_lock(&mut self, key: Key) -> Result<bool, StoreError> {
        self.arrive().await?;
        Ok(self.take(key))
    }

    /// Takes a lock if it is free: at once, within a statement that has arrived.
    pub(in crate::model) fn take(&self, key: Key) -> bool {
        let mut server = self.database.server();
        server.outlive(key, self.id, Instant::now());
        server.locks.try_acquire(self.id, key)
    }

    /// Whether another transaction holds a lock.
    pub(in crate::model) fn is_held_by_another(&self, key: Key) -> bool {
        let mut server = self.database.server();
        server.outlive(key, self.id, Instant::now());
        server.locks.holders(key).iter().any(|holder| *holder != self.id)
    }

    /// Takes a lock, in turn, within `limit`. `rest` are the rows that the same statement locks after it.
    pub(in crate::model) async fn lock(
        &mut self,
        key: Key,
        limit: Duration,
        rest: impl DoubleEndedIterator<Item = Key>,
    ) -> Result<(), StoreError> {
        self.arrive().await?;
        let began = Instant::now();
        let until = began + limit.max(SHORTEST_WAIT);
        let (granted, holder) = {
            let locks = &mut self.database.server().locks;
            match locks.acquire(self.id, key, Some(until), || Rest::rows(rest, until - began)) {
                Asked::Held => return Ok(()),
                Asked::Waits(granted) => (granted, locks.holder(key)),
            }
        };
        self.wait_in_turn(key, granted, holder, began, until).await
    }

    /// Takes a lock beside others who share it, within `limit`.
    pub(in crate::model) async fn share(&mut self, key: Key, limit: Duration) -> Result<(), StoreError> {
        self.arrive().await?;
        let began = Instant::now();
        let until = began + limit.max(SHORTEST_WAIT);
        let (granted, holder) = {
            let mut server = self.database.server();
            server.outlive(key, self.id, began);
            match server.locks.share(self.id, key, Some(until)) {
                Asked::Held => return Ok(()),
                Asked::Waits(granted) => (granted, server.locks.holder(key)),
            }
        };
        self.wait_in_turn(key, granted, holder, began, until).await
    }

    /// Waits within `limit` until the transaction that holds a lock has ended, and takes nothing.
    pub(in crate::model) async fn outwait(&mut self, key: Key, limit: Duration) -> Result<(), StoreError> {
        self.arrive().await?;
        let began = Instant::now();
        let until = began + limit.max(SHORTEST_WAIT);
        let (granted, holder) = {
            let locks = &mut self.database.server().locks;
            match locks.outwait(self.id, key, Some(until)) {
                Asked::Held => return Ok(()),
                Asked::Waits(granted) => (granted, locks.holder(key)),
            }
        };
        self.wait_in_turn(key, granted, holder, began, until).await
    }

    async fn wait_in_turn(
        &mut self,
        key: Key,
        granted: oneshot::Receiver<()>,
        holder: Option<Owner>,
        began: Instant,
        until: Instant,
    ) -> Result<(), StoreError> {
        let end = self.wait(key, granted, began, until).await;
        let waited = began.elapsed();
        if end.is_err() || waited >= LONG_WAIT {
            self.note(|| {
                let holder = holder.map_or_else(String::new, |holder| format!(", held by transaction {holder}"));
                let (vain, end) = match &end {
                    Ok(()) => ("", String::new()),
                    Err(error) => (" in vain", format!(": {error}")),
                };
                format!("waited {}{vain} for {}{holder}{end}", seconds(waited), key.told())
            });
        }
        end
    }

    /// Gives a lock back that was not needed after all.
    pub(in crate::model) fn unlock(&self, key: Key) {
        self.database.server().release(self.id, key, Instant::now());
    }

    async fn wait(
        &mut self,
        key: Key,
        mut granted: oneshot::Receiver<()>,
        began: Instant,
        until: Instant,
    ) -> Result<(), StoreError> {
        let gives_up = began + STEP_LIMIT;
        // Where both come at once, PostgreSQL tells of the limit, and counts no deadlock.
        let mut look = Some(began + self.database.deadlock_timeout()).filter(|look| *look < until);
        loop {
            let wake = {
                let server = self.database.server();
                let expiry = server.locks.holders(key).iter().filter_map(|holder| server.expiry(*holder)).min();
                [Some(until), Some(gives_up), look, expiry].into_iter().flatten().min().unwrap_or(until)
            };
            tokio::select! {
                biased;
                answer = &mut granted => return answer.map_err(|_| self.not_granted()),
                () = sleep_until(wake) => {}
            }
            match self.database.running(gives_up).await {
                Ok(incarnation) if incarnation == self.incarnation => {}
                Ok(_) => return Err(self.lose()),
                Err(error) => {
                    self.lose();
                    return Err(error);
                }
            }
            match granted.try_recv() {
                Ok(()) => return Ok(()),
                Err(oneshot::error::TryRecvError::Closed) => return Err(self.not_granted()),
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            let now = Instant::now();
            if look.is_some_and(|look| look <= now) {
                look = None;
                if self.breaks_deadlock() {
                    return Err(self.end_with(StoreError::Deadlock));
                }
            }
            if until <= now {
                return Err(self.end_with(StoreError::LockTimeout));
            }
            if gives_up <= now {
                self.lose();
                return Err(unanswered());
            }
            self.database.server().outlive(key, self.id, now);
        }
    }

    /// The lock will not come: the wait's limit had passed when its turn came, or the session is over.
    fn not_granted(&mut self) -> StoreError {
        let there = self.database.server().has(self.id);
        if there { self.fail(StoreError::LockTimeout) } else { self.lose() }
    }

    /// Whether this wait is part of a deadlock: then its transaction is the one that ends.
    fn breaks_deadlock(&self) -> bool {
        let mut server = self.database.server();
        let found = server.locks.in_cycle(self.id);
        server.deadlocks += u64::from(found);
        found
    }
}
