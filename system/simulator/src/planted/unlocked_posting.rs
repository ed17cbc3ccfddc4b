//! `unlocked_posting`: balances are read, reckoned with, and written back.
//!
//! People do this by `SELECT` without `FOR UPDATE` under read committed: two postings get one serial, and one of their amounts is lost.

use bankstorm_contracts::AccountNo;
use bankstorm_outside::StoreError;
use bankstorm_outside::core_store::{CoreTx, Locked, Writes};

use crate::model::core_store::ModelCoreTx;

/// Reads the rows, and locks nothing.
pub(super) async fn read(inner: &mut ModelCoreTx, accounts: &[AccountNo]) -> Result<Locked, StoreError> {
    inner.read_unlocked(accounts).await
}

/// Writes over what stands.
pub(super) async fn write(inner: &mut ModelCoreTx, writes: &Writes) -> Result<(), StoreError> {
    inner.write_blindly(writes).await
}
