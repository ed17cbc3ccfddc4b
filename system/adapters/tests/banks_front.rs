//! The other banks over real sockets, with their book in a real file: statuses, problem documents, callbacks, a restart.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use bankstorm_adapters::http::banks_client::BanksClient;
use bankstorm_adapters::http::read::CALLER;
use bankstorm_adapters::http::server::serve;
use bankstorm_adapters::process::banks::BanksProcess;
use bankstorm_adapters::process::core::stopping;
use bankstorm_adapters::process::scope::ProcessScope;
use bankstorm_banks::temper::{Manner, temper};
use bankstorm_banks::{Banks, BanksConfig};
use bankstorm_contracts::banks_api::{Credit, CreditAnswer, CreditState};
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{TransferId, Won};
use bankstorm_outside::bank_network::{BankNetwork, CreditReply};
use bankstorm_outside::process::Scope;
use libtest_mimic::Trial;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use uuid::Uuid;

use crate::Place;
use crate::database::LIMIT;
use crate::wire::ask;

pub(crate) fn trials(place: &Place) -> Vec<Trial> {
    vec![
        place.trial("banks_front::answers_are_those_of_the_contract".to_owned(), contract),
        place.trial("banks_front::d29_callbacks_reach_core_and_a_restart_remembers".to_owned(), callbacks),
    ]
}

/// Banks at work.
pub(crate) struct Front {
    pub(crate) address: String,
    scope: ProcessScope,
}

/// Starts banks whose book is that file, and that call back to `core_url`.
pub(crate) async fn front(book: &Path, core_url: &str, config: BanksConfig) -> Front {
    let scope = ProcessScope::new();
    let process = BanksProcess::open(book, core_url, scope.clone()).expect("the book opens");
    let banks = Banks::start(process, config);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let stop = stopping(&scope);
    let router = bankstorm_adapters::http::banks::router(banks);
    scope.spawn("front", async move { serve(listener, router, stop).await.expect("served") });
    Front { address, scope }
}

impl Front {
    pub(crate) async fn end(self) {
        self.scope.stop();
        assert_eq!(self.scope.ended(Duration::from_secs(10)).await, 0);
    }
}

pub(crate) fn book() -> PathBuf {
    std::env::temp_dir().join(format!("bankstorm-bank-book-{}", Uuid::now_v7()))
}

fn body(number: u32, amount: &str, account: &str) -> String {
    format!(
        r#"{{"id":"00000000-0000-0000-0000-{number:012}","to":{{"bank":"088","account":"{account}"}},"amount":{amount},"memo":"rent"}}"#
    )
}

async fn contract(_: Place) {
    let book = book();
    let front = front(&book, "http://127.0.0.1:9", BanksConfig::default()).await;
    let (problem, json) = ("application/problem+json", "application/json");
    let cancel = |number: u32| format!("POST /v1/credits/00000000-0000-0000-0000-{number:012}/cancel");
    let cases = [
        ("POST /v1/credits", body(1, "500", "7"), 200, json, r#""state":"credited""#),
        ("POST /v1/credits", body(1, "500", "7"), 200, json, r#""state":"credited""#),
        ("POST /v1/credits", body(1, "501", "7"), 422, problem, r#""type":"param-drift""#),
        (&cancel(1), String::new(), 200, json, r#""state":"credited""#),
        (&cancel(2), String::new(), 200, json, r#""state":"refused""#),
        ("POST /v1/credits", body(2, "500", "7"), 200, json, r#""state":"refused""#),
        ("POST /v1/credits", body(3, "0", "7"), 400, problem, r#""field":"amount""#),
        ("POST /v1/credits", body(3, "\"5\"", "7"), 400, problem, r#""field":"amount""#),
        ("POST /v1/credits", body(3, "5", ""), 400, problem, r#""field":"to.account""#),
        ("POST /v1/credits", body(3, "5", "7").replace("088", "900"), 400, problem, r#""field":"to.bank""#),
        ("POST /v1/credits", "{".to_owned(), 400, problem, "not JSON"),
        ("POST /v1/credits", "x".repeat(64 * 1024 + 1), 413, problem, r#""type":"body-too-large""#),
        ("POST /v1/credits/7/cancel", String::new(), 400, problem, r#""field":"id""#),
        ("GET /v1/credits", String::new(), 405, problem, r#""type":"method-not-allowed""#),
    ];
    for (line, sent, status, kind, part) in cases {
        let answer = ask(&front.address, line, &sent).await;
        assert_eq!((answer.status, answer.kind()), (status, kind), "{line}: {}", answer.body);
        assert!(answer.body.contains(part), "{line}: {}", answer.body);
    }
    front.end().await;
    let lines = std::fs::read_to_string(&book).expect("the book");
    assert_eq!(lines.lines().count(), 2, "{lines}");
    std::fs::remove_file(&book).expect("there");
}

/// A core that hears callbacks.
async fn listening(scope: &ProcessScope) -> (String, UnboundedReceiver<(String, CreditAnswer)>) {
    let (heard, callbacks) = unbounded_channel();
    let outcome = post(async move |headers: axum::http::HeaderMap, Json(answer): Json<CreditAnswer>| {
        let caller = headers.get(CALLER).and_then(|name| name.to_str().ok()).unwrap_or_default().to_owned();
        heard.send((caller, answer)).expect("the trial listens");
    });
    let router = Router::new().route("/v1/outbound/{id}/outcome", outcome);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let stop = stopping(scope);
    scope.spawn("core", async move { serve(listener, router, stop).await.expect("served") });
    (url, callbacks)
}

async fn callbacks(_: Place) {
    let (book, scope) = (book(), ProcessScope::new());
    let (core_url, mut heard) = listening(&scope).await;
    let moment = Duration::from_millis(20);
    let config =
        BanksConfig { late_permille: 500, twice_permille: 500, late_for: moment..=moment, ..BanksConfig::default() };
    let credit = |number: u128| Credit {
        id: TransferId(Uuid::from_u128(number)),
        to: Party { bank: "088".to_owned(), account: "7".to_owned() },
        amount: Won::new(5),
    };
    let of = |wanted: fn(Manner) -> bool| {
        (1..).map(credit).find(|credit| wanted(temper(&config, credit.id).manner)).expect("half of them")
    };
    let late = of(|manner| matches!(manner, Manner::Late(_)));
    let twice = of(|manner| matches!(manner, Manner::Twice { answered: false, .. }));

    let running = front(&book, &core_url, config.clone()).await;
    let client = BanksClient::new(&format!("http://{}", running.address), 4, "core").expect("an address");
    for asked in [&late, &twice] {
        assert_eq!(client.credit(asked).await, Ok(CreditReply::Accepted));
    }
    let mut times = std::collections::BTreeMap::new();
    for _ in 0..3 {
        let (caller, answer) = timeout(LIMIT, heard.recv()).await.expect("a callback").expect("an open channel");
        assert_eq!((caller.as_str(), answer.state), ("banks", CreditState::Credited));
        *times.entry(answer.id).or_insert(0) += 1;
    }
    assert_eq!(times, std::collections::BTreeMap::from([(late.id, 1), (twice.id, 2)]));
    running.end().await;

    let again = front(&book, &core_url, config).await;
    let client = BanksClient::new(&format!("http://{}", again.address), 4, "core").expect("an address");
    for asked in [&late, &twice] {
        assert_eq!(client.cancel(asked.id).await, Ok(CreditReply::Answer(CreditState::Credited)));
    }
    again.end().await;
    scope.stop();
    assert_eq!(scope.ended(Duration::from_secs(10)).await, 0);
    std::fs::remove_file(&book).expect("there");
}
