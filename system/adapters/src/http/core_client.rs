//! Core, as a channel calls it over HTTP/1.1.
//!
//! In: accounts, serials, transfers. Out: entries, heads and verdicts, or a [`CallError`]. Elsewhere: connections (`client`), when core is
//! called and what is tried again (`channel`).
//!
//! Reads, transfers and resolves have connections of their own: none waits behind the others (A18).
//!
//! | core's answer to a transfer (D41) | here |
//! |---|---|
//! | 200, 201 | [`Submitted::Verdict`] |
//! | 409 `processing` | [`Submitted::Processing`] |
//! | a 4xx with a problem document by which core refuses requests | [`Submitted::Refused`] |
//! | none, since nothing was sent | [`CallError::NotSent`] |
//! | 503 `not-started` | [`CallError::NotStarted`] |
//! | everything else, other 4xx (a proxy's) and no answer in time included | [`CallError::Unavailable`] |

use std::time::Duration;

use bankstorm_contracts::core_api::{Entries, Heads, HeadsRequest, PURPOSE_HEADER, Purpose, Transfer, Verdict};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, DigestRange, Digests, Entry, Head, Seq, TransferId, TransferState};
use bankstorm_outside::core_api::{CallError, CoreApi, Submitted};
use hyper::StatusCode;

use super::client::{Answer, Client, Header};

/// How long one call may take that has no limit of its caller's.
pub const CALL_LIMIT: Duration = Duration::from_secs(3);

/// How many calls of each kind are in flight at most; more wait, within their limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreCalls {
    /// Entries, heads and digests of heads.
    pub reads: usize,
    /// Transfers.
    pub transfers: usize,
    /// Resolves: transfers that wait for their answers must not keep the poller from asking about others.
    pub resolves: usize,
}

impl Default for CoreCalls {
    fn default() -> Self {
        // Eight channels together stay below the connections that core's front door takes. Reads have room for the pulls of readers
        // (`core_pulls`, 8 unless set), for gaps, and for the sweep: a cap that nobody counts would stand before the one that is told.
        Self { reads: 16, transfers: 100, resolves: 8 }
    }
}

/// A client of core. Clones share its connections.
#[derive(Clone, Debug)]
pub struct CoreClient {
    reads: Client,
    transfers: Client,
    resolves: Client,
}

impl CoreClient {
    /// A client of core at `url` (`http://host:port`) that names itself `caller`. Nothing is connected yet.
    pub fn new(url: &str, calls: CoreCalls, caller: &str) -> Result<Self, CallError> {
        Ok(Self {
            reads: Client::new(url, calls.reads, caller)?,
            transfers: Client::new(url, calls.transfers, caller)?,
            resolves: Client::new(url, calls.resolves, caller)?,
        })
    }
}

impl CoreApi for CoreClient {
    async fn entries(
        &self,
        account: AccountNo,
        after: Seq,
        limit: u32,
        purpose: Purpose,
    ) -> Result<Vec<Entry>, CallError> {
        let path = format!("/v1/accounts/{account}/entries?after={after}&limit={limit}");
        let answer = self.reads.get_with(&path, &[why(purpose)], CALL_LIMIT).await?;
        let Entries { entries } = answer.expect(StatusCode::OK)?;
        Ok(entries)
    }

    async fn heads(&self, accounts: &[AccountNo], purpose: Purpose) -> Result<Vec<Head>, CallError> {
        let asked = HeadsRequest { accounts: accounts.to_vec() };
        let answer = self.reads.post_with("/v1/heads", &[why(purpose)], &asked, CALL_LIMIT).await?;
        let Heads { heads } = answer.expect(StatusCode::OK)?;
        Ok(heads)
    }

    async fn digests(&self, range: DigestRange) -> Result<Digests, CallError> {
        let DigestRange { from, to, width } = range;
        let path = format!("/v1/heads/digests?from={from}&to={to}&width={width}");
        self.reads.get(&path, CALL_LIMIT).await?.expect(StatusCode::OK)
    }

    async fn transfer(&self, transfer: &Transfer, limit: Duration) -> Result<Submitted, CallError> {
        submitted(transfer.id, &self.transfers.post("/v1/transfers", transfer, limit).await?)
    }

    async fn resolve(&self, id: TransferId) -> Result<Verdict, CallError> {
        let answer = self.resolves.post_empty(&format!("/v1/transfers/{id}/resolve"), CALL_LIMIT).await?;
        about(id, answer.expect(StatusCode::OK)?)
    }
}

/// What a read is for, as core's access log wants it.
const fn why(purpose: Purpose) -> Header {
    (PURPOSE_HEADER, purpose.as_str())
}

fn submitted(id: TransferId, answer: &Answer) -> Result<Submitted, CallError> {
    match (answer.status, answer.problem()) {
        (StatusCode::OK | StatusCode::CREATED, _) => {
            let verdict = about(id, answer.read()?)?;
            Ok(match verdict.state {
                TransferState::Processing => Submitted::Processing,
                TransferState::Completed | TransferState::Rejected => Submitted::Verdict(verdict),
            })
        }
        (StatusCode::CONFLICT, Some(problem)) if problem.kind == ProblemKind::Processing => Ok(Submitted::Processing),
        // Nobody but core speaks so: a proxy's 404 or 429 says nothing about the transfer.
        (status, Some(problem)) if problem.kind.refuses_request() && status == problem.kind.status() => {
            Ok(Submitted::Refused(problem))
        }
        _ => Err(answer.refusal()),
    }
}

/// A verdict on another transfer is no answer.
fn about(id: TransferId, verdict: Verdict) -> Result<Verdict, CallError> {
    if verdict.id == id {
        return Ok(verdict);
    }
    Err(CallError::Unavailable(format!("core was asked about {id} and answered about {}", verdict.id)))
}
