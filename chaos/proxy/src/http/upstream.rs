//! A connection to the server with one request on it at a time.
//!
//! In: whole requests. Out: whole answers, or whether anything of the request went out, and when all of it had. Elsewhere: whose
//! connection it is and when it is made anew (`http`).
//!
//! Its driver is polled together with the request, so that no task and no wake-up stands between the two.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use bankstorm_faults::rule::Way;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::header::{CONNECTION, HeaderMap, HeaderName};
use hyper::{Response, Version};
use hyper_util::rt::TokioIo;

use super::{Answer, Unanswered, Whole};
use crate::link::{Line, Link};
use crate::socket::Socket;

/// The most bytes of an answer; a service's largest page has about 1 MB.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// Headers that speak of one connection alone; hyper writes those that it needs itself.
const HOPS: [&str; 8] =
    ["connection", "keep-alive", "proxy-connection", "expect", "te", "trailer", "transfer-encoding", "upgrade"];

/// A connection to the server.
pub(super) struct Server {
    send: SendRequest<Full<Bytes>>,
    driver: Driver,
    /// Set once all that was to be written is.
    written: Arc<AtomicBool>,
}

/// What became of a request.
pub(super) enum Forwarded {
    /// The server's answer.
    Answered(Answer),
    /// The connection had ended: not a byte went out.
    Untouched(Whole),
    /// There is no answer, and the request may have arrived.
    Lost(String),
}

/// The part of a connection that moves bytes; `None` once it has ended.
struct Driver(Option<Pin<Box<Moving>>>);

type Moving = Connection<TokioIo<Socket>, Full<Bytes>>;

impl Server {
    pub(super) async fn open(link: &Link, line: &Arc<Line>) -> Result<Self, Unanswered> {
        let failed = |error: &dyn std::fmt::Display| Unanswered(format!("{}: {error}", link.settings().upstream));
        let stream = link.connect().await.map_err(|error| failed(&error))?;
        let socket = Socket::new(stream, Way::Back, line);
        let written = socket.written();
        let (send, driver) = handshake(TokioIo::new(socket)).await.map_err(|error| failed(&error))?;
        Ok(Self { send, driver: Driver(Some(Box::pin(driver))), written })
    }

    /// `sent` is told once all of the request was written, before its answer is given out; never of one that stayed untouched.
    pub(super) async fn forward(&mut self, mut request: Whole, mut sent: impl FnMut()) -> Forwarded {
        *request.version_mut() = Version::HTTP_11;
        let Self { send, driver, written } = self;
        let moved = || {
            if written.swap(false, Ordering::Relaxed) {
                sent();
            }
        };
        let work = async {
            if send.ready().await.is_err() {
                return Forwarded::Untouched(request);
            }
            match send.try_send_request(request).await {
                Ok(answer) => match whole(answer).await {
                    Ok(answer) => Forwarded::Answered(answer),
                    Err(error) => Forwarded::Lost(error),
                },
                Err(mut failure) => match failure.take_message() {
                    Some(request) => Forwarded::Untouched(request),
                    None => Forwarded::Lost(failure.into_error().to_string()),
                },
            }
        };
        driver.along(work, moved).await
    }
}

async fn whole(answer: Response<Incoming>) -> Result<Answer, String> {
    let (mut head, body) = answer.into_parts();
    drop_hops(&mut head.headers);
    head.extensions.clear();
    if body.is_end_stream() {
        return Ok(Response::from_parts(head, Full::default()));
    }
    let body =
        Limited::new(body, ANSWER_MAX).collect().await.map_err(|error| format!("the answer broke off: {error}"))?;
    Ok(Response::from_parts(head, Full::new(body.to_bytes())))
}

/// Leaves out what speaks of one connection alone.
pub(super) fn drop_hops(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOPS {
        headers.remove(name);
    }
    for name in named {
        headers.remove(name);
    }
}

impl Driver {
    /// Runs `work` to its end while the connection moves bytes, and `moved` each time that it has. When the connection ends first, `work`
    /// learns it from hyper.
    async fn along<T>(&mut self, work: impl Future<Output = T>, mut moved: impl FnMut()) -> T {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            self.drive(context);
            moved();
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            // What `work` has just queued is written now, not at the next event of the socket.
            let has_ended = self.drive(context);
            moved();
            if has_ended { work.as_mut().poll(context) } else { Poll::Pending }
        })
        .await
    }

    /// Moves bytes; whether the connection ended with that.
    fn drive(&mut self, context: &mut std::task::Context<'_>) -> bool {
        let ended = self.0.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready());
        if ended {
            self.0 = None;
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::Request;
    use hyper::header::{HeaderMap, HeaderValue};
    use tokio::net::TcpListener;

    use super::{Forwarded, Server, Whole, drop_hops};
    use crate::link::Link;
    use crate::settings::{Protocol, Settings};

    fn request() -> Whole {
        Request::post("/v1/transfers").body(Full::new(Bytes::from("x".repeat(20_000) + "end"))).expect("a request")
    }

    #[tokio::test]
    async fn a_request_is_sent_once_the_server_can_read_all_of_it_and_never_where_it_stays_untouched() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let upstream = listener.local_addr().expect("bound").to_string().parse().expect("an address");
        let link = Arc::new(Link::new(Settings { upstream, protocol: Protocol::Http }));
        let open = link.open().expect("no rule resets it");
        let mut server = Server::open(&link, open.line()).await.expect("it listens");
        let (stream, _) = listener.accept().await.expect("a connection");
        // Whoever reads waits here: what is not written by now never comes.
        let mut stream = stream.into_std().expect("a socket");
        stream.set_nonblocking(false).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let mut came = Vec::new();
        let answered = server.forward(request(), || {
            let mut piece = [0; 4_096];
            while !came.ends_with(b"end") {
                let length = stream.read(&mut piece).expect("all of it is written");
                came.extend_from_slice(&piece[..length]);
            }
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).expect("answered");
        });
        assert!(matches!(answered.await, Forwarded::Answered(_)));
        assert!(came.starts_with(b"POST /v1/transfers"), "{} bytes", came.len());
        let untouched = server.forward(request(), || panic!("the server had closed it")).await;
        assert!(matches!(untouched, Forwarded::Untouched(_)));
    }

    #[test]
    fn headers_of_one_connection_end_with_it_and_the_others_are_left_as_they_are() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-secret"),
            ("keep-alive", "timeout=5"),
            ("x-secret", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("bankstorm-caller", "channel-0"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        drop_hops(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(|name| name.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["bankstorm-caller", "content-length"]);
    }
}
