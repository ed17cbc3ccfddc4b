//! What a server knows: its sessions and their locks.
//!
//! In: what clients ask and when they go; kill, pause and their ends. Out: who is in a transaction, and how long the server bears with it.
//! Elsewhere: locks and queues (`locks`), waiting and answering (`session`).
//!
//! Time limits of the server cost healthy transactions nothing: nobody keeps a timer for them. Whoever needs what a session holds looks
//! whether that session's time is up ([`Server::expire`]).

use std::collections::BTreeMap;
use std::time::Duration;

use bankstorm_outside::StoreError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use crate::model::locks::{Key, Locks, News, Owner};
use crate::trace;

/// The answer to a COMMIT.
pub(super) type CommitAnswer = Result<(), StoreError>;

/// A client's connection, in a transaction.
struct Session {
    /// Given back when the server has ended the transaction.
    _place: Option<OwnedSemaphorePermit>,
    /// `idle_in_transaction_session_timeout`; outsiders have none.
    idle_limit: Option<Duration>,
    /// When the server last did something for it; nothing before its first statement.
    last: Option<Instant>,
    /// Set while its COMMIT is under way: where the answer goes.
    committing: Option<oneshot::Sender<CommitAnswer>>,
}

/// One server.
pub(super) struct Server {
    name: &'static str,
    pub(super) up: bool,
    pub(super) paused: bool,
    /// How often it was killed.
    pub(super) incarnation: u64,
    pub(super) locks: Locks,
    pub(super) deadlocks: u64,
    sessions: BTreeMap<Owner, Session>,
    last_owner: Owner,
    /// Whose clients have gone while it was paused.
    gone: Vec<Owner>,
}

impl Server {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            up: true,
            paused: false,
            incarnation: 0,
            locks: Locks::default(),
            deadlocks: 0,
            sessions: BTreeMap::new(),
            last_owner: 0,
            gone: Vec::new(),
        }
    }

    /// A new session. Its number is its transaction's, and never comes again.
    pub(super) fn open(&mut self, place: Option<OwnedSemaphorePermit>, idle_limit: Option<Duration>) -> Owner {
        self.last_owner += 1;
        let session = Session { _place: place, idle_limit, last: None, committing: None };
        self.sessions.insert(self.last_owner, session);
        self.last_owner
    }

    /// The number of the session that began last.
    pub(super) fn last_session(&self) -> Owner {
        self.last_owner
    }

    /// How many sessions there are.
    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Whether the session is still there.
    pub(super) fn has(&self, owner: Owner) -> bool {
        self.sessions.contains_key(&owner)
    }

    /// Whether the session is still there for a client that comes back to it now.
    pub(super) fn still_has(&mut self, owner: Owner, now: Instant) -> bool {
        self.expire(owner, now);
        self.has(owner)
    }

    /// A statement of this session has come; `false` when there is no such session.
    pub(super) fn touch(&mut self, owner: Owner, now: Instant) -> bool {
        let session = self.sessions.get_mut(&owner);
        session.map(|session| session.last = Some(now)).is_some()
    }

    /// Its COMMIT has been sent: nothing that the client does matters from here on. `false` when there is no such session.
    pub(super) fn begin_commit(&mut self, owner: Owner, answer: oneshot::Sender<CommitAnswer>) -> bool {
        let session = self.sessions.get_mut(&owner);
        session.map(|session| session.committing = Some(answer)).is_some()
    }

    /// Where the answer to a COMMIT goes, if its session is still there.
    pub(super) fn take_commit(&mut self, owner: Owner) -> Option<oneshot::Sender<CommitAnswer>> {
        self.sessions.get_mut(&owner)?.committing.take()
    }

    /// The transaction and its session are over.
    pub(super) fn end(&mut self, owner: Owner, now: Instant) {
        self.sessions.remove(&owner);
        self.roll_back(owner, now);
    }

    /// The transaction failed: it holds nothing any more, and its session waits for ROLLBACK.
    pub(super) fn roll_back(&mut self, owner: Owner, now: Instant) {
        self.locks.release_all(owner, now);
        self.settle(now);
    }

    /// Gives one lock back.
    pub(super) fn release(&mut self, owner: Owner, key: Key, now: Instant) {
        self.locks.release(owner, key, now);
        self.settle(now);
    }

    fn settle(&mut self, now: Instant) {
        for (owner, news) in self.locks.news() {
            match news {
                News::Granted => drop(self.touch(owner, now)),
                News::Ended => drop(self.sessions.remove(&owner)),
            }
        }
    }

    /// The client has gone without a COMMIT. A server that waits for a lock just then goes on waiting: the answer is until when.
    pub(super) fn gone(&mut self, owner: Owner, now: Instant) -> Option<Instant> {
        let session = self.sessions.get(&owner)?;
        if session.committing.is_some() {
            return None;
        }
        if self.paused {
            self.gone.push(owner);
            return None;
        }
        let until = self.locks.wait_of(owner).flatten();
        if until.is_none() {
            self.end(owner, now);
        }
        until
    }

    /// When the server will have enough of a session that says nothing more.
    pub(super) fn expiry(&self, owner: Owner) -> Option<Instant> {
        let session = self.sessions.get(&owner)?;
        if self.paused || session.committing.is_some() {
            return None;
        }
        match self.locks.wait_of(owner) {
            // Its own timer does it, unless its client is frozen.
            Some(until) => until.map(|until| until + Duration::from_millis(1)),
            None => Some(session.last? + session.idle_limit?),
        }
    }

    /// The first of all sessions' expiries.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.sessions.keys().filter_map(|owner| self.expiry(*owner)).min()
    }

    /// Ends a session whose time is up, or the wait of one.
    pub(super) fn expire(&mut self, owner: Owner, now: Instant) {
        if self.expiry(owner).is_none_or(|expiry| now < expiry) {
            return;
        }
        if self.locks.wait_of(owner).is_some() {
            self.touch(owner, now);
            self.roll_back(owner, now);
        } else {
            let name = self.name;
            trace::note_of(name, || format!("ends transaction {owner}: its client said nothing for too long"));
            self.end(owner, now);
        }
    }

    /// Ends whoever else holds a lock, if the server has enough of it by now.
    pub(super) fn outlive(&mut self, key: Key, owner: Owner, now: Instant) {
        let is_up = |holder: &&Owner| **holder != owner && self.expiry(**holder).is_some_and(|expiry| expiry <= now);
        let Some(first) = self.locks.holders(key).iter().find(is_up).copied() else { return };
        self.expire(first, now);
        // Others may share it.
        self.outlive(key, owner, now);
    }

    /// Ends every session whose time is up.
    pub(super) fn sweep(&mut self, now: Instant) {
        let owners: Vec<_> = self.sessions.keys().copied().collect();
        owners.into_iter().for_each(|owner| self.expire(owner, now));
    }

    /// Nothing but what is committed is left.
    pub(super) fn kill(&mut self) {
        let lost = self.sessions.len();
        trace::note_of(self.name, || format!("is killed with {lost} open sessions"));
        self.up = false;
        self.paused = false;
        self.incarnation += 1;
        self.gone.clear();
        self.locks.clear();
        self.sessions.clear();
    }

    /// Goes on after a pause; the sessions that still wait although their clients have gone, and until when.
    pub(super) fn resume(&mut self, now: Instant) -> Vec<(Owner, Instant)> {
        self.paused = false;
        let gone = std::mem::take(&mut self.gone);
        gone.into_iter().filter_map(|owner| Some((owner, self.gone(owner, now)?))).collect()
    }
}
