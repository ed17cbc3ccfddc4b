//! Core as a service: one `handle` for every request, and who is let in.
//!
//! In: requests with their caller. Out: responses. Elsewhere: JSON and status codes (`adapters::http`), counting (`admission`), digests of
//! heads (`digests`), the log of who read what (`access`).
//!
//! A handler's future may be dropped at any await (a client hung up): effects run in tasks of the process, which handlers merely await.

mod access;
mod digests;

use std::sync::Arc;

use bankstorm_contracts::banks_api::CreditAnswer;
use bankstorm_contracts::core_api::{
    CoreRequest, CoreResponse, Deposit, Destination, Entries, Heads, MAX_ENTRIES, MAX_HEADS, OWN_BANK, REQUESTED_AT,
    Transfer,
};
use bankstorm_contracts::problem::{Problem, ProblemKind};
use bankstorm_contracts::{AccountNo, Head, TransferId, WallMicros};
use bankstorm_outside::StoreError;
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::CoreStore;
use bankstorm_outside::process::{Metrics, Points, Scope};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::{Instant, timeout};

use crate::admission::{Admission, Full};
use crate::book::Order;
use crate::busy::Busy;
use crate::config::CoreConfig;
use crate::outbound::Outbound;
use crate::posting::Posting;
use crate::publishing::Publishing;
use crate::queue::{Asker, Job};
use crate::{fence, markers, relay};
use access::Watched;

/// A running core. Clones are handles to the same one.
pub struct Core<O: CoreOutside>(Arc<Inner<O>>);

struct Inner<O: CoreOutside> {
    outside: O,
    config: CoreConfig,
    admission: Admission,
    posting: Arc<Posting<O>>,
    outbound: Arc<Outbound<O>>,
    resolving: Arc<Semaphore>,
    reading: Semaphore,
    digesting: Semaphore,
}

impl<O: CoreOutside> Clone for Core<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: CoreOutside> Core<O> {
    /// Starts the posting slots, the work on open holds and the relay as tasks of `outside`'s scope.
    pub fn start(outside: O, config: CoreConfig) -> Self {
        let publishing = Arc::new(Publishing::new(&outside, &config));
        let busy = Busy::default();
        let outbound = Outbound::start(&outside, &config, &busy, Arc::clone(&publishing));
        let posting = Posting::start(&outside, &config, Arc::clone(&outbound), &busy, Arc::clone(&publishing));
        outside.scope().spawn("core-relay", relay::run(outside.clone(), config.clone(), publishing, busy));
        Self(Arc::new(Inner {
            admission: Admission::new(config.admitted_max, config.caller_max),
            resolving: Arc::new(Semaphore::new(config.resolve_slots)),
            reading: Semaphore::new(config.read_slots),
            digesting: Semaphore::new(config.digest_slots),
            posting,
            outbound,
            outside,
            config,
        }))
    }

    /// Answers one request of `caller`: his name, or the peer's address. What one caller may have in work is limited.
    pub async fn handle(&self, caller: &str, request: CoreRequest) -> CoreResponse {
        tracing::trace!(caller, ?request, "request");
        let watched = Watched::begin(self.0.outside.access(), caller, &request);
        let response = self.answer(caller, request).await;
        if let Some(watched) = watched {
            watched.answered(&response);
        }
        response
    }

    async fn answer(&self, caller: &str, request: CoreRequest) -> CoreResponse {
        match request {
            CoreRequest::Deposit(deposit) => self.deposit(caller, deposit).await,
            CoreRequest::Transfer(transfer) => self.transfer(caller, transfer).await,
            CoreRequest::Resolve(id) => self.resolve(caller, id).await,
            CoreRequest::BankOutcome(answer) => self.outcome(caller, answer).await,
            CoreRequest::Entries { account, after, limit, .. } => self.entries(account, after, limit).await,
            CoreRequest::Head(account) => self.head(account).await,
            CoreRequest::Heads { accounts, .. } => self.heads(accounts).await,
            CoreRequest::Digests(range) => self.digests(range).await,
        }
    }

    async fn deposit(&self, caller: &str, deposit: Deposit) -> CoreResponse {
        match deposit.validate().and_then(|()| customers(deposit.account)) {
            Ok(()) => self.post(caller, Order::deposit(deposit)).await,
            Err(problem) => CoreResponse::Problem(problem),
        }
    }

