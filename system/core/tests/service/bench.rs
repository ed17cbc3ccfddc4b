//! A core on stand-ins, its process, and the requests of the tests.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Deposit, Party, Purpose, Transfer, Verdict};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, RejectReason, TransferId, TransferState, WallMicros, Won};
use bankstorm_core::{Core, CoreConfig};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::process::{Access, AccessCall, AccessLog, Metrics, Points, Scope};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::bank::{Bank, Manner};
use crate::log::Log;
use crate::store::Store;

/// The customers: A has 1,000 won, B has 500.
pub(crate) const A: i64 = 1_000_001;
pub(crate) const B: i64 = 1_000_002;

#[derive(Default)]
struct Counts {
    markers: BTreeMap<&'static str, u64>,
    counters: BTreeMap<&'static str, u64>,
    observed: Vec<(&'static str, Duration)>,
    accesses: Vec<Line>,
}

/// A line of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) caller: String,
    pub(crate) call: AccessCall,
    pub(crate) account: Option<i64>,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) status: u16,
    pub(crate) took: Duration,
}

/// One process: it ends when this is dropped, or by `crash`.
#[derive(Clone)]
pub(crate) struct Process {
    store: Store,
    bank: Bank,
    log: Log,
    counts: Arc<Mutex<Counts>>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    stop: Arc<(Mutex<bool>, Notify)>,
}

pub(crate) struct Bench {
    pub(crate) core: Core<Process>,
    pub(crate) store: Store,
    pub(crate) bank: Bank,
    pub(crate) log: Log,
    process: Process,
    config: CoreConfig,
}

impl Bench {
    pub(crate) fn new(manner: Manner, config: CoreConfig) -> Self {
        Self::with(&[(A, 1_000), (B, 500)], manner, config)
    }

    pub(crate) fn with(accounts: &[(i64, i64)], manner: Manner, config: CoreConfig) -> Self {
        Self::start(Store::new(accounts), Bank::new(manner), Log::default(), config)
    }

    fn start(store: Store, bank: Bank, log: Log, config: CoreConfig) -> Self {
        let process = Process {
            store: store.clone(),
            bank: bank.clone(),
            log: log.clone(),
            counts: Arc::default(),
            tasks: Arc::default(),
            stop: Arc::default(),
        };
        Self { core: Core::start(process.clone(), config.clone()), store, bank, log, process, config }
    }

    /// Ends every task where it stands, and starts core anew on the same database.
    pub(crate) async fn crash(self) -> Self {
        let config = self.config.clone();
        self.crash_into(config).await
    }

    /// The same, with other settings.
    pub(crate) async fn crash_into(self, config: CoreConfig) -> Self {
        let mut tasks = std::mem::take(&mut *self.process.tasks.lock().expect("no panic holds it"));
        tasks.shutdown().await;
        Self::start(self.store, self.bank, self.log, config)
    }

    /// Asks the process to stop.
    pub(crate) fn stop(&self) {
        let (stopped, bell) = &*self.process.stop;
        *stopped.lock().expect("no panic holds it") = true;
        bell.notify_waiters();
    }

    /// How many of its tasks have not ended.
    pub(crate) fn running(&self) -> usize {
        let mut tasks = self.process.tasks.lock().expect("no panic holds it");
        while let Some(ended) = tasks.try_join_next() {
            ended.expect("no task panics");
        }
        tasks.len()
    }

    pub(crate) async fn ask(&self, request: CoreRequest) -> CoreResponse {
        self.core.handle("channel", request).await
    }

    pub(crate) fn reached(&self, marker: &str) -> u64 {
        self.process.counts.lock().expect("no panic holds it").markers.get(marker).copied().unwrap_or(0)
    }

    /// How long postings took.
    pub(crate) fn postings(&self) -> Vec<Duration> {
        let counts = self.process.counts.lock().expect("no panic holds it");
        let observed = counts.observed.iter().filter(|(name, _)| *name == "core_posting_seconds");
        observed.map(|(_, value)| *value).collect()
    }

    /// How many records were published.
    pub(crate) fn published(&self) -> usize {
        self.log.records().len()
    }

    /// A counter of this process.
    pub(crate) fn counted(&self, name: &str) -> u64 {
        self.process.counts.lock().expect("no panic holds it").counters.get(name).copied().unwrap_or(0)
    }

