//! Core's service on PostgreSQL: what happens when ids and rows are contended, and when commits end without an answer.
//!
//! Elsewhere: what happens where a protection is off ([`weaker`]), digests of heads ([`digests`]).

mod digests;
mod weaker;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_adapters::access::AccessFile;
use bankstorm_adapters::http::banks_client::BanksClient;
use bankstorm_adapters::postgres::core::PgCoreStore;
use bankstorm_adapters::process::core::CoreProcess;
use bankstorm_adapters::process::registry::Registry;
use bankstorm_adapters::process::scope::ProcessScope;
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Deposit, Party};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, Head, RejectReason, TransferId, TransferState, Won, event};
use bankstorm_core::{Core, CoreConfig};
use bankstorm_outside::core_store::CoreStore;
use bankstorm_outside::log::{
    ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, LogError, Outgoing, TopicPartition,
};
use futures_util::future::join_all;
use libtest_mimic::Trial;
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

use crate::Place;
use crate::core_store::stall_commits;
use crate::database::{LIMIT, client, core_database, number, until, until_held_up, until_waiting};

pub(crate) fn trials(place: &Place) -> Vec<Trial> {
    macro_rules! list {
        ($($name:ident),* $(,)?) => {
            vec![$(place.trial(concat!("core_service::", stringify!($name)).to_owned(), $name)),*]
        };
    }
    let safe = list![
        a_deposit_sent_twice_at_once_posts_once,
        the_same_id_with_other_parameters_is_refused_and_posts_once,
        a_resolve_before_the_deposit_refuses_it,
        a_resolve_waits_for_the_deposit_in_work_and_tells_its_verdict,
        a_resolve_says_processing_while_a_commit_stalls,
        a_held_account_holds_nobody_else_up,
        a_row_held_for_too_long_is_not_started,
        an_unknown_account_is_rejected_for_good,
        a_commit_that_nobody_answers_is_unknown_until_resolved,
        every_posting_reaches_the_log_in_each_accounts_order,
        an_id_in_work_elsewhere_holds_only_itself_up,
        a_deposit_whose_turn_does_not_come_is_not_started,
        reads_beyond_their_slots_are_not_started,
        what_is_posted_after_the_stop_is_published,
    ];
    safe.into_iter().chain(digests::trials(place)).chain(weaker::trials(place)).collect()
}

/// A core on a database of its own, and two connections beside it.
struct Bench {
    core: Core<CoreProcess<MemoryLog>>,
    store: PgCoreStore,
    log: MemoryLog,
    scope: ProcessScope,
    control: tokio_postgres::Client,
    holder: tokio_postgres::Client,
    url: String,
}

impl Bench {
    async fn new(place: &Place, config: CoreConfig) -> Self {
        let url = core_database(&place.core, &[head(1), head(2), head(3)]).await;
        let store = PgCoreStore::connect(&url, config.connections()).await.expect("the database is up");
        let (log, scope) = (MemoryLog::default(), ProcessScope::new());
        let process = CoreProcess {
            store: store.clone(),
            log: log.clone(),
            banks: BanksClient::none(),
            scope: scope.clone(),
            registry: Registry::new(),
            access: AccessFile::none(),
        };
        Self {
            core: Core::start(process, config),
            store,
            log,
            scope,
            control: client(&url).await,
            holder: client(&url).await,
            url,
        }
    }

    async fn deposit(&self, number: u128, place: i64, amount: i64) -> CoreResponse {
        let request = CoreRequest::Deposit(deposit(number, place, amount));
        timeout(LIMIT, self.core.handle("trial", request)).await.expect("an answer to a deposit")
    }

    async fn resolve(&self, number: u128) -> CoreResponse {
        timeout(LIMIT, self.core.handle("trial", CoreRequest::Resolve(id(number))))
            .await
            .expect("an answer to a resolve")
    }

    async fn hold(&self, place: i64) {
        let hold = format!("BEGIN; SELECT 1 FROM account WHERE no = {} FOR UPDATE", account(place));
        self.holder.batch_execute(&hold).await.expect("a free row");
    }

    async fn let_go(&self) {
        self.holder.batch_execute("ROLLBACK").await.expect("a transaction");
    }

    async fn seq(&self, place: i64) -> i64 {
        self.store.heads(&[account(place)]).await.expect("read")[0].seq
    }

    async fn end(self) {
        self.scope.stop();
        assert_eq!(self.scope.ended(Duration::from_secs(10)).await, 0, "every task ends with the process");
    }
}

fn id(number: u128) -> TransferId {
    TransferId(Uuid::from_u128(number))
}

fn account(place: i64) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + place)
}

fn head(place: i64) -> Head {
    Head { account: account(place), seq: 0, balance: Won::ZERO }
}

