//! Transfers: ids made by the caller, the hash that binds an id to its parameters, states and reasons.
//!
//! In: what a caller sends. Out: [`TransferId`], [`ParamsHash`], [`TransferState`], [`RejectReason`]. Elsewhere: what moves a
//! transfer from state to state (`core`, `channel`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::account::AccountNo;
use crate::money::Won;

/// A transfer's id: a UUID made by the caller, the same in every attempt of the same intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TransferId(pub Uuid);

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TransferId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text).map(Self)
    }
}

/// SHA-256 over a transfer's parameters. An id that comes again with another hash is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParamsHash(pub [u8; 32]);

impl ParamsHash {
    /// The hash of a deposit's parameters, its id left out.
    pub fn of_deposit(account: AccountNo, amount: Won, from_bank: &str, from_account: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"deposit/1");
        hasher.update(account.get().to_be_bytes());
        hasher.update(amount.get().to_be_bytes());
        for text in [from_bank, from_account] {
            // The length keeps ("ab", "c") and ("a", "bc") apart.
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        Self(hasher.finalize().into())
    }

    /// The hash of a transfer's parameters, its id, its time and its validity left out: a second attempt differs in those.
    pub fn of_transfer(from: AccountNo, amount: Won, to_bank: &str, to_account: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"transfer/1");
        hasher.update(from.get().to_be_bytes());
        hasher.update(amount.get().to_be_bytes());
        for text in [to_bank, to_account] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        Self(hasher.finalize().into())
    }

    /// What a tombstone carries: parameters that nobody ever sent, so that any late request differs from it.
    pub const TOMBSTONE: Self = Self([0; 32]);
}

/// 64 lower-case hexadecimal digits: its form on the wire.
impl fmt::Display for ParamsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for ParamsHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ParamsHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs.iter().map(|two| pair(two)).collect();
        let hash = bytes.filter(|_| rest.is_empty()).and_then(|bytes| bytes.try_into().ok());
        hash.map(Self).ok_or_else(|| D::Error::custom("a hash is 64 lower-case hexadecimal digits"))
    }
}

impl JsonSchema for ParamsHash {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ParamsHash".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}

/// What an id stands for in core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// An opening balance, written by the bulk load only.
    Opening,
    /// Another bank brings money.
    Deposit,
    /// Between two accounts of this bank.
    Transfer,
    /// To an account at another bank: held first, then posted or voided (D39).
    Outbound,
    /// A `resolve` came first: whoever comes later under this id is refused (D32).
    Tombstone,
}

impl TransferKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Opening, Self::Deposit, Self::Transfer, Self::Outbound, Self::Tombstone];

    /// The word in the database and in the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Deposit => "deposit",
            Self::Transfer => "transfer",
            Self::Outbound => "outbound",
            Self::Tombstone => "tombstone",
        }
    }

    /// The kind that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Where a transfer stands in core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// Claimed, not settled yet. Committed for outbound transfers alone, while their hold is open.
    Processing,
    /// Posted.
    Completed,
    /// Refused for good; nothing was posted.
    Rejected,
}

impl TransferState {
    /// The word on the wire and in the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Rejected => "rejected",
        }
    }

    /// The state that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Processing, Self::Completed, Self::Rejected].into_iter().find(|state| state.as_str() == word)
    }
}

/// Why core refused a transfer for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// No such account.
    UnknownAccount,
    /// The balance would not fit.
    BalanceOverflow,
    /// A `resolve` came before the request: the tombstone stands in its place (D11, D32).
    NotReceived,
    /// The account is closed.
    AccountClosed,
    /// The account takes no deposits.
    DepositStopped,
    /// The account lets nothing out.
    WithdrawalStopped,
    /// The balance, less what is held, does not suffice.
    InsufficientFunds,
    /// The request's validity was over when its turn came (D31).
    Expired,
    /// The other bank refused, for good (D39).
    RefusedByBank,
}

impl RejectReason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::UnknownAccount,
        Self::BalanceOverflow,
        Self::NotReceived,
        Self::AccountClosed,
        Self::DepositStopped,
        Self::WithdrawalStopped,
        Self::InsufficientFunds,
        Self::Expired,
        Self::RefusedByBank,
    ];

    /// The word on the wire and in the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown_account",
            Self::BalanceOverflow => "balance_overflow",
            Self::NotReceived => "not_received",
            Self::AccountClosed => "account_closed",
            Self::DepositStopped => "deposit_stopped",
            Self::WithdrawalStopped => "withdrawal_stopped",
            Self::InsufficientFunds => "insufficient_funds",
            Self::Expired => "expired",
            Self::RefusedByBank => "refused_by_bank",
        }
    }

    /// The reason that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::ParamsHash;
    use crate::account::AccountNo;
    use crate::money::Won;

    #[test]
    fn every_parameter_changes_the_hash() {
        let base = ParamsHash::of_deposit(AccountNo::new(1_000_001), Won::new(500), "088", "77-1");
        let others = [
            ParamsHash::of_deposit(AccountNo::new(1_000_002), Won::new(500), "088", "77-1"),
            ParamsHash::of_deposit(AccountNo::new(1_000_001), Won::new(501), "088", "77-1"),
            ParamsHash::of_deposit(AccountNo::new(1_000_001), Won::new(500), "0887", "7-1"),
            ParamsHash::of_deposit(AccountNo::new(1_000_001), Won::new(500), "088", "77-2"),
            ParamsHash::TOMBSTONE,
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    #[test]
    fn a_hash_is_64_lower_case_digits_on_the_wire_and_nothing_else() {
        let hash = ParamsHash(std::array::from_fn(|at| at as u8 * 8));
        let text = serde_json::to_string(&hash).expect("a text");
        assert!(text.starts_with("\"00081018") && text.len() == 66, "{text}");
        assert_eq!(serde_json::from_str::<ParamsHash>(&text).expect("a hash"), hash);
        for bad in [text.to_uppercase(), text.replace("0008", "008"), text.replace("0008", "000g"), "\"\"".to_owned()] {
            assert!(serde_json::from_str::<ParamsHash>(&bad).is_err(), "{bad}");
        }
    }
}
