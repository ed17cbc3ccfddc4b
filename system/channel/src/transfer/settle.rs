//! A word becomes rows: completed through `advance`, refused in a transaction of the transfer alone.
//!
//! In: a debit that core posted, or how a transfer ended. Out: how the transfer stands, durably. Elsewhere: who heard the word
//! (`submit`, `poller`), what it means (`rules`).
//!
//! Errors of the store, and of core where entries have to be pulled, are tried again with growing pauses until patience ends (P17); what
//! is not stored by then is found by the poller, for whom nothing depends on this process's memory.

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::{Entry, RejectReason, TransferId};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::{AdvanceWrites, ChannelStore, ChannelTx, Source, TransferMove, TransferRow};
use bankstorm_outside::process::{Metrics, Points, Scope};
use bankstorm_outside::{CommitOutcome, StoreError};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Transfers, rules};
use crate::advance::{AdvanceError, Move, Origin};
use crate::config::ChannelConfig;
use crate::markers;

/// Who heard that a transfer was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settler {
    /// Its own request.
    Answer,
    /// The poller.
    Poller,
}

/// How long errors are tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    until: Instant,
    /// No further entries are pulled from core after this.
    pull_until: Instant,
    salt: u64,
}

impl Patience {
    /// From now on.
    pub(crate) fn new(config: &ChannelConfig, id: TransferId) -> Self {
        let until = Instant::now() + config.store_patience;
        Self { until, pull_until: until, salt: salt(id) }
    }

    /// From now on; what is missing in the copy is pulled as long as the transfer, taken at `taken`, is leased.
    pub(crate) fn leased(config: &ChannelConfig, id: TransferId, taken: Instant) -> Self {
        Self { pull_until: taken + config.poll_lease, ..Self::new(config, id) }
    }
}

/// What tells pauses of different transfers apart.
pub(crate) fn salt(id: TransferId) -> u64 {
    let (high, low) = id.0.as_u64_pair();
    high ^ low
}

impl<O: ChannelOutside> Transfers<O> {
    /// Completes a transfer whose debit core has posted: its row and its stage in one transaction, by `advance` (A6).
    pub(crate) async fn complete(
        self: &Arc<Self>,
        entry: Entry,
        settler: Settler,
        patience: &Patience,
    ) -> Result<TransferMove, AdvanceError> {
        let (id, account) = (entry.transfer, entry.account);
        let origin = match settler {
            Settler::Answer => Origin::Answer(id),
            Settler::Poller => Origin::Poller(id),
        };
        let (source, records) = (Source::Answer, vec![(0, entry.clone())]);
        let mut mv = Move::new(account, source, origin, records);
        let mut unsure = false;
        for attempt in 0.. {
            let error = match self.advancer.advance_alone(&mut mv, Some(patience.pull_until)).await {
                Ok(()) => match mv.stands {
                    Some((stands, here)) => {
                        if !here && !unsure && settler == Settler::Answer && stands.stage == TransferStage::Completed {
                            self.outside.points().reached(markers::ANSWER_AFTER_EVENT);
                        }
                        return Ok(stands);
                    }
                    // Others moved the copy past the debit meanwhile: the next attempt meets it there.
                    None => AdvanceError::Held(account),
                },
                Err(error) => error,
            };
            unsure |= matches!(error, AdvanceError::CommitUnknown(_));
            if !self.tried_again(patience, &error, attempt).await {
                self.find_out_later(mv);
                return Err(error);
            }
            if mv.records.is_empty() {
                mv.records.push((0, entry.clone()));
            }
        }
        unreachable!("patience ends")
    }

    /// A commit without an answer may have made entries visible: that is found out behind the customer's back.
    fn find_out_later(self: &Arc<Self>, mut mv: Move) {
        if mv.unsure.is_none() {
            return;
        }
        let (transfers, part) = (Arc::clone(self), self.parts.begin());
        self.outside.scope().spawn("channel-find-out", async move {
            let _part = part;
            let tell = |error: &AdvanceError, attempt| transfers.tell(error, attempt);
            transfers.advancer.find_out(&mut mv, &transfers.config, tell).await;
        });
    }

    /// Ends a transfer without a posting, and frees whom it stood in the way of.
    pub(crate) async fn end(
        &self,
        id: TransferId,
        stage: TransferStage,
        reason: Option<RejectReason>,
        patience: &Patience,
    ) -> Result<TransferMove, AdvanceError> {
        for attempt in 0.. {
            match self.try_end(id, stage, reason, patience).await {
                Err(error) if self.tried_again(patience, &error, attempt).await => {}
                ended => return ended,
            }
        }
        unreachable!("patience ends")
    }

