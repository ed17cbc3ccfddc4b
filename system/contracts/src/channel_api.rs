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
/// The message of a transfer that a page draws in: "in progress".
pub const IN_PROGRESS: &str = "처리 중";

/// A transfer that a page draws in above its rows, since it is not settled (D4, D33).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PendingTransfer {
    /// The transfer.
    pub id: TransferId,
    /// Where it stands; never a terminal one.
    pub state: TransferStage,
    /// How much leaves the account if it is posted; above 0.
    pub amount: Won,
    /// Whom it goes to.
    pub to: Party,
    /// What the customer reads: [`IN_PROGRESS`].
    pub message: String,
}

/// What pressing the button came to (A16, D5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncResult {
    /// The copy has everything that core had when it was asked, which was after the button was pressed.
    Synced,
    /// It took longer than the budget, or something of the account stands in the way: the account is queued for the sweep.
    Stale,
    /// Core gave no answer: the account is queued for the sweep.
    CoreUnavailable,
    /// The account was synced by hand a moment ago: core was not asked.
    RateLimited,
}

impl SyncResult {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Synced, Self::Stale, Self::CoreUnavailable, Self::RateLimited];

    /// The word on the wire and in the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Stale => "stale",
            Self::CoreUnavailable => "core_unavailable",
            Self::RateLimited => "rate_limited",
        }
    }
}

/// The answer to `POST /v1/accounts/{no}/sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncAnswer {
    /// What it came to.
    pub result: SyncResult,
    /// The copy's last serial afterwards.
    pub as_of_seq: Seq,
    /// When the button may be pressed again, in milliseconds from now; of a rate-limited one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_ms: Option<u32>,
}

/// The most dead letters that one request takes.
pub const MAX_REDRIVE: u32 = 10_000;

/// The body of `POST /v1/dead-letters/redrive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedriveRequest {
    /// At most this many letters, 1 to [`MAX_REDRIVE`].
    #[schemars(range(min = 1, max = MAX_REDRIVE))]
    pub limit: u32,
}

/// The answer to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedriveAnswer {
    /// Letters that were tried.
    pub taken: u32,
    /// Letters closed, those that had been overtaken included.
    pub closed: u32,
    /// Letters that failed again; they stay open.
    pub failed: u32,
    /// Letters open afterwards.
    pub open: u64,
    /// The age of the oldest open one in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oldest_ms: Option<u64>,
}

/// A request to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelRequest {
    /// `GET /v1/accounts/{no}/history?cursor=&limit=`
    History {
        /// Whose.
        account: AccountNo,
        /// The `next_cursor` of the page above; `None` for the newest.
        cursor: Option<Seq>,
        /// At most this many, up to [`MAX_PAGE`].
        limit: u32,
    },
    /// `POST /v1/transfers`
    Submit(SubmitTransfer),
    /// `GET /v1/transfers/{id}`
    Transfer(TransferId),
    /// `POST /v1/accounts/{no}/sync`: the button.
    Sync(AccountNo),
    /// `POST /v1/dead-letters/redrive`
    Redrive(RedriveRequest),
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
    /// Transfers of this account that are still in progress, oldest first; none of them has its row in the copy.
    pub pending: Vec<PendingTransfer>,
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
    /// 200: what the button came to.
    Synced(SyncAnswer),
    /// 200: what became of dead letters.
    Redriven(RedriveAnswer),
    /// Anything else, with the status of its kind.
    Problem(Problem),
}
