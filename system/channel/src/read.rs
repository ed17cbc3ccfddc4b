//! Reads: pages of history, from the channel's own store alone.
//!
//! In: an account, a cursor, a limit. Out: [`ChannelResponse`]. Elsewhere: HTTP (`adapters::http::channel`). Core is never asked.
//!
//! A page says how far the copy stood when it was read (`as_of_seq`), and which of the account's transfers were in progress in the same
//! snapshot: a transfer is never shown twice, as a row and as pending (D33). Nothing tells it yet that the copy is behind: `stale` is
//! false.

use bankstorm_contracts::channel_api::{ChannelResponse, HistoryPage, MAX_PAGE};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, Problem, Seq};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{ChannelStore, StoredPage};

/// Answers a request for a page.
pub(crate) async fn handle<S: ChannelStore>(
    store: &S,
    account: AccountNo,
    cursor: Option<Seq>,
    limit: u32,
) -> ChannelResponse {
    match history(store, account, cursor, limit).await {
        Ok(page) => ChannelResponse::History(page),
        Err(problem) => ChannelResponse::Problem(problem),
    }
}

async fn history<S: ChannelStore>(
    store: &S,
    account: AccountNo,
    cursor: Option<Seq>,
    limit: u32,
) -> Result<HistoryPage, Problem> {
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("limit is {limit}; accepted are 1 to {MAX_PAGE}");
        return Err(Problem::bad_field("limit", detail));
    }
    if let Some(cursor) = cursor.filter(|cursor| *cursor < 1) {
        let detail = format!("cursor is {cursor}; accepted is the next_cursor of a page, 1 or more");
        return Err(Problem::bad_field("cursor", detail));
    }
    match store.page(account, cursor, limit).await {
        Ok(Some(page)) => Ok(to_answer(page)),
        Ok(None) => Err(Problem::new(ProblemKind::NotFound, format!("no copy of account {account}"))),
        Err(error) => Err(refusal(&error)),
    }
}

/// The next page begins below the lowest serial of this one; serial 1 is the account's beginning.
fn to_answer(page: StoredPage) -> HistoryPage {
    let next_cursor = page.items.last().map(|entry| entry.seq).filter(|seq| *seq > 1);
    HistoryPage { items: page.items, next_cursor, as_of_seq: page.head.seq, stale: false, pending: page.pending }
}

/// A read has no effect, so a store that could not be reached leaves nothing begun.
fn refusal(error: &StoreError) -> Problem {
    let kind = match error {
        StoreError::Unavailable(_) => ProblemKind::NotStarted,
        _ => ProblemKind::Unknown,
    };
    tracing::warn!(%error, "history not read");
    Problem::new(kind, "the history could not be read")
}
