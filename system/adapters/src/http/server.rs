//! What the front doors share: bodies with a limit, problem documents, health, readiness, metrics, the serve loop.
//!
//! In: sockets. Out: axum plumbing. Elsewhere: routes and their meaning (`core`, `channel`, `banks`), what a request says (`read`).

use std::convert::Infallible;
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
use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
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
/// The most connections open at once; further ones are answered 503 not-started and closed.
pub const CONNECTIONS_MAX: usize = 1_024;
/// How many are told so at once; beyond these, connections wait in the listener's backlog, each no longer than the others take to be told.
const GOODBYES_MAX: usize = 64;
/// How long that may take, however slowly the other end sends and reads.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);
/// How much of a body is read before that: whoever is still sending when the connection is closed may lose the answer.
const GOODBYE_BODY: usize = 64 * 1024;
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
    goodbyes: usize,
    goodbye: Duration,
}

/// Serves until `stop`, then lets open requests end, at most [`GRACE`]. At most [`CONNECTIONS_MAX`] connections are open, and each must
/// bring a request within [`HEAD_LIMIT`]; further ones are told to come again. Other methods than a path's own are refused with a problem document.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Clone + Send + 'static,
) -> std::io::Result<()> {
    let limits =
        Limits { connections: CONNECTIONS_MAX, head: HEAD_LIMIT, goodbyes: GOODBYES_MAX, goodbye: GOODBYE_LIMIT };
    serve_within(listener, router, stop, limits).await;
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
    let rooms = Rooms {
        places: Arc::new(Semaphore::new(limits.connections)),
        goodbyes: Arc::new(Semaphore::new(limits.goodbyes)),
    };
    // Dropping it drops what is still open.
    let mut open = JoinSet::new();
    let mut stopped = pin!(stop.clone());
    loop {
        let (socket, peer, room) = tokio::select! {
            biased;
            () = stopped.as_mut() => break,
            Some(ended) = open.join_next() => {
                report(ended);
                continue;
            }
            accepted = accept(&listener, &rooms) => accepted,
        };
        match room {
            Room::Place(place) => {
                let service = FromPeer { peer, router: TowerToHyperService::new(router.clone()) };
                open.spawn(converse(socket, place, service, stop.clone(), limits.head))
            }
            Room::Goodbye(place) => open.spawn(say_goodbye(socket, place, limits)),
        };
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

/// Room for connections: to be served, and to be told that there is no room.
struct Rooms {
    places: Arc<Semaphore>,
    goodbyes: Arc<Semaphore>,
}

/// A connection's room, given back when dropped.
enum Room {
    Place(OwnedSemaphorePermit),
    Goodbye(OwnedSemaphorePermit),
}

/// The next connection, once there is room for it of either kind.
async fn accept(listener: &TcpListener, rooms: &Rooms) -> (TcpStream, Peer, Room) {
    let room = tokio::select! {
        biased;
        place = Arc::clone(&rooms.places).acquire_owned() => Room::Place(place.expect("never closed")),
        place = Arc::clone(&rooms.goodbyes).acquire_owned() => Room::Goodbye(place.expect("never closed")),
    };
    loop {
        match listener.accept().await {
            Ok((socket, from)) => return (socket, Peer(from.ip()), rooms.better(room)),
            Err(error) => {
                tracing::warn!(%error, pause = ?ACCEPT_PAUSE, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Rooms {
    /// A place may have come free while nobody came.
    fn better(&self, room: Room) -> Room {
        match (room, Arc::clone(&self.places).try_acquire_owned()) {
            (Room::Goodbye(_), Ok(place)) => Room::Place(place),
            (room, _) => room,
        }
    }
}

/// Reads one request and answers that nothing was begun, within a limit for all of it. The request is read first: an answer before it may
/// be lost, and a client cannot tell whose it is.
async fn say_goodbye(socket: TcpStream, _place: OwnedSemaphorePermit, limits: Limits) {
    let answer = service_fn(async |request: Request<Incoming>| {
        let _ = Limited::new(request.into_body(), GOODBYE_BODY).collect().await;
        let detail = format!("nothing was begun: all {} connections of this service are taken", limits.connections);
        Ok::<_, Infallible>(problem(&Problem::new(ProblemKind::NotStarted, detail)))
    });
    let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(socket), answer);
    match timeout(limits.goodbye, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection beyond the limit ended"),
        Err(_) => tracing::debug!(limit = ?limits.goodbye, "a connection beyond the limit was closed unanswered"),
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
mod tests;
