//! Reads: pages of history, from the channel's own store, once core was asked where that may be behind.
//!
//! In: an account, a cursor, a limit. Out: [`ChannelResponse`]. Elsewhere: HTTP (`adapters::http::channel`), how core is asked (`pulls`),
//! pages from core itself (`by_period`), pages as such (`page`).
//!
//! A page says how far the copy stood when it was read (`as_of_seq`), and which of the account's transfers were in progress in the same
//! snapshot: a transfer is never shown twice, as a row and as pending (D33).
//!
//! # Read-time sync (A12)
//! A first page is read; while it has transfers in progress the account is pulled from core at once, and the page is read again: it
//! contains everything that core acknowledged before the read began, and is not `stale`. All of it together has `read_budget`. When that
//! is over, or core gives no answer, or lately gave none, the page that was read first is the answer, its transfers in progress drawn in,
//! `stale` (D4); the account is marked dirty for the sweep. An account with nothing in progress is answered without core, whatever
//! happens to core (A1).
//!
//! [`ReadSync`] decides whom core is asked about (D6). That the events of an account's partition are late is not known to a read: any
//! instance answers it, and the partition is another's.
//!
//! Only a page without a cursor asks. Those further down show rows below their cursor; the copy has no holes, and rows never change, so
//! they are exact however far behind the copy is, and never `stale`. A first page that was not pulled is `stale` when the account is
//! marked dirty: the channel knows that something failed for it.
//!
//! | counter | counts |
//! |---|---|
//! | `channel_reads_total` | pages asked for |
//! | `channel_reads_synced_total` | of these, those answered after a pull |
//! | `channel_reads_stale_total` | of these, those answered as stale after a pull in vain, each for one of the reasons below |
//! | `channel_reads_late_total`, `channel_reads_unanswered_total`, `channel_reads_blocked_total` | the budget was over; core gave no answer; something of the channel's own stood in the way |
//! | `channel_reads_failed_total` | pages that could not be read |
//! | `channel_read_seconds` (histogram) | from a request for a page to its answer |
//! | `channel_read_sync_seconds` (histogram) | of it, those that asked core |

mod by_period;
mod page;

use std::sync::Arc;

use bankstorm_contracts::channel_api::{ChannelResponse, HistoryPage, MAX_PAGE};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, Problem, Seq};
use bankstorm_outside::StoreError;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::StoredPage;
use bankstorm_outside::process::{Metrics, Points};
use tokio::time::{Instant, timeout_at};

use crate::advance::Origin;
use crate::config::{ChannelConfig, HistorySource, ReadSync};
use crate::markers;
use crate::pulls::{Landed, Pulls};

use page::Wanted;

/// Answers for pages.
#[derive(Debug)]
pub(crate) struct Reads<O> {
    outside: O,
    config: ChannelConfig,
    pulls: Arc<Pulls<O>>,
}

/// How a pull for a read ended.
enum Synced {
    /// This page was read after it.
    Page(StoredPage),
    /// It was in vain.
    InVain(&'static str),
}

impl<O: ChannelOutside> Reads<O> {
    /// Pages of the outside's store, pulled through `pulls`.
    pub(crate) fn new(outside: O, config: ChannelConfig, pulls: Arc<Pulls<O>>) -> Self {
        Self { outside, config, pulls }
    }

    /// Answers a request for a page.
    pub(crate) async fn handle(&self, account: AccountNo, cursor: Option<Seq>, limit: u32) -> ChannelResponse {
        let (metrics, begun) = (self.outside.metrics(), Instant::now());
        let page = match wanted(account, cursor, limit) {
            Ok(wanted) => {
                metrics.count("channel_reads_total", 1);
                // The one place that decides where pages come from (A19).
                match self.config.history_source {
                    HistorySource::Copy => self.copied(&wanted, begun).await,
                    HistorySource::CoreByPeriod => self.by_period(&wanted).await,
                }
            }
            Err(problem) => return ChannelResponse::Problem(problem),
        };
        metrics.observe("channel_read_seconds", begun.elapsed());
        match page {
            Ok(page) => ChannelResponse::History(page),
            Err(problem) => {
                if problem.kind != ProblemKind::NotFound {
                    metrics.count("channel_reads_failed_total", 1);
                }
                ChannelResponse::Problem(problem)
            }
        }
    }

    async fn copied(&self, wanted: &Wanted, begun: Instant) -> Result<HistoryPage, Problem> {
        let page = self.stored(wanted).await?;
        if wanted.cursor.is_some() {
            return Ok(self.answer(wanted, page, false));
        }
        if !self.asks_core(&page) {
            let dirty = page.dirty;
            return Ok(self.answer(wanted, page, dirty));
        }
        let synced = timeout_at(begun + self.config.read_budget, self.sync(wanted)).await;
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        metrics.observe("channel_read_sync_seconds", begun.elapsed());
        let why = match synced {
            Ok(Ok(Synced::Page(page))) => {
                points.reached(markers::READ_SYNCED);
                metrics.count("channel_reads_synced_total", 1);
                return Ok(self.answer(wanted, page, false));
            }
            Ok(Err(problem)) => return Err(problem),
            Ok(Ok(Synced::InVain(why))) => why,
            Err(_) => "channel_reads_late_total",
        };
        points.reached(markers::READ_STALE);
        metrics.count("channel_reads_stale_total", 1);
        metrics.count(why, 1);
        if !page.dirty {
            self.pulls.mark(wanted.account);
        }
        Ok(self.answer(wanted, page, true))
    }

    /// Whether core is asked before a first page is answered: the one place that decides it (P23).
    fn asks_core(&self, page: &StoredPage) -> bool {
        match self.config.read_sync {
            ReadSync::Pending => !page.pending.is_empty(),
            ReadSync::Suspect => !page.pending.is_empty() || page.dirty,
            ReadSync::Off => false,
        }
    }

    async fn sync(&self, wanted: &Wanted) -> Result<Synced, Problem> {
        match self.pulls.pull(wanted.account, Origin::Read).await {
            Landed::Synced(_) => self.stored(wanted).await.map(Synced::Page),
            Landed::Core(_) => Ok(Synced::InVain("channel_reads_unanswered_total")),
            Landed::Blocked(_) => Ok(Synced::InVain("channel_reads_blocked_total")),
        }
    }
}

fn wanted(account: AccountNo, cursor: Option<Seq>, limit: u32) -> Result<Wanted, Problem> {
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("limit is {limit}; accepted are 1 to {MAX_PAGE}");
        return Err(Problem::bad_field("limit", detail));
    }
    if let Some(cursor) = cursor.filter(|cursor| *cursor < 1) {
        let detail = format!("cursor is {cursor}; accepted is the next_cursor of a page, 1 or more");
        return Err(Problem::bad_field("cursor", detail));
    }
    Ok(Wanted { account, cursor, limit })
}

fn unknown_account(account: AccountNo) -> Problem {
    Problem::new(ProblemKind::NotFound, format!("no copy of account {account}"))
}

/// What a look at an account's newest row meets, for the button: its page, or what to answer.
pub(crate) fn found(page: Result<Option<StoredPage>, StoreError>, account: AccountNo) -> Result<StoredPage, Problem> {
    match page {
        Ok(Some(page)) => Ok(page),
        Ok(None) => Err(unknown_account(account)),
        Err(error) => Err(refusal(&error)),
    }
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
