//! `unknown_as_failed`: an error at commit is told as "nothing was done".
//!
//! People do this by one `Err` for everything that a commit may say.

use bankstorm_outside::{CommitOutcome, StoreError};

/// What is told.
pub(super) fn told(outcome: CommitOutcome) -> CommitOutcome {
    match outcome {
        CommitOutcome::Unknown(detail) => CommitOutcome::Failed(StoreError::Other(detail)),
        known => known,
    }
}
