//! Core's front door over real sockets: statuses, problem documents, limits, and clients that hang up.

use std::sync::Arc;
use std::time::Duration;

use bankstorm_adapters::access::AccessFile;
use bankstorm_adapters::http::banks_client::BanksClient;
use bankstorm_adapters::http::core_client::{CoreCalls, CoreClient};
use bankstorm_adapters::http::server::{operations, serve};
use bankstorm_adapters::postgres::core::PgCoreStore;
use bankstorm_adapters::process::core::{CoreProcess, stopping};
use bankstorm_adapters::process::registry::Registry;
use bankstorm_adapters::process::scope::ProcessScope;
use bankstorm_contracts::core_api::{PURPOSE_HEADER, Purpose};
use bankstorm_contracts::{AccountNo, DigestRange, Head, Won};
use bankstorm_core::{Core, CoreConfig};
use bankstorm_outside::core_api::CoreApi;
use bankstorm_outside::process::Scope;
use futures_util::FutureExt;
use libtest_mimic::Trial;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::Place;
use crate::core_service::MemoryLog;
use crate::database::{LIMIT, client, core_database, until, until_waiting};
use crate::wire::{ask, ask_as, ask_with, send};

pub(crate) fn trials(place: &Place) -> Vec<Trial> {
    vec![
        place.trial("core_front::answers_are_those_of_the_contract".to_owned(), contract),
        place.trial("core_front::a18_who_is_refused_for_want_of_room_is_told_when_to_come_again".to_owned(), full),
        place.trial("core_front::a_client_that_hangs_up_changes_nothing".to_owned(), hang_up),
        place.trial("core_front::g1_the_access_log_tells_who_read_what_of_whom_and_what_for".to_owned(), accesses),
    ]
}

struct Front {
    address: String,
    database: String,
    scope: ProcessScope,
}

async fn front(place: &Place, config: CoreConfig) -> Front {
    front_with(place, config, AccessFile::none()).await
}

async fn front_with(place: &Place, config: CoreConfig, access: AccessFile) -> Front {
    let heads = [1_000_001, 1_000_002].map(|no| Head { account: AccountNo::new(no), seq: 0, balance: Won::ZERO });
    let database = core_database(&place.core, &heads).await;
    let store = PgCoreStore::connect(&database, 4).await.expect("the database is up");
    let (scope, registry) = (ProcessScope::new(), Registry::new());
    let process = CoreProcess {
        store,
        log: MemoryLog::default(),
        banks: BanksClient::none(),
        scope: scope.clone(),
        registry: registry.clone(),
        access,
    };
    let core = Core::start(process, config);
    let router =
        bankstorm_adapters::http::core::router(core).merge(operations(registry, Arc::new(|| async { Ok(()) }.boxed())));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let stop = stopping(&scope);
    scope.spawn("front", async move { serve(listener, router, stop).await.expect("served") });
    Front { address, database, scope }
}

impl Front {
    async fn end(self) {
        self.scope.stop();
        assert_eq!(self.scope.ended(Duration::from_secs(10)).await, 0);
    }
}

fn body(number: u32, amount: &str) -> String {
    format!(
        r#"{{"id":"00000000-0000-0000-0000-{number:012}","account":1000001,"amount":{amount},"from":{{"bank":"088","account":"7"}},"memo":"rent"}}"#
    )
}

fn transfer(number: u32, to: &str, amount: &str) -> String {
    format!(
        r#"{{"id":"00000000-0000-0000-0000-{number:012}","from":1000001,"to":{{"bank":"900","account":"{to}"}},"amount":{amount},"requested_at":1,"valid_for_ms":60000,"memo":"rent"}}"#
    )
}

fn patient() -> CoreConfig {
    CoreConfig { lock_timeout: LIMIT, other_banks: false, ..CoreConfig::default() }
}

/// Line, body, status, kind, and a part of the answer.
type Case = (String, String, u16, &'static str, &'static str);

const PROBLEM: &str = "application/problem+json";
const JSON: &str = "application/json";

fn digests_refused(query: &str, field: &'static str) -> Case {
    (format!("GET /v1/heads/digests?{query}"), String::new(), 400, PROBLEM, field)
}

