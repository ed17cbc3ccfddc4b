//! A model of a channel's calls to core.
//!
//! In: a core service that runs over models. Out: `CoreApi` by direct call. Elsewhere: HTTP (`adapters::http`).

use bankstorm_contracts::core_api::{CoreRequest, CoreResponse};
use bankstorm_contracts::{AccountNo, Entry, Head, Seq};
use bankstorm_core::Core;
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_api::{CallError, CoreApi};

use super::chance::Chance;
use super::hook::Hook;

/// A call that gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// Core at the other end of a line that takes its time.
pub struct DirectCore<O: CoreOutside> {
    core: Core<O>,
    caller: &'static str,
    chance: Chance,
    calls: Hook<NoAnswer>,
}

impl<O: CoreOutside> Clone for DirectCore<O> {
    fn clone(&self) -> Self {
        let (core, chance, calls) = (self.core.clone(), self.chance.clone(), self.calls.clone());
        Self { core, caller: self.caller, chance, calls }
    }
}

impl<O: CoreOutside> DirectCore<O> {
    /// The line of one `caller` to `core`.
    pub fn new(core: Core<O>, seed: u64, caller: &'static str) -> Self {
        Self { core, caller, chance: Chance::new(seed, caller), calls: Hook::default() }
    }

    /// What calls meet.
    pub const fn calls(&self) -> &Hook<NoAnswer> {
        &self.calls
    }

    async fn call(&self, request: CoreRequest) -> Result<CoreResponse, CallError> {
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
