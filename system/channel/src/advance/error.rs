//! Why an advance did not happen, and what that says about the record.
//!
//! In: errors of store and core, findings. Out: [`AdvanceError`] and its judgement by D38. Elsewhere: the pauses (`workers`), what becomes of
//! a record that does not pass (`letters`).

use bankstorm_contracts::dead_letter::Class;
use bankstorm_contracts::{AccountNo, Seq};
use bankstorm_outside::StoreError;
use bankstorm_outside::core_api::CallError;
use thiserror::Error;

/// Why an advance did not happen.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AdvanceError {
    /// The store refused a step.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit got no answer; the next attempt finds out.
    #[error("commit of an advance unknown: {0}")]
    CommitUnknown(String),
    /// Core gave no answer.
    #[error(transparent)]
    Core(#[from] CallError),
    /// The row was left out although it was waited for.
    #[error("account {0}: its sync row is held")]
    Held(AccountNo),
    /// An event announced a serial that core does not have.
    #[error("account {account}: core has no entry {seq}, which an event announced")]
    CoreBehind {
        /// The account.
        account: AccountNo,
        /// The serial.
        seq: Seq,
    },
    /// Core's answer was not the serials asked for.
    #[error("account {account}: core's entries after {after} are not in line")]
    CoreOutOfLine {
        /// The account.
        account: AccountNo,
        /// The serial asked from.
        after: Seq,
    },
    /// Core's own entry does not follow from the copy's balance: the copy is wrong, or core is.
    #[error("account {account}: core's entry {seq} does not follow from the copy's balance")]
    ChainBroken {
        /// The account.
        account: AccountNo,
        /// The serial that does not follow.
        seq: Seq,
    },
    /// Serials are missing before a record, and nothing may be pulled for it.
    #[error("account {account}: entry {seq} is missing, and is not asked for")]
    GapStands {
        /// The account.
        account: AccountNo,
        /// The lowest serial that is missing.
        seq: Seq,
    },
    /// The partition of its record has another owner.
    #[error("account {0}: the partition of its record has another owner")]
    Fenced(AccountNo),
    /// The log did not take a dead letter.
    #[error("dead letter: {0}")]
    Letter(String),
    /// Time was up, or the process is to stop, before everything was pulled from core. What was pulled stands.
    #[error("account {account}: pulled up to {have} of {target} when time was up")]
    PullEnded {
        /// The account.
        account: AccountNo,
        /// The serial that the copy has.
        have: Seq,
        /// The serial that was to be reached.
        target: Seq,
    },
    /// An account that core does not know.
    #[error("account {0} is unknown to core")]
    UnknownToCore(AccountNo),
    /// A record whose value cannot be read.
    #[error("the record cannot be read: {0}")]
    Unreadable(String),
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Store, log or core as a whole: not an attempt (D38).
    Outage,
    /// Another transaction: not an attempt either.
    Contention,
    /// Nobody's: the work is somebody else's now.
    Fenced,
    /// The record or its account.
    Record(Class),
}

impl Fault {
    /// Whether it passes by itself.
    pub(crate) const fn passes(self) -> bool {
        matches!(self, Self::Outage | Self::Contention)
    }
}

impl AdvanceError {
    /// Who is at fault: the one place that says what counts as an attempt (D38) and what does not pass (D1).
    pub(crate) const fn fault(&self) -> Fault {
        match self {
            Self::Store(StoreError::Unavailable(_)) | Self::Core(_) | Self::CommitUnknown(_) | Self::Letter(_) => {
                Fault::Outage
            }
            Self::Store(StoreError::LockTimeout | StoreError::Deadlock) | Self::Held(_) | Self::PullEnded { .. } => {
                Fault::Contention
            }
            Self::Fenced(_) => Fault::Fenced,
            Self::Store(StoreError::Data { .. }) | Self::UnknownToCore(_) | Self::Unreadable(_) => {
                Fault::Record(Class::Permanent)
            }
            Self::Store(StoreError::Other(_))
            | Self::CoreBehind { .. }
            | Self::CoreOutOfLine { .. }
            | Self::GapStands { .. }
            | Self::ChainBroken { .. } => Fault::Record(Class::Transient),
        }
    }

    /// The word for a record that cannot be read.
    pub(crate) const UNREADABLE: &'static str = "unreadable";

    /// What failed, in a word, as a dead letter says it: the SQLSTATE where the database refused the rows.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Store(StoreError::Data { sqlstate, .. }) => sqlstate,
            Self::Store(StoreError::Unavailable(_)) => "store_unavailable",
            Self::Store(StoreError::LockTimeout) => "lock_timeout",
            Self::Store(StoreError::Deadlock) => "deadlock",
            Self::Store(StoreError::Other(_)) => "store_error",
            Self::CommitUnknown(_) => "commit_unknown",
            Self::Core(_) => "no_answer_from_core",
            Self::Held(_) => "held",
            Self::CoreBehind { .. } => "not_in_core",
            Self::CoreOutOfLine { .. } => "out_of_line",
            Self::ChainBroken { .. } => "chain_break",
            Self::GapStands { .. } => "gap",
            Self::Fenced(_) => "fenced",
            Self::Letter(_) => "letter",
            Self::PullEnded { .. } => "pull_ended",
            Self::UnknownToCore(_) => "unknown_to_core",
            Self::Unreadable(_) => Self::UNREADABLE,
        }
    }
}
