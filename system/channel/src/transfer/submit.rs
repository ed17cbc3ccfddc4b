//! The steps of one submitted transfer: stored, sent, asked of core.
//!
//! In: a request whose fields are within their limits. Out: its answer. Elsewhere: the rules (`rules`), how a word becomes rows
//! (`settle`).
//!
//! What a definite failure of a step leaves behind decides the answer: before the transfer is stored, nothing (503, not started); once
//! it is, a transfer that will be settled (202), by the poller if by nobody else.

use std::sync::Arc;

use bankstorm_contracts::channel_api::{ChannelResponse, SubmitTransfer, TransferStage};
use bankstorm_contracts::core_api::Transfer;
use bankstorm_contracts::{TransferId, WallMicros};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::{
    AdvanceWrites, ChannelStore, ChannelTx, NewTransfer, Opened, TransferMove, TransferRow,
};
use bankstorm_outside::core_api::CoreApi;
use bankstorm_outside::process::{Metrics, Points};
use bankstorm_outside::{CommitOutcome, StoreError};
use tokio::time::Instant;

use super::rules::{self, Debit, Open, Word};
use super::settle::{Patience, Settler};
use super::{Transfers, not_started, unknown};
use crate::advance::{AdvanceError, Fault};
use crate::markers;

/// What storing a transfer came to.
enum Stored {
    /// It stands, pending: since when, by the database, and not before which moment of this process.
    New(WallMicros, Instant),
    /// Its id, or the guard, stood before.
    Answered(ChannelResponse),
}

impl<O: ChannelOutside> Transfers<O> {
    /// All steps of one request.
    pub(super) async fn run(self: &Arc<Self>, submit: &SubmitTransfer) -> ChannelResponse {
        // One for all that comes before core is asked.
        let patience = Patience::new(&self.config, submit.id);
        let (began, since) = match self.store(submit, &patience).await {
            Stored::New(began, since) => (began, since),
            Stored::Answered(response) => return response,
        };
        match self.send(submit.id, &patience).await {
            Ok(None) if since.elapsed() > self.config.poll_margin => self.too_late(submit.id).await,
            Ok(None) => self.ask_core(submit, began).await,
            // Somebody else called core, or nobody can tell who did: it is not called twice.
            Ok(Some(row)) => rules::standing(rules::stand(&row)),
            Err(error) => {
                self.left(submit.id, &error);
                being_checked(submit.id, TransferStage::Pending)
            }
        }
    }

    /// Stores the transfer before core is called (A2). A commit without an answer is asked about by storing it again.
    async fn store(&self, submit: &SubmitTransfer, patience: &Patience) -> Stored {
        // The first attempt whose commit may stand although nobody said so.
        let mut unsure: Option<Instant> = None;
        let mut contended = false;
        for attempt in 0.. {
            let since = Instant::now();
            let error = match self.try_store(submit, patience).await {
                Ok((Opened::New(began), CommitOutcome::Ok)) => return self.stored(began, since),
                // Its own commit stands after all, or that of a second request: whoever moves it to sent calls core.
                Ok((Opened::Existing(row), _)) if unsure.is_some() && is_still_new(&row, submit) => {
                    return self.stored(row.created_at, unsure.unwrap_or(since));
                }
                Ok((Opened::Existing(row), _)) => return Stored::Answered(self.again(submit, &row)),
                // The id came to stand between the store's look at ids and the one at guards: the next look finds it.
                Ok((Opened::Guarded(pending), _)) if pending == submit.id => StoreError::LockTimeout.into(),
                Ok((Opened::Guarded(pending), _)) => return Stored::Answered(self.guarded(pending)),
                Ok((Opened::New(_), CommitOutcome::Failed(error))) | Err(error) => AdvanceError::Store(error),
                Ok((Opened::New(_), CommitOutcome::Unknown(detail))) => {
                    unsure = unsure.or(Some(since));
                    AdvanceError::CommitUnknown(detail)
                }
            };
            contended |= error.fault() == Fault::Contention;
            // While somebody else stores the same id, or another transfer under the same guard, his end is awaited: it is the answer.
            let worth = unsure.is_some() || contended;
            if worth && self.tried_again(patience, &error, attempt).await {
                continue;
            }
            // What was held may be this very id, which somebody else stores.
            if !worth {
                // The customer may try again himself, and knows that nothing was done.
                tracing::warn!(%error, id = %submit.id, "a transfer was not stored");
                return Stored::Answered(not_started(format!("the transfer was not stored: {error}")));
            }
            break;
        }
        self.outside.metrics().count("channel_submits_unsure_total", 1);
        tracing::warn!(id = %submit.id, "nobody can tell whether a transfer was stored; if it was, it is the poller's");
        Stored::Answered(unknown("nobody can tell whether the transfer was stored; ask for it"))
    }

