//! Doors for planted bugs: what no client of a real database should do.
//!
//! In: claims, accounts, rows. Out: claims and writes without checks. Elsewhere: who uses them (`planted`).

use bankstorm_contracts::TransferId;
use bankstorm_outside::StoreError;
use bankstorm_outside::core_store::{Claim, TransferRecord, Writes};

use super::ModelCoreTx;
use crate::model::database::Step;

impl ModelCoreTx {
    /// Takes an id that stands as if it were new: its row is written over.
    pub(crate) fn claim_anew(&mut self, claim: &Claim) {
        self.staged.claim(claim, self.store.database().now());
        self.held.ids.insert(claim.id);
    }

    /// A transfer as committed now, whoever has it in work.
    pub(crate) fn read_transfer(&self, id: TransferId) -> Option<TransferRecord> {
        self.store.record(id)
    }

    /// Writes over whatever stands.
    pub(crate) async fn write_blindly(&mut self, writes: &Writes) -> Result<(), StoreError> {
        self.session.step(Step::Writes).await?;
        self.staged.put(&self.store, writes);
        self.session.answered().await
    }
}
