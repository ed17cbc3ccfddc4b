//! Which protections a bank has: all of them, unless a plan says otherwise.
//!
//! In: a file, the ablation. Out: [`Protections`]. Elsewhere: what each arm does (`core::config`, `channel::config`), which check sees one
//! missing (`ablate`). The guard (P7) is among the plan's terms: which of the sound ones it is, is a choice.
//!
//! Every field has the safe arm as its default, so that a plan which says nothing has every protection.

use serde::{Deserialize, Serialize};

use super::copying::{
    Applying, Cursor, DeadLetters, Gaps, GenerationFence, HoleMarker, Offsets, Outbox, ReadSync, RecordKey, RelayScan,
    Retrying, SlotHash, Sweep, SyncWrites,
};

/// Which protections a bank has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protections {
    /// P1, P2.
    pub key: KeyClaim,
    /// P3.
    pub binding: Binding,
    /// P4, P5.
    pub deadline_check: DeadlineCheck,
    /// P6.
    pub fence: Fence,
    /// P8.
    pub polling: Polling,
    /// P25. Without it core's entries have no unique (account, seq) either.
    pub account_lock: AccountLock,
    /// P26.
    pub lock_order: LockOrder,
    /// P29.
    pub clock: DueClock,
    /// P31.
    pub settling: Settling,
    /// P32.
    pub voiding: Voiding,
    /// P9, P10.
    pub outbox: Outbox,
    /// P11.
    pub relay_scan: RelayScan,
    /// P12.
    pub record_key: RecordKey,
    /// P14. Without it copies have no unique (account, seq) either.
    pub applying: Applying,
    /// P15.
    pub gaps: Gaps,
    /// P16.
    pub sweep: Sweep,
    /// P17.
    pub retrying: Retrying,
    /// P18.
    pub dead_letters: DeadLetters,
    /// P19.
    pub hole_marker: HoleMarker,
    /// P20, P21.
    pub offsets: Offsets,
    /// P22.
    pub generation_fence: GenerationFence,
    /// P23.
    pub read_sync: ReadSync,
    /// P24.
    pub sync_writes: SyncWrites,
    /// P28.
    pub cursor: Cursor,
    /// D14.
    pub slot_hash: SlotHash,
}

impl Protections {
    /// Whether nothing is off.
    pub fn is_safe(&self) -> bool {
        *self == Self::default()
    }
}

/// P1, P2: how core keeps an id from posting twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyClaim {
    /// Claimed under a unique key, in the transaction that books.
    #[default]
    InTheBooking,
    /// Not at all.
    None,
    /// In a transaction before the one that books.
    BeforeTheBooking,
    /// In a transaction after the one that books.
    AfterTheBooking,
}

/// P3: what an id is bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// The first request's parameters.
    #[default]
    ParamsHash,
    /// Nothing.
    IdAlone,
}

/// P4, P5: when a transfer's validity is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineCheck {
    /// Once the rows are locked.
    #[default]
    UnderTheLock,
    /// When the request arrives.
    AtArrival,
    /// Never.
    Never,
}

/// P6: how core answers what became of an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fence {
    /// By an insert that stays as a tombstone.
    #[default]
    Tombstone,
    /// By a read.
    PlainRead,
}

/// P8: who asks core about transfers without a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Polling {
    /// Every channel.
    #[default]
    On,
    /// Nobody.
    Off,
}

/// P25: what keeps two postings from the same balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountLock {
    /// The account's row lock.
    #[default]
    Row,
    /// Nothing.
    None,
}

/// P26: in which order one transaction waits for two accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockOrder {
    /// That of their numbers.
    #[default]
    ByAccount,
    /// Whoever pays first.
    PayerFirst,
}

/// P29: by whose clock transfers are due for the poller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DueClock {
    /// The channel's database's.
    #[default]
    Database,
    /// Each channel's own.
    Process,
}

/// P31: how a transfer is completed in the copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settling {
    /// Together with its row.
    #[default]
    OneTransaction,
    /// In a transaction before the one that stores its row.
    Two,
}

/// P32: when a hold is given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Voiding {
    /// On the other bank's definite no.
    #[default]
    DefiniteNo,
    /// As soon as it has expired.
    OnExpiry,
}
