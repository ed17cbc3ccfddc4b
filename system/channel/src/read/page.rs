//! Pages of the copy: by keyset, or by counting rows (P28).
//!
//! In: what is wanted. Out: a stored page, and the answer it makes. Elsewhere: whether core is asked first (`read`).

use bankstorm_contracts::channel_api::HistoryPage;
use bankstorm_contracts::{AccountNo, Problem, Seq};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::{ChannelStore, StoredPage};

use super::{Reads, found};
use crate::config::Cursor;

/// A page that is wanted, within the limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) account: AccountNo,
    /// None for the newest rows.
    pub(super) cursor: Option<Seq>,
    pub(super) limit: u32,
}

impl<O: ChannelOutside> Reads<O> {
    /// Reads it. The one place, with [`Reads::answer`], that decides what a cursor means (P28).
    pub(super) async fn stored(&self, wanted: &Wanted) -> Result<StoredPage, Problem> {
        let (store, Wanted { account, cursor, limit }) = (self.outside.store(), *wanted);
        let page = match self.config.cursor {
            Cursor::Keyset => store.page(account, cursor, limit).await,
            Cursor::Offset => match u32::try_from(cursor.unwrap_or(0)) {
                Ok(skip) => store.page_at(account, skip, limit).await,
                Err(_) => {
                    let detail = format!("cursor is {}; accepted are 1 to {}", cursor.unwrap_or(0), u32::MAX);
                    return Err(Problem::bad_field("cursor", detail));
                }
            },
        };
        found(page, account)
    }

    /// By keyset the next page begins below the lowest serial of this one, and serial 1 is the account's beginning. By counting, it skips
    /// as many rows more as this one shows, as long as pages are full.
    pub(super) fn answer(&self, wanted: &Wanted, page: StoredPage, stale: bool) -> HistoryPage {
        let next_cursor = match self.config.cursor {
            Cursor::Keyset => below(&page),
            Cursor::Offset => {
                let count = page.items.len();
                let full = count >= wanted.limit as usize;
                full.then(|| wanted.cursor.unwrap_or(0) + Seq::try_from(count).unwrap_or(0))
            }
        };
        HistoryPage { items: page.items, next_cursor, as_of_seq: page.head.seq, stale, pending: page.pending }
    }
}

fn below(page: &StoredPage) -> Option<Seq> {
    page.items.last().map(|entry| entry.seq).filter(|seq| *seq > 1)
}
