//! A plan: everything that one world does, as data.
//!
//! In: a seed (`draw`), a file, a smaller plan (`shrink`). Out: [`Plan`], which `world` carries out. Elsewhere: what a fault does (the
//! models), when it is healed (`world`).
//!
//! A plan names every operation and every fault, so a stored one means the same however drawing changes later. Only the fine order of
//! things inside the models is drawn while it runs, from [`Plan::chance`].

mod copying;
mod file;
mod following;
mod kind;
mod payment;
mod protections;
mod terms;

use serde::{Deserialize, Serialize};

pub use copying::{
    Applying, Cursor, DeadLetters, Gaps, GenerationFence, HoleMarker, Offsets, Outbox, ReadSync, RecordKey, RelayScan,
    Retrying, SlotHash, Sweep, SyncWrites,
};
pub(crate) use file::repeats_transfers;
pub use file::{PlanError, check, read, write};
pub use following::{Following, ReadSyncWhen, Repair};
pub use kind::{Kind, Needs, places_in};
pub use payment::{Payment, Twice};
pub use protections::{
    AccountLock, Binding, DeadlineCheck, DueClock, Fence, KeyClaim, LockOrder, Polling, Protections, Settling, Voiding,
};
pub use terms::{Deadline, Guard, NotStarted, Status, Temper, Terms};

use crate::planted::Planted;

/// The format of a stored plan.
pub const SCHEMA: u32 = 1;

/// Everything that one world does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The seed that it was drawn from, for people.
    pub seed: u64,
    /// Seeds the models' own streams: who is how slow when.
    pub chance: u64,
    /// A bug that is planted on purpose; none in real simulations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted: Option<Planted>,
    /// What the bank is made of.
    pub topology: Topology,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What customers do.
    pub operations: Vec<Operation>,
}

/// What the bank is made of. Times are in milliseconds of virtual time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Customers' accounts, numbered from 0.
    pub accounts: u32,
    /// Every account's opening balance in won.
    pub opening_won: i64,
    /// Partitions of the entries topic.
    pub partitions: u32,
    /// Channel processes.
    pub channels: u32,
    /// How long load lasts; faults are healed at its end.
    pub load_ms: u64,
    /// Every call of a model takes up to this long, each way, besides its yields.
    pub pace_ms: u64,
    /// Connections of each service's pool.
    pub connections: u32,
    /// Core's posting slots.
    pub posting_slots: u32,
    /// Most deposits in one posting transaction.
    pub batch_max: u32,
    /// Time between the relay's looks at the outbox when nothing rings.
    pub relay_poll_ms: u64,
    /// Most outbox rows in one scan.
    pub relay_rows: u32,
    /// How a channel works records off.
    pub worker_mode: WorkerMode,
    /// Accounts in work at once per partition.
    pub workers: u32,
    /// Advance transactions open at once in a channel.
    pub transactions: u32,
    /// Most accounts in one advance transaction.
    pub batch_accounts: u32,
    /// Offsets above the watermark at which a partition pauses.
    pub span: u32,
    /// Time between offset commits.
    pub commit_every_ms: u64,
    /// Waited once per account sync.
    pub sync_cost_ms: u64,
    /// Whether limits are so tight that they are met: admission, reads, the relay's patience, drains.
    #[serde(default)]
    pub tight_limits: bool,
    /// What it promises about transfers.
    #[serde(default)]
    pub transfers: Terms,
    /// How its copies follow core.
    #[serde(default)]
    pub following: Following,
    /// What mends its copies besides events; all of it in real simulations.
    #[serde(default, skip_serializing_if = "Repair::is_on")]
    pub repair: Repair,
    /// Which protections it has; all of them in real simulations.
    #[serde(default, skip_serializing_if = "Protections::is_safe")]
    pub protections: Protections,
}

