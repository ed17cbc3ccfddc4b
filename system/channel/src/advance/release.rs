//! P31 off: a transfer is completed in a transaction of its own, ahead of the one that stores its row.
//!
//! In: moves that are about to be made. Out: completed transfers without their rows; a kill or a stall in between leaves them so.
//! Elsewhere: the safe arm, and the choice between both (`advance`).

use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::{AdvanceWrites, ChannelStore, ChannelTx};
use bankstorm_outside::{CommitOutcome, LockMode};

use super::{AdvanceError, Advancer, Move, stage};

impl<O: ChannelOutside> Advancer<O> {
    /// Completes the transfers whose debits are about to be stored.
    pub(super) async fn release(&self, moves: &[&mut Move], mode: LockMode) -> Result<(), AdvanceError> {
        let mut moves: Vec<Move> = moves.iter().map(|mv| (**mv).clone()).collect();
        let mut moves: Vec<&mut Move> = moves.iter_mut().collect();
        if stage::debits(moves.iter().map(|mv| &**mv)).is_empty() {
            return Ok(());
        }
        let mut tx = self.outside.store().begin().await?;
        let (locked, _) = self.lock(&mut tx, &moves, mode).await?;
        // What an advance without an answer did is found out, and told, by the transaction that stores the rows.
        let staged = stage::stage(&self.rule, &mut moves, locked.rows, locked.transfers, |_| ());
        if staged.settled.is_empty() {
            return Ok(());
        }
        let writes = AdvanceWrites { transfers: staged.writes.transfers.clone(), ..AdvanceWrites::default() };
        match tx.write_and_commit(&writes).await {
            CommitOutcome::Ok => {
                self.tell_settled(&staged);
                Ok(())
            }
            CommitOutcome::Failed(error) => Err(error.into()),
            CommitOutcome::Unknown(detail) => Err(AdvanceError::CommitUnknown(detail)),
        }
    }
}
