//! `outbox_aside`: the outbox is written after the posting is committed, not with it.
//!
//! People do this by an outbox behind another connection pool, or by a hook "after commit".

use bankstorm_contracts::Entry;
use bankstorm_outside::CommitOutcome;
use bankstorm_outside::core_store::{CoreStore, CoreTx, Writes};

use crate::model::core_store::ModelCoreStore;

/// What is written in the posting's own transaction.
pub(super) fn without(writes: &Writes) -> Writes {
    Writes { outbox: Vec::new(), ..writes.clone() }
}

/// The second transaction, after a commit that was answered. The posting is done by then, so a failure of this one is told to nobody.
pub(super) async fn after(outcome: CommitOutcome, store: &ModelCoreStore, outbox: Vec<Entry>) -> CommitOutcome {
    if outcome == CommitOutcome::Ok
        && !outbox.is_empty()
        && let Ok(tx) = store.begin().await
    {
        let _ = tx.write_and_commit(&Writes { outbox, ..Writes::default() }).await;
    }
    outcome
}
