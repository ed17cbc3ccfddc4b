//! One advance transaction: fence, locks, plan, writes, and how its commit ended.
//!
//! In: moves in account order. Out: what each came to ([`Moved`]). Elsewhere: the rows of it (`stage`), what a durable one shows
//! (`publish`), who comes with which moves (`workers`, `advance`).

use std::sync::{Arc, PoisonError};

use bankstorm_contracts::{AccountNo, Entry};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::{ChannelStore, ChannelTx, Fence, Locked};
use bankstorm_outside::process::{Metrics, Points};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};

use super::{AdvanceError, Advancer, Move, Moved, Origin, stage};
use crate::config::{GenerationFence, Settling, SyncWrites};
use crate::markers;
use crate::ownership::owner_of;

/// What the fence is told: who holds which partition.
#[derive(Debug, Default)]
struct Held {
    topic: Option<Arc<str>>,
    /// Ascending, each once.
    partitions: Vec<(i32, i32)>,
    /// Per move: its partition and generation.
    of_moves: Vec<Option<(i32, i32)>>,
}

impl Held {
    fn of(moves: &[&mut Move]) -> Self {
        let mut held = Self::default();
        for mv in moves {
            let Origin::Record { topic, partition, holding } = &mv.origin else {
                held.of_moves.push(None);
                continue;
            };
            debug_assert!(held.topic.as_ref().is_none_or(|known| known == topic), "a consumer reads one topic");
            held.topic.get_or_insert_with(|| Arc::clone(topic));
            held.of_moves.push(holding.held().map(|generation| (*partition, generation)));
        }
        held.partitions = held.of_moves.iter().copied().flatten().collect();
        // Two generations of one partition can meet only while the older one's jobs end: the newer one is asked for.
        held.partitions.sort_unstable_by_key(|(partition, generation)| (*partition, -generation));
        held.partitions.dedup_by_key(|(partition, _)| *partition);
        held
    }

    /// Whose generations they are.
    fn owner(&self, group: &str) -> String {
        self.topic.as_deref().map_or_else(String::new, |topic| owner_of(group, topic))
    }

    /// Per move: the generation under which it was refused.
    fn refused(&self, refused: &[i32]) -> Vec<Option<i32>> {
        let older =
            |partition, generation| self.partitions.iter().any(|(of, newest)| *of == partition && *newest > generation);
        let of_one = |held: &Option<(i32, i32)>| {
            held.and_then(|(partition, generation)| {
                (refused.contains(&partition) || older(partition, generation)).then_some(generation)
            })
        };
        self.of_moves.iter().map(of_one).collect()
    }
}

/// What a refused move came to: not its partition's owner any more, or merely between two generations of its own.
pub(super) fn refusal(mv: &Move, generation: i32) -> Moved {
    match &mv.origin {
        Origin::Record { holding, .. } if holding.is_last(generation) => Moved::Fenced,
        _ => Moved::Held,
    }
}

