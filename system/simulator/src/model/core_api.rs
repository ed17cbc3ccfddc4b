//! A model of a channel's calls to core.
//!
//! In: a link and core's endpoint. Out: `CoreApi`. Elsewhere: HTTP (`adapters::http`), what may happen on the way (`network`).

use std::time::Duration;

use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Purpose, Transfer, Verdict};
use bankstorm_contracts::problem::{Problem, ProblemKind};
use bankstorm_contracts::{AccountNo, DigestRange, Digests, Entry, Head, Seq, TransferId, TransferState};
use bankstorm_core::Core;
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_api::{CallError, CoreApi, Submitted};

use super::network::{CallEnd, Endpoint, Link};
use super::process::ModelScope;

/// How long a call may take: what the real client allows.
pub const CALL_LIMIT: Duration = Duration::from_secs(3);

/// Where core answers.
pub type CoreEndpoint = Endpoint<CoreRequest, CoreResponse>;

/// Lets `core`, which runs in `process`, answer at its endpoint.
pub fn serve<O: CoreOutside>(at: &CoreEndpoint, process: ModelScope, core: Core<O>) {
    at.listen_to(process, move |caller, request| {
        let (core, caller) = (core.clone(), caller.to_owned());
        Box::pin(async move { core.handle(&caller, request).await })
    });
}

/// Core, as one channel reaches it.
#[derive(Clone)]
pub struct ModelCoreApi {
    link: Link,
    core: CoreEndpoint,
}

impl ModelCoreApi {
    /// Calls to `core` over `link`.
    pub const fn new(link: Link, core: CoreEndpoint) -> Self {
        Self { link, core }
    }

    /// What calls travel over.
    pub const fn link(&self) -> &Link {
        &self.link
    }

    async fn call(&self, request: CoreRequest, limit: Duration) -> Result<CoreResponse, CallError> {
        // A channel may be frozen while core answers.
        unanswered(self.link.call_apart(&self.core, request, limit).await)
    }
}

impl CoreApi for ModelCoreApi {
    async fn entries(
        &self,
        account: AccountNo,
        after: Seq,
        limit: u32,
        purpose: Purpose,
    ) -> Result<Vec<Entry>, CallError> {
        let request = CoreRequest::Entries { account, after, limit, purpose: Some(purpose) };
        match self.call(request, CALL_LIMIT).await? {
            CoreResponse::Entries(answer) => Ok(answer.entries),
            other => Err(refused(&other)),
        }
    }

    async fn heads(&self, accounts: &[AccountNo], purpose: Purpose) -> Result<Vec<Head>, CallError> {
        let request = CoreRequest::Heads { accounts: accounts.to_vec(), purpose: Some(purpose) };
        match self.call(request, CALL_LIMIT).await? {
            CoreResponse::Heads(answer) => Ok(answer.heads),
            other => Err(refused(&other)),
        }
    }

    async fn digests(&self, range: DigestRange) -> Result<Digests, CallError> {
        match self.call(CoreRequest::Digests(range), CALL_LIMIT).await? {
            CoreResponse::Digests(answer) => Ok(answer),
            other => Err(refused(&other)),
        }
    }

    async fn transfer(&self, transfer: &Transfer, limit: Duration) -> Result<Submitted, CallError> {
        match self.call(CoreRequest::Transfer(transfer.clone()), limit).await? {
            CoreResponse::Created(verdict) | CoreResponse::Verdict(verdict) => Ok(match verdict.state {
                TransferState::Processing => Submitted::Processing,
                TransferState::Completed | TransferState::Rejected => Submitted::Verdict(verdict),
            }),
            CoreResponse::Problem(problem) => submitted(problem),
            other => Err(refused(&other)),
        }
    }

    async fn resolve(&self, id: TransferId) -> Result<Verdict, CallError> {
        match self.call(CoreRequest::Resolve(id), CALL_LIMIT).await? {
            CoreResponse::Created(verdict) | CoreResponse::Verdict(verdict) => Ok(verdict),
            other => Err(refused(&other)),
        }
    }
}

/// What a problem says of a transfer (D41).
fn submitted(problem: Problem) -> Result<Submitted, CallError> {
    match problem.kind {
        ProblemKind::Processing => Ok(Submitted::Processing),
        ProblemKind::NotStarted | ProblemKind::Unknown => Err(refused(&CoreResponse::Problem(problem))),
        ProblemKind::BadRequest
        | ProblemKind::BodyTooLarge
        | ProblemKind::NotFound
        | ProblemKind::MethodNotAllowed
        | ProblemKind::ParamDrift
        | ProblemKind::TransferPending => Ok(Submitted::Refused(problem)),
    }
}

/// What a call that got no answer says.
pub(super) fn unanswered<A>(answer: Result<A, CallEnd>) -> Result<A, CallError> {
    answer.map_err(|end| match end {
        CallEnd::Refused => CallError::NotSent(end.to_string()),
        CallEnd::Lost(_) => CallError::Unavailable(end.to_string()),
    })
}

/// As the real client says it: a problem by its status and detail, anything else as no answer to the question.
fn refused(response: &CoreResponse) -> CallError {
    match response {
        CoreResponse::Problem(problem) => problem_error(problem),
        other => CallError::Unavailable(format!("not the answer that was asked for: {other:?}")),
    }
}

/// A problem by its status and detail: only one kind says for certain that nothing was begun.
pub(super) fn problem_error(problem: &Problem) -> CallError {
    let text = format!("{} {}", problem.status, problem.detail);
    if problem.kind == ProblemKind::NotStarted { CallError::NotStarted(text) } else { CallError::Unavailable(text) }
}
