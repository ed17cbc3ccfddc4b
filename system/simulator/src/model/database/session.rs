//! A client's end of a transaction.
//!
//! In: steps. Out: locks, errors, how the commit ended. Elsewhere: what the server makes of it (`server`, `commit`),
//! waiting for locks (`waits`), what is written (the stores).
//!
//! A step goes [`Session::step`], then locks and looks, then [`Session::answered`]. A step that is not answered, because its future was
//! dropped or an error came, leaves a transaction that can only be rolled back. Dropping the session says so to the server.

mod waits;

use bankstorm_outside::{CommitOutcome, StoreError};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::commit::{note_transaction, serve_commit};
use super::server::CommitAnswer;
use super::{COMMIT_LIMIT, CommitFault, ModelDatabase, STEP_LIMIT, StepFault, in_the_background, lost};
use crate::model::locks::{Key, Owner};
use crate::trace::{self, Told};

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
