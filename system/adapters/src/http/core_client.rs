//! Core, as a channel calls it over HTTP/1.1.
//!
//! In: accounts and serials. Out: entries and heads, or a [`CallError`]. Elsewhere: when it is called and what is tried again
//! (`channel::advance`): a call here is one attempt.
//!
//! Connections are kept between calls, a bounded number at once; one that failed in any way is closed. Every call has
//! [`CALL_LIMIT`], waiting for a connection included.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_contracts::core_api::{Entries, Heads, HeadsRequest};
use bankstorm_contracts::{AccountNo, Entry, Head, Problem, Seq};
use bankstorm_outside::core_api::{CallError, CoreApi};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long one call may take.
pub const CALL_LIMIT: Duration = Duration::from_secs(3);
/// The most bytes of an answer; 500 entries need about 100 kB.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

type Sender = SendRequest<Full<Bytes>>;

/// A client of core. Clones share its connections.
#[derive(Clone, Debug)]
pub struct CoreClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    authority: String,
    places: Semaphore,
    idle: Mutex<Vec<Sender>>,
}

impl CoreClient {
    /// A client of core at `url` (`http://host:port`), with at most `connections` at once. Nothing is connected yet.
    pub fn new(url: &str, connections: usize) -> Result<Self, CallError> {
        let refuse = |what: String| CallError::Unavailable(format!("core's address {url:?}: {what}"));
        let uri: Uri = url.parse().map_err(|error| refuse(format!("{error}")))?;
        if uri.scheme_str() != Some("http") {
            return Err(refuse("accepted is http://host:port".to_owned()));
        }
        let authority = uri.authority().ok_or_else(|| refuse("no host".to_owned()))?;
        let authority = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        let inner = Inner { authority, places: Semaphore::new(connections.max(1)), idle: Mutex::default() };
        Ok(Self(Arc::new(inner)))
    }

    async fn call<T: DeserializeOwned>(&self, request: Request<Full<Bytes>>) -> Result<T, CallError> {
        let what = format!("{} {}", request.method(), request.uri());
        match timeout(CALL_LIMIT, self.exchange(request)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(detail)) => Err(CallError::Unavailable(format!("{what}: {detail}"))),
            Err(_) => Err(CallError::Unavailable(format!("{what}: no answer within {CALL_LIMIT:?}"))),
        }
    }

    async fn exchange<T: DeserializeOwned>(&self, request: Request<Full<Bytes>>) -> Result<T, String> {
        let _place = self.0.places.acquire().await.map_err(|closed| closed.to_string())?;
        let mut sender = self.connection().await?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), BODY_LIMIT).collect().await.map_err(|error| error.to_string())?;
        let body = body.to_bytes();
        // The answer was read to its end: the connection is as good as new.
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        if status == StatusCode::OK {
            return serde_json::from_slice(&body)
                .map_err(|error| format!("not the answer that was asked for: {error}"));
        }
        let detail = serde_json::from_slice::<Problem>(&body).map_or_else(|_| String::new(), |problem| problem.detail);
        Err(format!("{status} {detail}"))
    }

    async fn connection(&self) -> Result<Sender, String> {
        while let Some(mut sender) = self.idle() {
            // Core may have closed it since.
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream = TcpStream::connect(&self.0.authority).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        drive(connection);
        Ok(sender)
    }

    fn idle(&self) -> Option<Sender> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn request(&self, method: &str, path: &str, body: Bytes) -> Request<Full<Bytes>> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.0.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("paths are made of numbers here")
    }
}

#[expect(clippy::disallowed_methods, reason = "a connection is driven by a task of its own; it ends with its sender")]
fn drive(connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to core ended");
        }
    });
}

impl CoreApi for CoreClient {
    async fn entries(&self, account: AccountNo, after: Seq, limit: u32) -> Result<Vec<Entry>, CallError> {
        let path = format!("/v1/accounts/{account}/entries?after={after}&limit={limit}");
        let Entries { entries } = self.call(self.request("GET", &path, Bytes::new())).await?;
        Ok(entries)
    }

    async fn heads(&self, accounts: &[AccountNo]) -> Result<Vec<Head>, CallError> {
        let body = serde_json::to_vec(&HeadsRequest { accounts: accounts.to_vec() }).expect("numbers are JSON");
        let Heads { heads } = self.call(self.request("POST", "/v1/heads", body.into())).await?;
        Ok(heads)
    }
}
