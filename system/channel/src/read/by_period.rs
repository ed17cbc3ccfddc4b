//! What the copy replaces: every page goes through to core (A19).
//!
//! In: what is wanted. Out: a page of core's own entries. Elsewhere: pages of the copy (`page`).
//!
//! The newest page asks for core's head and then for the entries up to it. Those further down know where they end: head and entries are
//! asked for at once. There is neither cap nor breaker: this arm is there to show what readers cost core. When core gives no answer there
//! is none, for the copy is not consulted; only which transfers are in progress comes from the channel's store, as it alone knows.
//!
//! Transfers in progress are drawn in on the newest page alone, and none that core has a row of: where one is not on the page, the entries
//! below it are asked for once, so that with the page they are core's [`MAX_ENTRIES`] newest. A debit deeper than that is not found, and
//! its transfer is shown as in progress until the channel hears of it: what is looked at is bounded, and a transfer's end is learned long
//! before its account has that many entries more.

use bankstorm_contracts::channel_api::{HistoryPage, PendingTransfer};
use bankstorm_contracts::core_api::{MAX_ENTRIES, Purpose};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, Entry, Head, Problem, Seq};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::ChannelStore;
use bankstorm_outside::core_api::{CallError, CoreApi};
use bankstorm_outside::process::Metrics;

use super::page::Wanted;
use super::{Reads, refusal};

impl<O: ChannelOutside> Reads<O> {
    pub(super) async fn by_period(&self, wanted: &Wanted) -> Result<HistoryPage, Problem> {
        let Wanted { account, cursor, limit } = *wanted;
        // Before core is asked: what ends in between is core's row then, and not in progress.
        let mut pending = if cursor.is_none() { self.in_progress(account).await? } else { Vec::new() };
        let (head, mut items) = match cursor {
            None => {
                let head = self.core_head(account).await?;
                (head, self.core_entries(account, head.seq, limit).await?)
            }
            Some(cursor) => {
                let entries = self.core_entries(account, cursor - 1, limit);
                let (head, items) = tokio::join!(biased; self.core_head(account), entries);
                (head?, items?)
            }
        };
        items.reverse();
        drop_booked(&mut pending, &items);
        if let Some(lowest) = items.last().filter(|_| !pending.is_empty()) {
            let rest = MAX_ENTRIES.saturating_sub(u32::try_from(items.len()).unwrap_or(MAX_ENTRIES));
            drop_booked(&mut pending, &self.core_entries(account, lowest.seq - 1, rest).await?);
        }
        let next_cursor = items.last().map(|entry| entry.seq).filter(|seq| *seq > 1);
        Ok(HistoryPage { items, next_cursor, as_of_seq: head.seq, stale: false, pending })
    }

    /// An account that the channel does not know has nothing in progress here.
    async fn in_progress(&self, account: AccountNo) -> Result<Vec<PendingTransfer>, Problem> {
        let page = self.outside.store().page(account, None, 1).await.map_err(|error| refusal(&error))?;
        Ok(page.map(|page| page.pending).unwrap_or_default())
    }

    async fn core_head(&self, account: AccountNo) -> Result<Head, Problem> {
        self.outside.metrics().count("channel_core_calls_total", 1);
        let heads = self.outside.core().heads(&[account], Purpose::History).await.map_err(|error| no_answer(&error))?;
        let head = heads.into_iter().find(|head| head.account == account);
        head.ok_or_else(|| Problem::new(ProblemKind::NotFound, format!("core does not know account {account}")))
    }

    /// At most `limit` entries that end with serial `last`, in rising order.
    async fn core_entries(&self, account: AccountNo, last: Seq, limit: u32) -> Result<Vec<Entry>, Problem> {
        let after = (last - Seq::from(limit)).max(0);
        let Some(count) = u32::try_from(last - after).ok().filter(|count| *count > 0) else { return Ok(Vec::new()) };
        self.outside.metrics().count("channel_core_calls_total", 1);
        let entries = self.outside.core().entries(account, after, count, Purpose::History).await;
        let entries = entries.map_err(|error| no_answer(&error))?;
        let in_line = (after + 1..).zip(&entries).all(|(seq, entry)| entry.seq == seq && entry.account == account);
        if in_line {
            return Ok(entries);
        }
        tracing::error!(%account, after, "core's entries are not in line");
        Err(Problem::new(ProblemKind::Unknown, "core's answer is not in line"))
    }
}

/// What core has a row of is in progress no more.
fn drop_booked(pending: &mut Vec<PendingTransfer>, entries: &[Entry]) {
    pending.retain(|transfer| !entries.iter().any(|entry| entry.transfer == transfer.id));
}

/// A read has no effect, so whatever became of the question nothing was begun.
fn no_answer(error: &CallError) -> Problem {
    tracing::warn!(%error, "history not read from core");
    Problem::new(ProblemKind::NotStarted, "core gave no answer")
}
