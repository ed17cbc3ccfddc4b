//! `advance`: the one way a copy moves forward, and the one way a transfer is completed.
//!
//! In: moves (an account with records, a gap to fill, or the debit that core answered with). Out: appended entries, heads, journal lines,
//! completed transfers, then the visible log (D44). Elsewhere: the rule of the copy ([`plan`]), what a debit makes of its transfer
//! (`transfer::rules`), which records come together and what is tried again (`workers`, `transfer::settle`).
//!
//! A transaction locks the sync rows in account order, then the transfers whose debits it may store in id order (D33), plans against what
//! it read, and writes entries, heads (compare-and-set), journal and completed transfers together (A6). Core is only ever asked with
//! neither transaction nor lock held; whoever lost the row meanwhile plans again.
//!
//! | counter | counts |
//! |---|---|
//! | `channel_transactions_total` | advance transactions committed |
//! | `channel_applied_total` | entries appended |
//! | `channel_duplicates_total` | records dropped as duplicates |
//! | `channel_gaps_total` | gaps found, each once however often its filling is tried |
//! | `channel_chain_breaks_total` | records whose balance did not follow, likewise |
//! | `channel_core_calls_total` | calls to core |
//! | `channel_cas_lost_total` | pulls that met a head moved by somebody else |
//! | `channel_commit_unknown_total` | commits without an answer |
//! | `channel_answer_pulls_total` | answers that were ahead of the copy, each once: what was missing came from core |
//! | `channel_transfers_completed_total` | transfers completed |
//! | `channel_left_open_total` | transfers found open although their row stood: 0 unless a protection is off (P31) |
//! | `channel_contradictions_total` | words and rows that contradict how a transfer ended: 0, or core or channel is wrong |

mod error;
mod fill;
mod plan;
mod release;
mod stage;
mod unsure;

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, Head, Seq, TransferId};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::{Cause, ChannelStore, ChannelTx, Source, TransferMove, TransferRow};
use bankstorm_outside::core_api::CoreApi;
use bankstorm_outside::process::{Metrics, Points, VisibleLog};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::{ChannelConfig, Settling};
use crate::markers;
use crate::transfer::{First, Recent};

pub use error::AdvanceError;
pub(crate) use error::Fault;
pub use plan::{Next, Step, Why, plan};
use stage::{By, Staged};

/// What one account brings to a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    /// The account.
    pub(crate) account: AccountNo,
    /// Records with their offsets, in the order they came. Those that a transaction dealt with are taken out.
    pub(crate) records: Vec<(i64, Entry)>,
    /// Where the entries came from.
    pub(crate) source: Source,
    /// On whose behalf.
    pub(crate) origin: Origin,
    /// An advance (from, to) whose commit got no answer: its visible line is still owed.
    pub(crate) unsure: Option<(Seq, Seq)>,
    /// What was found last, by its highest serial, and counted: the next attempt finds it again.
    pub(crate) found: Option<(Seq, Why)>,
    /// How the transfer that [`Origin::asks`] for stood after the last transaction that met its debit, and whether that one completed it.
    pub(crate) stands: Option<(TransferMove, bool)>,
}

/// On whose behalf a copy moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Records of the log.
    Record {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// The group's generation, where the log told it.
        generation: Option<i32>,
    },
    /// Core's answer to this transfer.
    Answer(TransferId),
    /// The poller, which asked for this transfer.
    Poller(TransferId),
}

impl Origin {
    /// The transfer whose fate is asked for.
    pub(crate) const fn asks(&self) -> Option<TransferId> {
        match self {
            Self::Record { .. } => None,
            Self::Answer(id) | Self::Poller(id) => Some(*id),
        }
    }

    /// What the journal says, of the record at `offset`.
    fn cause(&self, offset: i64) -> Option<Cause> {
        let Self::Record { topic, partition, generation } = self else { return None };
        Some(Cause { topic: topic.to_string(), partition: *partition, offset, generation: *generation })
    }

    /// The source of what is pulled on its behalf.
    const fn pulled(&self) -> Source {
        match self {
            Self::Record { .. } => Source::GapFill,
            Self::Answer(_) | Self::Poller(_) => Source::Answer,
        }
    }
}

/// What a transaction made of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Somebody else holds its row.
    Held,
    /// The row was locked.
    Locked {
        /// Its head when it was locked.
        before: Head,
        /// Its head now.
        after: Head,
        /// What is left to do.
        next: Next,
    },
}

/// Runs advance transactions, a bounded number at once.
#[derive(Debug)]
pub(crate) struct Advancer<O> {
    outside: O,
    permits: Semaphore,
    /// Those of the permits that may be kept while a row is waited for: held rows cannot stop the rest.
    waits: Semaphore,
    lock_wait: Duration,
    transfer_wait: Duration,
    settling: Settling,
    recent: Arc<Recent>,
}

