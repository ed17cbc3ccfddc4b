//! `unlocked_advance`: a copy is moved by whoever has read it, whoever else has moved it meanwhile.
//!
//! People do this by trusting that a partition has one owner, or by a gap fill beside the consumer.

use bankstorm_contracts::AccountNo;
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{AdvanceWrites, SyncRow};

use crate::model::channel_store::ModelChannelTx;

/// Reads the sync rows, and locks nothing.
pub(super) async fn read(inner: &mut ModelChannelTx, accounts: &[AccountNo]) -> Result<Vec<SyncRow>, StoreError> {
    inner.read_unlocked(accounts).await
}

/// Writes over what stands.
pub(super) async fn write(inner: &mut ModelChannelTx, writes: &AdvanceWrites) -> Result<(), StoreError> {
    inner.write_blindly(writes).await
}
