//! Doors for planted bugs: what no client of a real database should do.
//!
//! In: accounts, rows. Out: reads without locks, writes without checks. Elsewhere: who uses them (`planted`).

use bankstorm_contracts::AccountNo;
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{AdvanceWrites, SyncRow};

use super::ModelChannelTx;
use crate::model::database::Step;

impl ModelChannelTx {
    /// Sync rows as committed now, in account order.
    pub(crate) async fn read_unlocked(&mut self, accounts: &[AccountNo]) -> Result<Vec<SyncRow>, StoreError> {
        self.session.step(Step::Locks).await?;
        let row = |account: &AccountNo| self.staged.sync_row(&self.store, self.staged.head(&self.store, *account));
        let mut rows: Vec<_> = accounts.iter().map(row).collect();
        rows.sort_unstable_by_key(|row| row.head.account);
        self.session.answered().await?;
        Ok(rows)
    }

    /// Writes over whatever stands.
    pub(crate) async fn write_blindly(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
        self.session.step(Step::Writes).await?;
        self.staged.entries.extend(writes.entries.iter().cloned());
        self.staged.heads.extend(writes.heads.iter().map(|(_, head)| (head.account, *head)));
        self.staged.journal.extend(writes.journal.iter().cloned());
        self.staged.moves.extend(writes.transfers.iter().copied());
        self.staged.marks.extend(writes.marks.iter().map(|mark| (mark.account, *mark)));
        self.staged.letters.extend(writes.letters.iter().cloned());
        self.staged.closes.extend(writes.closes.iter().copied());
        self.session.answered().await
    }
}
