//! `claims_anew`: an id that stands is taken as new, and its row overwritten.
//!
//! People do this by an upsert that does not look whether it inserted, or by a key without a unique index.

use std::time::Duration;

use bankstorm_contracts::ParamsHash;
use bankstorm_outside::StoreError;
use bankstorm_outside::core_store::{Claim, Claimed, CoreTx};

use crate::model::core_store::ModelCoreTx;

/// Claims; only questions (tombstones) still see what stands.
pub(super) async fn claim(
    inner: &mut ModelCoreTx,
    claims: &[Claim],
    wait: Duration,
) -> Result<Vec<Claimed>, StoreError> {
    let mut claimed = inner.claim(claims, wait).await?;
    for (claim, met) in claims.iter().zip(&mut claimed) {
        if matches!(met, Claimed::Existing(_)) && claim.params_hash != ParamsHash::TOMBSTONE {
            inner.claim_anew(claim);
            *met = Claimed::New;
        }
    }
    Ok(claimed)
}