    /// Moves a transfer to a stage other than completed, unless it is past it; how it stands then.
    pub(super) async fn try_end(
        &self,
        id: TransferId,
        stage: TransferStage,
        reason: Option<RejectReason>,
        patience: &Patience,
    ) -> Result<TransferMove, AdvanceError> {
        let _slot = self.slot(patience).await?;
        let mut tx = self.outside.store().begin().await?;
        let row = self.lock_one(&mut tx, id).await?;
        let Some(moved) = rules::step(&row, stage, reason) else {
            if stage.is_terminal() && row.stage != stage {
                self.outside.metrics().count("channel_contradictions_total", 1);
                tracing::error!(%id, stood = ?row.stage, told = ?stage, "core's word contradicts how a transfer ended");
            }
            return Ok(rules::stand(&row));
        };
        let writes = AdvanceWrites { transfers: vec![moved], ..AdvanceWrites::default() };
        match tx.write_and_commit(&writes).await {
            CommitOutcome::Ok => {
                self.tell_ended(moved);
                Ok(moved)
            }
            CommitOutcome::Failed(error) => Err(error.into()),
            CommitOutcome::Unknown(detail) => Err(AdvanceError::CommitUnknown(detail)),
        }
    }

    fn tell_ended(&self, moved: TransferMove) {
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        match moved.stage {
            TransferStage::Rejected => {
                points.reached(markers::REJECTED);
                metrics.count("channel_transfers_rejected_total", 1);
            }
            TransferStage::Failed => {
                if moved.reason == Some(RejectReason::NotReceived) {
                    points.reached(markers::FAILED_BY_TOMBSTONE);
                }
                metrics.count("channel_transfers_failed_total", 1);
            }
            _ => return,
        }
        if self.recent.settled(moved.id) {
            points.reached(markers::RELEASED);
        }
    }

    /// Locks a stored transfer and reads it.
    pub(super) async fn lock_one(
        &self,
        tx: &mut <O::Store as ChannelStore>::Tx,
        id: TransferId,
    ) -> Result<TransferRow, StoreError> {
        let rows = tx.lock_transfers(&[id], self.config.transfer_wait).await?;
        let gone = || StoreError::Other(format!("transfer {id} is not in the store any more"));
        rows.into_iter().next().ok_or_else(gone)
    }

    /// Waits for a place among the transactions of single transfers, until patience ends: nothing is begun later.
    pub(super) async fn slot(&self, patience: &Patience) -> Result<SemaphorePermit<'_>, StoreError> {
        let slot = timeout_at(patience.until, self.slots.acquire()).await.map_err(|_| {
            self.outside.metrics().count("channel_slot_waits_in_vain_total", 1);
            let (most, limit) = (self.config.transfer_transactions, self.config.store_patience);
            StoreError::Unavailable(format!(
                "{most} transactions of other transfers were open until {limit:?} were over"
            ))
        })?;
        Ok(slot.expect("the semaphore is never closed"))
    }

    /// Waits before the next attempt; `false` when there is none: patience or the process ends, or the fault is not one that passes.
    pub(super) async fn tried_again(&self, patience: &Patience, error: &AdvanceError, attempt: u32) -> bool {
        self.tell(error, attempt);
        let pause = self.config.pause(attempt, patience.salt);
        let passes = error.fault().passes() && Instant::now() + pause < patience.until;
        let rested = passes && self.rest(pause).await;
        if rested {
            self.outside.metrics().count("channel_settle_retries_total", 1);
        }
        rested
    }

    /// Sleeps, unless the process is asked to stop; whether it slept.
    async fn rest(&self, pause: Duration) -> bool {
        !self.outside.scope().is_stopping() && timeout(pause, self.outside.scope().stopping()).await.is_err()
    }

    fn tell(&self, error: &AdvanceError, attempt: u32) {
        // Every attempt is counted; the log hears of the 1st, 2nd, 4th, 8th ...
        if (attempt + 1).is_power_of_two() {
            tracing::warn!(%error, attempt, "a step of a transfer was not stored");
        }
    }

    /// A step or a verdict could not be stored in time.
    pub(super) fn left(&self, id: TransferId, error: &AdvanceError) {
        self.outside.metrics().count("channel_left_to_poller_total", 1);
        tracing::warn!(%id, %error, "a transfer is left to the poller");
    }
}
