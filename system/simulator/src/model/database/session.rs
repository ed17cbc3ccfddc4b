//! A client's end of a transaction.
//!
//! In: steps. Out: locks, errors, how the commit ended. Elsewhere: what the server makes of it (`server`, `commit`),
//! what is written (the stores).
//!
//! A step goes [`Session::step`], then locks and looks, then [`Session::answered`]. A step that is not answered, because its future was
//! dropped or an error came, leaves a transaction that can only be rolled back. Dropping the session says so to the server.

use std::time::Duration;

use bankstorm_contracts::AccountNo;
use bankstorm_outside::{CommitOutcome, StoreError};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::commit::{note_transaction, serve_commit};
use super::server::CommitAnswer;
use super::{COMMIT_LIMIT, CommitFault, ModelDatabase, STEP_LIMIT, StepFault, in_the_background, lost, unanswered};
use crate::model::locks::{Asked, Key, Owner, Rest};
use crate::trace::told::seconds;
use crate::trace::{self, Told};

/// Lock waits from here on are told.
const LONG_WAIT: Duration = Duration::from_millis(100);
/// PostgreSQL's shortest `lock_timeout`: 0 would mean "for ever".
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// A transaction, as its client has it.
pub(in crate::model) struct Session {
    database: ModelDatabase,
    id: Owner,
    incarnation: u64,
    /// Whose it is: its process, or the database where that is not known.
    who: &'static str,
    failed: Option<StoreError>,
    /// A step was sent and not answered yet.
    under_way: bool,
    /// Something was sent: BEGIN travels with the first step.
    begun: bool,
    /// COMMIT was sent: the server ends the transaction without us.
    committing: bool,
}

/// What a step is, besides a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Step {
    /// It claims or locks.
    Locks,
    /// It writes rows.
    Writes,
}

impl Session {
    pub(super) fn new(database: ModelDatabase, id: Owner, incarnation: u64) -> Self {
        let who = trace::actor(database.inner.name);
        Self { database, id, incarnation, who, failed: None, under_way: false, begun: false, committing: false }
    }

    /// Notes what becomes of this transaction.
    fn note(&self, what: impl FnOnce() -> String) {
        note_transaction(&self.database, self.who, self.id, what);
    }

    /// Whether this transaction holds a lock.
    pub(in crate::model) fn holds(&self, key: Key) -> bool {
        self.database.server().locks.is_held_by(self.id, key)
    }

    /// A step travels to the server; it has arrived when this is `Ok`.
    pub(in crate::model) async fn step(&mut self, step: Step) -> Result<(), StoreError> {
        self.enter()?;
        self.begun = true;
        self.database.travel().await;
        match self.strike(step) {
            Some(StepFault::Dropped) => Err(self.lose()),
            Some(StepFault::Refused(refusal)) => {
                self.arrive().await?;
                Err(self.refuse(refusal.error()))
            }
            None => self.arrive().await,
        }
    }

    /// The answer travels back.
    pub(in crate::model) async fn answered(&mut self) -> Result<(), StoreError> {
        self.database.travel().await;
        if let Err(error) = self.database.still(self.incarnation) {
            return Err(self.fail(error));
        }
        self.under_way = false;
        Ok(())
    }

    /// Between two statements that were sent together.
    pub(in crate::model) async fn next_statement(&self) {
        self.database.travel().await;
    }

    /// The server says no: the transaction holds nothing any more, and can only be rolled back.
    pub(in crate::model) fn refuse(&mut self, error: StoreError) -> StoreError {
        self.note(|| format!("is refused: {error}"));
        self.end_with(error)
    }

    /// The server has ended the transaction.
    fn end_with(&mut self, error: StoreError) -> StoreError {
        self.database.server().roll_back(self.id, Instant::now());
        self.fail(error)
    }

    /// Takes a lock if it is free.
    pub(in crate::model) async fn try_lock(&mut self, key: Key) -> Result<bool, StoreError> {
        self.arrive().await?;
        let mut server = self.database.server();
        if let Some(holder) = server.locks.holder(key).filter(|holder| *holder != self.id) {
            server.expire(holder, Instant::now());
        }
        Ok(server.locks.try_acquire(self.id, key))
    }

