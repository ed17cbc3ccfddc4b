//! Transfers: begun by a customer here, judged by core, settled by whoever hears of it first.
//!
//! In: submitted transfers, questions how one stands. Out: [`ChannelResponse`]s; rows of transfers. Elsewhere: HTTP
//! (`adapters::http::channel`), the transaction that completes one (`advance`), transfers that nobody answered for (`poller`).
//!
//! | step | durable before the next | elsewhere |
//! |---|---|---|
//! | stored, pending: its id bound to its parameters, the guard taken (A2, A5) | yes | `submit` |
//! | sent: whoever made this move calls core, once, and nobody else does | yes | `submit` |
//! | core's answer, awaited for `call_limit` | | `submit` |
//! | settled: completed together with its row (A6), or refused | yes | `settle` |
//! | otherwise unknown: the customer reads "being checked", its event or the poller settles it (A4, A7) | | `settle`, `poller` |
//!
//! A handler's future may be dropped at any await (a customer hung up): the steps run in a task of the process, which the handler merely
//! awaits. A process that dies between two steps leaves the transfer to the poller of any instance.
//!
//! | module | what it is |
//! |---|---|
//! | [`rules`] | pure: what an answer, a verdict, an event or a repeated request makes of a transfer |
//! | `submit` | the steps of one request |
//! | `settle` | a word becomes rows; errors of the store are tried again for a while (P17) |
//! | `recent` | which way round a race went, for markers |
//!
//! | counter | counts |
//! |---|---|
//! | `channel_submits_total` | transfers stored |
//! | `channel_submits_refused_total` | requests refused because the process was full or stopping |
//! | `channel_guarded_total` | requests refused because another transfer was in progress |
//! | `channel_replays_total`, `channel_drifts_total` | ids that came again: with the same parameters, with others |
//! | `channel_submits_unsure_total` | requests of which nobody could tell whether they were stored |
//! | `channel_transfers_unknown_total` | transfers without a verdict from their own request |
//! | `channel_transfers_rejected_total`, `channel_transfers_failed_total` | transfers that ended so; the completed ones are counted by `advance` |
//! | `channel_slot_waits_in_vain_total` | steps given up because transactions of other transfers were open for too long |
//! | `channel_sends_too_late_total` | transfers that failed because they were not sent within the poller's margin |
//! | `channel_settle_retries_total` | attempts to store a step or a verdict that were tried again |
//! | `channel_left_to_poller_total` | verdicts and steps that could not be stored in time |
//! | `channel_answers_unfit_total` | answers that cannot be about the transfer they were given for: 0, or core is wrong |
//! | `channel_submit_seconds` (histogram) | from a request to its answer |

mod recent;
pub mod rules;
mod settle;
mod submit;

use std::sync::Arc;

use bankstorm_contracts::channel_api::{ChannelResponse, SubmitTransfer};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{Problem, TransferId};
use bankstorm_outside::StoreError;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::ChannelStore;
use bankstorm_outside::process::{Metrics, Scope};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::advance::Advancer;
use crate::config::ChannelConfig;
use crate::parts::Parts;

pub(crate) use recent::{First, Recent};
pub(crate) use settle::{Patience, Settler, salt};

/// The transfers of one process.
#[derive(Debug)]
pub(crate) struct Transfers<O> {
    pub(crate) outside: O,
    pub(crate) config: ChannelConfig,
    advancer: Arc<Advancer<O>>,
    recent: Arc<Recent>,
    parts: Arc<Parts>,
    /// Requests that may be in work.
    submits: Arc<Semaphore>,
    /// Transactions of single transfers.
    slots: Semaphore,
}

impl<O: ChannelOutside> Transfers<O> {
    /// Transfers completed through `advancer`; `parts` hears of what is in work.
    pub(crate) fn new(
        outside: O,
        config: ChannelConfig,
        advancer: Arc<Advancer<O>>,
        recent: Arc<Recent>,
        parts: Arc<Parts>,
    ) -> Arc<Self> {
        let submits = Arc::new(Semaphore::new(config.submits_max.max(1)));
        let slots = Semaphore::new(config.transfer_transactions.max(1));
        Arc::new(Self { outside, config, advancer, recent, parts, submits, slots })
    }

    /// Answers a customer who sends money.
    pub(crate) async fn submit(self: &Arc<Self>, submit: SubmitTransfer) -> ChannelResponse {
        if let Err(problem) = submit.validate() {
            return ChannelResponse::Problem(problem);
        }
        let metrics = self.outside.metrics();
        let ticket = match Arc::clone(&self.submits).try_acquire_owned() {
            Ok(ticket) if !self.outside.scope().is_stopping() => ticket,
            refused => {
                metrics.count("channel_submits_refused_total", 1);
                let most = self.config.submits_max;
                let why =
                    refused.map_or_else(|_| format!("{most} transfers are in work"), |_| "it is stopping".to_owned());
                return not_started(format!("the channel began nothing: {why}"));
            }
        };
        let (answer, heard) = oneshot::channel();
        let (transfers, part, begun) = (Arc::clone(self), self.parts.begin(), Instant::now());
        self.outside.scope().spawn("channel-submit", async move {
            let (_ticket, _part) = (ticket, part);
            // Nobody listens when the customer hung up; what was done stands all the same.
            let _ = answer.send(transfers.run(&submit).await);
        });
        // No limit of its own: every step of the task has one.
        let response = heard.await.unwrap_or_else(|_| unknown("the task that was to answer has ended"));
        metrics.observe("channel_submit_seconds", begun.elapsed());
        response
    }

    /// Answers a customer who asks how a transfer stands.
    pub(crate) async fn view(&self, id: TransferId) -> ChannelResponse {
        match self.outside.store().transfer(id).await {
            Ok(Some(row)) => ChannelResponse::Transfer(rules::view(rules::stand(&row))),
            Ok(None) => {
                ChannelResponse::Problem(Problem::new(ProblemKind::NotFound, format!("there is no transfer {id}")))
            }
            Err(error) => {
                tracing::warn!(%error, %id, "transfer not read");
                match error {
                    // A read has no effect, so a store that could not be reached leaves nothing begun.
                    StoreError::Unavailable(_) => not_started("the transfer could not be read"),
                    _ => unknown("the transfer could not be read"),
                }
            }
        }
    }
}

fn not_started(detail: impl Into<String>) -> ChannelResponse {
    ChannelResponse::Problem(Problem::new(ProblemKind::NotStarted, detail))
}

fn unknown(detail: impl Into<String>) -> ChannelResponse {
    ChannelResponse::Problem(Problem::new(ProblemKind::Unknown, detail))
}

#[cfg(test)]
pub(crate) mod tests;
