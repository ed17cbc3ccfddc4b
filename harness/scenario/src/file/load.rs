//! What customers do as it is typed, each under `[[load]]`.
//!
//! In: TOML. Out: [`Load`]. Elsewhere: defaults and limits (`resolve/load`), what is planned from it (`customers`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{DurationText, RateText, ShareText};

/// One stream of operations.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// What is done.
    pub op: Op,
    /// How often.
    pub rate: RateText,
    /// How operations are spread in time; `constant` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// The part of the measured phase in which it is done, such as `["20s", "50s"]`; unless given, all of it and the warm-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<[DurationText; 2]>,
    /// When an answer is given up and the outcome is unknown; 5s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// What follows a failed or unknown outcome; `none` unless given. Of deposits and transfers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Connections, each with one request in flight; 64 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<i64>,
    /// Share of operations that are also looked up through the history API; 1% unless given. Of deposits and transfers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup: Option<ShareText>,
    /// What a customer does whose transfer's outcome is unknown; `wait` unless given. Of transfers only, as are the following; `outbound` is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_unknown: Option<OnUnknown>,
    /// Share of transfers that are sent twice within moments, the second time under an id of its own; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub double_click: Option<ShareText>,
    /// Share of transfers whose id is used again, for another amount; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reuse_key: Option<ShareText>,
    /// Share of transfers during which the customer sends another from a second device; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub two_devices: Option<ShareText>,
    /// Share of transfers after whose answer the customer reads his history at once; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_own: Option<ShareText>,
    /// Customers who scroll at once; 20 unless given. Of `scroll` only, as are the following.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readers: Option<i64>,
    /// Pages that a customer reads one after the other before he begins with another account; 20 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<i64>,
    /// Entries on a page, 1 to 100; 20 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<i64>,
    /// Where he begins; `newest` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<ScrollFrom>,
}

/// What is done.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// A deposit from another bank, at core.
    Deposit,
    /// A customer's transfer to another account of this bank, at a channel.
    Transfer,
    /// A customer's transfer to another bank, at a channel.
    Outbound,
    /// A page of a customer's history, at a channel: each page is one operation, and customers scroll from page to page.
    Scroll,
    /// The button with which a customer asks for his newest entries, at a channel.
    Sync,
}

/// How operations are spread in time.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// Exponential gaps.
    Poisson,
}

/// What follows a failed or unknown outcome.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Nothing. Once load has ended core is asked about a deposit; a transfer is settled by the bank alone.
    None,
    /// The same request under the same id, twice more at most; of a transfer as long as no channel has told its state.
    SameId,
}

/// What a customer does whose transfer's outcome is unknown.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// He asks how it stands until it is settled.
    Wait,
    /// He asks too, and sends the same again under another id.
    Resubmit,
}

/// Where a customer who scrolls begins.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScrollFrom {
    /// At the newest entry.
    Newest,
}
