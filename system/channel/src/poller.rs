//! The poller: transfers that nobody answered for are asked about until core has a verdict (A7).
//!
//! In: transfers that are due, core's verdicts. Out: settled transfers, or a later due time. Elsewhere: what a verdict means
//! (`transfer::rules`), how it becomes rows (`transfer::settle`).
//!
//! When a transfer is due is stored with it and judged by [`DueClock`](crate::config::DueClock), so it survives every restart; it is never
//! before its validity and a margin are over, for asking about a transfer that core does not know refuses it for good (D32). Taking one
//! leases it: another instance leaves it alone meanwhile, and takes it over when this one dies. No more are taken than there are free
//! places, so that no lease runs out while its transfer waits for one. Taking transfers, asking and settling may each fail at any point:
//! the next look finds what is left.
//!
//! | counter | counts |
//! |---|---|
//! | `channel_polls_total` | transfers taken |
//! | `channel_poll_settled_total` | of these, settled by what core said |
//! | `channel_poll_open_total` | of these, still in work at core |
//! | `channel_poll_failures_total` | of these, without an answer, or with one that could not be stored |
//! | `channel_poll_store_errors_total` | looks and postponements that the store refused |
//! | `channel_polling` (gauge) | transfers being asked about |

use std::sync::Arc;

use bankstorm_contracts::TransferId;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::{ChannelStore, TransferRow};
use bankstorm_outside::core_api::CoreApi;
use bankstorm_outside::process::{Metrics, Points, Scope};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::advance::AdvanceError;
use crate::markers;
use crate::parts::Parts;
use crate::transfer::rules::{self, Debit, Open, Word};
use crate::transfer::{Patience, Settler, Transfers, salt};

/// What comes after a look.
enum Next {
    /// Another, at the usual time.
    Look,
    /// Another, as soon as there is a place: more may be due.
    Place,
    /// Another, after a pause: so many looks have failed in a row.
    Pause(u32),
}

struct Poller<O> {
    transfers: Arc<Transfers<O>>,
    parts: Arc<Parts>,
    places: Arc<Semaphore>,
}

/// Polls until the scope is asked to stop. What is being asked about then goes on in tasks of its own, which count as `parts`.
pub(crate) async fn run<O: ChannelOutside>(transfers: Arc<Transfers<O>>, parts: Arc<Parts>) {
    let places = Arc::new(Semaphore::new(transfers.config.poll_concurrency.max(1)));
    let scope = transfers.outside.scope().clone();
    let poller = Poller { transfers, parts, places };
    let mut next = Next::Look;
    loop {
        tokio::select! {
            biased;
            () = scope.stopping() => return,
            () = poller.wait(&next) => {}
        }
        next = poller.look(&next).await;
    }
}

impl<O: ChannelOutside> Poller<O> {
    async fn wait(&self, next: &Next) {
        let config = &self.transfers.config;
        match next {
            Next::Look => sleep(config.poll_every).await,
            Next::Pause(failures) => sleep(config.poll_every.max(config.pause(*failures, u64::from(*failures)))).await,
            Next::Place => drop(self.places.acquire().await.expect("the semaphore is never closed")),
        }
    }

