//! A channel's calls to core with a bug, or without.
//!
//! In: the model of the calls, a bug. Out: the port. Elsewhere: the calls themselves (`model::core_api`).

use std::time::Duration;

use bankstorm_contracts::core_api::{Purpose, Transfer, Verdict};
use bankstorm_contracts::{AccountNo, DigestRange, Digests, Entry, Head, Seq, TransferId};
use bankstorm_outside::core_api::{self as port, CallError, Submitted};

use super::Planted;

/// Core as one channel sees it.
#[derive(Clone)]
pub struct CoreApi<C> {
    inner: C,
    planted: Option<Planted>,
}

impl<C> CoreApi<C> {
    /// The model, with a bug or without.
    pub const fn new(inner: C, planted: Option<Planted>) -> Self {
        Self { inner, planted }
    }

    /// The model.
    pub const fn model(&self) -> &C {
        &self.inner
    }
}

impl<C: port::CoreApi> port::CoreApi for CoreApi<C> {
    async fn entries(
        &self,
        account: AccountNo,
        after: Seq,
        limit: u32,
        purpose: Purpose,
    ) -> Result<Vec<Entry>, CallError> {
        let mut entries = self.inner.entries(account, after, limit, purpose).await?;
        if self.planted == Some(Planted::CoreAnswersShort) {
            // "Up to and without" where "up to" was meant: whoever asks for one entry gets none.
            entries.pop();
        }
        Ok(entries)
    }

    async fn heads(&self, accounts: &[AccountNo], purpose: Purpose) -> Result<Vec<Head>, CallError> {
        self.inner.heads(accounts, purpose).await
    }

    async fn digests(&self, range: DigestRange) -> Result<Digests, CallError> {
        self.inner.digests(range).await
    }

    async fn transfer(&self, transfer: &Transfer, limit: Duration) -> Result<Submitted, CallError> {
        self.inner.transfer(transfer, limit).await
    }

    async fn resolve(&self, id: TransferId) -> Result<Verdict, CallError> {
        self.inner.resolve(id).await
    }
}