    fn stored(&self, began: WallMicros, since: Instant) -> Stored {
        self.outside.points().reached(markers::SUBMITTED);
        self.outside.metrics().count("channel_submits_total", 1);
        Stored::New(began, since)
    }

    async fn try_store(
        &self,
        submit: &SubmitTransfer,
        patience: &Patience,
    ) -> Result<(Opened, CommitOutcome), StoreError> {
        let transfer = NewTransfer {
            id: submit.id,
            user: submit.user,
            guard: self.config.guard.key(submit),
            from: submit.from,
            to: submit.to.clone(),
            amount: submit.amount,
            params_hash: submit.params_hash(),
            due_in: self.config.first_due(),
            clock: self.config.clock.now(self.outside.wall()),
        };
        let _slot = self.slot(patience).await?;
        if self.config.guard.looks()
            && let Some(met) = self.look(submit).await?
        {
            return Ok((met, CommitOutcome::Ok));
        }
        let mut tx = self.outside.store().begin().await?;
        let opened = tx.open(&transfer, self.config.transfer_wait).await?;
        match opened {
            Opened::New(_) => Ok((opened, tx.commit().await)),
            Opened::Existing(_) | Opened::Guarded(_) => Ok((opened, CommitOutcome::Ok)),
        }
    }

    /// What stands in the way of a transfer at this moment, which says nothing of the next one (P7 off).
    async fn look(&self, submit: &SubmitTransfer) -> Result<Option<Opened>, StoreError> {
        let store = self.outside.store();
        if let Some(row) = store.transfer(submit.id).await? {
            return Ok(Some(Opened::Existing(row)));
        }
        let open = store.page(submit.from, None, 1).await?.map(|page| page.pending);
        Ok(open.unwrap_or_default().first().map(|pending| Opened::Guarded(pending.id)))
    }

    /// The id stood before.
    fn again(&self, submit: &SubmitTransfer, row: &TransferRow) -> ChannelResponse {
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        if rules::same_intent(row, submit) {
            points.reached(markers::REPLAY);
            metrics.count("channel_replays_total", 1);
            rules::standing(rules::stand(row))
        } else {
            points.reached(markers::DRIFT);
            metrics.count("channel_drifts_total", 1);
            rules::drift(submit.id)
        }
    }

    /// Another transfer is in progress.
    fn guarded(&self, pending: TransferId) -> ChannelResponse {
        self.outside.points().reached(markers::GUARDED);
        self.outside.metrics().count("channel_guarded_total", 1);
        self.recent.in_the_way(pending);
        rules::in_the_way(pending)
    }

    /// Moves a transfer from pending to sent. Whoever does calls core; how it stands, where it was not pending any more.
    async fn send(&self, id: TransferId, patience: &Patience) -> Result<Option<TransferRow>, AdvanceError> {
        for attempt in 0.. {
            match self.try_send(id, patience).await {
                Err(error) if self.tried_again(patience, &error, attempt).await => {}
                ended => return ended,
            }
        }
        unreachable!("patience ends")
    }

