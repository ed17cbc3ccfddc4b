//! A model of a channel's calls to core.
//!
//! In: a link and core's endpoint. Out: `CoreApi`. Elsewhere: HTTP (`adapters::http`), what may happen on the way (`network`).

use std::time::Duration;

use bankstorm_contracts::core_api::{CoreRequest, CoreResponse};
use bankstorm_contracts::{AccountNo, Entry, Head, Seq};
use bankstorm_core::Core;
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_api::{CallError, CoreApi};

use super::network::{Endpoint, Link};
use super::process::ModelScope;

/// How long a call may take: what the real client allows.
pub const CALL_LIMIT: Duration = Duration::from_secs(3);

/// Where core answers.
pub type CoreEndpoint = Endpoint<CoreRequest, CoreResponse>;

/// Lets `core`, which runs in `process`, answer at its endpoint.
pub fn serve<O: CoreOutside>(at: &CoreEndpoint, process: ModelScope, core: Core<O>) {
    at.listen(process, move |request| {
        let core = core.clone();
        Box::pin(async move { core.handle("network", request).await })
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

    async fn call(&self, request: CoreRequest) -> Result<CoreResponse, CallError> {
        // A channel may be frozen while core answers.
        let answer = self.link.call_apart(&self.core, request, CALL_LIMIT).await;
        answer.map_err(|end| CallError::Unavailable(end.to_string()))
    }
}

impl CoreApi for ModelCoreApi {
    async fn entries(&self, account: AccountNo, after: Seq, limit: u32) -> Result<Vec<Entry>, CallError> {
        match self.call(CoreRequest::Entries { account, after, limit }).await? {
            CoreResponse::Entries(answer) => Ok(answer.entries),
            other => Err(refused(&other)),
        }
    }

    async fn heads(&self, accounts: &[AccountNo]) -> Result<Vec<Head>, CallError> {
        match self.call(CoreRequest::Heads(accounts.to_vec())).await? {
            CoreResponse::Heads(answer) => Ok(answer.heads),
            other => Err(refused(&other)),
        }
    }
}

/// As the real client says it: a problem by its status and detail, anything else as no answer to the question.
fn refused(response: &CoreResponse) -> CallError {
    CallError::Unavailable(match response {
        CoreResponse::Problem(problem) => format!("{} {}", problem.status, problem.detail),
        other => format!("not the answer that was asked for: {other:?}"),
    })
}
