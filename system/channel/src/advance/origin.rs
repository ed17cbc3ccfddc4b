//! On whose behalf a copy moves, and what follows from it alone.
//!
//! In: an [`Origin`]. Out: the source in the journal, the purpose that core is told, the record behind it. Elsewhere: what is done (`advance`).

use std::sync::Arc;

use bankstorm_contracts::TransferId;
use bankstorm_contracts::core_api::Purpose;
use bankstorm_outside::channel_store::{Cause, Source};

use crate::ownership::Holding;

/// On whose behalf a copy moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Records of the log.
    Record {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Under which generation the partition is held.
        holding: Arc<Holding>,
    },
    /// Core's answer to this transfer.
    Answer(TransferId),
    /// The poller, which asked for this transfer.
    Poller(TransferId),
    /// A customer who reads.
    Read,
    /// A customer who pressed the button.
    Manual,
    /// The head sweep.
    Sweep,
    /// A dead letter that is driven again.
    Redrive,
}

impl Origin {
    /// The transfer whose fate is asked for.
    pub(crate) const fn asks(&self) -> Option<TransferId> {
        match self {
            Self::Answer(id) | Self::Poller(id) => Some(*id),
            Self::Record { .. } | Self::Read | Self::Manual | Self::Sweep | Self::Redrive => None,
        }
    }

    /// Whether the account is brought to where core stands, whatever came for it.
    pub(super) const fn syncs(&self) -> bool {
        matches!(self, Self::Read | Self::Manual | Self::Sweep)
    }

    /// What the journal says, of the record at `offset`.
    pub(super) fn cause(&self, offset: i64) -> Option<Cause> {
        let Self::Record { topic, partition, holding } = self else { return None };
        Some(Cause { topic: topic.to_string(), partition: *partition, offset, generation: holding.held() })
    }

    /// The source of what is pulled on its behalf.
    pub(super) const fn pulled(&self) -> Source {
        match self {
            Self::Record { .. } => Source::GapFill,
            Self::Answer(_) | Self::Poller(_) => Source::Answer,
            Self::Read => Source::ReadSync,
            Self::Manual => Source::ManualSync,
            Self::Sweep => Source::Sweep,
            Self::Redrive => Source::Redrive,
        }
    }

    /// What core is told when it is asked on its behalf.
    pub(super) const fn purpose(&self) -> Purpose {
        match self {
            Self::Record { .. } => Purpose::GapFill,
            Self::Answer(_) | Self::Poller(_) => Purpose::Answer,
            Self::Read => Purpose::Read,
            Self::Manual => Purpose::Manual,
            Self::Sweep => Purpose::Sweep,
            Self::Redrive => Purpose::Redrive,
        }
    }
}
