//! What core is asked and what it answers: the one seam that HTTP translates and the simulated network carries.
//!
//! In: JSON bodies and paths (`adapters::http`). Out: [`CoreRequest`], [`CoreResponse`]. Elsewhere: `core::handle`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::{AccountNo, Head, Seq};
use crate::banks_api::CreditAnswer;
use crate::digest::{DigestRange, Digests};
use crate::entry::Entry;
use crate::money::Won;
use crate::problem::Problem;
use crate::time::WallMicros;
use crate::transfer::{ParamsHash, RejectReason, TransferId, TransferState};

/// The largest amount of one deposit: 1 trillion won.
pub const MAX_DEPOSIT: Won = Won::new(1_000_000_000_000);
/// The largest amount of one transfer: 1 trillion won.
pub const MAX_TRANSFER: Won = Won::new(1_000_000_000_000);
/// The shortest and longest validity of a transfer, in milliseconds.
pub const VALIDITY_MS: std::ops::RangeInclusive<u32> = 1..=600_000;
/// The moments that a caller's clock may show, in microseconds since 1970: up to the year 9999, as far as any database counts.
pub const REQUESTED_AT: std::ops::RangeInclusive<i64> = 0..=253_402_300_799_999_999;
/// This bank's code: a transfer to it stays inside.
pub const OWN_BANK: &str = "900";
/// The most entries that one call returns (D34).
pub const MAX_ENTRIES: u32 = 500;
/// The most accounts that one `heads` call takes.
pub const MAX_HEADS: usize = 1_000;
/// The longest bank code or foreign account number, in bytes.
pub const MAX_PARTY_BYTES: usize = 64;
/// Texts without control characters, as schemas say it.
const PRINTABLE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// An account somewhere: the sender at another bank, or whom a transfer goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Party {
    /// Bank code: 1 to [`MAX_PARTY_BYTES`] bytes of UTF-8, no control characters.
    #[schemars(length(min = 1, max = MAX_PARTY_BYTES), extend("pattern" = PRINTABLE))]
    pub bank: String,
    /// Account number there: 1 to [`MAX_PARTY_BYTES`] bytes of UTF-8, no control characters.
    #[schemars(length(min = 1, max = MAX_PARTY_BYTES), extend("pattern" = PRINTABLE))]
    pub account: String,
}

/// `POST /v1/deposits`: another bank brings money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deposit {
    /// Made by the caller; the same in every attempt.
    pub id: TransferId,
    /// The customer's account.
    #[schemars(extend("minimum" = AccountNo::FIRST_CUSTOMER))]
    pub account: AccountNo,
    /// 1 to [`MAX_DEPOSIT`].
    #[schemars(extend("minimum" = 1, "maximum" = MAX_DEPOSIT.get()))]
    pub amount: Won,
    /// Who sends it.
    pub from: Party,
}

impl Deposit {
    /// The hash that binds the id to these parameters.
    pub fn params_hash(&self) -> ParamsHash {
        ParamsHash::of_deposit(self.account, self.amount, &self.from.bank, &self.from.account)
    }

    /// Checks the limits; the error names the field, the value and what would be accepted.
    pub fn validate(&self) -> Result<(), Problem> {
        if self.amount < Won::new(1) || self.amount > MAX_DEPOSIT {
            let detail = format!("amount is {}; accepted are 1 to {} won", self.amount.get(), MAX_DEPOSIT.get());
            return Err(Problem::bad_field("amount", detail));
        }
        self.from.validate("from")
    }
}

impl Party {
    /// Checks the limits; `field` is what the party is called in the request.
    pub fn validate(&self, field: &str) -> Result<(), Problem> {
        for (name, text) in [("bank", &self.bank), ("account", &self.account)] {
            let field = format!("{field}.{name}");
            if text.is_empty() || text.len() > MAX_PARTY_BYTES {
                let detail = format!("{field} has {} bytes; accepted are 1 to {MAX_PARTY_BYTES}", text.len());
                return Err(Problem::bad_field(&field, detail));
            }
            // PostgreSQL cannot store U+0000 at all, and one such text would fail the whole batch.
            if let Some(control) = text.chars().find(|character| character.is_control()) {
                let detail = format!(
                    "{field} contains the control character U+{:04X}; accepted are printable ones",
                    u32::from(control)
                );
                return Err(Problem::bad_field(&field, detail));
            }
        }
        Ok(())
    }
}

