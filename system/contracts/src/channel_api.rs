//! What a channel is asked and what it answers.
//!
//! In: paths (`adapters::http`). Out: [`ChannelRequest`], [`ChannelResponse`]. Elsewhere: `channel::handle`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::{AccountNo, Seq, UserNo};
use crate::core_api::{Destination, MAX_TRANSFER, Party, validate_accounts, validate_amount};
use crate::entry::Entry;
use crate::money::Won;
use crate::problem::Problem;
use crate::transfer::{ParamsHash, RejectReason, TransferId};

/// The largest page.
pub const MAX_PAGE: u32 = 100;
/// The page size when none is asked for.
pub const DEFAULT_PAGE: u32 = 20;

/// `POST /v1/transfers`: a customer sends money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubmitTransfer {
    /// Made by the customer's device; the same in every attempt of the same intent.
    pub id: TransferId,
    /// Who sends: while one of his transfers is in progress he may begin no other (A5).
    #[schemars(extend("minimum" = 1))]
    pub user: UserNo,
    /// The account that pays.
    #[schemars(extend("minimum" = AccountNo::FIRST_CUSTOMER))]
    pub from: AccountNo,
    /// Whom it goes to.
    pub to: Party,
    /// 1 to [`crate::core_api::MAX_TRANSFER`].
    #[schemars(extend("minimum" = 1, "maximum" = MAX_TRANSFER.get()))]
    pub amount: Won,
}

impl SubmitTransfer {
    /// The hash that binds the id to its parameters: core's.
    pub fn params_hash(&self) -> ParamsHash {
        ParamsHash::of_transfer(self.from, self.amount, &self.to.bank, &self.to.account)
    }

    /// Checks the limits; the error names the field, the value and what would be accepted.
    pub fn validate(&self) -> Result<Destination, Problem> {
        if self.user.0 < 1 {
            let detail = format!("user is {}; accepted are numbers from 1", self.user);
            return Err(Problem::bad_field("user", detail));
        }
        validate_amount(self.amount)?;
        validate_accounts(self.from, &self.to)
    }
}

/// Where a transfer stands in the channel. It only moves forward: pending, sent, unknown, then one of the last three, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferStage {
    /// Stored, core not asked yet.
    Pending,
    /// Core was asked, or is about to be.
    Sent,
    /// Core was asked and nobody knows what became of it.
    Unknown,
    /// Posted by core, and its row is in the copy.
    Completed,
    /// Refused by core.
    Rejected,
    /// Core never received it and never will (D32).
    Failed,
}

impl TransferStage {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Sent, Self::Unknown, Self::Completed, Self::Rejected, Self::Failed];

    /// The word on the wire, in the database and in the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Unknown => "unknown",
            Self::Completed => "completed",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }

    /// The stage that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }

    /// Whether it is settled for good.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Rejected | Self::Failed)
    }

    /// Whether it may become `next`: forward only, and out of no terminal one.
    pub fn may_become(self, next: Self) -> bool {
        !self.is_terminal() && self < next
    }
}

/// What a customer is told of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransferView {
    /// The transfer.
    pub id: TransferId,
    /// Where it stands.
    pub state: TransferStage,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<RejectReason>,
    /// The serial of its row in the paying account's history, once completed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seq: Option<Seq>,
    /// What the customer reads while nobody knows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
}

/// The message of a transfer that is not settled yet: "being checked".
pub const CHECKING: &str = "확인 중";

/// A request to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelRequest {
    /// `GET /v1/accounts/{no}/history?cursor=&limit=`
    History {
        /// Whose.
        account: AccountNo,
        /// Entries strictly before this serial; `None` for the newest.
        cursor: Option<Seq>,
        /// At most this many, up to [`MAX_PAGE`].
        limit: u32,
    },
    /// `POST /v1/transfers`
    Submit(SubmitTransfer),
    /// `GET /v1/transfers/{id}`
    Transfer(TransferId),
}

/// One page of history, newest entry first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryPage {
    /// Entries with falling serials, without holes.
    pub items: Vec<Entry>,
    /// The cursor of the next page; absent at the beginning of the account.
    pub next_cursor: Option<Seq>,
    /// The copy's last serial when the page was read.
    pub as_of_seq: Seq,
    /// Whether the channel knows that the copy is behind.
    pub stale: bool,
    /// Transfers of this account that are still in progress.
    pub pending: Vec<TransferId>,
}

/// An answer of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelResponse {
    /// 200 with a page.
    History(HistoryPage),
    /// 201: posted by this very request.
    Created(TransferView),
    /// 202: nobody knows yet; it will be settled.
    Accepted(TransferView),
    /// 200: how it stands, or a refusal for good.
    Transfer(TransferView),
    /// Anything else, with the status of its kind.
    Problem(Problem),
}
