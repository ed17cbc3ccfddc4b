//! One HTTP/1.1 connection with one request in flight, which knows when the first byte of a request was written.
//!
//! In: an address, requests. Out: answers, or why there is none and whether anything had been written. Elsewhere: what answers mean
//! (`answer`), queues and timeouts (`sender`, `lookup`, `resolve`).
//!
//! The connection's driver is polled together with each request, so that no task and no wake-up stands between them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};

use bankstorm_record::clock::monotonic_ns;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::run::DriveError;

/// Answers larger than this are refused, and their outcome is unknown.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How often a connection that closed before anything was written is made anew for one request.
const CONNECTS_MAX: u32 = 3;
/// No byte was written yet.
const UNWRITTEN: i64 = i64::MIN;

/// Where a service listens.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    socket: SocketAddr,
    host: HeaderValue,
    caller: HeaderValue,
}

/// The header by which a caller names himself: what core caps each of them by.
const CALLER: HeaderName = HeaderName::from_static("bankstorm-caller");

impl Address {
    /// Reads `http://host:port`.
    pub(crate) async fn resolve(url: &str) -> Result<Self, DriveError> {
        let bad = |problem: String| DriveError::Address { url: url.to_owned(), problem };
        let uri: Uri = url.parse().map_err(|error| bad(format!("{error}")))?;
        if uri.scheme_str() != Some("http") {
            return Err(bad("its scheme is not http".to_owned()));
        }
        let authority = uri.authority().ok_or_else(|| bad("there is no host".to_owned()))?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| bad(format!("{error}")))?;
        let port = authority.port_u16().unwrap_or(80);
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((name, port)).await.map_err(|error| bad(format!("{error}")))?;
        let socket = found.into_iter().next().ok_or_else(|| bad("the host has no address".to_owned()))?;
        Ok(Self { socket, host, caller: HeaderValue::from_static("harness") })
    }

    /// The same place, for a caller of that name: plain words.
    pub(crate) fn for_caller(&self, name: &str) -> Self {
        Self { caller: HeaderValue::from_str(name).expect("our own names are plain"), ..self.clone() }
    }

    /// A request to this address; `body` is JSON when there is one.
    pub(crate) fn request(&self, method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("our own paths are well formed");
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().insert(CALLER, self.caller.clone());
        if request.method() == Method::POST {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request
    }
}

/// A complete answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Not a byte of the request was written.
    Unsent(String),
    /// It was written, in part or in whole.
    Lost(String),
}

/// A place for connections to one address; it holds at most one.
#[derive(Debug)]
pub(crate) struct Client {
    address: Address,
    connection: Option<Connection>,
    opened_ns: i64,
    first_write: Arc<AtomicI64>,
}

#[derive(Debug)]
struct Connection {
    send: SendRequest<Full<Bytes>>,
    driver: Driver,
}

/// The part of a connection that moves bytes; `None` once it has ended.
#[derive(Debug)]
struct Driver(Option<Pin<Box<Moving>>>);

type Moving = http1::Connection<TokioIo<Stamped>, Full<Bytes>>;

impl Client {
    pub(crate) fn new(address: Address) -> Self {
        Self { address, connection: None, opened_ns: 0, first_write: Arc::new(AtomicI64::new(UNWRITTEN)) }
    }

    /// When the first byte of the current or last request was written, by CLOCK_MONOTONIC.
    pub(crate) fn first_write_ns(&self) -> Option<i64> {
        Some(self.first_write.load(Ordering::Relaxed)).filter(|stamp| *stamp != UNWRITTEN)
    }

    /// When the last connection was open, by CLOCK_MONOTONIC; the clock's beginning where there was none.
    pub(crate) const fn opened_ns(&self) -> i64 {
        self.opened_ns
    }

    /// Forgets the connection and what may still come over it.
    pub(crate) fn drop_connection(&mut self) {
        self.connection = None;
    }

    /// Forgets when the last request was written; done before each request, so that none takes another's stamp.
    pub(crate) fn forget_write(&mut self) {
        self.first_write.store(UNWRITTEN, Ordering::Relaxed);
    }

    /// Connects unless connected.
    pub(crate) async fn connect(&mut self) -> Result<(), NoAnswer> {
        if self.connection.is_none() {
            let opened = Connection::open(&self.address, Arc::clone(&self.first_write)).await;
            self.connection = Some(opened.map_err(|error| NoAnswer::Unsent(error.to_string()))?);
            self.opened_ns = monotonic_ns();
        }
        Ok(())
    }

    /// Sends a request and reads its answer. It has no limit of its own in time; whoever gives up must call [`Self::drop_connection`],
    /// or a later request would wait behind the earlier one.
    pub(crate) async fn exchange(&mut self, method: Method, path: &str, body: &Bytes) -> Result<Answer, NoAnswer> {
        self.forget_write();
        let mut connects = 0;
        loop {
            self.connect().await?;
            let request = self.address.request(method.clone(), path, body.clone());
            let connection = self.connection.as_mut().expect("connected just now");
            let problem = match connection.exchange(request).await {
                Ok(answer) => return Ok(answer),
                Err(problem) => problem,
            };
            self.connection = None;
            if self.first_write_ns().is_some() {
                return Err(NoAnswer::Lost(problem));
            }
            // An idle connection that the server had closed: nothing was written, so this is no second attempt.
            connects += 1;
            if connects >= CONNECTS_MAX {
                return Err(NoAnswer::Unsent(problem));
            }
        }
    }
}

impl Connection {
    async fn open(address: &Address, first_write: Arc<AtomicI64>) -> io::Result<Self> {
        let stream = TcpStream::connect(address.socket).await?;
        stream.set_nodelay(true)?;
        let (send, driver) =
            http1::handshake(TokioIo::new(Stamped { stream, first_write })).await.map_err(io::Error::other)?;
        Ok(Self { send, driver: Driver(Some(Box::pin(driver))) })
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let Self { send, driver } = self;
        driver
            .along(async {
                send.ready().await.map_err(|error| error.to_string())?;
                let response = send.send_request(request).await.map_err(|error| describe(&error))?;
                let status = response.status().as_u16();
                let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
                let body = body.map_err(|error| format!("answer broke off: {error}"))?.to_bytes();
                Ok(Answer { status, body })
            })
            .await
    }
}

/// hyper's texts leave out the cause, which is what one wants to read.
fn describe(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Driver {
    /// Runs `work` to its end while the connection moves bytes. When the connection ends first, `work` learns it from hyper.
    async fn along<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| {
            if let Some(driver) = &mut self.0
                && driver.as_mut().poll(context).is_ready()
            {
                self.0 = None;
            }
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            // What `work` has just queued is written now, not at the next event of the socket.
            if let Some(driver) = &mut self.0
                && driver.as_mut().poll(context).is_ready()
            {
                self.0 = None;
                return work.as_mut().poll(context);
            }
            Poll::Pending
        })
        .await
    }
}

/// A stream that notes when the first byte after [`Client::forget_write`] went out.
#[derive(Debug)]
struct Stamped {
    stream: TcpStream,
    first_write: Arc<AtomicI64>,
}

impl Stamped {
    fn stamp(&self, before_ns: i64, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(bytes)) if *bytes > 0)
            && self.first_write.load(Ordering::Relaxed) == UNWRITTEN
        {
            self.first_write.store(before_ns, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Stamped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let before_ns = monotonic_ns();
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.stamp(before_ns, &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let before_ns = monotonic_ns();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.stamp(before_ns, &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