/// Where a transfer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An account of this bank.
    Own(AccountNo),
    /// An account at another bank.
    Other(Party),
}

impl Party {
    /// This bank's account of that number, as a party.
    pub fn own(account: AccountNo) -> Self {
        Self { bank: OWN_BANK.to_owned(), account: account.to_string() }
    }

    /// Where this is; the error names what is no account number. `field` is what the party is called in the request.
    pub fn destination(&self, field: &str) -> Result<Destination, Problem> {
        self.validate(field)?;
        if self.bank != OWN_BANK {
            return Ok(Destination::Other(self.clone()));
        }
        match self.account.parse().map(AccountNo::new) {
            // Only the plain decimal form: "+1000001" and "01000001" would be other parameters for the same account.
            Ok(account) if !account.is_internal() && account.to_string() == self.account => {
                Ok(Destination::Own(account))
            }
            _ => {
                let (field, first) = (format!("{field}.account"), AccountNo::FIRST_CUSTOMER);
                let detail = format!("{field} is {:?}; accepted at this bank are numbers from {first}", self.account);
                Err(Problem::bad_field(&field, detail))
            }
        }
    }
}

/// `POST /v1/transfers`: a customer's money goes to another account, here or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Transfer {
    /// Made by the caller; the same in every attempt.
    pub id: TransferId,
    /// The customer's account that pays.
    #[schemars(extend("minimum" = AccountNo::FIRST_CUSTOMER))]
    pub from: AccountNo,
    /// Whom it goes to.
    pub to: Party,
    /// 1 to [`MAX_TRANSFER`].
    #[schemars(extend("minimum" = 1, "maximum" = MAX_TRANSFER.get()))]
    pub amount: Won,
    /// When the caller began it, by the caller's clock. Stored; judged by the `absolute` deadline alone (D31). One of [`REQUESTED_AT`].
    #[schemars(extend("minimum" = *REQUESTED_AT.start(), "maximum" = *REQUESTED_AT.end()))]
    pub requested_at: WallMicros,
    /// How long after its arrival core may still post it, one of [`VALIDITY_MS`] (D31).
    #[schemars(range(min = *VALIDITY_MS.start(), max = *VALIDITY_MS.end()))]
    pub valid_for_ms: u32,
}

impl Transfer {
    /// The hash that binds the id to its parameters.
    pub fn params_hash(&self) -> ParamsHash {
        ParamsHash::of_transfer(self.from, self.amount, &self.to.bank, &self.to.account)
    }

    /// Checks the limits and tells where it goes; the error names the field, the value and what would be accepted.
    pub fn validate(&self) -> Result<Destination, Problem> {
        validate_amount(self.amount)?;
        if !VALIDITY_MS.contains(&self.valid_for_ms) {
            let detail = format!(
                "valid_for_ms is {}; accepted are {} to {}",
                self.valid_for_ms,
                VALIDITY_MS.start(),
                VALIDITY_MS.end()
            );
            return Err(Problem::bad_field("valid_for_ms", detail));
        }
        validate_accounts(self.from, &self.to)
    }
}

/// Checks a transfer's amount.
pub fn validate_amount(amount: Won) -> Result<(), Problem> {
    if amount < Won::new(1) || amount > MAX_TRANSFER {
        let detail = format!("amount is {}; accepted are 1 to {} won", amount.get(), MAX_TRANSFER.get());
        return Err(Problem::bad_field("amount", detail));
    }
    Ok(())
}

/// Checks both ends of a transfer.
pub fn validate_accounts(from: AccountNo, to: &Party) -> Result<Destination, Problem> {
    if from.is_internal() {
        let detail = format!("from is {from}; accepted are numbers from {}", AccountNo::FIRST_CUSTOMER);
        return Err(Problem::bad_field("from", detail));
    }
    let destination = to.destination("to")?;
    if destination == Destination::Own(from) {
        let detail = format!("to.account is {from}, which is the account that pays; accepted is another one");
        return Err(Problem::bad_field("to.account", detail));
    }
    Ok(destination)
}

/// Why a channel reads from core: what the access log tells apart (G1). On the wire it is the header [`PURPOSE_HEADER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Serials were missing before a record.
    GapFill,
    /// A transfer's answer was ahead of the copy, or the poller's verdict was.
    Answer,
    /// A customer read while a transfer of his was in progress (A12).
    Read,
    /// A customer pressed the button (A16).
    Manual,
    /// The head sweep found a difference (D43).
    Sweep,
    /// A dead letter is driven again.
    Redrive,
    /// Every read goes to core (A19).
    History,
}

