//! Which protections of the way from core to the copies a bank has: all of them, unless a plan says otherwise.
//!
//! In: a file, the ablation. Out: an enum a protection, its first arm the safe one. Elsewhere: all of a plan's (`plan::protections`), what each
//! arm does (`core::config`, `channel::config`).

use serde::{Deserialize, Serialize};

macro_rules! arms {
    ($(#[doc = $about:literal] $Name:ident { #[doc = $safe_about:literal] $Safe:ident, $(#[doc = $off:literal] $Off:ident,)* })*) => {
        $(
            #[doc = $about]
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(rename_all = "snake_case")]
            pub enum $Name {
                #[doc = $safe_about]
                #[default]
                $Safe,
                $(#[doc = $off] $Off,)*
            }
        )*
    };
}

arms! {
    /// P9, P10: where the records of a booking wait for the log.
    Outbox {
        /// As rows, in the transaction that books.
        InTheBooking,
        /// In memory, from the commit on.
        DirectProduce,
        /// Nowhere: they are published before the commit.
        ProduceBeforeCommit,
    }
    /// P11: which rows the relay reads next.
    RelayScan {
        /// Those that are not published.
        UnsentRows,
        /// Those above the highest that it has published.
        IdWatermark,
    }
    /// P12: under which key records go to the log.
    RecordKey {
        /// The account's number.
        Account,
        /// Another one for each.
        Random,
    }
    /// P14: what decides whether an entry is appended.
    Applying {
        /// The copy's last serial.
        SeqConditional,
        /// Nothing.
        Unconditional,
    }
    /// P15: what a record above the next serial means.
    Gaps {
        /// What is missing comes from core.
        Fill,
        /// Nothing: it is appended over the gap.
        Ignore,
    }
    /// P16: whether copies are compared with core though nothing says that they are behind.
    Sweep {
        /// They are.
        On,
        /// They are not.
        Off,
    }
    /// P17: whether what failed is tried again before it becomes a dead letter.
    Retrying {
        /// What may pass is.
        InPlace,
        /// Nothing is.
        None,
    }
    /// P18: what becomes of a record that cannot be applied.
    DeadLetters {
        /// A letter on a topic, and a row.
        Topic,
        /// Nothing.
        Drop,
    }
    /// P19: whether an account with an open letter says from which serial on.
    HoleMarker {
        /// It does.
        On,
        /// It does not.
        Off,
    }
    /// P20, P21: which offset is committed.
    Offsets {
        /// The one below which everything is done.
        LowWatermark,
        /// The one after the highest delivered record.
        OnPoll,
        /// The one after the highest record that is done.
        HighestDone,
    }
    /// P22: whether a consumer that was replaced may still write.
    GenerationFence {
        /// It may not.
        On,
        /// It may.
        Off,
    }
    /// P23: whether a read asks core first where it should.
    ReadSync {
        /// It does.
        On,
        /// Never.
        Off,
    }
    /// P24: against which head pulled entries are stored.
    SyncWrites {
        /// The one that stands.
        CompareAndSet,
        /// None: their last one becomes the head.
        Overwrite,
    }
    /// P28: how a page goes on from the one before.
    Cursor {
        /// Below its lowest serial.
        Keyset,
        /// So many rows from the newest.
        Offset,
    }
    /// D14: which slot an account has.
    SlotHash {
        /// One that has nothing to do with its partition.
        Independent,
        /// One by the partitioner's own hash.
        Partitioner,
    }
}