fn deposit(number: u128, place: i64, amount: i64) -> Deposit {
    let from = Party { bank: "088".to_owned(), account: "7".to_owned() };
    Deposit { id: id(number), account: account(place), amount: Won::new(amount), from }
}

fn problem(response: &CoreResponse) -> Option<ProblemKind> {
    match response {
        CoreResponse::Problem(problem) => Some(problem.kind),
        _ => None,
    }
}

fn state(response: &CoreResponse) -> (TransferState, Option<RejectReason>) {
    match response {
        CoreResponse::Created(verdict) | CoreResponse::Verdict(verdict) => (verdict.state, verdict.reason),
        other => panic!("{other:?}"),
    }
}

const COMPLETED: (TransferState, Option<RejectReason>) = (TransferState::Completed, None);
const BURIED: (TransferState, Option<RejectReason>) = (TransferState::Rejected, Some(RejectReason::NotReceived));

async fn a_deposit_sent_twice_at_once_posts_once(place: Place) {
    let bench = Bench::new(&place, CoreConfig::default()).await;
    let numbers: Vec<u128> = (0..60).chain(0..60).collect();
    let answers =
        join_all(numbers.iter().map(|number| bench.deposit(*number, 1 + i64::from(*number % 3 == 0), 10))).await;
    let created = answers.iter().filter(|answer| matches!(answer, CoreResponse::Created(_))).count();
    assert_eq!(created, 60);
    for (first, second) in answers.iter().zip(&answers[60..]) {
        assert_eq!((state(first), state(second)), (COMPLETED, COMPLETED));
    }
    assert_eq!(bench.seq(1).await + bench.seq(2).await, 60);
    bench.end().await;
}

async fn the_same_id_with_other_parameters_is_refused_and_posts_once(place: Place) {
    let bench = Bench::new(&place, CoreConfig::default()).await;
    let (one, other) = futures_util::join!(bench.deposit(1, 1, 10), bench.deposit(1, 2, 99));
    let refused = [&one, &other].map(problem);
    assert!(refused.contains(&Some(ProblemKind::ParamDrift)) && refused.contains(&None), "{one:?} {other:?}");
    assert_eq!(bench.seq(1).await + bench.seq(2).await, 1);
    bench.end().await;
}

async fn a_resolve_before_the_deposit_refuses_it(place: Place) {
    let bench = Bench::new(&place, CoreConfig::default()).await;
    assert_eq!(state(&bench.resolve(1).await), BURIED);
    assert_eq!(state(&bench.deposit(1, 1, 10).await), BURIED);
    assert_eq!(state(&bench.resolve(1).await), BURIED);
    assert_eq!(bench.seq(1).await, 0);

    assert_eq!(state(&bench.deposit(2, 1, 10).await), COMPLETED);
    assert_eq!(state(&bench.resolve(2).await), COMPLETED);
    bench.end().await;
}

async fn a_resolve_waits_for_the_deposit_in_work_and_tells_its_verdict(place: Place) {
    let wait = LIMIT;
    let bench =
        Bench::new(&place, CoreConfig { lock_timeout: wait, resolve_wait: wait, ..CoreConfig::default() }).await;
    bench.hold(1).await;
    let release = async {
        // The deposit waits for the row with its id claimed, the resolve for the id.
        until_held_up(&bench.control, &bench.holder, 1).await;
        let resolve = bench.resolve(1);
        let let_go = async {
            until_waiting(&bench.control, 2).await;
            bench.let_go().await;
        };
        futures_util::join!(resolve, let_go).0
    };
    let (deposited, resolved) = futures_util::join!(bench.deposit(1, 1, 10), release);
    assert_eq!((state(&deposited), state(&resolved)), (COMPLETED, COMPLETED));
    bench.end().await;
}

async fn a_resolve_says_processing_while_a_commit_stalls(place: Place) {
    let config = CoreConfig { resolve_wait: Duration::from_millis(100), ..CoreConfig::default() };
    let bench = Bench::new(&place, config).await;
    stall_commits(&bench.control).await;
    let meanwhile = async {
        until_waiting(&bench.control, 1).await;
        let resolved = bench.resolve(1).await;
        bench.control.batch_execute("SELECT pg_advisory_unlock(1)").await.expect("held");
        resolved
    };
    let (deposited, resolved) = futures_util::join!(bench.deposit(1, 1, 10), meanwhile);
    assert_eq!(state(&resolved), (TransferState::Processing, None));
    assert_eq!(state(&deposited), COMPLETED, "the question did not kill it");
    assert_eq!(state(&bench.resolve(1).await), COMPLETED);
    bench.end().await;
}

