//! What may happen to a commit or a step besides what was asked for.
//!
//! In: a plan's number of a refusal. Out: faults for the server's hooks. Elsewhere: what they do (`session`, `commit`).

use std::time::Duration;

use bankstorm_outside::StoreError;

/// What happens to a commit instead of a plain answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// The database says no; nothing was written.
    Failed,
    /// The connection breaks before the commit arrives; nothing was written, and nobody can tell.
    UnknownBefore,
    /// The connection breaks after the commit happened; everything was written, and nobody can tell.
    UnknownAfter,
    /// The commit takes this long, its locks held meanwhile, whether anybody still waits for it or not.
    Stalled(Duration),
}

/// What happens to a step instead of a plain answer: nothing of it is done, and its transaction is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepFault {
    /// The connection breaks.
    Dropped,
    /// The server says no.
    Refused(Refusal),
}

/// Why a server says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A row is at fault (class 22).
    Data,
    /// The transaction is the victim of a deadlock. One that is made up: [`super::ModelDatabase::deadlocks`] does not count it.
    Deadlock,
    /// The server is out of something (class 53).
    Resources,
    /// Something that is neither the row's fault nor the server's state.
    Other,
}

impl StepFault {
    /// A refusal by its number in plans: 0 data error, 1 deadlock, 3 something else, any other out of resources.
    pub const fn refused(number: i64) -> Self {
        Self::Refused(match number {
            0 => Refusal::Data,
            1 => Refusal::Deadlock,
            3 => Refusal::Other,
            _ => Refusal::Resources,
        })
    }
}

impl Refusal {
    pub(super) fn error(self) -> StoreError {
        match self {
            Self::Data => {
                StoreError::Data { sqlstate: "22003".to_owned(), detail: "numeric value out of range".to_owned() }
            }
            Self::Deadlock => StoreError::Deadlock,
            Self::Other => StoreError::Other("XX000 something went wrong".to_owned()),
            Self::Resources => StoreError::Unavailable("53200 out of memory".to_owned()),
        }
    }
}