    async fn transfer(&self, caller: &str, transfer: Transfer) -> CoreResponse {
        match transfer.validate().and_then(|to| storable(transfer.requested_at).map(|()| to)) {
            Ok(destination) => match self.reachable(&transfer, &destination).await {
                Ok(()) => self.post(caller, Order::transfer(transfer, destination)).await,
                Err(refusal) => refusal,
            },
            Err(problem) => CoreResponse::Problem(problem),
        }
    }

    /// Whether the destination's bank can be asked, or need not be: an id that stands keeps its verdict.
    async fn reachable(&self, transfer: &Transfer, destination: &Destination) -> Result<(), CoreResponse> {
        let Destination::Other(party) = destination else { return Ok(()) };
        if self.0.config.other_banks || self.read(self.0.outside.store().transfer(transfer.id)).await?.is_some() {
            return Ok(());
        }
        let detail =
            format!("to.bank is {:?}; accepted is {OWN_BANK:?}: core was started without other banks", party.bank);
        Err(CoreResponse::Problem(Problem::bad_field("to.bank", detail)))
    }

    async fn post(&self, caller: &str, order: Order) -> CoreResponse {
        // The moment of its arrival: validity and posting time run from here (D31, A18).
        let since = Instant::now();
        let (asker, answer) = match self.admit(caller) {
            Ok(admitted) => admitted,
            Err(refusal) => return refusal,
        };
        self.0.posting.submit(Job::new(order, asker, since));
        await_answer(answer).await
    }

    /// Another bank's word on a credit. Settled in a task of the process: a bank that hangs up changes nothing.
    async fn outcome(&self, caller: &str, told: CreditAnswer) -> CoreResponse {
        let (asker, answer) = match self.admit(caller) {
            Ok(admitted) => admitted,
            Err(refusal) => return refusal,
        };
        let outbound = Arc::clone(&self.0.outbound);
        self.0.outside.scope().spawn("core-outcome", async move { asker.answer(outbound.told(told).await) });
        await_answer(answer).await
    }

    async fn resolve(&self, caller: &str, id: TransferId) -> CoreResponse {
        let (asker, answer) = match self.admit(caller) {
            Ok(admitted) => admitted,
            Err(refusal) => return refusal,
        };
        let inner = Arc::clone(&self.0);
        self.0.outside.scope().spawn("core-resolve", async move {
            let metrics = inner.outside.metrics();
            let response = match timeout(inner.config.resolve_slot_wait, inner.resolving.acquire()).await {
                // Whoever asks again does not stand behind his own former questions.
                Ok(_slot) if asker.is_gone() => return metrics.count("core_resolves_abandoned_total", 1),
                Ok(slot) => {
                    let _slot = slot.expect("never closed");
                    fence::resolve(&inner.outside, &inner.config, id).await
                }
                Err(_) => {
                    metrics.count("core_resolves_deferred_total", 1);
                    // Not `processing`: nobody looked, and the id may have been told as settled before.
                    let limit = inner.config.resolve_slot_wait;
                    let detail = format!("nothing was asked: no slot came free within resolve_slot_wait = {limit:?}");
                    CoreResponse::Problem(Problem::new(ProblemKind::NotStarted, detail))
                }
            };
            asker.answer(response);
        });
        await_answer(answer).await
    }

    async fn entries(&self, account: AccountNo, after: i64, limit: u32) -> CoreResponse {
        if limit == 0 || limit > MAX_ENTRIES {
            let detail = format!("limit is {limit}; accepted are 1 to {MAX_ENTRIES}");
            return CoreResponse::Problem(Problem::bad_field("limit", detail));
        }
        if after < 0 {
            let detail = format!("after is {after}; accepted are serials from 0");
            return CoreResponse::Problem(Problem::bad_field("after", detail));
        }
        let read = self.read(self.0.outside.store().entries(account, after, limit)).await;
        read.map_or_else(|refusal| refusal, |entries| CoreResponse::Entries(Entries { entries }))
    }

    async fn head(&self, account: AccountNo) -> CoreResponse {
        if let Err(problem) = customers(account) {
            return CoreResponse::Problem(problem);
        }
        match self.read(self.0.outside.store().heads(&[account])).await {
            Ok(heads) => heads.first().map_or_else(
                || CoreResponse::Problem(Problem::new(ProblemKind::NotFound, format!("there is no account {account}"))),
                |head| CoreResponse::Head(*head),
            ),
            Err(refusal) => refusal,
        }
    }

