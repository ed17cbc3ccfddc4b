//! Digests of heads: by what a channel compares its copy with core, stretch by stretch, without asking for every head (D6, D43).
//!
//! In: heads, a stretch of account numbers. Out: [`HeadsDigest`], one for each part of a [`DigestRange`]. Elsewhere: where core's heads come
//! from (`core`), when a channel compares and what it pulls (`channel`).
//!
//! Parts are cut by account numbers, never by the accounts that are there: both sides cut alike, even where one lacks an account.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::account::{AccountNo, Head};
use crate::problem::Problem;

/// The widest part, in account numbers: those of a part that differs fit into one `POST /v1/heads`.
pub const MAX_DIGEST_WIDTH: u32 = 1_000;
/// The most accounts that one call reads; an answer is cut before the part in which the next one lies.
pub const MAX_DIGEST_ACCOUNTS: u32 = 10_000;
/// The most parts that one answer holds.
pub const MAX_DIGEST_PARTS: usize = 1_000;

// An answer that was cut has gone on by at least a part.
const _: () = assert!(MAX_DIGEST_WIDTH <= MAX_DIGEST_ACCOUNTS && MAX_DIGEST_PARTS > 0);
// The numbers of one part fit into one question for heads.
const _: () = assert!(MAX_DIGEST_WIDTH as usize <= crate::core_api::MAX_HEADS);

/// A digest of a set of heads: the sum of their hashes, without carry. No order matters, and a head can be taken in or out alone.
///
/// A head's hash is `mix(mix(mix(account) ^ seq) ^ balance)` over the numbers' 64 bits, where `mix` is one step of `SplitMix64`: it adds
/// `0x9e3779b97f4a7c15` and finishes with that generator's mixer. `mix` is one to one, so of two sets that differ in a single field of a single
/// head the digests always differ; of others they are equal once in 2^64. Core and channels of different builds compare them: it never changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HeadsDigest(u64);

impl HeadsDigest {
    /// The digest of no heads.
    pub const NONE: Self = Self(0);

    /// The digest of these heads, in any order, each account once.
    pub fn of<'a>(heads: impl IntoIterator<Item = &'a Head>) -> Self {
        heads.into_iter().fold(Self::NONE, Self::with)
    }

    /// With one more head.
    #[must_use]
    pub const fn with(self, head: &Head) -> Self {
        Self(self.0.wrapping_add(hash(head)))
    }

    /// Its bits.
    pub const fn get(self) -> u64 {
        self.0
    }
}

const fn hash(head: &Head) -> u64 {
    let account = mix(head.account.get().cast_unsigned());
    mix(mix(account ^ head.seq.cast_unsigned()) ^ head.balance.get().cast_unsigned())
}

/// One step of `SplitMix64`.
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// 16 lower-case hexadecimal digits: its form on the wire, since not every reader of JSON keeps 64 bits of a number.
impl fmt::Display for HeadsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for HeadsDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HeadsDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let digits = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let bits = u64::from_str_radix(&text, 16).ok().filter(|_| digits);
        bits.map(Self).ok_or_else(|| D::Error::custom("a digest is 16 lower-case hexadecimal digits"))
    }
}

impl JsonSchema for HeadsDigest {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "HeadsDigest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{16}$" })
    }
}

/// `GET /v1/heads/digests?from=&to=&width=`: a stretch of account numbers, in parts of one width that begin at `from`. The last part ends
/// with the stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestRange {
    /// The first number, a customer's.
    pub from: AccountNo,
    /// The last number, `from` or later.
    pub to: AccountNo,
    /// How many numbers a part has, 1 to [`MAX_DIGEST_WIDTH`].
    pub width: u32,
}

impl DigestRange {
    /// Every customer's account, in the widest parts.
    pub const ALL: Self =
        Self { from: AccountNo::new(AccountNo::FIRST_CUSTOMER), to: AccountNo::new(i64::MAX), width: MAX_DIGEST_WIDTH };

    /// Checks the limits; the error names the field, the value and what would be accepted.
    pub fn validate(&self) -> Result<(), Problem> {
        let (from, to, width) = (self.from, self.to, self.width);
        if from.is_internal() {
            let detail = format!("from is {from}; accepted are numbers from {}", AccountNo::FIRST_CUSTOMER);
            return Err(Problem::bad_field("from", detail));
        }
        if to < from {
            return Err(Problem::bad_field(
                "to",
                format!("to is {to}; accepted are numbers from {from}, which is from"),
            ));
        }
        if width == 0 || width > MAX_DIGEST_WIDTH {
            let detail = format!("width is {width}; accepted are 1 to {MAX_DIGEST_WIDTH}");
            return Err(Problem::bad_field("width", detail));
        }
        Ok(())
    }

    /// The first and the last number of the part in which an account lies; `None` beside the stretch.
    pub fn part_of(&self, account: AccountNo) -> Option<(AccountNo, AccountNo)> {
        if account < self.from || account > self.to || self.width == 0 {
            return None;
        }
        let into = account.get().abs_diff(self.from.get()) % u64::from(self.width);
        // Below the width, so it fits.
        let first = account.get() - into.cast_signed();
        let last = first.saturating_add(i64::from(self.width) - 1).min(self.to.get());
        Some((AccountNo::new(first), AccountNo::new(last)))
    }

    /// The parts in which heads lie, in the order of their numbers. Heads come in any order, each account once; those beside the stretch do not
    /// count.
    pub fn parts<'a>(&self, heads: impl IntoIterator<Item = &'a Head>) -> Vec<DigestPart> {
        let mut parts = BTreeMap::new();
        for head in heads {
            let Some((first, last)) = self.part_of(head.account) else { continue };
            let none = DigestPart { first, last, accounts: 0, digest: HeadsDigest::NONE };
            let part = parts.entry(first).or_insert(none);
            part.accounts += 1;
            part.digest = part.digest.with(head);
        }
        parts.into_values().collect()
    }
}

/// The heads of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DigestPart {
    /// The part's first account number.
    pub first: AccountNo,
    /// Its last account number.
    pub last: AccountNo,
    /// How many accounts there are in between, both included.
    pub accounts: u32,
    /// The digest of their heads.
    pub digest: HeadsDigest,
}

/// The answer to `GET /v1/heads/digests`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Digests {
    /// The parts that have accounts, in the order of their numbers. One that is not listed has none.
    #[schemars(length(max = MAX_DIGEST_PARTS))]
    pub parts: Vec<DigestPart>,
    /// Where the answer was cut: the first number of the next part, to be asked from with the same width. Absent once everything is told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<AccountNo>,
}

impl Digests {
    /// First and last number of every part whose heads are not those of `own`, in the order of their numbers: parts that only one side has too,
    /// and none from where the answer was cut. `range` is what was asked.
    pub fn unequal(&self, range: &DigestRange, own: &[Head]) -> Vec<(AccountNo, AccountNo)> {
        let told = own.iter().filter(|head| self.next.is_none_or(|next| head.account < next));
        let mut open: BTreeMap<_, _> = range.parts(told).into_iter().map(|part| (part.first, part)).collect();
        for part in &self.parts {
            if open.get(&part.first) == Some(part) {
                open.remove(&part.first);
            } else {
                open.insert(part.first, *part);
            }
        }
        open.into_values().map(|part| (part.first, part.last)).collect()
    }
}

#[cfg(test)]
mod tests;
