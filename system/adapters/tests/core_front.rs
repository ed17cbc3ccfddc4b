//! Core's front door over real sockets: statuses, problem documents, limits, and clients that hang up.

use std::sync::Arc;
use std::time::Duration;

use bankstorm_adapters::http::server::{operations, serve};
use bankstorm_adapters::postgres::core::PgCoreStore;
use bankstorm_adapters::process::core::{CoreProcess, stopping};
use bankstorm_adapters::process::registry::Registry;
use bankstorm_adapters::process::scope::ProcessScope;
use bankstorm_contracts::{AccountNo, Head, Won};
use bankstorm_core::{Core, CoreConfig};
use bankstorm_outside::process::Scope;
use futures_util::FutureExt;
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::Place;
use crate::core_service::MemoryLog;
use crate::database::{LIMIT, client, core_database, until, until_waiting};

pub(crate) fn trials(place: &Place) -> Vec<Trial> {
    vec![
        place.trial("core_front::answers_are_those_of_the_contract".to_owned(), contract),
        place.trial("core_front::a_client_that_hangs_up_changes_nothing".to_owned(), hang_up),
    ]
}

struct Front {
    address: String,
    database: String,
    scope: ProcessScope,
}

async fn front(place: &Place) -> Front {
    let first = Head { account: AccountNo::new(1_000_001), seq: 0, balance: Won::ZERO };
    let database = core_database(&place.core, &[first]).await;
    let store = PgCoreStore::connect(&database, 4).await.expect("the database is up");
    let (scope, registry) = (ProcessScope::new(), Registry::new());
    let process = CoreProcess { store, log: MemoryLog::default(), scope: scope.clone(), registry: registry.clone() };
    let core = Core::start(process, CoreConfig { lock_timeout: LIMIT, ..CoreConfig::default() });
    let router =
        bankstorm_adapters::http::core::router(core).merge(operations(registry, Arc::new(|| async { Ok(()) }.boxed())));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let stop = stopping(&scope);
    scope.spawn("front", async move { serve(listener, router, stop).await.expect("served") });
    Front { address, database, scope }
}

impl Front {
    /// Sends one request; the status, the content type and the body.
    async fn ask(&self, line: &str, body: &str) -> (u16, String, String) {
        let mut socket = self.send(line, body).await;
        let mut answer = String::new();
        timeout(LIMIT, socket.read_to_string(&mut answer)).await.expect("an answer").expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a status");
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
        (status, kind.to_owned(), body.to_owned())
    }

    async fn send(&self, line: &str, body: &str) -> TcpStream {
        let mut socket = TcpStream::connect(&self.address).await.expect("the front door");
        let request = format!(
            "{line} HTTP/1.1\r\nhost: core\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        // A refusal may come, and the socket close, before the whole body went out.
        let _ = socket.write_all(request.as_bytes()).await;
        socket
    }

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

async fn contract(place: Place) {
    let front = front(&place).await;
    let (problem, json) = ("application/problem+json", "application/json");
    let resolve = |number: u32| format!("POST /v1/transfers/00000000-0000-0000-0000-{number:012}/resolve");
    let large = "x".repeat(64 * 1024 + 1);
    let cases = [
        ("POST /v1/deposits", body(1, "500"), 201, json, r#""state":"completed","seq":1,"balance_after":500"#),
        ("POST /v1/deposits", body(1, "500"), 200, json, r#""seq":1"#),
        ("POST /v1/deposits", body(1, "501"), 422, problem, r#""type":"param-drift""#),
        ("POST /v1/deposits", body(2, "0"), 400, problem, r#""field":"amount""#),
        ("POST /v1/deposits", body(2, "\"5\""), 400, problem, r#""field":"amount""#),
        ("POST /v1/deposits", "{".to_owned(), 400, problem, "not JSON"),
        ("POST /v1/deposits", large, 413, problem, r#""type":"body-too-large""#),
        (&resolve(1), String::new(), 200, json, r#""state":"completed""#),
        (&resolve(3), String::new(), 200, json, r#""reason":"not_received""#),
        ("POST /v1/transfers/7/resolve", String::new(), 400, problem, r#""field":"id""#),
        (
            "GET /v1/accounts/1000001/entries?after=0&limit=5",
            String::new(),
            200,
            json,
            r#"{"entries":[{"account":1000001,"seq":1"#,
        ),
        ("GET /v1/accounts/1000001/entries?limit=501", String::new(), 400, problem, r#""field":"limit""#),
        ("GET /v1/accounts/1000001/head", String::new(), 200, json, r#"{"account":1000001,"seq":1,"balance":500}"#),
        ("GET /v1/accounts/1000009/head", String::new(), 404, problem, "1000009"),
        (
            "POST /v1/heads",
            r#"{"accounts":[1000009,1000001]}"#.to_owned(),
            200,
            json,
            r#"{"heads":[{"account":1000001"#,
        ),
        ("POST /v1/heads", r#"{"accounts":[true]}"#.to_owned(), 400, problem, r#""field":"accounts""#),
        ("POST /v1/deposits", body(2, "5").replace("088", "0\\u00008"), 400, problem, r#""field":"from.bank""#),
        ("GET /v1/accounts/%ff/head", String::new(), 400, problem, r#""field":"no""#),
        ("POST /v1/transfers/%ff/resolve", String::new(), 400, problem, r#""field":"id""#),
        ("GET /v1/deposits", String::new(), 405, problem, r#""type":"method-not-allowed""#),
        ("DELETE /v1/accounts/1000001/head", String::new(), 405, problem, "DELETE"),
        ("POST /readyz", String::new(), 405, problem, "/readyz"),
        ("GET /nowhere", String::new(), 404, problem, "/nowhere"),
        ("GET /healthz", String::new(), 200, "text/plain; charset=utf-8", "ok"),
        ("GET /readyz", String::new(), 200, "text/plain; charset=utf-8", "ready"),
    ];
    for (line, sent, status, kind, part) in cases {
        let answer = front.ask(line, &sent).await;
        assert_eq!((answer.0, answer.1.as_str()), (status, kind), "{line}: {}", answer.2);
        assert!(answer.2.contains(part), "{line}: {}", answer.2);
    }
    let (status, _, metrics) = front.ask("GET /metrics", "").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("bankstorm_core_deposits_completed_total 1"), "{metrics}");
    front.end().await;
}

async fn hang_up(place: Place) {
    let front = front(&place).await;
    let control = client(&front.database).await;
    let holder = client(&front.database).await;
    holder.batch_execute("BEGIN; SELECT 1 FROM account FOR UPDATE").await.expect("a free row");
    let socket = front.send("POST /v1/deposits", &body(1, "500")).await;
    until_waiting(&control, 1).await;
    drop(socket);
    holder.batch_execute("ROLLBACK").await.expect("a transaction");
    until(&control, "SELECT count(*) FROM entry WHERE seq = 1", |rows| rows == 1).await;
    front.end().await;
}
