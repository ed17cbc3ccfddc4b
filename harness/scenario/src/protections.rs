//! Protections of the bank: their keys under `[system.protections]`, the safe arm of each and the weaker ones.
//!
//! In: what was typed. Out: [`Protections`], an arm of each; [`Protections::weaker`], those that are off. Elsewhere: what the arms do
//! (`core::config`, `channel::config`), which check sees a protection missing (`docs/protections.md`).
//!
//! The first arm of each is the safe one, and stands unless another is given. A weaker one needs `allow_unsafe = true` beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::nearest;
use crate::resolve::Refusal;

/// A protection that is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weaker {
    /// Its row in the catalogue of protections, such as `P6`; of the talk's trap `D14`, of all repairs together `repair`.
    pub row: &'static str,
    /// Its key.
    pub key: &'static str,
    /// The weaker arm.
    pub arm: &'static str,
    /// The process that decides it: `core` or `channel`.
    pub process: &'static str,
}

impl std::fmt::Display for Weaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is no protection of the catalogue has its key for a row.
        if self.row == self.key {
            return write!(f, "{} = {}", self.key, self.arm);
        }
        write!(f, "{} {} = {}", self.row, self.key, self.arm)
    }
}

macro_rules! protections {
    ($($(#[$about:meta])* $key:ident: $Name:ident $process:literal {
        $(#[$safe_about:meta])* $Safe:ident $safe_word:literal,
        $($(#[$weaker_about:meta])* $Weaker:ident $word:literal $row:literal,)*
    })*) => {
        $(
            $(#[$about])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
            pub enum $Name {
                $(#[$safe_about])*
                #[default]
                #[serde(rename = $safe_word)]
                $Safe,
                $($(#[$weaker_about])* #[serde(rename = $word)] $Weaker,)*
            }

            impl $Name {
                /// Every arm, the safe one first.
                pub const ALL: &'static [Self] = &[Self::$Safe, $(Self::$Weaker,)*];

                /// The word in files.
                pub const fn as_str(self) -> &'static str {
                    match self { Self::$Safe => $safe_word, $(Self::$Weaker => $word,)* }
                }

                /// What is off in this arm.
                const fn weaker(self) -> Option<Weaker> {
                    let (key, process) = (stringify!($key), $process);
                    match self {
                        Self::$Safe => None,
                        $(Self::$Weaker => Some(Weaker { row: $row, key, arm: $word, process }),)*
                    }
                }
            }
        )*

        /// Protections to switch off, to see what the bank is without them; all are on unless given.
        #[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(rename = "Protections")]
        pub struct Typed {
            /// Whether a weaker arm may be given at all; false unless given.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub allow_unsafe: Option<bool>,
            $($(#[$about])* #[serde(skip_serializing_if = "Option::is_none")] pub $key: Option<$Name>,)*
        }

        /// The arm of every protection.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Protections {
            $($(#[$about])* pub $key: $Name,)*
        }

        impl Protections {
            /// The keys.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($key),)*];

            /// What is off, in the order of the keys.
            pub fn weaker(&self) -> Vec<Weaker> {
                [$(self.$key.weaker(),)*].into_iter().flatten().collect()
            }

            /// Takes the arm `word` of `key`; the error says what would be accepted.
            ///
            /// # Errors
            /// When there is no such key, or it has no such arm.
            pub fn take(&mut self, key: &str, word: &str) -> Result<(), String> {
                match key {
                    $(stringify!($key) => {
                        let arm = $Name::ALL.iter().copied().find(|arm| arm.as_str() == word);
                        self.$key = arm.ok_or_else(|| {
                            let known: Vec<_> = $Name::ALL.iter().map(|arm| arm.as_str()).collect();
                            format!("{key} has no arm \"{word}\"; {}", nearest(word, &known))
                        })?;
                        Ok(())
                    })*
                    other => Err(format!("there is no protection \"{other}\"; {}", nearest(other, Self::KEYS))),
                }
            }

            /// What was typed, and the safe arm of the rest.
            pub(crate) fn resolve(typed: &Typed) -> Result<Self, Refusal> {
                let protections = Self { $($key: typed.$key.unwrap_or_default(),)* };
                match protections.weaker().first() {
                    Some(weaker) if typed.allow_unsafe != Some(true) => Err(refused(weaker)),
                    _ => Ok(protections),
                }
            }

            /// What one would have to type.
            pub(crate) fn typed(&self) -> Typed {
                Typed { allow_unsafe: Some(!self.weaker().is_empty()), $($key: Some(self.$key),)* }
            }
        }
    };
}

protections! {
    /// How core keeps an id from posting twice; `in_the_booking` unless given.
    key: KeyClaim "core" {
        /// Claimed under a unique key, in the transaction that books.
        InTheBooking "in_the_booking",
        /// Not at all: each attempt has a key of its own.
        None "none" "P1",
        /// Claimed in a transaction that commits before the one that books.
        BeforeTheBooking "before_the_booking" "P2",
        /// Claimed in a transaction after the one that books.
        AfterTheBooking "after_the_booking" "P2",
    }
    /// What core binds an id to; `params_hash` unless given.
    binding: Binding "core" {
        /// The first request's parameters.
        ParamsHash "params_hash",
        /// Nothing: whatever stands under the id is the answer.
        IdAlone "id_alone" "P3",
    }
    /// When core judges whether a transfer is still valid; `under_the_lock` unless given.
    deadline_check: DeadlineCheck "core" {
        /// Once the accounts' rows are locked.
        UnderTheLock "under_the_lock",
        /// Once, before anything is locked.
        AtArrival "at_arrival" "P5",
        /// Never.
        Never "never" "P4",
    }
    /// How core answers what became of an id; `tombstone` unless given.
    fence: Fence "core" {
        /// By an insert, which stays as a tombstone that a late request meets.
        Tombstone "tombstone",
        /// By a read, which leaves nothing.
        PlainRead "plain_read" "P6",
    }
    /// What keeps two transfers from one pending at a time; `index` unless given. Of whom: `system.guard`.
    guard: Guarding "channel" {
        /// A unique index over open transfers.
        Index "index",
        /// Nothing.
        None "none" "P7",
        /// A look at the open transfers of the account that pays, before the insert.
        CheckThenInsert "check_then_insert" "P7",
    }
    /// Who asks core about transfers without a verdict; `on` unless given.
    polling: Polling "channel" {
        /// Every channel.
        On "on",
        /// Nobody.
        Off "off" "P8",
    }
    /// What keeps two postings from the same balance; `row` unless given.
    account_lock: AccountLock "core" {
        /// The account's row lock, and behind it a unique (account, serial).
        Row "row",
        /// Neither.
        None "none" "P25",
    }
    /// In which order core waits for two accounts; `by_account` unless given.
    lock_order: LockOrder "core" {
        /// That of their numbers.
        ByAccount "by_account",
        /// Whoever pays first.
        PayerFirst "payer_first" "P26",
    }
    /// By whose clock it is decided when a channel may ask for a transfer; `database` unless given.
    clock: DueClock "channel" {
        /// The channels' database's.
        Database "database",
        /// Each channel's own.
        Process "process" "P29",
    }
    /// How a channel completes a transfer; `one_transaction` unless given.
    settling: Settling "channel" {
        /// Together with its row.
        OneTransaction "one_transaction",
        /// Before its row, in a transaction of its own.
        Two "two" "P31",
    }
    /// When core gives a hold back; `definite_no` unless given.
    voiding: Voiding "core" {
        /// On the other bank's definite no.
        DefiniteNo "definite_no",
        /// As soon as it has expired (`system.outbound_expiry`), whatever the other bank does.
        OnExpiry "on_expiry" "P32",
    }
    /// How core publishes what it booked; `in_the_booking` unless given.
    outbox: Outbox "core" {
        /// By rows that the booking's transaction writes, and a relay that sends them.
        InTheBooking "in_the_booking",
        /// By sending it itself, after the commit.
        DirectProduce "direct_produce" "P9",
        /// By sending it itself, before the commit.
        ProduceBeforeCommit "produce_before_commit" "P10",
    }
    /// How the relay finds what is not published; `unsent_rows` unless given.
    relay_scan: RelayScan "core" {
        /// As the rows that are there.
        UnsentRows "unsent_rows",
        /// As what lies above the highest number that it has seen.
        IdWatermark "id_watermark" "P11",
    }
    /// The key of core's events; `account` unless given.
    record_key: RecordKey "core" {
        /// The account's number, so that its events stay in order.
        Account "account",
        /// Anything.
        Random "random" "P12",
    }
    /// How core's producer sends; `idempotent` unless given.
    producer: Producer "core" {
        /// So that a request sent again neither doubles nor overtakes.
        Idempotent "idempotent",
        /// Several requests at once, each sent again by itself.
        Plain "plain" "P13",
    }
    /// How a channel stores an entry; `seq_conditional` unless given.
    applying: Applying "channel" {
        /// As the next serial of its account, once.
        SeqConditional "seq_conditional",
        /// As it comes, in a copy without a unique (account, serial).
        Unconditional "unconditional" "P14",
    }
    /// What a channel does about a gap before an entry; `fill` unless given.
    gaps: Gaps "channel" {
        /// It asks core for what is missing, first.
        Fill "fill",
        /// It goes on behind it.
        Ignore "ignore" "P15",
    }
    /// Whether channels compare their heads with core's; `on` unless given.
    sweep: Sweep "channel" {
        /// They do, and pull what differs.
        On "on",
        /// They do not.
        Off "off" "P16",
    }
    /// What a channel does about a record that fails for a while; `in_place` unless given.
    retrying: Retrying "channel" {
        /// It tries again, its account waiting.
        InPlace "in_place",
        /// It gives up at once.
        None "none" "P17",
    }
    /// What becomes of a record that cannot be applied; `topic` unless given.
    dead_letters: DeadLetters "channel" {
        /// It is kept, as a dead letter.
        Topic "topic",
        /// It is forgotten.
        Drop "drop" "P18",
    }
    /// Whether an account waits behind its dead letter; `on` unless given.
    hole_marker: HoleMarker "channel" {
        /// Until the hole is filled.
        On "on",
        /// It goes on.
        Off "off" "P19",
    }
    /// Which offset a channel commits; `low_watermark` unless given.
    offsets: Offsets "channel" {
        /// Below the first record that is not done.
        LowWatermark "low_watermark",
        /// Behind whatever it has fetched.
        OnPoll "on_poll" "P20",
        /// Behind the last record that is done.
        HighestDone "highest_done" "P21",
    }
    /// Whether a channel that lost a partition may still write for it; `on` unless given.
    generation_fence: GenerationFence "channel" {
        /// A newer owner's generation in the database refuses it.
        On "on",
        /// It may.
        Off "off" "P22",
    }
    /// Whether a read of an account with a transfer in progress asks core first; `on` unless given. Of which accounts: `system.read_sync`.
    read_sync: ReadSyncing "channel" {
        /// It does.
        On "on",
        /// It answers from the copy as it is.
        Off "off" "P23",
    }
    /// How reads and the button store what core told; `compare_and_set` unless given.
    sync_writes: SyncWrites "channel" {
        /// If the copy still stands where it was.
        CompareAndSet "compare_and_set",
        /// Whatever the copy has become.
        Overwrite "overwrite" "P24",
    }
    /// How a page of history continues; `keyset` unless given.
    cursor: Cursor "channel" {
        /// After the last serial of the page before.
        Keyset "keyset",
        /// After so many rows.
        Offset "offset" "P28",
    }
    /// How `slots` picks an account's worker; `independent` unless given.
    slot_hash: SlotHash "channel" {
        /// By a hash of its own.
        Independent "independent",
        /// By the hash that picked its partition: most workers of a partition then never have work.
        Partitioner "partitioner" "D14",
    }
    /// Whether channels repair their copy; `on` unless given.
    repair: Repair "channel" {
        /// They do.
        On "on",
        /// Gaps wait; no reads, button, sweep or automatic second attempt of dead letters asks core.
        Off "off" "repair",
    }
}

fn refused(weaker: &Weaker) -> Refusal {
    let message = format!(
        "is \"{}\", which switches {} off; accepted is that only beside `allow_unsafe = true`",
        weaker.arm, weaker.row
    );
    Refusal::new(format!("system.protections.{}", weaker.key), message)
}
