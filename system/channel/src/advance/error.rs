//! Why an advance did not happen, and what that says about the record.
//!
//! In: errors of store and core, findings. Out: [`AdvanceError`] and its judgement by D38. Elsewhere: the pauses (`workers`).

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
    /// A record that cannot be read names an account that core does not know.
    #[error("account {0} is unknown to core")]
    UnknownToCore(AccountNo),
    /// A record whose value and key both cannot be read.
    #[error("neither value nor key of the record can be read: {0}")]
    Unreadable(String),
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Store or core as a whole: not an attempt (D38).
    Outage,
    /// Another transaction: not an attempt either.
    Contention,
    /// The record or its account.
    Record,
}

impl AdvanceError {
    /// Who is at fault.
    pub(crate) const fn fault(&self) -> Fault {
        match self {
            Self::Store(StoreError::Unavailable(_)) | Self::Core(_) | Self::CommitUnknown(_) => Fault::Outage,
            Self::Store(StoreError::LockTimeout | StoreError::Deadlock) | Self::Held(_) | Self::PullEnded { .. } => {
                Fault::Contention
            }
            Self::Store(StoreError::Data { .. } | StoreError::Other(_))
            | Self::CoreBehind { .. }
            | Self::CoreOutOfLine { .. }
            | Self::ChainBroken { .. }
            | Self::UnknownToCore(_)
            | Self::Unreadable(_) => Fault::Record,
        }
    }
}
