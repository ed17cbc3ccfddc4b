//! Clients against servers that do as they are told: what each answer, and each kind of silence, means to the caller.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_contracts::banks_api::{Credit, CreditAnswer, CreditState};
use bankstorm_contracts::core_api::{Party, Transfer};
use bankstorm_contracts::{AccountNo, DigestRange, RejectReason, TransferId, WallMicros, Won};
use bankstorm_outside::bank_network::{BankNetwork, CreditReply, OutcomeSink};
use bankstorm_outside::core_api::{CallError, CoreApi, Submitted};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use super::Client;
use crate::http::banks_client::{BanksClient, OutcomeClient};
use crate::http::core_client::{CoreCalls, CoreClient};

/// The longest wait for what must happen.
const LIMIT: Duration = Duration::from_secs(30);
/// The limit of calls that nobody answers.
const SHORT: Duration = Duration::from_millis(100);

/// A server on a port of its own; ends with the test.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

/// What a server does with a request.
#[derive(Clone)]
enum Does {
    /// Answers with this status and body.
    Says(u16, String),
    /// Answers, and closes the connection although it did not say so.
    SaysAndCloses(u16, String),
    /// Closes the connection.
    Closes,
    /// Nothing.
    Nothing,
    /// Answers 200 once that many requests are there.
    Meets(Arc<Barrier>),
}

async fn server(does: Does) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (connections, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let mut tasks = JoinSet::new();
    let (count, seen) = (Arc::clone(&connections), Arc::clone(&heads));
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        loop {
            let (socket, _) = listener.accept().await.expect("a connection");
            count.fetch_add(1, Ordering::SeqCst);
            open.spawn(converse(socket, does.clone(), Arc::clone(&seen)));
        }
    });
    Server { url, connections, heads, _tasks: tasks }
}

async fn converse(mut socket: TcpStream, does: Does, seen: Arc<Mutex<Vec<String>>>) {
    while let Some(head) = request(&mut socket).await {
        seen.lock().expect("no test panics with it").push(head);
        let (status, body, closes) = match &does {
            Does::Says(status, body) => (*status, body.clone(), false),
            Does::SaysAndCloses(status, body) => (*status, body.clone(), true),
            Does::Closes => return,
            Does::Nothing => std::future::pending().await,
            Does::Meets(barrier) => {
                barrier.wait().await;
                (200, "{}".to_owned(), false)
            }
        };
        let answer = format!("HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if socket.write_all(answer.as_bytes()).await.is_err() || closes {
            return;
        }
    }
}

