//! `skips_unsent`: the relay remembers how far it has come by id.
//!
//! People do this because ids rise; but they are drawn before commits are ordered, and who commits late is below the mark.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bankstorm_outside::StoreError;
use bankstorm_outside::core_store::{CoreStore, OutboxRow};

use crate::model::core_store::ModelCoreStore;

/// The highest id that was sent.
#[derive(Clone, Default)]
pub(super) struct Scanned(Arc<AtomicI64>);

impl Scanned {
    /// These were sent.
    pub(super) fn up_to(&self, ids: &[i64]) {
        let highest = ids.iter().copied().max().unwrap_or(0);
        self.0.fetch_max(highest, Ordering::Relaxed);
    }
}

/// Rows above the mark only.
pub(super) async fn unsent(
    inner: &ModelCoreStore,
    scanned: &Scanned,
    limit: u32,
) -> Result<Vec<OutboxRow>, StoreError> {
    inner.unsent_above(scanned.0.load(Ordering::Relaxed), limit).await
}
