//! What both front doors share: bodies with a limit, fields with names, problem documents, health, readiness, metrics, the serve loop.
//!
//! In: sockets. Out: axum plumbing. Elsewhere: routes and their meaning (`core`, `channel`).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use bankstorm_contracts::Problem;
use bankstorm_contracts::problem::ProblemKind;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::process::registry::Registry;

/// The largest request body, in bytes.
pub const BODY_MAX: usize = 64 * 1024;
/// How long open requests may take after the stop; the process has 10 s in all.
pub const GRACE: Duration = Duration::from_secs(7);

/// Says whether the process can do its work; the error is what `/readyz` answers with.
pub type Ready = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// `/healthz`, `/readyz`, `/metrics`, and problem documents for whatever is not there.
pub fn operations(registry: Registry, ready: Ready) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route(
            "/readyz",
            get(async move || match ready().await {
                Ok(()) => (StatusCode::OK, "ready".to_owned()),
                Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
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
        .method_not_allowed_fallback(async |method: axum::http::Method, uri: axum::http::Uri| {
            problem(&Problem::new(ProblemKind::NotFound, format!("{} does not take {method}", uri.path())))
        })
}

/// Serves until `stop`, then lets open requests end, at most [`GRACE`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Clone + Send + 'static,
) -> std::io::Result<()> {
    let listener = listener.tap_io(|socket| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
    });
    let grace = stop.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop).into_future();
    tokio::select! {
        biased;
        served = serving => served,
        () = async { grace.await; tokio::time::sleep(GRACE).await } => {
            tracing::warn!(limit = ?GRACE, "requests still open after the stop are dropped");
            Ok(())
        }
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
