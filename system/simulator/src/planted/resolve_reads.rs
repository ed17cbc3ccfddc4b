//! `resolve_reads`: the verdict on an id is what a plain read finds.
//!
//! People do this nearly always: a status call reads, and "not found" is taken for "will never be".

use std::time::Duration;

use bankstorm_contracts::ParamsHash;
use bankstorm_outside::StoreError;
use bankstorm_outside::core_store::{Claim, Claimed, CoreTx};

use crate::model::core_store::ModelCoreTx;

/// Whether this is `resolve` asking.
pub(super) fn is_question(claims: &[Claim]) -> bool {
    claims.iter().all(|claim| claim.params_hash == ParamsHash::TOMBSTONE)
}

/// Reads what is committed, and waits for nobody.
pub(super) async fn claim(
    inner: &mut ModelCoreTx,
    claims: &[Claim],
    wait: Duration,
) -> Result<Vec<Claimed>, StoreError> {
    // A step of the transaction like any other, which claims nothing.
    inner.claim(&[], wait).await?;
    let read = |claim: &Claim| inner.read_transfer(claim.id).map_or(Claimed::New, Claimed::Existing);
    Ok(claims.iter().map(read).collect())
}
