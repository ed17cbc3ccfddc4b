//! Calls over HTTP/1.1 to one server: what all clients here share.
//!
//! In: a method, a path, a body, a limit. Out: status and body, or why there is none. Elsewhere: what a status means
//! (`core_client`, `banks_client`), when it is called and what is tried again (the services): a call here is one attempt.
//!
//! Connections are kept between calls, a bounded number at once; one that failed in any way is closed. Requests in flight never wait
//! for each other, only for a place. A call whose request was not handed to a connection is [`CallError::NotSent`]: not one byte of
//! it went out. Everything later is [`CallError::Unavailable`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_contracts::Problem;
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_outside::core_api::CallError;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::read::CALLER;

/// The most bytes of an answer; 500 entries need about 100 kB.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

type Sender = SendRequest<Full<Bytes>>;

/// A header of one request: its name, in small letters, and its value.
pub type Header = (&'static str, &'static str);

/// A client of one server. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    authority: String,
    caller: HeaderValue,
    places: Semaphore,
    idle: Mutex<Vec<Sender>>,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    body: Bytes,
    /// The call, for messages.
    what: String,
}

impl Client {
    /// A client of the server at `url` (`http://host:port`), with at most `connections` at once; it names itself `caller`. Nothing is
    /// connected yet.
    pub fn new(url: &str, connections: usize, caller: &str) -> Result<Self, CallError> {
        let refuse = |what: String| CallError::NotSent(format!("address {url:?}: {what}"));
        let uri: Uri = url.parse().map_err(|error| refuse(format!("{error}")))?;
        if uri.scheme_str() != Some("http") {
            return Err(refuse("accepted is http://host:port".to_owned()));
        }
        let authority = uri.authority().ok_or_else(|| refuse("no host".to_owned()))?;
        let authority = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        let caller = HeaderValue::from_str(caller)
            .map_err(|_| CallError::NotSent(format!("caller {caller:?}: accepted are printable ASCII characters")))?;
        let inner = Inner { authority, caller, places: Semaphore::new(connections.max(1)), idle: Mutex::default() };
        Ok(Self(Arc::new(inner)))
    }

    /// Calls without a body. `limit` covers everything, waiting for a place included.
    pub async fn get(&self, path: &str, limit: Duration) -> Result<Answer, CallError> {
        self.get_with(path, &[], limit).await
    }

    /// As [`Client::get`], with more headers.
    pub async fn get_with(&self, path: &str, headers: &[Header], limit: Duration) -> Result<Answer, CallError> {
        self.call("GET", path, headers, Bytes::new(), limit).await
    }

    /// Calls with a JSON body; `limit` as in [`Client::get`].
    pub async fn post(&self, path: &str, body: &impl Serialize, limit: Duration) -> Result<Answer, CallError> {
        self.post_with(path, &[], body, limit).await
    }

    /// As [`Client::post`], with more headers.
    pub async fn post_with(
        &self,
        path: &str,
        headers: &[Header],
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<Answer, CallError> {
        let body = serde_json::to_vec(body).expect("requests have no map keys that JSON lacks");
        self.call("POST", path, headers, body.into(), limit).await
    }

    /// Posts nothing; `limit` as in [`Client::get`].
    pub async fn post_empty(&self, path: &str, limit: Duration) -> Result<Answer, CallError> {
        self.call("POST", path, &[], Bytes::new(), limit).await
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[Header],
        body: Bytes,
        limit: Duration,
    ) -> Result<Answer, CallError> {
        let what = format!("{method} {path}");
        let sent = AtomicBool::new(false);
        let failed = |detail: String| {
            if sent.load(Ordering::Relaxed) { CallError::Unavailable(detail) } else { CallError::NotSent(detail) }
        };
        match timeout(limit, self.exchange(self.request(method, path, headers, body), &sent)).await {
            Ok(Ok((status, body))) => Ok(Answer { status, body, what }),
            Ok(Err(detail)) => Err(failed(format!("{what}: {detail}"))),
            Err(_) => Err(failed(format!("{what}: no answer within {limit:?}"))),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, sent: &AtomicBool) -> Result<(StatusCode, Bytes), String> {
        let _place = self.0.places.acquire().await.map_err(|closed| closed.to_string())?;
        let (answer, sender) = self.send(request, sent).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), BODY_LIMIT).collect().await.map_err(|error| error.to_string())?;
        // The answer was read to its end: the connection is as good as new.
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Ok((status, body.to_bytes()))
    }

    /// `sent` is set while the request is with a connection. One that comes back untouched, since the server had closed the idle
    /// connection meanwhile, goes to the next.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        sent: &AtomicBool,
    ) -> Result<(Response<hyper::body::Incoming>, Sender), String> {
        loop {
            let (mut sender, fresh) = match self.idle().await {
                Some(kept) => (kept, false),
                None => (self.connect().await?, true),
            };
            sent.store(true, Ordering::Relaxed);
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok((answer, sender)),
                Err(mut failure) => match failure.take_message() {
                    Some(untouched) => {
                        sent.store(false, Ordering::Relaxed);
                        if fresh {
                            return Err(failure.into_error().to_string());
                        }
                        request = untouched;
                    }
                    None => return Err(failure.into_error().to_string()),
                },
            }
        }
    }

    /// A kept connection that the server has not closed, as far as is known.
    async fn idle(&self) -> Option<Sender> {
        loop {
            let mut sender = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    async fn connect(&self) -> Result<Sender, String> {
        let stream = TcpStream::connect(&self.0.authority).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        drive(connection);
        Ok(sender)
    }

    fn request(&self, method: &str, path: &str, headers: &[Header], body: Bytes) -> Request<Full<Bytes>> {
        let plain = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.0.authority)
            .header(CALLER, &self.0.caller)
            .header(CONTENT_TYPE, "application/json");
        headers
            .iter()
            .fold(plain, |request, (name, value)| request.header(*name, *value))
            .body(Full::new(body))
            .expect("paths are made of numbers and ids here, and headers are words")
    }
}

impl Answer {
    /// The body as what was asked for. An answer that is something else says nothing: [`CallError::Unavailable`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            CallError::Unavailable(format!(
                "{}: {} is not the answer that was asked for: {error}",
                self.what, self.status
            ))
        })
    }

    /// The body as a problem document, if it is one.
    pub fn problem(&self) -> Option<Problem> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body where the status is `wanted`, else [`Answer::refusal`].
    pub fn expect<T: DeserializeOwned>(&self, wanted: StatusCode) -> Result<T, CallError> {
        if self.status == wanted { self.read() } else { Err(self.refusal()) }
    }

    /// The call as failed. Only a 503 whose problem document says so has begun nothing (D41).
    pub fn refusal(&self) -> CallError {
        let problem = self.problem();
        let detail = problem.as_ref().map_or("", |problem| problem.detail.as_str());
        let detail = format!("{}: {} {detail}", self.what, self.status);
        match problem.map(|problem| problem.kind) {
            Some(ProblemKind::NotStarted) if self.status == StatusCode::SERVICE_UNAVAILABLE => {
                CallError::NotStarted(detail)
            }
            _ => CallError::Unavailable(detail),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a connection is driven by a task of its own; it ends with its sender")]
fn drive(connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended");
        }
    });
}

#[cfg(test)]
mod tests;