impl<O: ChannelOutside> Advancer<O> {
    /// Advances accounts (distinct, in account order) in one transaction. On an error nothing moved, but for
    /// [`AdvanceError::CommitUnknown`], after which each move remembers what it is unsure of.
    pub(crate) async fn transact(&self, moves: &mut [&mut Move], mode: LockMode) -> Result<Vec<Moved>, AdvanceError> {
        let _place = self.place().await;
        // The one place that decides whether a transfer is completed together with its row (P31).
        match self.config.settling {
            Settling::OneTransaction => {}
            Settling::Two => self.release(moves, mode).await?,
        }
        let mut tx = self.outside.store().begin().await?;
        let (locked, refused) = self.lock(&mut tx, moves, mode).await?;
        let mut staged =
            stage::stage(&self.rule, moves, locked.rows, locked.transfers, |settled| self.settle_unsure(settled));
        for ((moved, mv), refused) in staged.moved.iter_mut().zip(moves.iter()).zip(&refused) {
            if let Some(generation) = refused {
                *moved = refusal(mv, *generation);
            }
        }
        self.leave_out_stored(&mut staged);
        let outcome = if staged.is_empty() { tx.commit().await } else { tx.write_and_commit(&staged.writes).await };
        match outcome {
            CommitOutcome::Ok => {
                self.publish(&staged);
                self.remember_stored(&staged);
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

    /// P24 off: a copy that was moved back has entries above its head, which this process remembers and does not store again.
    fn leave_out_stored(&self, staged: &mut stage::Staged) {
        if self.config.sync_writes == SyncWrites::Overwrite {
            let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = |entry: &Entry| stored.get(&entry.account).is_none_or(|seq| entry.seq > *seq);
            staged.writes.entries.retain(is_new);
        }
    }

    fn remember_stored(&self, staged: &stage::Staged) {
        if self.config.sync_writes == SyncWrites::Overwrite {
            let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
            for (from, head) in &staged.writes.heads {
                let highest = stored.entry(head.account).or_insert(0);
                *highest = (*highest).max(*from).max(head.seq);
            }
        }
    }

    /// Asks who owns the partitions behind the moves (the one place that decides it, P22), locks accounts, then the transfers whose debits
    /// they may store (D33). Several accounts take the longer way: the transfers of those that somebody else holds are most likely held by
    /// him too, and a batch waits for nobody (D37). Rows of moves that are refused are left out; why, per move, is the second half.
    pub(super) async fn lock(
        &self,
        tx: &mut <O::Store as ChannelStore>::Tx,
        moves: &[&mut Move],
        mode: LockMode,
    ) -> Result<(Locked, Vec<Option<i32>>), StoreError> {
        let held = match self.config.generation_fence {
            GenerationFence::On => Held::of(moves),
            GenerationFence::Off => Held { of_moves: vec![None; moves.len()], ..Held::default() },
        };
        let owner = held.owner(&self.config.group);
        let fence = Fence { topic: &owner, held: &held.partitions };
        let accounts: Vec<AccountNo> = moves.iter().map(|mv| mv.account).collect();
        let wait = match mode {
            LockMode::SkipLocked => self.config.transfer_wait,
            LockMode::Wait(wait) => wait,
        };
        let alone = if let [mv] = moves { stage::debits([&**mv]) } else { Vec::new() };
        let mut locked = tx.fence_and_lock(fence, &accounts, mode, &alone, wait).await?;
        let refused = held.refused(&locked.refused);
        locked.rows.retain(|row| {
            let of = accounts.binary_search(&row.head.account);
            of.is_ok_and(|index| refused[index].is_none())
        });
        if moves.len() > 1 {
            let is_locked = |mv: &&Move| locked.rows.binary_search_by_key(&mv.account, |row| row.head.account).is_ok();
            let debits = stage::debits(moves.iter().map(|mv| &**mv).filter(is_locked));
            if !debits.is_empty() {
                locked.transfers = tx.lock_transfers(&debits, wait).await?;
            }
        }
        Ok((locked, refused))
    }

    /// The fence of a transaction that locks no account: the generation under which it was refused.
    pub(super) async fn fence_alone(
        &self,
        tx: &mut <O::Store as ChannelStore>::Tx,
        mv: &mut Move,
    ) -> Result<Option<i32>, StoreError> {
        let held = match self.config.generation_fence {
            GenerationFence::On => Held::of(&[mv]),
            GenerationFence::Off => Held::default(),
        };
        if held.partitions.is_empty() {
            return Ok(None);
        }
        let refused = tx.fence(&held.owner(&self.config.group), &held.partitions).await?;
        Ok(held.refused(&refused).first().copied().flatten())
    }

    /// Advances one account in a transaction of its own: at once if nobody holds its rows, else by waiting for them.
    pub(super) async fn transact_alone(&self, mv: &mut Move) -> Result<Moved, AdvanceError> {
        match self.transact(&mut [&mut *mv], LockMode::SkipLocked).await {
            Ok(moved) => match moved.first() {
                Some(moved @ Moved::Locked { .. }) => return Ok(*moved),
                Some(Moved::Fenced) => return Err(AdvanceError::Fenced(mv.account)),
                Some(Moved::Held) | None => {}
            },
            Err(AdvanceError::Store(StoreError::LockTimeout)) => {}
            Err(error) => return Err(error),
        }
        let _wait = self.waits.acquire().await.expect("the semaphore is never closed");
        match self.transact(&mut [&mut *mv], LockMode::Wait(self.config.lock_wait)).await?.first() {
            Some(Moved::Fenced) => Err(AdvanceError::Fenced(mv.account)),
            Some(moved) => Ok(*moved),
            None => Err(AdvanceError::Held(mv.account)),
        }
    }
}
