//! A tiny server that tells what reaches it, and from which connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::rig::{listen, soon};

/// What happened at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A request came.
    Arrived(Arrived),
    /// Its connection ended before it was answered.
    HungUp,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) what: String,
    pub(crate) body: String,
    pub(crate) caller: Option<String>,
    pub(crate) connection: u64,
    pub(crate) at: Instant,
}

/// A running server. It answers each request with its number; those below `/silent` never; `/last` ends the connection after the answer.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    events: UnboundedReceiver<Event>,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Handler {
    connection: u64,
    answers: Arc<AtomicU64>,
    events: UnboundedSender<Event>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let (listener, address) = listen().await;
        let (tell, events) = unbounded_channel();
        let handler = Handler { connection: 0, answers: Arc::default(), events: tell };
        #[expect(clippy::disallowed_methods, reason = "the test's own runtime; ends with it")]
        let serving = tokio::spawn(accept(listener, handler));
        Self { address, events, serving }
    }

    /// The next request that arrives.
    pub(crate) async fn arrived(&mut self) -> Arrived {
        match self.event().await {
            Event::Arrived(arrived) => arrived,
            Event::HungUp => panic!("a request, not the end of one"),
        }
    }

    pub(crate) async fn event(&mut self) -> Event {
        soon(self.events.recv()).await.expect("the server lives")
    }

    /// Whether nothing has come that was not taken.
    pub(crate) fn saw_nothing(&mut self) -> bool {
        self.events.try_recv().is_err()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, mut handler: Handler) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        handler.connection += 1;
        let handler = handler.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| handler.clone().answer(request));
            // Broken connections are part of the tests.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Handler {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let caller = request.headers().get("bankstorm-caller").and_then(|value| value.to_str().ok());
        let caller = caller.map(str::to_owned);
        let (what, path) = (format!("{} {}", request.method(), request.uri()), request.uri().path().to_owned());
        let body = request.into_body().collect().await?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        let (connection, at) = (self.connection, Instant::now());
        // Before it is told of: whoever asks after that has a higher number.
        let number = self.answers.fetch_add(1, Ordering::SeqCst) + 1;
        let _ = self.events.send(Event::Arrived(Arrived { what, body, caller, connection, at }));
        if path.starts_with("/silent") {
            let _ended = Ended(self.events);
            std::future::pending::<()>().await;
        }
        let mut answer = Response::new(Full::new(Bytes::from(format!("answer {number}"))));
        answer.headers_mut().insert("x-server", "tiny".parse().expect("a header"));
        if path == "/last" {
            answer.headers_mut().insert("connection", "close".parse().expect("a header"));
        }
        Ok(answer)
    }
}

/// Tells when a request is dropped.
struct Ended(UnboundedSender<Event>);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.send(Event::HungUp);
    }
}

/// Not shorter than asked for; timers have a grain of a millisecond.
pub(crate) fn took(from: Instant, until: Instant, least: Duration) {
    let took = until.duration_since(from);
    assert!(took + Duration::from_millis(1) >= least, "{took:?} of {least:?}");
}