    async fn heads(&self, asked: Vec<AccountNo>) -> CoreResponse {
        if asked.len() > MAX_HEADS {
            let detail = format!("accounts has {} members; accepted are up to {MAX_HEADS}", asked.len());
            return CoreResponse::Problem(Problem::bad_field("accounts", detail));
        }
        let mut distinct = asked.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let read = self.read(self.0.outside.store().heads(&distinct)).await;
        read.map_or_else(
            |refusal| refusal,
            |known| CoreResponse::Heads(Heads { heads: in_order_asked(&asked, &known) }),
        )
    }

    /// A read, a bounded number at once and each for a bounded time: however many ask, postings keep their connections, and whoever asks is
    /// answered in time.
    async fn read<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, CoreResponse> {
        let _slot = self.slot(&self.0.reading, self.0.config.read_slots, "reads").await?;
        let limit = self.0.config.read_limit;
        let Ok(answered) = timeout(limit, read).await else {
            self.0.outside.metrics().count("core_reads_refused_total", 1);
            return Err(nothing_read(&format!("the database did not answer within read_limit = {limit:?}")));
        };
        answered.map_err(|error| nothing_read(&error.to_string()))
    }

    /// One of `of`, of which there are `slots`.
    async fn slot<'a>(&self, of: &'a Semaphore, slots: usize, what: &str) -> Result<SemaphorePermit<'a>, CoreResponse> {
        let limit = self.0.config.read_wait;
        let Ok(slot) = timeout(limit, of.acquire()).await else {
            self.0.outside.metrics().count("core_reads_refused_total", 1);
            return Err(nothing_read(&format!("{slots} {what} were in work for over read_wait = {limit:?}")));
        };
        Ok(slot.expect("never closed"))
    }

    fn admit(&self, caller: &str) -> Result<(Asker, oneshot::Receiver<CoreResponse>), CoreResponse> {
        let refuse = |detail: String| {
            self.0.outside.metrics().count("core_not_admitted_total", 1);
            Err(CoreResponse::Problem(Problem::new(ProblemKind::NotStarted, detail)))
        };
        if self.0.outside.scope().is_stopping() {
            return refuse("core is stopping".to_owned());
        }
        let config = &self.0.config;
        match self.0.admission.admit(caller) {
            Ok(ticket) => Ok(Asker::new(ticket)),
            Err(Full::Core) => {
                refuse(format!("core is full: admitted_max = {} requests are in work", config.admitted_max))
            }
            Err(Full::Caller) => {
                self.0.outside.points().reached(markers::CALLER_FULL);
                self.0.outside.metrics().count("core_caller_full_total", 1);
                refuse(format!("{caller} has caller_max = {} requests in work", config.caller_max))
            }
        }
    }
}

fn nothing_read(why: &str) -> CoreResponse {
    CoreResponse::Problem(Problem::new(ProblemKind::NotStarted, format!("nothing was read: {why}")))
}

/// Waits for a task's answer. No limit of its own: every step of the task has one.
async fn await_answer(answer: oneshot::Receiver<CoreResponse>) -> CoreResponse {
    answer.await.unwrap_or_else(|_| {
        CoreResponse::Problem(Problem::new(ProblemKind::Unknown, "the task that was to answer has ended"))
    })
}

fn customers(account: AccountNo) -> Result<(), Problem> {
    if account.is_internal() {
        let detail = format!("account is {account}; accepted are numbers from {}", AccountNo::FIRST_CUSTOMER);
        return Err(Problem::bad_field("account", detail));
    }
    Ok(())
}

/// Moments that no database can store are refused as they come: one of them would fail its whole batch.
fn storable(requested_at: WallMicros) -> Result<(), Problem> {
    if !REQUESTED_AT.contains(&requested_at.0) {
        let detail = format!(
            "requested_at is {}; accepted are microseconds since 1970, {} to {}",
            requested_at.0,
            REQUESTED_AT.start(),
            REQUESTED_AT.end()
        );
        return Err(Problem::bad_field("requested_at", detail));
    }
    Ok(())
}

/// `known` is in account order, as the store gives it.
fn in_order_asked(asked: &[AccountNo], known: &[Head]) -> Vec<Head> {
    asked
        .iter()
        .filter_map(|account| known.binary_search_by_key(account, |head| head.account).ok())
        .map(|at| known[at])
        .collect()
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::{AccountNo, Head, Won};

    use super::in_order_asked;

    #[test]
    fn heads_come_in_the_order_asked_and_unknown_ones_are_left_out() {
        let head = |no| Head { account: AccountNo::new(no), seq: 1, balance: Won::new(no) };
        let asked = [5, 3, 9, 5].map(AccountNo::new);
        assert_eq!(in_order_asked(&asked, &[head(3), head(5)]), [head(5), head(3), head(5)]);
    }
}
