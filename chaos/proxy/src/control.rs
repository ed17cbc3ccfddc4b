//! How rules come in: HTTP at the proxy's own address, below a path that no service has.
//!
//! In: `GET /-/proxy/ready`; `PUT`, `GET` and `DELETE` of `/-/proxy/rules/<id>`. Out: 204 for a rule in force, its counts as JSON, and
//! problem documents (RFC 9457) that name what is wrong. Elsewhere: which connections come here (`first_bytes`, `http`), what a rule does
//! (`rules`).

use std::convert::Infallible;
use std::sync::Arc;

use bankstorm_faults::rule::{Hits, READY, RULES, Rule};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;

use crate::link::Link;
use crate::rules::Refused;

/// The most bytes of a rule.
const RULE_MAX: usize = 64 * 1024;

/// A connection that comes for the rules alone: nothing that is done to the link is done to it.
pub(crate) async fn converse(link: &Arc<Link>, caller: TcpStream) {
    let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(link, request).await) });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(caller), service).await {
        tracing::debug!(%error, "a connection for the rules ended");
    }
}

/// What a request for the proxy itself is answered.
pub(crate) async fn answer(link: &Link, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if path == READY {
        return json(StatusCode::OK, &json!({ "ready": true }));
    }
    let id = path.strip_prefix(RULES).filter(|id| !id.is_empty() && !id.contains('/')).map(str::to_owned);
    let Some(id) = id else {
        return problem(StatusCode::NOT_FOUND, &format!("there is no {path}; there are {READY} and {RULES}<id>"));
    };
    match *request.method() {
        Method::PUT => put(link, &id, request.into_body()).await,
        Method::GET => counted(&id, link.hits(&id)),
        Method::DELETE => counted(&id, link.take(&id)),
        ref other => {
            problem(StatusCode::METHOD_NOT_ALLOWED, &format!("{other} {path}: accepted are PUT, GET and DELETE"))
        }
    }
}

async fn put(link: &Link, id: &str, body: Incoming) -> Response<Full<Bytes>> {
    let body = match Limited::new(body, RULE_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return problem(StatusCode::BAD_REQUEST, &format!("rule {id:?}: {error}")),
    };
    let rule: Rule = match serde_json::from_slice(&body) {
        Ok(rule) => rule,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &format!("rule {id:?}: {error}")),
    };
    tracing::info!(id, ?rule, "a rule is put");
    match link.put(id, rule) {
        Ok(()) => bare(StatusCode::NO_CONTENT),
        Err(refused @ Refused::Taken { .. }) => problem(StatusCode::CONFLICT, &refused.to_string()),
        Err(refused) => problem(StatusCode::BAD_REQUEST, &format!("rule {id:?}: {refused}")),
    }
}

fn counted(id: &str, hits: Option<Hits>) -> Response<Full<Bytes>> {
    match hits {
        Some(hits) => json(StatusCode::OK, &serde_json::to_value(hits).expect("counts are JSON")),
        None => problem(StatusCode::NOT_FOUND, &format!("there is no rule {id:?} in force")),
    }
}

/// A problem document.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response<Full<Bytes>> {
    let title = status.canonical_reason().unwrap_or("refused");
    let document = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    let mut response = json(status, &document);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

fn json(status: StatusCode, document: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = bare(status);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Full::new(document.to_string().into());
    response
}

fn bare(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