impl<O: ChannelOutside> Advancer<O> {
    /// At most `transactions` at once; accounts that are alone wait `lock_wait` for their row, in half of the transactions at most.
    pub(crate) fn new(outside: O, config: &ChannelConfig, recent: Arc<Recent>) -> Self {
        let [permits, waits] = [config.transactions, config.transactions / 2].map(|count| Semaphore::new(count.max(1)));
        let (lock_wait, transfer_wait, settling) = (config.lock_wait, config.transfer_wait, config.settling);
        Self { outside, permits, waits, lock_wait, transfer_wait, settling, recent }
    }

    /// Advances accounts (distinct, in account order) in one transaction. On an error nothing moved, but for
    /// [`AdvanceError::CommitUnknown`], after which each move remembers what it is unsure of.
    pub(crate) async fn transact(&self, moves: &mut [&mut Move], mode: LockMode) -> Result<Vec<Moved>, AdvanceError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        // The one place that decides whether a transfer is completed together with its row (P31).
        match self.settling {
            Settling::OneTransaction => {}
            Settling::Two => self.release(moves, mode).await?,
        }
        let mut tx = self.outside.store().begin().await?;
        let (heads, transfers) = self.lock(&mut tx, moves, mode).await?;
        let staged = stage::stage(moves, heads, transfers, |settled| self.settle_unsure(settled));
        let outcome = if staged.is_empty() { tx.commit().await } else { tx.write_and_commit(&staged.writes).await };
        match outcome {
            CommitOutcome::Ok => {
                self.publish(&staged);
                for (mv, taken) in moves.iter_mut().zip(&staged.taken) {
                    mv.records.drain(..*taken);
                }
                Ok(staged.moved)
            }
            CommitOutcome::Failed(error) => Err(error.into()),
            CommitOutcome::Unknown(detail) => {
                self.outside.points().reached(markers::COMMIT_UNKNOWN);
                self.outside.metrics().count("channel_commit_unknown_total", 1);
                for (mv, moved) in moves.iter_mut().zip(&staged.moved) {
                    if let Moved::Locked { before, after, .. } = moved
                        && after.seq > before.seq
                    {
                        mv.unsure = Some((before.seq, after.seq));
                    }
                }
                Err(AdvanceError::CommitUnknown(detail))
            }
        }
    }

    /// Locks accounts, then the transfers whose debits they may store (D33). Several accounts take the longer way: the transfers of those
    /// that somebody else holds are most likely held by him too, and a batch waits for nobody (D37).
    async fn lock(
        &self,
        tx: &mut <O::Store as ChannelStore>::Tx,
        moves: &[&mut Move],
        mode: LockMode,
    ) -> Result<(Vec<Head>, Vec<TransferRow>), StoreError> {
        let accounts: Vec<AccountNo> = moves.iter().map(|mv| mv.account).collect();
        let wait = match mode {
            LockMode::SkipLocked => self.transfer_wait,
            LockMode::Wait(wait) => wait,
        };
        if let [mv] = moves {
            return tx.lock_both(&accounts, mode, &stage::debits([&**mv]), wait).await;
        }
        let heads = tx.lock(&accounts, mode).await?;
        let locked = |mv: &&Move| heads.binary_search_by_key(&mv.account, |head| head.account).is_ok();
        let debits = stage::debits(moves.iter().map(|mv| &**mv).filter(locked));
        let transfers = if debits.is_empty() { Vec::new() } else { tx.lock_transfers(&debits, wait).await? };
        Ok((heads, transfers))
    }

    /// Advances one account in a transaction of its own: at once if nobody holds its rows, else by waiting for them.
    async fn transact_alone(&self, mv: &mut Move) -> Result<Moved, AdvanceError> {
        match self.transact(&mut [&mut *mv], LockMode::SkipLocked).await {
            Ok(moved) => {
                if let Some(moved @ Moved::Locked { .. }) = moved.first() {
                    return Ok(*moved);
                }
            }
            Err(AdvanceError::Store(StoreError::LockTimeout)) => {}
            Err(error) => return Err(error),
        }
        let _wait = self.waits.acquire().await.expect("the semaphore is never closed");
        let moved = self.transact(&mut [&mut *mv], LockMode::Wait(self.lock_wait)).await?;
        moved.first().copied().ok_or(AdvanceError::Held(mv.account))
    }

    /// Finds out what became of a commit without an answer, and applies nothing.
    pub(crate) async fn settle(&self, mv: &mut Move) -> Result<(), AdvanceError> {
        mv.records.clear();
        match self.transact_alone(mv).await? {
            Moved::Locked { .. } => Ok(()),
            Moved::Held => Err(AdvanceError::Held(mv.account)),
        }
    }

    /// Advances one account until its records are all in the copy or below it, asking core for what is missing. After `until`, and when the
    /// process is to stop, nothing more is asked for a caller who has one: what was pulled stands, and the next attempt goes on from there.
    pub(crate) async fn advance_alone(&self, mv: &mut Move, until: Option<Instant>) -> Result<(), AdvanceError> {
        mv.stands = None;
        let Moved::Locked { after, next, .. } = self.transact_alone(mv).await? else {
            return Err(AdvanceError::Held(mv.account));
        };
        let Next::Pull { target, why } = next else { return Ok(()) };
        if mv.found.replace((target, why)) != Some((target, why)) {
            self.count_found(mv, after.seq + 1, why);
        }
        let revealing = mv.records.first().map_or(0, |(offset, _)| *offset);
        self.fill(mv, revealing, (after.seq, target), until).await?;
        // Core's own entries stand in the copy up to the highest of them.
        mv.records.clear();
        Ok(())
    }

    fn count_found(&self, mv: &Move, seq: Seq, why: Why) {
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        match (why, &mv.origin) {
            (Why::Gap, Origin::Record { .. }) => metrics.count("channel_gaps_total", 1),
            // Nothing is wrong: the events before the answer are on their way.
            (Why::Gap, Origin::Answer(_) | Origin::Poller(_)) => {
                metrics.count("channel_answer_pulls_total", 1);
                points.reached(markers::ANSWER_PULLED);
            }
            (Why::ChainBreak, _) => {
                metrics.count("channel_chain_breaks_total", 1);
                points.reached(markers::CHAIN_BREAK);
                tracing::error!(account = %mv.account, seq, "the balance does not follow; core is asked");
            }
        }
    }

    /// Brings an account to core's present head, whatever its records said: for records that cannot be read.
    pub(crate) async fn advance_to_core(&self, mv: &mut Move, offset: i64) -> Result<(), AdvanceError> {
        self.outside.metrics().count("channel_core_calls_total", 1);
        let heads = self.outside.core().heads(&[mv.account]).await?;
        let Some(target) = heads.iter().find(|head| head.account == mv.account) else {
            return Err(AdvanceError::UnknownToCore(mv.account));
        };
        let Moved::Locked { after, .. } = self.transact_alone(mv).await? else {
            return Err(AdvanceError::Held(mv.account));
        };
        self.fill(mv, offset, (after.seq, target.seq), None).await
    }

    /// What a durable transaction shows to the outside: first of all, that its entries are visible.
    fn publish(&self, staged: &Staged) {
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        let advances = staged.advances();
        if !advances.is_empty() {
            self.outside.visible().visible(&advances);
            metrics.count("channel_transactions_total", 1);
            metrics.count("channel_applied_total", staged.writes.entries.len() as u64);
        }
        if staged.writes.journal.iter().any(|line| line.source == Source::Event) {
            points.reached(markers::APPEND);
        }
        if advances.len() > 1 {
            points.reached(markers::BATCH);
        }
        if staged.duplicates > 0 {
            points.reached(markers::DUPLICATE_DROPPED);
            metrics.count("channel_duplicates_total", staged.duplicates);
        }
        self.tell_settled(staged);
    }

    /// Which transfers it completed, and which it found completed.
    fn tell_settled(&self, staged: &Staged) {
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        for settled in &staged.settled {
            points.reached(match settled.by {
                By::Event => markers::SETTLED_BY_EVENT,
                By::GapFill => markers::SETTLED_BY_GAP_FILL,
                By::Answer => markers::SETTLED_BY_ANSWER,
                By::Poller => markers::SETTLED_BY_POLLER,
            });
            match settled.by {
                By::Event | By::GapFill => {}
                By::Answer => self.recent.completed(settled.id, First::Answer),
                By::Poller => self.recent.completed(settled.id, First::Poller),
            }
            if self.recent.settled(settled.id) {
                points.reached(markers::RELEASED);
            }
            metrics.count("channel_transfers_completed_total", 1);
            if settled.left_open {
                metrics.count("channel_left_open_total", 1);
                tracing::error!(id = %settled.id, "a transfer was open although its row stood");
            }
        }
        for id in &staged.met {
            match self.recent.event(*id) {
                Some(First::Answer) => points.reached(markers::EVENT_AFTER_ANSWER),
                Some(First::Poller) => points.reached(markers::EVENT_AFTER_POLLER),
                None => {}
            }
        }
        for id in &staged.contradictions {
            metrics.count("channel_contradictions_total", 1);
            tracing::error!(%id, "a debit stands whose transfer had ended, or is another");
        }
    }

    /// A commit without an answer stands after all: what it moved is visible, and was so before this moment.
    fn settle_unsure(&self, (account, from, to): (AccountNo, Seq, Seq)) {
        self.outside.visible().visible(&[(account, from, to)]);
        self.outside.metrics().count("channel_applied_total", u64::try_from(to - from).unwrap_or(0));
    }
}
