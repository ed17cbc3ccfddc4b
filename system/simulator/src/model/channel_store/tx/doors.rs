//! Doors for planted bugs: what no client of a real database should do.
//!
//! In: accounts, rows. Out: reads without locks, writes without checks. Elsewhere: who uses them (`planted`).

use bankstorm_contracts::{AccountNo, Head};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::AdvanceWrites;

use super::ModelChannelTx;
use crate::model::database::Step;

impl ModelChannelTx {
    /// Heads as committed now, in account order.
    pub(crate) async fn read_unlocked(&mut self, accounts: &[AccountNo]) -> Result<Vec<Head>, StoreError> {
        self.session.step(Step::Locks).await?;
        let mut heads: Vec<_> = accounts.iter().map(|account| self.staged.head(&self.store, *account)).collect();
        heads.sort_unstable_by_key(|head| head.account);
        self.session.answered().await?;
        Ok(heads)
    }

    /// Writes over whatever stands.
    pub(crate) async fn write_blindly(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
        self.session.step(Step::Writes).await?;
        self.staged.entries.extend(writes.entries.iter().cloned());
        self.staged.heads.extend(writes.heads.iter().map(|(_, head)| (head.account, *head)));
        self.staged.journal.extend(writes.journal.iter().cloned());
        self.staged.moves.extend(writes.transfers.iter().copied());
        self.session.answered().await
    }
}