/// Deposits, resolves and reads, as they stand before any transfer.
fn deposits_and_reads() -> Vec<Case> {
    let resolve = |number: u32| format!("POST /v1/transfers/00000000-0000-0000-0000-{number:012}/resolve");
    let large = "x".repeat(64 * 1024 + 1);
    vec![
        (
            "POST /v1/deposits".to_owned(),
            body(1, "500"),
            201,
            JSON,
            r#""state":"completed","seq":1,"balance_after":500"#,
        ),
        ("POST /v1/deposits".to_owned(), body(1, "500"), 200, JSON, r#""seq":1"#),
        ("POST /v1/deposits".to_owned(), body(1, "501"), 422, PROBLEM, r#""type":"param-drift""#),
        ("POST /v1/deposits".to_owned(), body(2, "0"), 400, PROBLEM, r#""field":"amount""#),
        ("POST /v1/deposits".to_owned(), body(2, "\"5\""), 400, PROBLEM, r#""field":"amount""#),
        ("POST /v1/deposits".to_owned(), "{".to_owned(), 400, PROBLEM, "not JSON"),
        ("POST /v1/deposits".to_owned(), large, 413, PROBLEM, r#""type":"body-too-large""#),
        (resolve(1), String::new(), 200, JSON, r#""state":"completed""#),
        (resolve(3), String::new(), 200, JSON, r#""reason":"not_received""#),
        ("POST /v1/transfers/7/resolve".to_owned(), String::new(), 400, PROBLEM, r#""field":"id""#),
        (
            "GET /v1/accounts/1000001/entries?after=0&limit=5".to_owned(),
            String::new(),
            200,
            JSON,
            r#"{"entries":[{"account":1000001,"seq":1"#,
        ),
        ("GET /v1/accounts/1000001/entries?limit=501".to_owned(), String::new(), 400, PROBLEM, r#""field":"limit""#),
        (
            "GET /v1/accounts/1000001/head".to_owned(),
            String::new(),
            200,
            JSON,
            r#"{"account":1000001,"seq":1,"balance":500}"#,
        ),
        ("GET /v1/accounts/1000009/head".to_owned(), String::new(), 404, PROBLEM, "1000009"),
        (
            "POST /v1/heads".to_owned(),
            r#"{"accounts":[1000009,1000001]}"#.to_owned(),
            200,
            JSON,
            r#"{"heads":[{"account":1000001"#,
        ),
        ("POST /v1/heads".to_owned(), r#"{"accounts":[true]}"#.to_owned(), 400, PROBLEM, r#""field":"accounts""#),
        (
            "GET /v1/heads/digests?width=1&from=1000001&to=1000001".to_owned(),
            String::new(),
            200,
            JSON,
            r#"{"parts":[{"first":1000001,"last":1000001,"accounts":1,"digest":"96903b7b82ffa361"}]}"#,
        ),
        digests_refused("from=999999", r#""field":"from""#),
        digests_refused("from=first", r#""field":"from""#),
        digests_refused("from=1000002&to=1000001", r#""field":"to""#),
        digests_refused("to=9223372036854775808", r#""field":"to""#),
        digests_refused("width=0", r#""field":"width""#),
        digests_refused("width=1001", r#""field":"width""#),
        digests_refused("width=-1", r#""field":"width""#),
        (
            "POST /v1/deposits".to_owned(),
            body(2, "5").replace("088", "0\\u00008"),
            400,
            PROBLEM,
            r#""field":"from.bank""#,
        ),
        ("GET /v1/accounts/%ff/head".to_owned(), String::new(), 400, PROBLEM, r#""field":"no""#),
        ("POST /v1/transfers/%ff/resolve".to_owned(), String::new(), 400, PROBLEM, r#""field":"id""#),
        ("GET /v1/deposits".to_owned(), String::new(), 405, PROBLEM, r#""type":"method-not-allowed""#),
        ("DELETE /v1/accounts/1000001/head".to_owned(), String::new(), 405, PROBLEM, "DELETE"),
        ("POST /readyz".to_owned(), String::new(), 405, PROBLEM, "/readyz"),
    ]
}

/// Transfers and outcomes, after those.
fn transfers_and_outcomes() -> Vec<Case> {
    let outcome = |number: u32| format!("POST /v1/outbound/00000000-0000-0000-0000-{number:012}/outcome");
    let told =
        |number: u32, state: &str| format!(r#"{{"id":"00000000-0000-0000-0000-{number:012}","state":"{state}"}}"#);
    vec![
        (
            "POST /v1/transfers".to_owned(),
            transfer(11, "1000002", "200"),
            201,
            JSON,
            r#""state":"completed","seq":2,"balance_after":300"#,
        ),
        ("POST /v1/transfers".to_owned(), transfer(11, "1000002", "200"), 200, JSON, r#""seq":2"#),
        ("POST /v1/transfers".to_owned(), transfer(11, "1000002", "201"), 422, PROBLEM, r#""type":"param-drift""#),
        (
            "POST /v1/transfers".to_owned(),
            transfer(12, "1000002", "301"),
            200,
            JSON,
            r#""reason":"insufficient_funds""#,
        ),
        ("POST /v1/transfers".to_owned(), transfer(3, "1000002", "1"), 200, JSON, r#""reason":"not_received""#),
        ("POST /v1/transfers".to_owned(), transfer(13, "1000002", "0"), 400, PROBLEM, r#""field":"amount""#),
        (
            "POST /v1/transfers".to_owned(),
            transfer(13, "1000002", "1000000000001"),
            400,
            PROBLEM,
            r#""field":"amount""#,
        ),
        ("POST /v1/transfers".to_owned(), transfer(13, "01000002", "1"), 400, PROBLEM, r#""field":"to.account""#),
        ("POST /v1/transfers".to_owned(), transfer(13, "1000001", "1"), 400, PROBLEM, r#""field":"to.account""#),
        (
            "POST /v1/transfers".to_owned(),
            transfer(13, "1000002", "1").replace("60000", "0"),
            400,
            PROBLEM,
            r#""field":"valid_for_ms""#,
        ),
        ("POST /v1/transfers".to_owned(), transfer(14, "1000003", "1"), 200, JSON, r#""reason":"unknown_account""#),
        (
            "POST /v1/transfers".to_owned(),
            transfer(15, "7", "1").replace("900", "088"),
            400,
            PROBLEM,
            r#""field":"to.bank""#,
        ),
        (
            "POST /v1/transfers".to_owned(),
            transfer(11, "7", "1").replace("900", "088"),
            422,
            PROBLEM,
            r#""type":"param-drift""#,
        ),
        ("POST /v1/transfers".to_owned(), "[]".to_owned(), 400, PROBLEM, "not an object"),
        ("POST /v1/outbound/7/outcome".to_owned(), String::new(), 400, PROBLEM, r#""field":"id""#),
        (outcome(9), r#"{"state":"credited"}"#.to_owned(), 400, PROBLEM, r#""field":"id""#),
        (outcome(9), told(8, "credited"), 400, PROBLEM, r#""field":"id""#),
        (outcome(9), told(9, "perhaps"), 400, PROBLEM, r#""field":"state""#),
        ("GET /nowhere".to_owned(), String::new(), 404, PROBLEM, "/nowhere"),
        ("GET /healthz".to_owned(), String::new(), 200, "text/plain; charset=utf-8", "ok"),
        ("GET /readyz".to_owned(), String::new(), 200, "text/plain; charset=utf-8", "ready"),
    ]
}

async fn contract(place: Place) {
    let front = front(&place, patient()).await;
    let cases = deposits_and_reads().into_iter().chain(transfers_and_outcomes());
    for (line, sent, status, kind, part) in cases {
        let answer = ask(&front.address, &line, &sent).await;
        assert_eq!((answer.status, answer.kind()), (status, kind), "{line} {sent}: {}", answer.body);
        assert!(answer.body.contains(part), "{line} {sent}: {}", answer.body);
        assert_eq!(answer.header("retry-after"), None, "nobody was refused for want of room");
    }
    let metrics = ask(&front.address, "GET /metrics", "").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.contains("bankstorm_core_deposits_completed_total 1"), "{}", metrics.body);
    front.end().await;
}

/// The caller's name is what counts, whatever address it has.
async fn full(place: Place) {
    let front = front(&place, CoreConfig { caller_max: 1, ..patient() }).await;
    let control = client(&front.database).await;
    let holder = client(&front.database).await;
    holder.batch_execute("BEGIN; SELECT 1 FROM account FOR UPDATE").await.expect("a free row");
    let waiting = send(&front.address, "POST /v1/deposits", &body(1, "500")).await;
    until_waiting(&control, 1).await;
    let refused = ask(&front.address, "POST /v1/deposits", &body(2, "500")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{}", refused.body);
    assert!(refused.body.contains(r#""type":"not-started""#), "{}", refused.body);
    let resolve = "POST /v1/transfers/00000000-0000-0000-0000-000000000009/resolve";
    let named = ask_as("channel-7", &front.address, resolve, "").await;
    assert_eq!(named.status, 200, "{}", named.body);
    holder.batch_execute("ROLLBACK").await.expect("a transaction");
    drop(waiting);
    front.end().await;
}

async fn hang_up(place: Place) {
    let front = front(&place, patient()).await;
    let control = client(&front.database).await;
    let holder = client(&front.database).await;
    holder.batch_execute("BEGIN; SELECT 1 FROM account FOR UPDATE").await.expect("a free row");
    let socket = send(&front.address, "POST /v1/deposits", &body(1, "500")).await;
    until_waiting(&control, 1).await;
    drop(socket);
    holder.batch_execute("ROLLBACK").await.expect("a transaction");
    until(&control, "SELECT count(*) FROM entry WHERE seq = 1", |rows| rows == 1).await;
    front.end().await;
}

/// A channel's calls through its own client, and what others say in the header.
async fn accesses(place: Place) {
    let file = std::env::temp_dir().join(format!("bankstorm-accesses-{}", std::process::id()));
    let access = AccessFile::create(&file, Registry::new()).expect("a file");
    let front = front_with(&place, patient(), access).await;
    let calls = CoreCalls { reads: 1, transfers: 1, resolves: 1 };
    let client = CoreClient::new(&format!("http://{}", front.address), calls, "channel-0").expect("an address");
    let accounts = [1_000_001, 1_000_002].map(AccountNo::new);
    assert_eq!(client.entries(accounts[0], 0, 5, Purpose::GapFill).await, Ok(vec![]));
    assert_eq!(client.heads(&accounts[..1], Purpose::Read).await.map(|heads| heads.len()), Ok(1));
    assert_eq!(client.heads(&accounts, Purpose::Sweep).await.map(|heads| heads.len()), Ok(2));
    client.digests(DigestRange::ALL).await.expect("digests");
    let line = "GET /v1/accounts/1000002/entries";
    for word in ["history", "curiosity"] {
        let answer = ask_with(&format!("{PURPOSE_HEADER}: {word}\r\n"), &front.address, line, "").await;
        assert_eq!(answer.status, 200, "{word}: {}", answer.body);
    }
    assert_eq!(ask(&front.address, "GET /v1/accounts/1000002/entries?limit=501", "").await.status, 400);
    front.end().await;
    let text = std::fs::read_to_string(&file).expect("written");
    std::fs::remove_file(&file).expect("it is there");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            assert!(line["begun_ns"].as_i64() <= line["ended_ns"].as_i64(), "{line}");
            ["caller", "call", "account", "purpose", "status"].map(|field| line[field].to_string()).join(" ")
        })
        .collect();
    let expected = [
        r#""channel-0" "entries" 1000001 "gap_fill" 200"#,
        r#""channel-0" "heads" 1000001 "read" 200"#,
        r#""channel-0" "heads" null "sweep" 200"#,
        r#""channel-0" "digests" null null 200"#,
        r#""127.0.0.1" "entries" 1000002 "history" 200"#,
        r#""127.0.0.1" "entries" 1000002 null 200"#,
        r#""127.0.0.1" "entries" 1000002 null 400"#,
    ];
    assert_eq!(told, expected);
}
