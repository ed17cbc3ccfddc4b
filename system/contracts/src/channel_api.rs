//! What a channel is asked and what it answers.
//!
//! In: paths (`adapters::http`). Out: [`ChannelRequest`], [`ChannelResponse`]. Elsewhere: `channel::handle`.

use serde::{Deserialize, Serialize};

use crate::account::{AccountNo, Seq};
use crate::entry::Entry;
use crate::problem::Problem;
use crate::transfer::TransferId;

/// The largest page.
pub const MAX_PAGE: u32 = 100;
/// The page size when none is asked for.
pub const DEFAULT_PAGE: u32 = 20;

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
}

/// One page of history, newest entry first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Anything else, with the status of its kind.
    Problem(Problem),
}
