//! What core is asked and what it answers: the one seam that HTTP translates and the simulated network carries.
//!
//! In: JSON bodies and paths (`adapters::http`). Out: [`CoreRequest`], [`CoreResponse`]. Elsewhere: `core::handle`.

use serde::{Deserialize, Serialize};

use crate::account::{AccountNo, Head, Seq};
use crate::entry::Entry;
use crate::money::Won;
use crate::problem::Problem;
use crate::transfer::{ParamsHash, RejectReason, TransferId, TransferState};

/// The largest amount of one deposit: 1 trillion won.
pub const MAX_DEPOSIT: Won = Won::new(1_000_000_000_000);
/// The most entries that one call returns (D34).
pub const MAX_ENTRIES: u32 = 500;
/// The most accounts that one `heads` call takes.
pub const MAX_HEADS: usize = 1_000;
/// The longest bank code or foreign account number, in bytes.
pub const MAX_PARTY_BYTES: usize = 64;

/// The sender at another bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Bank code.
    pub bank: String,
    /// Account number there.
    pub account: String,
}

/// `POST /v1/deposits`: another bank brings money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    /// Made by the caller; the same in every attempt.
    pub id: TransferId,
    /// The customer's account.
    pub account: AccountNo,
    /// 1 to [`MAX_DEPOSIT`].
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
        for (field, text) in [("from.bank", &self.from.bank), ("from.account", &self.from.account)] {
            if text.is_empty() || text.len() > MAX_PARTY_BYTES {
                let detail = format!("{field} has {} bytes; accepted are 1 to {MAX_PARTY_BYTES}", text.len());
                return Err(Problem::bad_field(field, detail));
            }
            // PostgreSQL cannot store U+0000 at all, and one such text would fail the whole batch.
            if let Some(control) = text.chars().find(|character| character.is_control()) {
                let detail = format!(
                    "{field} contains the control character U+{:04X}; accepted are printable ones",
                    u32::from(control)
                );
                return Err(Problem::bad_field(field, detail));
            }
        }
        Ok(())
    }
}

/// A request to core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreRequest {
    /// `POST /v1/deposits`
    Deposit(Deposit),
    /// `POST /v1/transfers/{id}/resolve`
    Resolve(TransferId),
    /// `GET /v1/accounts/{no}/entries?after=&limit=`
    Entries {
        /// Whose.
        account: AccountNo,
        /// Only later serials.
        after: Seq,
        /// At most this many, up to [`MAX_ENTRIES`].
        limit: u32,
    },
    /// `GET /v1/accounts/{no}/head`
    Head(AccountNo),
    /// `POST /v1/heads`
    Heads(Vec<AccountNo>),
}

/// The verdict on a transfer: what deposits and `resolve` answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// Several entries of one account, in order of their serials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// The body of `POST /v1/heads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadsRequest {
    /// Up to [`MAX_HEADS`] accounts.
    pub accounts: Vec<AccountNo>,
}

/// The answer to `POST /v1/heads`: known accounts only, in the order asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