/// How a channel works records off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerMode {
    /// One record after the other.
    Serial,
    /// Fixed slots, one record a job.
    Slots,
    /// A queue per account.
    Keyed,
    /// Several accounts in one transaction.
    KeyedBatched,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What is done.
    pub kind: Kind,
    /// To whom: `core`, `channel-1`, `banks`, `postgres-core`, `postgres-channel`, `kafka`, or a directed link such as `channel-0>core`.
    pub place: String,
    /// When.
    pub trigger: Trigger,
    /// For how long, in milliseconds; 0 where the kind takes no time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lasts_ms: u64,
    /// What else the kind needs (its [`Kind::needs`] says what); 0 otherwise.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub amount: i64,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// This many milliseconds after load began.
    AtMs(u64),
    /// At the nth call of the fault's kind at its place, counted from 1.
    Nth(u64),
}

/// What one customer does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number: what its transfer's id is made of. Stays the same when others are taken out.
    pub op: u64,
    /// When, in milliseconds after load began.
    pub at_ms: u64,
    /// Whose account, from 0; one that is not among [`Topology::accounts`] is unknown to the bank.
    pub account: u32,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What a customer does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// Another bank brings money.
    Deposit {
        /// In won.
        won: i64,
        /// How long the sender waits for each answer.
        patience_ms: u64,
        /// How often the sender tries again, with the same id, when nothing was started or nothing is known.
        #[serde(default, skip_serializing_if = "is_none_at_all")]
        retries: u32,
        /// What else comes with the same id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<Again>,
    },
    /// A customer sends money from the operation's account to another one.
    Transfer {
        /// Whose account receives it, from 0; one that is not among [`Topology::accounts`] is unknown to the bank.
        to: u32,
        /// The rest.
        #[serde(flatten)]
        pay: Payment,
    },
    /// A customer sends money from the operation's account to another bank.
    Outbound {
        /// All of it.
        #[serde(flatten)]
        pay: Payment,
    },
    /// A customer scrolls.
    Scroll {
        /// Which channel is asked, from 0.
        channel: u32,
        /// Pages one after the other.
        pages: u32,
        /// Entries on a page.
        limit: u32,
    },
    /// A customer presses the button.
    Sync {
        /// Which channel is asked, from 0.
        channel: u32,
    },
    /// Somebody has dead letters driven again; the account says nothing.
    Redrive {
        /// Which channel is asked, from 0.
        channel: u32,
        /// At most so many letters.
        limit: u32,
    },
}

/// What else comes with a deposit's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// The very same request, this many milliseconds after the first.
    Same(u64),
    /// Another amount under the same id, this many milliseconds after the first.
    Other(u64),
    /// A question what became of it (`resolve`), this many milliseconds after the first: it may overtake it.
    Resolve(u64),
}

impl Action {
    /// The payment, of a transfer inside the bank or to another one.
    pub const fn payment(&self) -> Option<&Payment> {
        match self {
            Self::Transfer { pay, .. } | Self::Outbound { pay } => Some(pay),
            Self::Deposit { .. } | Self::Scroll { .. } | Self::Sync { .. } | Self::Redrive { .. } => None,
        }
    }

    /// The same, to be changed.
    pub const fn payment_mut(&mut self) -> Option<&mut Payment> {
        match self {
            Self::Transfer { pay, .. } | Self::Outbound { pay } => Some(pay),
            Self::Deposit { .. } | Self::Scroll { .. } | Self::Sync { .. } | Self::Redrive { .. } => None,
        }
    }
}

impl Plan {
    /// Whether anybody sends money from the bank's accounts.
    pub fn has_transfers(&self) -> bool {
        self.operations.iter().any(|operation| operation.action.payment().is_some())
    }

    /// Whether anybody sends money to another bank.
    pub fn has_outbound(&self) -> bool {
        self.operations.iter().any(|operation| matches!(operation.action, Action::Outbound { .. }))
    }

    /// How many different kinds of fault there are.
    pub fn fault_kinds(&self) -> usize {
        self.faults.iter().map(|fault| fault.kind).collect::<std::collections::BTreeSet<_>>().len()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_nought(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_none_at_all(number: &u32) -> bool {
    *number == 0
}
