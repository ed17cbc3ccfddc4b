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
    /// Its row in the catalogue of protections, such as `P6`.
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
}

fn refused(weaker: &Weaker) -> Refusal {
    let message = format!(
        "is \"{}\", which switches {} off; accepted is that only beside `allow_unsafe = true`",
        weaker.arm, weaker.row
    );
    Refusal::new(format!("system.protections.{}", weaker.key), message)
}
