//! What may be switched about transfers: each with a safe arm, which stands unless another is given, and weaker ones.
//!
//! In: a scenario's `[system]` and `[system.protections]`. Out: enums. Elsewhere: numbers (`config`), the copy's switches (`copying`).

use bankstorm_contracts::channel_api::SubmitTransfer;
use bankstorm_outside::channel_store::Clock;
use bankstorm_outside::process::WallClock;

/// What may have one transfer in progress only (A5, D8), and what sees to it (P7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// A customer, whatever account of his pays: by a unique index.
    #[default]
    User,
    /// An account: by the same index.
    Account,
    /// P7 off: nothing may; transfers do not stand in each other's way.
    None,
    /// P7 off, second arm: an account, by a look at its open transfers before the insert. Two that look at the same moment both see none.
    CheckThenInsert,
}

impl Guard {
    /// The key that no other open transfer may have; `None` guards nothing. The one place that decides it (P7).
    pub const fn key(self, submit: &SubmitTransfer) -> Option<i64> {
        match self {
            Self::User => Some(submit.user.0),
            Self::Account => Some(submit.from.get()),
            Self::None | Self::CheckThenInsert => None,
        }
    }

    /// Whether open transfers are looked at before one is stored.
    pub const fn looks(self) -> bool {
        matches!(self, Self::CheckThenInsert)
    }
}

/// Who asks core about transfers without a verdict (P8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Polling {
    /// Every instance.
    #[default]
    On,
    /// P8 off: nobody. What neither its answer nor its event settles stays open.
    Off,
}

/// How a transfer is completed in the copy (A6). Decided in `advance` (P31).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settling {
    /// In the transaction that stores its row.
    #[default]
    OneTransaction,
    /// P31 off: in one of its own; its row is stored in the next.
    Two,
}

/// By whose clock it is decided when the poller may ask for a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DueClock {
    /// The channel's database's: one for all instances, and it survives their restarts (D31).
    #[default]
    Database,
    /// P29 off: this process's, of which every instance has another, and which may be set.
    Process,
}

impl DueClock {
    /// What the store is told; `wall` is this process's clock. The one place that decides it (P29).
    pub fn now(self, wall: &impl WallClock) -> Clock {
        match self {
            Self::Database => Clock::Database,
            Self::Process => Clock::Given(wall.now()),
        }
    }
}

/// What core's answer "not started" makes of a transfer (D41). A request that never went out has failed in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotStarted {
    /// It has failed, for good, and the customer may send anew at once. Right as long as nothing on the way to core repeats requests: the
    /// other copy may be posted.
    Final,
    /// Nothing: the transfer stays open until core has fenced it off (D32). Right on any network; the customer waits for the poller.
    #[default]
    Fenced,
}
