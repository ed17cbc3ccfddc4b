//! A model of a channel's calls to core.
//!
//! In: a core service that runs over models, and its process. Out: `CoreApi` by direct call. Elsewhere: HTTP (`adapters::http`).
//!
//! A call ends where core's process ends, before its effect, in the middle of it or before its answer, and like a real one after
//! [`CALL_LIMIT`].

use std::time::Duration;

use bankstorm_contracts::core_api::{CoreRequest, CoreResponse};
use bankstorm_contracts::{AccountNo, Entry, Head, Seq};
use bankstorm_core::Core;
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_api::{CallError, CoreApi};
use tokio::time::timeout;

use super::chance::Chance;
use super::hook::Hook;
use super::process::ModelScope;

/// How long a call may take: what the real client allows.
pub const CALL_LIMIT: Duration = Duration::from_secs(3);

/// A call that gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// Core at the other end of a line that takes its time.
pub struct DirectCore<O: CoreOutside> {
    core: Core<O>,
    process: ModelScope,
    caller: &'static str,
    chance: Chance,
    calls: Hook<NoAnswer>,
}

impl<O: CoreOutside> Clone for DirectCore<O> {
    fn clone(&self) -> Self {
        let (core, process) = (self.core.clone(), self.process.clone());
        Self { core, process, caller: self.caller, chance: self.chance.clone(), calls: self.calls.clone() }
    }
}

impl<O: CoreOutside> DirectCore<O> {
    /// The line of one `caller` to `core`, which runs in `process`.
    pub fn new(core: Core<O>, process: ModelScope, seed: u64, caller: &'static str) -> Self {
        Self { core, process, caller, chance: Chance::new(seed, caller), calls: Hook::default() }
    }

    /// What calls meet.
    pub const fn calls(&self) -> &Hook<NoAnswer> {
        &self.calls
    }

    async fn call(&self, request: CoreRequest) -> Result<CoreResponse, CallError> {
        let answered = timeout(CALL_LIMIT, async {
            tokio::select! {
                // First: what happens at one moment with the kill does not happen.
                biased;
                () = self.process.killed() => Err(CallError::Unavailable("core's process was killed".to_owned())),
                answer = self.exchange(request) => answer,
            }
        });
        let late = |_| Err(CallError::Unavailable(format!("no answer within {CALL_LIMIT:?}")));
        answered.await.unwrap_or_else(late)
    }

    async fn exchange(&self, request: CoreRequest) -> Result<CoreResponse, CallError> {
        self.chance.pause().await;
        let lost = self.calls.call();
        let response = self.core.handle(self.caller, request).await;
        self.chance.pause().await;
        match lost {
            Some(NoAnswer) => Err(CallError::Unavailable("the answer was lost".to_owned())),
            None => Ok(response),
        }
    }
}

impl<O: CoreOutside> CoreApi for DirectCore<O> {
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

fn refused(response: &CoreResponse) -> CallError {
    CallError::Unavailable(format!("core answered {response:?}"))
}