    /// Takes what is due, as far as there are places.
    async fn look(&self, last: &Next) -> Next {
        let config = &self.transfers.config;
        let free = u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX);
        let limit = free.min(config.poll_batch.max(1));
        if limit == 0 {
            return Next::Place;
        }
        let outside = &self.transfers.outside;
        match outside.store().take_due(limit, config.poll_lease, config.clock.now(outside.wall())).await {
            Ok(due) => {
                let full = due.len() >= limit as usize;
                due.into_iter().for_each(|row| self.begin(row));
                if full { Next::Place } else { Next::Look }
            }
            Err(error) => {
                outside.metrics().count("channel_poll_store_errors_total", 1);
                tracing::warn!(%error, "what is due could not be taken");
                Next::Pause(if let Next::Pause(failures) = last { failures.saturating_add(1) } else { 0 })
            }
        }
    }

    /// Asks about one transfer, in a task of its own.
    fn begin(&self, row: TransferRow) {
        let metrics = self.transfers.outside.metrics();
        metrics.count("channel_polls_total", 1);
        let place = Arc::clone(&self.places).try_acquire_owned().expect("no more are taken than there are places");
        let (transfers, places, part) = (Arc::clone(&self.transfers), Arc::clone(&self.places), self.parts.begin());
        let gauge = move |transfers: &Transfers<O>| {
            let free = places.available_permits();
            let busy = transfers.config.poll_concurrency.max(1).saturating_sub(free);
            transfers.outside.metrics().gauge("channel_polling", i64::try_from(busy).unwrap_or(i64::MAX));
        };
        gauge(&transfers);
        self.transfers.outside.scope().spawn("channel-poll", async move {
            let _part = part;
            transfers.settle_due(&row).await;
            drop(place);
            gauge(&transfers);
        });
    }
}

impl<O: ChannelOutside> Transfers<O> {
    /// Asks core about a transfer that is due, and settles it or lets it wait.
    async fn settle_due(self: &Arc<Self>, row: &TransferRow) {
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        let taken = Instant::now();
        let open = match self.resolve(row).await {
            Word::Open(open) => open,
            word => match self.store_word(row.id, word, taken).await {
                Ok(()) => return metrics.count("channel_poll_settled_total", 1),
                Err(error) => Open::NoAnswer(format!("a verdict that could not be stored: {error}")),
            },
        };
        match &open {
            Open::Processing => {
                points.reached(markers::POLLED_PROCESSING);
                metrics.count("channel_poll_open_total", 1);
            }
            Open::NoAnswer(_) => {
                points.reached(markers::POLLED_IN_VAIN);
                metrics.count("channel_poll_failures_total", 1);
            }
            Open::Unfit => metrics.count("channel_answers_unfit_total", 1),
        }
        // Every attempt is counted; the log hears of the 1st, 2nd, 4th, 8th ...
        if row.attempts.max(1).is_power_of_two() {
            tracing::warn!(id = %row.id, attempts = row.attempts, ?open, "a transfer stays open");
        }
        self.postpone(row).await;
    }

    async fn resolve(&self, row: &TransferRow) -> Word {
        let limit = self.config.resolve_limit;
        self.outside.metrics().count("channel_core_calls_total", 1);
        match timeout(limit, self.outside.core().resolve(row.id)).await {
            Ok(Ok(verdict)) => rules::told(&Debit::of(row), &verdict),
            Ok(Err(error)) => Word::Open(Open::NoAnswer(error.to_string())),
            Err(_) => Word::Open(Open::NoAnswer(format!("none within {limit:?} (resolve_limit)"))),
        }
    }

    async fn store_word(self: &Arc<Self>, id: TransferId, word: Word, taken: Instant) -> Result<(), AdvanceError> {
        let patience = Patience::leased(&self.config, id, taken);
        match word {
            Word::Posted(entry) => self.complete(entry, Settler::Poller, &patience).await.map(drop),
            Word::Ended(stage, reason) => self.end(id, stage, reason, &patience).await.map(drop),
            // A verdict says neither.
            Word::NotBegun(_) | Word::Open(_) => Ok(()),
        }
    }

    /// If this fails the lease stands, and the transfer is due again when it runs out.
    async fn postpone(&self, row: &TransferRow) {
        let by = self.config.poll_pause(row.attempts.saturating_sub(1), salt(row.id));
        let clock = self.config.clock.now(self.outside.wall());
        if let Err(error) = self.outside.store().postpone(row.id, by, clock).await {
            self.outside.metrics().count("channel_poll_store_errors_total", 1);
            tracing::warn!(%error, id = %row.id, "a transfer was not postponed");
        }
    }
}
