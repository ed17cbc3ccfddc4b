//! Typed calls from a channel to core.
//!
//! In: accounts and serials. Out: entries and heads. Elsewhere: when a channel may call (`channel`), how it travels (`adapters::http`).

use std::future::Future;

use bankstorm_contracts::{AccountNo, Entry, Head, Seq};
use thiserror::Error;

/// Why a call gave no answer. Both calls only read, so that is all there is to know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// Core could not be reached, did not answer in time, or said no.
    #[error("core gave no answer: {0}")]
    Unavailable(String),
}

/// Core, as a channel sees it.
pub trait CoreApi: Clone + Send + Sync + 'static {
    /// Entries with serials above `after`, in serial order, at most `limit`.
    fn entries(
        &self,
        account: AccountNo,
        after: Seq,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Entry>, CallError>> + Send;

    /// Heads of the known ones among `accounts`.
    fn heads(&self, accounts: &[AccountNo]) -> impl Future<Output = Result<Vec<Head>, CallError>> + Send;
}
