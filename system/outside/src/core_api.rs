//! Typed calls from a channel to core.
//!
//! In: accounts, serials, transfers. Out: entries, heads, verdicts. Elsewhere: when a channel may call (`channel`), how it travels
//! (`adapters::http`).

use std::future::Future;
use std::time::Duration;

use bankstorm_contracts::core_api::{Purpose, Transfer, Verdict};
use bankstorm_contracts::{AccountNo, DigestRange, Digests, Entry, Head, Problem, Seq, TransferId};
use thiserror::Error;

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// Nothing went out, for certain: the connection was refused. Nothing can come of it later.
    #[error("not reached: {0}")]
    NotSent(String),
    /// It was answered not-started: nothing was begun by the request that was answered. Should something on the way repeat requests, the
    /// other one may still be worked.
    #[error("not started: {0}")]
    NotStarted(String),
    /// Nobody can tell: no answer in time, or one that says so.
    #[error("no answer: {0}")]
    Unavailable(String),
}

/// Core's answer to a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// Completed or refused, for good.
    Verdict(Verdict),
    /// In work: another request under this id, or its hold is open.
    Processing,
    /// Refused as a request (400, 422): nothing was done, and nothing will be.
    Refused(Problem),
}

/// Core, as a channel sees it.
pub trait CoreApi: Clone + Send + Sync + 'static {
    /// Entries with serials above `after`, in serial order, at most `limit`.
    fn entries(
        &self,
        account: AccountNo,
        after: Seq,
        limit: u32,
        purpose: Purpose,
    ) -> impl Future<Output = Result<Vec<Entry>, CallError>> + Send;

    /// Heads of the known ones among `accounts`.
    fn heads(
        &self,
        accounts: &[AccountNo],
        purpose: Purpose,
    ) -> impl Future<Output = Result<Vec<Head>, CallError>> + Send;

    /// Digests of the heads in a stretch of account numbers, up to where core cut its answer.
    fn digests(&self, range: DigestRange) -> impl Future<Output = Result<Digests, CallError>> + Send;

    /// Asks core to post a transfer, and waits at most `limit` for the answer.
    fn transfer(
        &self,
        transfer: &Transfer,
        limit: Duration,
    ) -> impl Future<Output = Result<Submitted, CallError>> + Send;

    /// Asks what became of a transfer; one that core does not know is refused from now on (D32).
    fn resolve(&self, id: TransferId) -> impl Future<Output = Result<Verdict, CallError>> + Send;
}