    /// The access log of this process.
    pub(crate) fn accesses(&self) -> Vec<Line> {
        self.process.counts.lock().expect("no panic holds it").accesses.clone()
    }
}

pub(crate) fn id(number: u128) -> TransferId {
    TransferId(Uuid::from_u128(number))
}

pub(crate) fn deposit(number: u128, account: i64, amount: i64) -> CoreRequest {
    CoreRequest::Deposit(Deposit {
        id: id(number),
        account: AccountNo::new(account),
        amount: Won::new(amount),
        from: elsewhere(),
    })
}

pub(crate) fn elsewhere() -> Party {
    Party { bank: "088".to_owned(), account: "77-1".to_owned() }
}

pub(crate) fn transfer_to(number: u128, from: i64, to: Party, amount: i64) -> Transfer {
    Transfer {
        id: id(number),
        from: AccountNo::new(from),
        to,
        amount: Won::new(amount),
        requested_at: WallMicros(1_000_000_000),
        valid_for_ms: 5_000,
    }
}

pub(crate) fn transfer(number: u128, from: i64, to: i64, amount: i64) -> CoreRequest {
    CoreRequest::Transfer(transfer_to(number, from, Party::own(AccountNo::new(to)), amount))
}

pub(crate) fn outbound(number: u128, from: i64, amount: i64) -> CoreRequest {
    CoreRequest::Transfer(transfer_to(number, from, elsewhere(), amount))
}

pub(crate) fn created(response: &CoreResponse) -> Verdict {
    match response {
        CoreResponse::Created(verdict) => *verdict,
        other => panic!("not created: {other:?}"),
    }
}

pub(crate) fn replayed(response: &CoreResponse) -> Verdict {
    match response {
        CoreResponse::Verdict(verdict) if verdict.state == TransferState::Completed => *verdict,
        other => panic!("no replay: {other:?}"),
    }
}

pub(crate) fn rejected(response: &CoreResponse) -> RejectReason {
    match response {
        CoreResponse::Verdict(Verdict { state: TransferState::Rejected, reason: Some(reason), .. }) => *reason,
        other => panic!("not rejected: {other:?}"),
    }
}

pub(crate) fn problem(response: &CoreResponse) -> ProblemKind {
    match response {
        CoreResponse::Problem(problem) => problem.kind,
        other => panic!("no problem: {other:?}"),
    }
}

impl CoreOutside for Process {
    type Store = Store;
    type Log = Log;
    type Banks = Bank;
    type Scope = Self;
    type Points = Self;
    type Metrics = Self;
    type Access = Self;

    fn store(&self) -> &Store {
        &self.store
    }

    fn log(&self) -> &Log {
        &self.log
    }

    fn banks(&self) -> &Bank {
        &self.bank
    }

    fn scope(&self) -> &Self {
        self
    }

    fn points(&self) -> &Self {
        self
    }

    fn metrics(&self) -> &Self {
        self
    }

    fn access(&self) -> &Self {
        self
    }
}

impl Scope for Process {
    fn spawn(&self, _name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().expect("no panic holds it").spawn(task);
    }

    async fn stopping(&self) {
        let (stopped, bell) = &*self.stop;
        while !*stopped.lock().expect("no panic holds it") {
            bell.notified().await;
        }
    }

    fn is_stopping(&self) -> bool {
        *self.stop.0.lock().expect("no panic holds it")
    }
}

impl Points for Process {
    fn reached(&self, marker: &'static str) {
        *self.counts.lock().expect("no panic holds it").markers.entry(marker).or_default() += 1;
    }
}

impl Metrics for Process {
    fn count(&self, name: &'static str, by: u64) {
        *self.counts.lock().expect("no panic holds it").counters.entry(name).or_default() += by;
    }

    fn gauge(&self, _name: &'static str, _value: i64) {}

    fn observe(&self, name: &'static str, value: Duration) {
        self.counts.lock().expect("no panic holds it").observed.push((name, value));
    }
}

impl AccessLog for Process {
    type Begun = Instant;

    fn begun(&self) -> Instant {
        Instant::now()
    }

    fn ended(&self, begun: Instant, access: &Access<'_>) {
        let Access { caller, call, account, purpose, status } = *access;
        let (account, took) = (account.map(|account| account.get()), begun.elapsed());
        let line = Line { caller: caller.to_owned(), call, account, purpose, status, took };
        self.counts.lock().expect("no panic holds it").accesses.push(line);
    }
}
