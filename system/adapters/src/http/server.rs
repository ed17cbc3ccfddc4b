//! What the front doors share: bodies with a limit, problem documents, health, readiness, metrics, the serve loop.
//!
//! In: sockets. Out: axum plumbing. Elsewhere: routes and their meaning (`core`, `channel`, `banks`), what a request says (`read`).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bankstorm_contracts::Problem;
use bankstorm_contracts::problem::ProblemKind;
use futures_util::future::BoxFuture;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::read::Peer;
use crate::process::registry::Registry;

/// How long open requests may take after the stop; the process has 10 s in all.
pub const GRACE: Duration = Duration::from_secs(7);
/// The most connections open at once; further ones wait in the listener's backlog.
pub const CONNECTIONS_MAX: usize = 1_024;
/// How long a request's head may take to arrive, counted from the connection's start or its last answer: so an idle connection is closed.
pub const HEAD_LIMIT: Duration = Duration::from_secs(60);
/// When whoever was refused for want of room may come again, in seconds.
const RETRY_AFTER_S: &str = "1";
/// The pause after the system refused to accept, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Says whether the process can do its work; the error is what `/readyz` answers with.
pub type Ready = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// `/healthz`, `/readyz`, `/metrics`, and problem documents for whatever is not there.
pub fn operations(registry: Registry, ready: Ready) -> Router {
    // One at a time, each with limits of its own: however many ask, they cost one connection to the database.
    let asking = Arc::new(Semaphore::new(1));
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route(
            "/readyz",
            get(async move || {
                let _turn = asking.acquire().await;
                match ready().await {
                    Ok(()) => (StatusCode::OK, "ready".to_owned()),
                    Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
                }
            }),
        )
        .route(
            "/metrics",
            get(async move || {
                (
                    [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
                    registry.render(),
                )
            }),
        )
        .fallback(async |uri: axum::http::Uri| {
            problem(&Problem::new(ProblemKind::NotFound, format!("there is no {}", uri.path())))
        })
}

async fn method_not_allowed(method: axum::http::Method, uri: axum::http::Uri) -> Response {
    problem(&Problem::new(ProblemKind::MethodNotAllowed, format!("{} does not take {method}", uri.path())))
}

/// What a front door bears.
#[derive(Clone, Copy, Debug)]
struct Limits {
    connections: usize,
    head: Duration,
}

/// Serves until `stop`, then lets open requests end, at most [`GRACE`]. At most [`CONNECTIONS_MAX`] connections are open, and each must
/// bring a request within [`HEAD_LIMIT`]. Other methods than a path's own are refused with a problem document.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Clone + Send + 'static,
) -> std::io::Result<()> {
    serve_within(listener, router, stop, Limits { connections: CONNECTIONS_MAX, head: HEAD_LIMIT }).await;
    Ok(())
}

async fn serve_within(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Clone + Send + 'static,
    limits: Limits,
) {
    // On the whole router: called earlier, it would cover only the routes that were there.
    let router = router.method_not_allowed_fallback(method_not_allowed);
    let places = Arc::new(Semaphore::new(limits.connections));
    // Dropping it drops what is still open.
    let mut open = JoinSet::new();
    let mut stopped = pin!(stop.clone());
    loop {
        let (socket, peer, place) = tokio::select! {
            biased;
            () = stopped.as_mut() => break,
            Some(ended) = open.join_next() => {
                report(ended);
                continue;
            }
            accepted = accept(&listener, &places) => accepted,
        };
        let service = FromPeer { peer, router: TowerToHyperService::new(router.clone()) };
        open.spawn(converse(socket, place, service, stop.clone(), limits.head));
    }
    drop(listener);
    let all = async {
        while let Some(ended) = open.join_next().await {
            report(ended);
        }
    };
    if timeout(GRACE, all).await.is_err() {
        tracing::warn!(limit = ?GRACE, "requests still open after the stop are dropped");
    }
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Peer, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("never closed");
    loop {
        match listener.accept().await {
            Ok((socket, from)) => return (socket, Peer(from.ip()), place),
            Err(error) => {
                tracing::warn!(%error, pause = ?ACCEPT_PAUSE, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The router, which is told who is at the other end.
struct FromPeer {
    peer: Peer,
    router: TowerToHyperService<Router>,
}

impl Service<Request<Incoming>> for FromPeer {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.router.call(request)
    }
}

/// One connection, request after request, until either side ends it; after the stop until the request in work is answered.
async fn converse(
    socket: TcpStream,
    _place: OwnedSemaphorePermit,
    service: FromPeer,
    stop: impl Future<Output = ()> + Send,
    head_limit: Duration,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_limit)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task ended early");
    }
}

/// A JSON answer.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).expect("answers have no map keys that JSON lacks");
    (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

/// A problem document. Whoever was told that nothing was begun is told when to come again.
pub fn problem(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let bytes = serde_json::to_vec(problem).expect("problems have no map keys that JSON lacks");
    let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], bytes).into_response();
    if problem.kind == ProblemKind::NotStarted {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    }
    response
}

#[cfg(test)]
mod tests {
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

    #[tokio::test]
    async fn the_next_connection_waits_for_a_place_and_a_silent_one_loses_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = stopped.map(drop).shared();
        let router = Router::new().route("/", get(async || "here"));
        let limits = Limits { connections: 1, head: Duration::from_millis(200) };
        let clients = async {
            let mut silent = TcpStream::connect(address).await.expect("the front door");
            let mut asking = TcpStream::connect(address).await.expect("the backlog");
            let request = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
            asking.write_all(request).await.expect("sent");
            let (mut nothing, mut answer) = (Vec::new(), Vec::new());
            // The place is free only after the silent one's socket was closed, so its end always comes first.
            tokio::select! {
                biased;
                end = silent.read_to_end(&mut nothing) => assert_eq!(end.expect("closed"), 0),
                _ = asking.read_to_end(&mut answer) => panic!("answered beside the silent one"),
            }
            asking.read_to_end(&mut answer).await.expect("closed");
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
            stop.send(()).expect("served");
        };
        let serving = serve_within(listener, router, stopped, limits);
        let ended = timeout(LIMIT, async { futures_util::join!(serving, clients) }).await;
        assert!(ended.is_ok(), "not within {LIMIT:?}");
    }
}