async fn a_held_account_holds_nobody_else_up(place: Place) {
    let bench = Bench::new(&place, CoreConfig { lock_timeout: LIMIT, ..CoreConfig::default() }).await;
    bench.hold(1).await;
    let strangers = async {
        let answers =
            join_all((100..160).map(|number| bench.deposit(number, 2 + i64::from(number % 2 == 0), 10))).await;
        assert!(answers.iter().all(|answer| matches!(answer, CoreResponse::Created(_))));
        bench.let_go().await;
    };
    let held = join_all((1..20).map(|number| bench.deposit(number, 1, 10)));
    let (held, ()) = futures_util::join!(held, strangers);
    assert!(held.iter().all(|answer| matches!(answer, CoreResponse::Created(_))), "{held:?}");
    assert_eq!(bench.seq(1).await, 19);
    bench.end().await;
}

async fn a_row_held_for_too_long_is_not_started(place: Place) {
    let config = CoreConfig { lock_timeout: Duration::from_millis(100), ..CoreConfig::default() };
    let bench = Bench::new(&place, config).await;
    bench.hold(1).await;
    assert_eq!(problem(&bench.deposit(1, 1, 10).await), Some(ProblemKind::NotStarted));
    bench.let_go().await;
    assert_eq!(bench.seq(1).await, 0);
    assert_eq!(state(&bench.deposit(1, 1, 10).await), COMPLETED, "sending it again is safe");
    bench.end().await;
}

async fn an_unknown_account_is_rejected_for_good(place: Place) {
    let bench = Bench::new(&place, CoreConfig::default()).await;
    let refused = (TransferState::Rejected, Some(RejectReason::UnknownAccount));
    assert_eq!(state(&bench.deposit(1, 9, 10).await), refused);
    assert_eq!(state(&bench.deposit(1, 9, 10).await), refused);
    assert_eq!(problem(&bench.deposit(1, 9, 11).await), Some(ProblemKind::ParamDrift));
    let internal = CoreRequest::Deposit(Deposit { account: AccountNo::SETTLEMENT, ..deposit(2, 1, 10) });
    assert_eq!(problem(&bench.core.handle("trial", internal).await), Some(ProblemKind::BadRequest));
    bench.end().await;
}

async fn a_commit_that_nobody_answers_is_unknown_until_resolved(place: Place) {
    let bench = Bench::new(&place, CoreConfig::default()).await;
    stall_commits(&bench.control).await;
    let kill = async {
        until_waiting(&bench.control, 1).await;
        let killed = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                      WHERE datname = current_database() AND wait_event_type = 'Lock'";
        assert_eq!(number(&bench.control, killed).await, 1);
    };
    let (answer, ()) = futures_util::join!(bench.deposit(1, 1, 10), kill);
    assert_eq!(problem(&answer), Some(ProblemKind::Unknown), "{answer:?}");
    bench.control.batch_execute("SELECT pg_advisory_unlock(1)").await.expect("held");
    assert_eq!(state(&bench.resolve(1).await), BURIED);
    assert_eq!(bench.seq(1).await, 0);
    bench.end().await;
}

async fn every_posting_reaches_the_log_in_each_accounts_order(place: Place) {
    let bench = Bench::new(&place, CoreConfig { relay_rows_max: 7, ..CoreConfig::default() }).await;
    let answers =
        join_all((0..90).map(|number| bench.deposit(number, 1 + i64::try_from(number % 3).expect("small"), 10))).await;
    assert!(answers.iter().all(|answer| matches!(answer, CoreResponse::Created(_))));
    let records = timeout(LIMIT, bench.log.reaches(90)).await.expect("90 records");
    for place in 1..=3 {
        let entries: Vec<_> = records
            .iter()
            .filter(|record| record.key == event::key(account(place)))
            .map(|record| event::decode(&record.value).expect("an entry"))
            .collect();
        assert_eq!(bench.store.entries(account(place), 0, 500).await, Ok(entries));
    }
    until(&bench.control, "SELECT count(*) FROM outbox", |rows| rows == 0).await;
    bench.end().await;
}

async fn an_id_in_work_elsewhere_holds_only_itself_up(place: Place) {
    // One slot each: whatever waits there, all wait behind it.
    let config = CoreConfig { posting_slots: 1, alone_slots: 1, lock_timeout: LIMIT, ..CoreConfig::default() };
    let bench = Bench::new(&place, config).await;
    let held = format!(
        "BEGIN; INSERT INTO transfer (id, params_hash, kind, state) \
         VALUES ('{}', decode(repeat('00', 32), 'hex'), 'tombstone', 'processing')",
        id(1)
    );
    bench.holder.batch_execute(&held).await.expect("a free id");
    let strangers = async {
        let answers =
            join_all((100..160).map(|number| bench.deposit(number, 2 + i64::from(number % 2 == 0), 10))).await;
        assert!(answers.iter().all(|answer| matches!(answer, CoreResponse::Created(_))), "{answers:?}");
        bench.let_go().await;
    };
    let (waited, ()) = futures_util::join!(bench.deposit(1, 1, 10), strangers);
    assert_eq!(state(&waited), COMPLETED);
    bench.end().await;
}