/// The header that says why a channel reads.
pub const PURPOSE_HEADER: &str = "bankstorm-purpose";

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::GapFill, Self::Answer, Self::Read, Self::Manual, Self::Sweep, Self::Redrive, Self::History];

    /// The word on the wire and in the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GapFill => "gap_fill",
            Self::Answer => "answer",
            Self::Read => "read",
            Self::Manual => "manual",
            Self::Sweep => "sweep",
            Self::Redrive => "redrive",
            Self::History => "history",
        }
    }

    /// The purpose that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == word)
    }
}

/// A request to core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreRequest {
    /// `POST /v1/deposits`
    Deposit(Deposit),
    /// `POST /v1/transfers`
    Transfer(Transfer),
    /// `POST /v1/transfers/{id}/resolve`
    Resolve(TransferId),
    /// `POST /v1/outbound/{id}/outcome`: another bank says what became of a credit (D29, D39). May come late, never or twice.
    BankOutcome(CreditAnswer),
    /// `GET /v1/accounts/{no}/entries?after=&limit=`
    Entries {
        /// Whose.
        account: AccountNo,
        /// Only later serials.
        after: Seq,
        /// At most this many, up to [`MAX_ENTRIES`].
        limit: u32,
        /// What for, where the caller says it.
        purpose: Option<Purpose>,
    },
    /// `GET /v1/accounts/{no}/head`
    Head(AccountNo),
    /// `POST /v1/heads`
    Heads {
        /// Whose.
        accounts: Vec<AccountNo>,
        /// What for, where the caller says it.
        purpose: Option<Purpose>,
    },
    /// `GET /v1/heads/digests?from=&to=&width=`
    Digests(DigestRange),
}

/// The verdict on a transfer: what deposits, transfers and `resolve` answer. Serial and balance are those of the customer's own entry: the
/// credit of a deposit, the debit of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The transfer.
    pub id: TransferId,
    /// Where it stands.
    pub state: TransferState,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<RejectReason>,
    /// The serial of the customer's entry, once completed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seq: Option<Seq>,
    /// The balance after it, once completed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub balance_after: Option<Won>,
    /// When it was posted, by core's database clock, once completed: with it the caller knows the whole entry.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub posted_at: Option<WallMicros>,
    /// What the id is bound to, where a row stands under it: SHA-256 over the parameters that claimed it, all zeros for a tombstone. Whoever
    /// sent other parameters knows by it that the verdict is not about his request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub params_hash: Option<ParamsHash>,
}

/// Several entries of one account, in order of their serials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entries {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// The body of `POST /v1/heads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadsRequest {
    /// Up to [`MAX_HEADS`] accounts.
    #[schemars(length(max = MAX_HEADS))]
    pub accounts: Vec<AccountNo>,
}

/// The answer to `POST /v1/heads`: known accounts only, in the order asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heads {
    /// The heads.
    pub heads: Vec<Head>,
}

/// An answer of core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreResponse {
    /// Posted by this very request: 201.
    Created(Verdict),
    /// A verdict that stood before, or a rejection: 200.
    Verdict(Verdict),
    /// 200 with entries.
    Entries(Entries),
    /// 200 with one head.
    Head(Head),
    /// 200 with heads.
    Heads(Heads),
    /// 200 with digests of heads.
    Digests(Digests),
    /// Anything else, with the status of its kind.
    Problem(Problem),
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Deposit, Party};
    use crate::account::AccountNo;
    use crate::money::Won;
    use crate::transfer::TransferId;

    fn refused(bank: &str, account: &str) -> Option<String> {
        let deposit = Deposit {
            id: TransferId(Uuid::from_u128(1)),
            account: AccountNo::new(1_000_000),
            amount: Won::new(1),
            from: Party { bank: bank.to_owned(), account: account.to_owned() },
        };
        deposit.validate().err().and_then(|problem| problem.field)
    }

    #[test]
    fn control_characters_in_the_sender_are_refused_with_their_field() {
        assert_eq!(refused("088", "7"), None);
        assert_eq!(refused("신한 088", "110-1"), None);
        assert_eq!(refused("0\u{0}88", "7").as_deref(), Some("from.bank"));
        assert_eq!(refused("088", "7\n").as_deref(), Some("from.account"));
        assert_eq!(refused("088", "\u{85}").as_deref(), Some("from.account"));
    }
}