    /// Takes a lock, in turn, within `limit`. `rest` are the rows that the same statement locks after it.
    pub(in crate::model) async fn lock(
        &mut self,
        key: Key,
        limit: Duration,
        rest: &[AccountNo],
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
        let mut look = Some(began + self.database.deadlock_timeout()).filter(|look| *look <= until);
        loop {
            let wake = {
                let server = self.database.server();
                let expiry = server.locks.holder(key).and_then(|holder| server.expiry(holder));
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
            let mut server = self.database.server();
            if let Some(holder) = server.locks.holder(key) {
                server.expire(holder, now);
            }
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

    /// Whether a step may be sent at all.
    fn enter(&mut self) -> Result<(), StoreError> {
        match &self.failed {
            Some(error) => return Err(StoreError::Other(format!("the transaction is aborted: {error}"))),
            None if self.under_way => return Err(abandoned()),
            None => {}
        }
        self.under_way = true;
        Ok(())
    }

    fn strike(&self, step: Step) -> Option<StepFault> {
        let fault = self.database.inner.steps.call();
        let writes = (step == Step::Writes).then(|| self.database.inner.writes.call()).flatten();
        fault.or(writes)
    }

    /// Something has come to the server, which is at work and still has the session.
    async fn arrive(&mut self) -> Result<(), StoreError> {
        let paused = {
            let mut server = self.database.server();
            // A client that was silent for too long finds its session ended, whether anybody else minded it or not.
            server.expire(self.id, Instant::now());
            if !server.has(self.id) {
                drop(server);
                return Err(self.lose());
            }
            if !server.paused {
                server.touch(self.id, Instant::now());
            }
            server.paused
        };
        if !paused {
            return Ok(());
        }
        let running = self.database.running(Instant::now() + STEP_LIMIT).await;
        if let Err(error) = running {
            self.lose();
            return Err(error);
        }
        if self.database.server().touch(self.id, Instant::now()) { Ok(()) } else { Err(self.lose()) }
    }

    /// The transaction can only be rolled back, which the server does not know yet.
    pub(in crate::model) fn fail(&mut self, error: StoreError) -> StoreError {
        self.failed.get_or_insert_with(|| error.clone());
        self.under_way = false;
        error
    }

    /// The connection is gone.
    fn lose(&mut self) -> StoreError {
        self.note(|| "has lost its connection".to_owned());
        self.database.client_gone(self.id);
        self.fail(lost())
    }

    /// COMMIT, with `Step::Writes` where rows travel ahead of it in the same round trip. `rows` are looked at where they arrive; `apply` is
    /// the moment of the commit, and gets the transaction's number.
    pub(in crate::model) async fn commit<R>(
        mut self,
        ahead: Option<Step>,
        rows: impl FnOnce(&Self) -> Result<R, StoreError>,
        apply: impl FnOnce(R, Owner) + Send + 'static,
    ) -> CommitOutcome
    where
        R: Told + Send + 'static,
    {
        if self.failed.is_some() {
            // Which step it was, and why, was said then.
            return CommitOutcome::Failed(StoreError::Other("a step of this transaction failed before".to_owned()));
        }
        if self.under_way {
            return CommitOutcome::Failed(abandoned());
        }
        self.database.travel().await;
        let refused = match ahead.and_then(|step| self.strike(step)) {
            Some(StepFault::Dropped) => {
                self.lose();
                return CommitOutcome::Unknown("the connection was lost before the commit was answered".to_owned());
            }
            Some(StepFault::Refused(refusal)) => Some(refusal.error()),
            None => None,
        };
        if !self.database.server().still_has(self.id, Instant::now()) {
            return self.commit_without_session();
        }
        let rows = match refused.map_or_else(|| rows(&self), Err) {
            Ok(rows) => rows,
            Err(error) => return self.refused_ahead(error).await,
        };
        let fault = self.database.inner.commits.call();
        let told = trace::text(&rows);
        if fault == Some(CommitFault::UnknownBefore) {
            self.note(|| format!("is not committed: {}", told.unwrap_or_default()));
            self.lose();
            self.database.travel().await;
            return CommitOutcome::Unknown("the connection was lost after the commit was sent".to_owned());
        }
        let (answer, answered) = oneshot::channel();
        self.database.server().begin_commit(self.id, answer);
        self.committing = true;
        let (database, id, who) = (self.database.clone(), self.id, self.who);
        in_the_background(async move {
            let told = told.as_deref().unwrap_or_default();
            let note = |what: &str| note_transaction(&database, who, id, || format!("{what}{told}"));
            serve_commit(&database, id, fault, |id| apply(rows, id), note).await;
        });
        self.commit_answer(answered).await
    }

    /// A closed connection answers nothing: only a transaction that had sent nothing is surely not committed.
    fn commit_without_session(&self) -> CommitOutcome {
        if self.begun {
            CommitOutcome::Unknown("the connection was lost before the commit was sent".to_owned())
        } else {
            CommitOutcome::Failed(lost())
        }
    }

    /// Rows ahead of a COMMIT were refused, so that it becomes a rollback: known when the answer is here.
    async fn refused_ahead(&mut self, error: StoreError) -> CommitOutcome {
        if let Err(lost) = self.arrive().await {
            return CommitOutcome::Unknown(lost.to_string());
        }
        CommitOutcome::Failed(self.refuse(error))
    }

    async fn commit_answer(&self, answered: oneshot::Receiver<CommitAnswer>) -> CommitOutcome {
        let unknown = || CommitOutcome::Unknown("the connection was lost after the commit was sent".to_owned());
        match timeout(COMMIT_LIMIT, answered).await {
            Err(_) => CommitOutcome::Unknown(format!("COMMIT was not answered within {COMMIT_LIMIT:?}")),
            Ok(Err(_)) => unknown(),
            Ok(Ok(answer)) => {
                self.database.travel().await;
                match answer {
                    _ if self.database.still(self.incarnation).is_err() => unknown(),
                    Ok(()) => CommitOutcome::Ok,
                    Err(error) => CommitOutcome::Failed(error),
                }
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.committing {
            if self.begun && self.failed.is_none() {
                self.note(|| "ends without a commit".to_owned());
            }
            self.database.client_gone(self.id);
        }
    }
}

fn abandoned() -> StoreError {
    StoreError::Other("a step of this transaction was abandoned".to_owned())
}
