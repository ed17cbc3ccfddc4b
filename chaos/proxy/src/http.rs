//! Links of HTTP/1.1: a request is read whole, meets its fate, and is forwarded on a connection that is its caller's alone.
//!
//! In: a caller's connection. Out: the server's answers, in the order of the requests. Elsewhere: what rules do to requests and answers
//! (`effects`), the connection to the server (`upstream`), the transfer's id (`key`), what happens to bytes (`socket`).
//!
//! Close to what both would see directly: a caller that hangs up takes its request along, unless a rule holds it; a server that ends a
//! connection without an answer leaves the caller without one. Nothing is sent twice unless a rule says so. Two things differ. A server that
//! is not there refuses nobody: the proxy has taken the connection by then, and drops it without an answer. And that a server ends an idle
//! connection is not passed on: its caller's stays open, and the next request goes out on a new one.

mod effects;
mod key;
mod upstream;

use std::sync::{Arc, Mutex, PoisonError};

use bankstorm_faults::rule::{CONTROL, Way};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;

use self::upstream::{Forwarded, Server, drop_hops};
use crate::control;
use crate::link::{Line, Link, Open};
use crate::socket::{Ended, Socket};

/// The most bytes of a request's body.
const BODY_MAX: usize = 2 * 1024 * 1024;

/// A whole request.
type Whole = Request<Full<Bytes>>;
/// A whole answer.
type Answer = Response<Full<Bytes>>;

/// The caller gets no answer: its connection is closed.
#[derive(Debug, Error)]
#[error("{0}")]
struct Unanswered(String);

/// One connection, request after request, until either side ends it.
pub(crate) async fn converse(link: &Arc<Link>, open: &Open, caller: TcpStream) {
    let mut caller = Socket::new(caller, Way::There, open.line());
    let door = Door { link: Arc::clone(link), line: Arc::clone(open.line()), server: Mutex::default() };
    let ended = tokio::select! {
        biased;
        () = open.line().is_reset() => Ended::Reset,
        () = door.serve(&mut caller) => Ended::Closed,
    };
    caller.end(ended);
}

/// What the requests of one connection share.
struct Door {
    link: Arc<Link>,
    line: Arc<Line>,
    /// The connection to the server, while no request uses it.
    server: Mutex<Option<Server>>,
}

impl Door {
    async fn serve(&self, caller: &mut Socket) {
        let service = service_fn(|request| self.answer(request));
        if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(caller), service).await {
            tracing::debug!(%error, "a connection ended");
        }
        self.line.keep_if_lost().await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Unanswered> {
        if request.uri().path().starts_with(CONTROL) {
            return Ok(control::answer(&self.link, request).await);
        }
        let (head, body) = match whole(request).await {
            Ok(whole) => whole,
            Err(NotWhole::TooLarge) => return Ok(too_large()),
            Err(NotWhole::Broken(error)) => return Err(Unanswered(error)),
        };
        let (method, path) = (head.method.as_str(), head.uri.path());
        let fate = self.link.fate(method, path, || key::of(path, &body));
        let request = Request::from_parts(head, Full::new(body));
        let answered = self.carry_out(fate, request).await;
        if answered.is_err() {
            // Whoever would not be reached by an answer does not hear either that there is none.
            self.line.keep_if_lost().await;
        }
        answered
    }

    /// Forwards on this caller's connection. One that the server had closed meanwhile is made anew; a request of which a byte may have been
    /// written is never sent again. `sent` is told once all of it was written.
    async fn forward(&self, mut request: Whole, mut sent: impl FnMut()) -> Result<Answer, Unanswered> {
        loop {
            let kept = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
            let is_fresh = kept.is_none();
            // While the request is on its way the connection belongs to this future: a caller that hangs up ends both.
            let mut server = match kept {
                Some(server) => server,
                None => Server::open(&self.link, &self.line).await?,
            };
            match server.forward(request, &mut sent).await {
                Forwarded::Answered(answer) => {
                    *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
                    return Ok(answer);
                }
                Forwarded::Untouched(again) if !is_fresh => request = again,
                Forwarded::Untouched(_) => return Err(Unanswered("the server closed the connection".to_owned())),
                Forwarded::Lost(error) => return Err(Unanswered(error)),
            }
        }
    }
}

/// Why a request did not come whole.
enum NotWhole {
    TooLarge,
    Broken(String),
}

fn too_large() -> Answer {
    let detail = format!("the body is larger than {BODY_MAX} bytes, which is the most that this proxy takes");
    control::problem(StatusCode::PAYLOAD_TOO_LARGE, &detail)
}

/// The request's head and its whole body.
async fn whole(request: Request<Incoming>) -> Result<(Parts, Bytes), NotWhole> {
    let (mut head, body) = request.into_parts();
    drop_hops(&mut head.headers);
    head.extensions.clear();
    if body.is_end_stream() {
        return Ok((head, Bytes::new()));
    }
    if body.size_hint().lower() > BODY_MAX as u64 {
        return Err(NotWhole::TooLarge);
    }
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => Ok((head, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(NotWhole::TooLarge),
        Err(error) => Err(NotWhole::Broken(error.to_string())),
    }
}