/// One request's head; its body is read too.
async fn request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().expect("a length")) {
                return Some(head.to_owned());
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn id() -> TransferId {
    TransferId(Uuid::from_u128(7))
}

fn transfer() -> Transfer {
    Transfer {
        id: id(),
        from: AccountNo::new(1_000_001),
        to: Party::own(AccountNo::new(1_000_002)),
        amount: Won::new(5),
        requested_at: WallMicros(1),
        valid_for_ms: 5_000,
    }
}

fn core(server: &Server) -> CoreClient {
    CoreClient::new(&server.url, CoreCalls::default(), "channel-1").expect("an address")
}

fn problem(kind: &str, status: u16) -> String {
    format!(r#"{{"type":"{kind}","status":{status},"detail":"because","field":"amount"}}"#)
}

/// What a call came to, in one word.
fn word(submitted: &Result<Submitted, CallError>) -> String {
    match submitted {
        Ok(Submitted::Verdict(verdict)) => format!("{} {:?}", verdict.state.as_str(), verdict.reason),
        Ok(Submitted::Processing) => "processing".to_owned(),
        Ok(Submitted::Refused(problem)) => format!("refused {} {:?}", problem.status, problem.field.as_deref()),
        Err(CallError::NotSent(_)) => "not sent".to_owned(),
        Err(CallError::NotStarted(_)) => "not started".to_owned(),
        Err(CallError::Unavailable(_)) => "unavailable".to_owned(),
    }
}

#[tokio::test]
async fn d41_every_answer_to_a_transfer_means_one_thing() {
    let verdict = |rest: &str| format!(r#"{{"id":"{}",{rest}}}"#, id());
    let other = format!(r#"{{"id":"{}","state":"completed"}}"#, Uuid::from_u128(8));
    let reason = format!("rejected {:?}", Some(RejectReason::InsufficientFunds));
    for (status, body, expected) in [
        (201, verdict(r#""state":"completed","seq":3,"balance_after":7,"posted_at":9"#), "completed None"),
        (200, verdict(r#""state":"completed","seq":3"#), "completed None"),
        (200, verdict(r#""state":"rejected","reason":"insufficient_funds""#), reason.as_str()),
        (200, verdict(r#""state":"processing""#), "processing"),
        (200, other, "unavailable"),
        (200, "hello".to_owned(), "unavailable"),
        (202, "{}".to_owned(), "unavailable"),
        (409, problem("processing", 409), "processing"),
        (409, problem("transfer-pending", 409), "unavailable"),
        (409, "no".to_owned(), "unavailable"),
        (400, problem("bad-request", 400), r#"refused 400 Some("amount")"#),
        (413, problem("body-too-large", 413), r#"refused 413 Some("amount")"#),
        (422, problem("param-drift", 422), r#"refused 422 Some("amount")"#),
        (404, problem("not-found", 404), r#"refused 404 Some("amount")"#),
        (405, problem("method-not-allowed", 405), r#"refused 405 Some("amount")"#),
        (400, "{}".to_owned(), "unavailable"),
        (404, "no".to_owned(), "unavailable"),
        (404, problem("about:blank", 404), "unavailable"),
        (408, String::new(), "unavailable"),
        (429, problem("bad-request", 400), "unavailable"),
        (429, problem("not-started", 503), "unavailable"),
        (500, problem("unknown", 500), "unavailable"),
        (500, problem("not-started", 503), "unavailable"),
        (503, "no".to_owned(), "unavailable"),
        (503, problem("unknown", 500), "unavailable"),
        (503, problem("not-started", 503), "not started"),
    ] {
        let server = server(Does::Says(status, body.clone())).await;
        let submitted = core(&server).transfer(&transfer(), LIMIT).await;
        assert_eq!(word(&submitted), expected, "{status} {body}: {submitted:?}");
        let head = server.heads.lock().expect("free")[0].to_lowercase();
        assert!(head.contains("bankstorm-caller: channel-1"), "{head}");
    }
}

#[tokio::test]
async fn d41_only_what_was_never_sent_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let nobody = CoreClient::new(&url, CoreCalls::default(), "channel-1").expect("an address");
    assert_eq!(word(&nobody.transfer(&transfer(), LIMIT).await), "not sent");

    for (does, expected) in [(Does::Closes, "unavailable"), (Does::Nothing, "unavailable")] {
        let server = server(does).await;
        let calls = CoreCalls { reads: 1, transfers: 1, resolves: 1 };
        let core = CoreClient::new(&server.url, calls, "channel-1").expect("an address");
        assert_eq!(word(&core.transfer(&transfer(), SHORT).await), expected);
    }

    let server = server(Does::Nothing).await;
    let calls = CoreCalls { reads: 1, transfers: 1, resolves: 1 };
    let core = CoreClient::new(&server.url, calls, "channel-1").expect("an address");
    let asked = transfer();
    let (first, second) = tokio::join!(core.transfer(&asked, LIMIT / 100), core.transfer(&asked, SHORT));
    assert_eq!((word(&first), word(&second)), ("unavailable".to_owned(), "not sent".to_owned()));
    assert_eq!(server.heads.lock().expect("free").len(), 1, "the second waited for a place and never went out");
}

#[tokio::test]
async fn a18_transfers_that_wait_for_their_answers_keep_no_resolve_from_core() {
    let server = server(Does::Nothing).await;
    let calls = CoreCalls { reads: 1, transfers: 1, resolves: 1 };
    let core = CoreClient::new(&server.url, calls, "channel-1").expect("an address");
    let asked = transfer();
    let heads = || server.heads.lock().expect("free").clone();
    let both = async {
        let resolve = format!("POST /v1/transfers/{}/resolve HTTP", id());
        while !heads().iter().any(|head| head.starts_with(&resolve)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = core.transfer(&asked, LIMIT) => panic!("nobody answers"),
        _ = core.resolve(id()) => panic!("nobody answers: it waited for a place"),
        () = both => {}
    }
    assert_eq!(heads().len(), 2, "each has a place of its own");
}

#[tokio::test]
async fn d43_digests_are_asked_by_their_stretch_and_told_up_to_a_cut() {
    let part = r#"{"first":1000003,"last":1000007,"accounts":2,"digest":"00000000000000ff"}"#;
    let server = server(Does::Says(200, format!(r#"{{"parts":[{part}],"next":1000008}}"#))).await;
    let range = DigestRange { from: AccountNo::new(1_000_003), to: AccountNo::new(i64::MAX), width: 5 };
    let told = core(&server).digests(range).await.expect("an answer");
    assert_eq!((told.parts[0].accounts, told.parts[0].digest.get()), (2, 255));
    assert_eq!(told.next.map(AccountNo::get), Some(1_000_008));
    let head = server.heads.lock().expect("free")[0].clone();
    let line = "GET /v1/heads/digests?from=1000003&to=9223372036854775807&width=5 HTTP";
    assert!(head.starts_with(line), "{head}");
    let odd = self::server(Does::Says(200, r#"{"parts":[{"first":1000003}]}"#.to_owned())).await;
    assert!(matches!(core(&odd).digests(range).await, Err(CallError::Unavailable(_))), "half an answer is none");
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced_and_nothing_is_sent_twice() {
    let server = server(Does::SaysAndCloses(200, "{}".to_owned())).await;
    let client = Client::new(&server.url, 1, "test").expect("an address");
    for calls in 1..=20 {
        let answer = client.get("/", LIMIT).await;
        // The close may come while the request is on its way; then, and only then, nobody can tell.
        if let Err(error) = answer {
            assert!(matches!(error, CallError::Unavailable(_)), "{error:?}");
        }
        assert!(server.heads.lock().expect("free").len() <= calls);
    }
}

#[tokio::test]
async fn a18_calls_in_flight_do_not_wait_for_each_other() {
    let server = server(Does::Meets(Arc::new(Barrier::new(50)))).await;
    let client = Client::new(&server.url, 50, "test").expect("an address");
    for _ in 0..2 {
        let mut calls = JoinSet::new();
        for _ in 0..50 {
            let client = client.clone();
            calls.spawn(async move { client.get("/", LIMIT).await.expect("an answer").status });
        }
        let all = timeout(LIMIT, calls.join_all()).await.expect("all are in flight at once");
        assert!(all.iter().all(|status| *status == 200), "{all:?}");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 50, "connections are kept");
}

#[tokio::test]
async fn d39_only_a_definite_answer_of_the_banks_is_one() {
    let credit = Credit { id: id(), to: Party { bank: "088".into(), account: "7".into() }, amount: Won::new(5) };
    let answer = |number: u128, state: &str| format!(r#"{{"id":"{}","state":"{state}"}}"#, Uuid::from_u128(number));
    for (status, body, expected) in [
        (200, answer(7, "credited"), Ok(CreditReply::Answer(CreditState::Credited))),
        (200, answer(7, "refused"), Ok(CreditReply::Answer(CreditState::Refused))),
        (202, answer(7, "x"), Ok(CreditReply::Accepted)),
        (200, answer(8, "refused"), Err(false)),
        (404, "no".to_owned(), Err(false)),
        (422, problem("param-drift", 422), Err(false)),
        (500, problem("unknown", 500), Err(false)),
        (503, problem("not-started", 503), Err(true)),
    ] {
        let server = server(Does::Says(status, body.clone())).await;
        let banks = BanksClient::new(&server.url, 2, "core").expect("an address");
        for reply in [banks.credit(&credit).await, banks.cancel(id()).await] {
            let reply = reply.map_err(|error| matches!(error, CallError::NotStarted(_)));
            assert_eq!(reply, expected, "{status} {body}");
        }
        let heads = server.heads.lock().expect("free").clone();
        assert!(heads[0].starts_with("POST /v1/credits HTTP"), "{heads:?}");
        assert!(heads[1].starts_with(&format!("POST /v1/credits/{}/cancel HTTP", id())), "{heads:?}");
    }
    let none = BanksClient::none().credit(&credit).await;
    assert!(matches!(none, Err(CallError::NotSent(_))), "{none:?}");
}

#[tokio::test]
async fn core_has_an_outcome_only_when_it_says_so() {
    let told = CreditAnswer { id: id(), state: CreditState::Credited };
    let verdict = format!(r#"{{"id":"{}","state":"completed"}}"#, id());
    for (status, body, heard) in
        [(200, verdict, true), (409, problem("processing", 409), false), (500, problem("unknown", 500), false)]
    {
        let server = server(Does::Says(status, body)).await;
        let core = OutcomeClient::new(&server.url, 2, "banks").expect("an address");
        assert_eq!(core.outcome(told).await.is_ok(), heard);
        let head = server.heads.lock().expect("free")[0].clone();
        assert!(head.starts_with(&format!("POST /v1/outbound/{}/outcome HTTP", id())), "{head}");
    }
}

#[test]
fn addresses_and_names_that_cannot_be_used_are_told() {
    for (url, caller, part) in [
        ("https://core:1", "channel-1", "accepted is http://host:port"),
        ("core", "channel-1", "accepted is"),
        ("http://core:1", "a\nb", "accepted are printable"),
    ] {
        let refusal = Client::new(url, 1, caller).expect_err(part).to_string();
        assert!(refusal.contains(part), "{refusal}");
    }
}
