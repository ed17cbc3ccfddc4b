//! The serve loop at its limits: who has no place is told so, and whoever is silent keeps none.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Limits, serve_within};

/// The longest wait for anything here.
const LIMIT: Duration = Duration::from_secs(30);
/// The limit of what is to run out.
const SHORT: Duration = Duration::from_millis(200);
/// Nobody keeps his connection for the answer's sake.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";

/// A front door within `limits`, until `clients` have ended.
async fn with_door(limits: Limits, clients: impl AsyncFnOnce(std::net::SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let router = Router::new().route("/", get(async || "here"));
    let serving = serve_within(listener, router, stopped.map(drop).shared(), limits);
    let all = async {
        clients(address).await;
        stop.send(()).expect("served");
    };
    assert!(timeout(LIMIT, futures_util::future::join(serving, all)).await.is_ok(), "not within {LIMIT:?}");
}

async fn connect(address: std::net::SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("the front door or its backlog")
}

async fn ask(address: std::net::SocketAddr, request: &[u8]) -> String {
    let mut socket = connect(address).await;
    // A goodbye may come, and the socket close, before all of it went out.
    let _ = socket.write_all(request).await;
    read(socket).await
}

async fn read(mut socket: TcpStream) -> String {
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.expect("closed, and not reset");
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_goodbye(answer: &str) {
    let small = answer.to_lowercase();
    for part in ["http/1.1 503", "retry-after: 1", "connection: close", "application/problem+json", "not-started"] {
        assert!(small.contains(part), "{part}: {answer}");
    }
}

#[tokio::test]
async fn whoever_has_no_place_is_told_to_come_again_and_a_silent_one_loses_his_own_a18() {
    let limits = Limits { connections: 1, head: SHORT * 5, goodbyes: 2, goodbye: LIMIT };
    with_door(limits, async |address| {
        let silent = connect(address).await;
        is_goodbye(&ask(address, REQUEST).await);
        let long = "x".repeat(20_000);
        let deposit = format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n{long}", long.len());
        is_goodbye(&ask(address, deposit.as_bytes()).await);
        assert_eq!(read(silent).await, "", "it is closed unanswered");
        let answer = ask(address, REQUEST).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn goodbyes_are_few_and_short_whoever_hears_them() {
    let limits = Limits { connections: 1, head: LIMIT * 2, goodbyes: 1, goodbye: SHORT };
    with_door(limits, async |address| {
        let held = connect(address).await;
        let silent = connect(address).await;
        let mut waiting = connect(address).await;
        waiting.write_all(REQUEST).await.expect("sent");
        let mut early = [0];
        // The second's end frees the only goodbye, so it always comes first.
        tokio::select! {
            biased;
            end = read(silent) => assert_eq!(end, ""),
            _ = waiting.peek(&mut early) => panic!("answered beside the silent one"),
        }
        is_goodbye(&read(waiting).await);
        drop(held);
    })
    .await;
}