async fn a_deposit_whose_turn_does_not_come_is_not_started(place: Place) {
    let bench = Bench::new(&place, CoreConfig { queue_wait: Duration::ZERO, ..CoreConfig::default() }).await;
    let answer = bench.deposit(1, 1, 10).await;
    assert_eq!(problem(&answer), Some(ProblemKind::NotStarted));
    assert!(format!("{answer:?}").contains("queue_wait"), "{answer:?}");
    assert_eq!(bench.seq(1).await, 0);
    bench.end().await;
}

async fn reads_beyond_their_slots_are_not_started(place: Place) {
    let config = CoreConfig { read_slots: 1, read_wait: Duration::from_millis(50), ..CoreConfig::default() };
    let bench = Bench::new(&place, config).await;
    bench.holder.batch_execute("BEGIN; LOCK TABLE account IN ACCESS EXCLUSIVE MODE").await.expect("a free table");
    let ask =
        |request| async { timeout(LIMIT, bench.core.handle("trial", request)).await.expect("an answer to a read") };
    let beside = async {
        until_waiting(&bench.control, 1).await;
        let entries = CoreRequest::Entries { account: account(1), after: 0, limit: 5, purpose: None };
        let refused = [ask(entries).await, ask(CoreRequest::Heads { accounts: vec![account(1)], purpose: None }).await];
        bench.let_go().await;
        refused
    };
    let (first, refused) = futures_util::join!(ask(CoreRequest::Head(account(1))), beside);
    assert_eq!(first, CoreResponse::Head(head(1)));
    for answer in refused {
        assert_eq!(problem(&answer), Some(ProblemKind::NotStarted));
        assert!(format!("{answer:?}").contains("read_wait"), "{answer:?}");
    }
    bench.end().await;
}

async fn what_is_posted_after_the_stop_is_published(place: Place) {
    let bench = Bench::new(&place, CoreConfig { relay_stop_wait: LIMIT, ..CoreConfig::default() }).await;
    stall_commits(&bench.control).await;
    let stop = async {
        until_waiting(&bench.control, 1).await;
        bench.scope.stop();
        bench.control.batch_execute("SELECT pg_advisory_unlock(1)").await.expect("held");
    };
    let (deposited, ()) = futures_util::join!(bench.deposit(1, 1, 10), stop);
    assert_eq!(state(&deposited), COMPLETED);
    timeout(LIMIT, bench.log.reaches(1)).await.expect("its record");
    assert_eq!(bench.scope.ended(LIMIT).await, 0, "the relay ends when all is published");
    assert_eq!(number(&bench.control, "SELECT count(*) FROM outbox").await, 0);
}

/// A log that takes every record at once.
#[derive(Clone, Default)]
pub(crate) struct MemoryLog(Arc<(Mutex<Vec<Outgoing>>, Notify)>);

impl MemoryLog {
    async fn reaches(&self, count: usize) -> Vec<Outgoing> {
        loop {
            let arrived = self.0.1.notified();
            {
                let records = self.0.0.lock().expect("no panic holds it");
                if records.len() >= count {
                    return records.clone();
                }
            }
            arrived.await;
        }
    }
}

impl EventLog for MemoryLog {
    type Producer = Self;
    type Consumer = NoConsumer;

    async fn producer(&self) -> Result<Self, LogError> {
        Ok(self.clone())
    }

    async fn consumer(&self, _group: &str, _topics: &[&str]) -> Result<NoConsumer, LogError> {
        Err(LogError::Other("core consumes nothing".to_owned()))
    }
}

impl EventProducer for MemoryLog {
    fn produce(&self, record: Outgoing) -> impl Future<Output = Result<Delivered, LogError>> + Send + 'static {
        let mut records = self.0.0.lock().expect("no panic holds it");
        records.push(record);
        let offset = i64::try_from(records.len()).expect("few");
        self.0.1.notify_one();
        std::future::ready(Ok(Delivered { partition: 0, offset }))
    }

    async fn discard(self) {}
}

/// There is none.
#[derive(Clone, Copy)]
pub(crate) enum NoConsumer {}

impl EventConsumer for NoConsumer {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        match *self {}
    }

    fn commit(
        &self,
        _offsets: &[(TopicPartition, i64)],
    ) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        let never = *self;
        async move { match never {} }
    }

    fn pause(&self, _partitions: &[TopicPartition]) -> Result<(), LogError> {
        match *self {}
    }

    fn resume(&self, _partitions: &[TopicPartition]) -> Result<(), LogError> {
        match *self {}
    }

    async fn close(self) {
        match self {}
    }
}
