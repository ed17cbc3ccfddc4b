//! Bugs that are planted on purpose: each must be found, and shrunk.
//!
//! In: the models' ports. Out: the same ports with one thing done wrong, while a plan names it; without one they pass straight through.
//! Elsewhere: the table that proves that each is found (`tests/conformance/planted`). The services themselves have no switch for any of this.
//!
//! A decorator per port ([`CoreStore`], [`ChannelStore`], [`Log`], [`CoreApi`]) says where a bug gets in; what it does there is in the
//! bug's own file. To add one: a line in the list below, its file, the place in the decorator, a line in the table.

mod channel_store;
mod core_api;
mod core_store;
mod log;

mod acks_early;
mod claims_anew;
mod highest_offset;
mod keeps_failed_producer;
mod offset_before_apply;
mod outbox_aside;
mod resolve_reads;
mod skips_unsent;
mod torn_page;
mod unknown_as_failed;
mod unlocked_advance;
mod unlocked_posting;

use serde::{Deserialize, Serialize};

pub use channel_store::{ChannelStore, ChannelTx};
pub use core_api::CoreApi;
pub use core_store::{CoreStore, CoreTx};
pub use log::{Consumer, Log, Producer};

macro_rules! bugs {
    ($($bug:ident $word:literal $about:literal;)*) => {
        /// A bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Planted {
            $(#[doc = $about] $bug,)*
        }

        impl Planted {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$bug,)*];

            /// The word in plans.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$bug => $word,)* }
            }

            /// What is done wrong, in a sentence.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$bug => $about,)* }
            }
        }
    };
}

bugs! {
    AcksEarly "acks_early" "A record is acknowledged when it is handed over, not when it is appended.";
    ClaimsAnew "claims_anew" "An id that stands is taken as new: nothing keeps ids unique.";
    CoreAnswersShort "core_answers_short" "Core's answer to a gap is one entry too short, always.";
    HighestOffset "highest_offset" "Offsets up to the highest record taken in are committed, not up to the watermark.";
    KeepsFailedProducer "keeps_failed_producer" "After a record that failed the ones behind it go on through a new producer, and it comes later.";
    OffsetBeforeApply "offset_before_apply" "Offsets are committed when records are taken in, not when they are applied.";
    OutboxAside "outbox_aside" "Outbox rows are written in a transaction of their own, after the one that posted.";
    ResolveReads "resolve_reads" "The verdict on an unknown id is given by reading: no tombstone is written, nobody is waited for.";
    SkipsUnsent "skips_unsent" "The relay looks for outbox rows above the highest id that it has sent.";
    TornPage "torn_page" "A page's rows and its head are read at two moments.";
    UnknownAsFailed "unknown_as_failed" "A commit that nobody can tell the end of is told as failed.";
    UnlockedAdvance "unlocked_advance" "Copies are moved without a lock and without looking whether somebody else has moved them.";
    UnlockedPosting "unlocked_posting" "Core's rows are read without a lock and written blindly.";
}

#[cfg(test)]
mod tests {
    use super::Planted;

    #[test]
    fn words_are_what_plans_are_written_with() {
        for bug in Planted::ALL {
            assert_eq!(serde_json::to_string(bug).ok(), Some(format!("{:?}", bug.word())));
        }
    }
}
