//! What may be switched about the copy: each with a safe arm, which stands unless another is given, and weaker ones, which show that checks
//! fire without it.
//!
//! In: a scenario's `[system]` and `[system.protections]`. Out: enums. Elsewhere: numbers (`config`), what each one decides (its own doc).

use std::time::Duration;

/// How a partition's records are worked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerMode {
    /// One record after the other, one transaction each: the talk's start.
    Serial,
    /// `workers` fixed slots a partition, one record a job: the talk's pool. Which slot an account has is [`SlotHash`]'s; a slow account
    /// holds up those that share its slot (D14).
    Slots,
    /// A queue per account; a worker drains one account's queue into one transaction.
    Keyed,
    /// As `Keyed`, and what is ready across accounts while all transactions are busy shares the next one. Nobody waits for a batch to
    /// fill.
    KeyedBatched,
}

/// Which slot an account has (D14). Of [`WorkerMode::Slots`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlotHash {
    /// A hash that has nothing to do with the partitioner's: every slot has work.
    #[default]
    Independent,
    /// The topic's partitioner's own hash: with 10 partitions and 100 slots, 90 slots of each partition never run.
    Partitioner,
}

/// When a read asks core first (A12, P23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadSync {
    /// While a transfer of the account is in progress: the talk's rule.
    #[default]
    Pending,
    /// And while the account is marked dirty, or its events are known to be late.
    Suspect,
    /// P23 off: never.
    Off,
}

/// Whether copies are compared with core though nothing says that they are behind (D43, P16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sweeping {
    /// They are, for ever, one stretch of accounts after the other.
    #[default]
    On,
    /// P16 off: they are not. The last event of an idle account may be lost for good.
    Off,
}

/// What a record above the next serial means (D34, P15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gaps {
    /// What is missing comes from core.
    #[default]
    Fill,
    /// Nothing comes from core: the record is tried again and becomes a dead letter. The arm in which repair is off.
    Wait,
    /// P15 off: nothing, it is appended over the gap. Unless a hole is marked there ([`HoleMarker`]).
    Ignore,
}

/// Whether the copy's serial decides what is appended (P14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Applying {
    /// What is at or below the copy's last serial is dropped.
    #[default]
    SeqConditional,
    /// P14 off: whatever comes is appended and becomes the head. Needs a copy without its unique (account, serial).
    Unconditional,
}

/// Whether what was pulled from core is planned against the head that stands when it arrives (P24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncWrites {
    /// It is.
    #[default]
    CompareAndSet,
    /// P24 off: its last entry becomes the head, whatever stands.
    Overwrite,
}

/// Whether what failed is tried again before it becomes a dead letter (D1, D38, P17).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retrying {
    /// What may pass is, `attempts` times in place; outages and locks of others are waited out and count for nothing.
    #[default]
    InPlace,
    /// P17 off: the first failure of whatever kind is the last.
    None,
}

/// What becomes of a record that cannot be applied (P18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadLetters {
    /// A letter on the topic, then a row in the store, then its offset is done.
    #[default]
    Topic,
    /// P18 off: nothing. Its offset is done.
    Drop,
}

/// Whether an account with an open letter says from which serial on (P19).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HoleMarker {
    /// It does: nothing is appended past the gap.
    #[default]
    On,
    /// P19 off: it does not.
    Off,
}

/// Which offset is committed (P20, P21).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offsets {
    /// The one below which everything is done.
    #[default]
    LowWatermark,
    /// P20 off: the one after the highest delivered record, done or not.
    OnPoll,
    /// P21 off: the one after the highest record that is done, whatever lies below.
    HighestDone,
}

/// Whether a consumer that was replaced may still write (D36, P22).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GenerationFence {
    /// It may not: every advance on behalf of a record asks who owns the partition.
    #[default]
    On,
    /// P22 off: nobody asks.
    Off,
}

/// How a page goes on from the one before (P28).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    /// Below its lowest serial.
    #[default]
    Keyset,
    /// P28 off: so many rows from the newest.
    Offset,
}

/// Who drives dead letters again (D2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redriving {
    /// Every instance, `redrive_most` times each letter; and the command.
    #[default]
    Automatic,
    /// The command alone.
    OnCommand,
}

/// Where pages come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistorySource {
    /// The channel's copy.
    #[default]
    Copy,
    /// Core, every time: the bank before the talk (A19).
    CoreByPeriod,
}

/// How a copy hears of news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// By core's events.
    #[default]
    Events,
    /// By asking core for heads, over and over at this pause; no events are read.
    Poll(Duration),
}
