//! What both front doors share: bodies with a limit, fields with names, problem documents, health, readiness, metrics, the serve loop.
//!
//! In: sockets. Out: axum plumbing. Elsewhere: routes and their meaning (`core`, `channel`).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bankstorm_contracts::Problem;
use bankstorm_contracts::problem::ProblemKind;
use futures_util::future::BoxFuture;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::process::registry::Registry;

/// The largest request body, in bytes.
pub const BODY_MAX: usize = 64 * 1024;
/// How long open requests may take after the stop; the process has 10 s in all.
pub const GRACE: Duration = Duration::from_secs(7);
/// The most connections open at once; further ones wait in the listener's backlog.
pub const CONNECTIONS_MAX: usize = 1_024;
/// How long a request's head may take to arrive, counted from the connection's start or its last answer: so an idle connection is closed.
pub const HEAD_LIMIT: Duration = Duration::from_secs(60);
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
        let (socket, place) = tokio::select! {
            biased;
            () = stopped.as_mut() => break,
            Some(ended) = open.join_next() => {
                report(ended);
                continue;
            }
            accepted = accept(&listener, &places) => accepted,
        };
        open.spawn(converse(socket, place, router.clone(), stop.clone(), limits.head));
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
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("never closed");
    loop {
        match listener.accept().await {
            Ok((socket, _)) => return (socket, place),
            Err(error) => {
                tracing::warn!(%error, pause = ?ACCEPT_PAUSE, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection, request after request, until either side ends it; after the stop until the request in work is answered.
async fn converse(
    socket: TcpStream,
    _place: OwnedSemaphorePermit,
    router: Router,
    stop: impl Future<Output = ()> + Send,
    head_limit: Duration,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_limit)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
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

/// A problem document.
pub fn problem(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let bytes = serde_json::to_vec(problem).expect("problems have no map keys that JSON lacks");
    (status, [(header::CONTENT_TYPE, "application/problem+json")], bytes).into_response()
}

/// How long a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// The request's body, if it is no larger than [`BODY_MAX`].
pub async fn body(body: Body) -> Result<Bytes, Problem> {
    match timeout(BODY_LIMIT, to_bytes(body, BODY_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let too_large =
                std::error::Error::source(&error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
            Err(if too_large {
                Problem::new(ProblemKind::BodyTooLarge, format!("the body is larger than {BODY_MAX} bytes"))
            } else {
                Problem::new(ProblemKind::BadRequest, format!("the body was not read: {error}"))
            })
        }
        Err(_) => Err(Problem::new(ProblemKind::BadRequest, format!("the body did not arrive within {BODY_LIMIT:?}"))),
    }
}

/// Reads a JSON body; `blame` finds the field at fault when it does not fit. Unknown fields are ignored.
pub fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    blame: impl FnOnce(&Fields<'_>) -> Option<Problem>,
) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let general = || Problem::new(ProblemKind::BadRequest, format!("the body is not what was expected: {error}"));
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => blame(&Fields { object: &object, under: "" }).unwrap_or_else(general),
            Ok(_) => Problem::new(ProblemKind::BadRequest, "the body is JSON, and not an object"),
            Err(error) => Problem::new(ProblemKind::BadRequest, format!("the body is not JSON: {error}")),
        }
    })
}

/// The fields of a body that did not fit.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    under: &'a str,
}

impl Fields<'_> {
    /// The problem with a field, if it is one that does not read as `T`.
    pub fn wrong<T: DeserializeOwned>(&self, name: &str, accepted: &str) -> Option<Problem> {
        let path = format!("{}{name}", self.under);
        match self.object.get(name) {
            None => Some(Problem::bad_field(&path, format!("{path} is missing; accepted is {accepted}"))),
            Some(value) if T::deserialize(value).is_err() => {
                Some(Problem::bad_field(&path, format!("{path} is {value}; accepted is {accepted}")))
            }
            Some(_) => None,
        }
    }

    /// The problem inside a field that is an object of its own; `prefix` is its name with a dot.
    pub fn wrong_within(&self, prefix: &str, blame: impl FnOnce(&Fields<'_>) -> Option<Problem>) -> Option<Problem> {
        let name = prefix.trim_end_matches('.');
        match self.object.get(name) {
            Some(Value::Object(object)) => blame(&Fields { object, under: prefix }),
            Some(value) => Some(Problem::bad_field(name, format!("{name} is {value}; accepted is an object"))),
            None => Some(Problem::bad_field(name, format!("{name} is missing; accepted is an object"))),
        }
    }
}

/// Reads a path segment or a query value.
pub fn parse<T: std::str::FromStr>(field: &str, text: &str, accepted: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::bad_field(field, format!("{field} is {text:?}; accepted is {accepted}")))
}

/// A path segment as text.
pub fn segment(field: &str, segment: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    segment.map(|Path(text)| text).map_err(|error| Problem::bad_field(field, error.body_text()))
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