    async fn try_send(&self, id: TransferId, patience: &Patience) -> Result<Option<TransferRow>, AdvanceError> {
        let _slot = self.slot(patience).await?;
        let mut tx = self.outside.store().begin().await?;
        let row = self.lock_one(&mut tx, id).await?;
        if row.stage != TransferStage::Pending {
            return Ok(Some(row));
        }
        let moved = rules::step(&row, TransferStage::Sent, None).into_iter().collect();
        let writes = AdvanceWrites { transfers: moved, ..AdvanceWrites::default() };
        match tx.write_and_commit(&writes).await {
            CommitOutcome::Ok => Ok(None),
            CommitOutcome::Failed(error) => Err(error.into()),
            CommitOutcome::Unknown(detail) => Err(AdvanceError::CommitUnknown(detail)),
        }
    }

    /// Asks core, once, and settles what it says.
    async fn ask_core(self: &Arc<Self>, submit: &SubmitTransfer, began: WallMicros) -> ChannelResponse {
        let transfer = Transfer {
            id: submit.id,
            from: submit.from,
            to: submit.to.clone(),
            amount: submit.amount,
            requested_at: began,
            valid_for_ms: self.config.valid_for_ms(),
        };
        self.outside.metrics().count("channel_core_calls_total", 1);
        let answer = self.outside.core().transfer(&transfer, self.config.call_limit).await;
        let debit = Debit::new(submit.id, submit.from, &submit.to, submit.amount);
        let word = rules::answered(&debit, answer, self.config.not_started);
        let patience = Patience::new(&self.config, submit.id);
        let stored = match word {
            Word::Posted(entry) => self.complete(entry, Settler::Answer, &patience).await,
            Word::Ended(stage, reason) => self.end(submit.id, stage, reason, &patience).await,
            Word::NotBegun(why) => return self.not_begun(submit.id, &why, &patience).await,
            Word::Open(why) => self.unknown(submit.id, why, &patience).await,
        };
        match stored {
            Ok(stands) => rules::outcome(stands),
            Err(error) => {
                self.left(submit.id, &error);
                being_checked(submit.id, TransferStage::Sent)
            }
        }
    }

    /// Between storing and sending more than the poller's margin has passed: its question could overtake a request that is sent now, within
    /// the validity at core. Nobody else calls core, so nothing was begun.
    async fn too_late(&self, id: TransferId) -> ChannelResponse {
        self.outside.metrics().count("channel_sends_too_late_total", 1);
        let why = format!("it was not sent within {:?} (poll_margin)", self.config.poll_margin);
        self.not_begun(id, &why, &Patience::new(&self.config, id)).await
    }

    /// Core began nothing: the customer may send again at once.
    async fn not_begun(&self, id: TransferId, why: &str, patience: &Patience) -> ChannelResponse {
        self.outside.points().reached(markers::NOT_BEGUN);
        match self.end(id, TransferStage::Failed, None, patience).await {
            Ok(stands) if stands.stage == TransferStage::Failed => {
                not_started(format!("core began nothing, and the transfer has failed: {why}"))
            }
            Ok(stands) => rules::outcome(stands),
            Err(error) => {
                self.left(id, &error);
                being_checked(id, TransferStage::Sent)
            }
        }
    }

    /// Nobody knows what became of it. Not worth a second attempt: the stage says no more than that core was asked.
    async fn unknown(&self, id: TransferId, why: Open, patience: &Patience) -> Result<TransferMove, AdvanceError> {
        tracing::debug!(%id, ?why, "a transfer without a verdict");
        if why == Open::Unfit {
            self.outside.metrics().count("channel_answers_unfit_total", 1);
        }
        self.outside.metrics().count("channel_transfers_unknown_total", 1);
        let stands = self.try_end(id, TransferStage::Unknown, None, patience).await?;
        if stands.stage == TransferStage::Unknown {
            self.outside.points().reached(markers::UNKNOWN_SET);
        }
        Ok(stands)
    }
}

/// Whether a row is what this request stores, and nobody has sent it yet.
fn is_still_new(row: &TransferRow, submit: &SubmitTransfer) -> bool {
    row.stage == TransferStage::Pending && rules::same_intent(row, submit)
}

/// The answer where the last step could not be stored: the poller settles it.
fn being_checked(id: TransferId, stage: TransferStage) -> ChannelResponse {
    rules::standing(TransferMove { id, stage, reason: None, seq: None })
}
