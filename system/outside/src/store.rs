//! What both stores share: errors of steps, outcomes of commits, ways to wait for a lock.
//!
//! In: what a database said. Out: [`StoreError`], [`CommitOutcome`], [`LockMode`]. Elsewhere: which SQLSTATE is which (`adapters`).

use std::time::Duration;

use thiserror::Error;

/// Why a step did not happen. A transaction whose step failed has no effect: it can only be rolled back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The store could not be reached, or said that it is in no state to work (SQLSTATE classes 08, 53, 57, a full or closed pool).
    /// Not the fault of any row (D38).
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// A lock was not granted within its limit (55P03).
    #[error("lock not granted within its limit")]
    LockTimeout,
    /// The database broke a deadlock by ending this transaction (40P01).
    #[error("deadlock: this transaction was the victim")]
    Deadlock,
    /// The rows themselves are at fault (classes 22 and 23).
    #[error("data error {sqlstate}: {detail}")]
    Data {
        /// SQLSTATE, five characters.
        sqlstate: String,
        /// The server's message.
        detail: String,
    },
    /// Anything else that the store said.
    #[error("store error: {0}")]
    Other(String),
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum CommitOutcome {
    /// Durable.
    Ok,
    /// Definitely rolled back.
    Failed(StoreError),
    /// The connection was lost after the commit was sent: nobody can tell from here.
    Unknown(String),
}

/// How to wait for row locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Rows that somebody else holds are left out (D37: a batch never waits for a row lock).
    SkipLocked,
    /// Wait at most this long for each row, then [`StoreError::LockTimeout`].
    Wait(Duration),
}
