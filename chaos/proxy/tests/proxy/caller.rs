//! A caller that shows what a library hides: whether a connection is open, closed or reset.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::rig::soon;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One connection.
pub(crate) struct Caller {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Caller {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).await.expect("someone listens"))
    }

    /// The same for a connection that somebody else has made.
    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket");
        Self { stream, read: Vec::new() }
    }

    /// Writes a request; a connection that breaks shows with the answer.
    pub(crate) async fn send(&mut self, method: &str, path: &str, body: &str) {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n", body.len());
        let _ = self.stream.write_all(format!("{head}bankstorm-caller: test\r\n\r\n{body}").as_bytes()).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("written");
    }

    /// The next answer; the error of a connection that was closed is `UnexpectedEof`, of one that was reset `ConnectionReset`.
    pub(crate) async fn answer(&mut self) -> Result<Got, Error> {
        soon(async {
            loop {
                if let Some(got) = self.parse() {
                    return Ok(got);
                }
                if self.stream.read_buf(&mut self.read).await? == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
            }
        })
        .await
    }

    /// Sends and reads the answer.
    pub(crate) async fn ask(&mut self, method: &str, path: &str, body: &str) -> Got {
        self.send(method, path, body).await;
        self.answer().await.expect("an answer")
    }

    /// A request, at the server's end; its body, if it has one, ends with a brace.
    pub(crate) async fn request(&mut self) -> String {
        let whole = |text: &str| text.ends_with('}') || (text.ends_with("\r\n\r\n") && text.contains("length: 0"));
        soon(async {
            loop {
                let text = String::from_utf8_lossy(&self.read).into_owned();
                if whole(&text) {
                    self.read.clear();
                    return text;
                }
                assert!(self.stream.read_buf(&mut self.read).await.expect("a request") > 0, "ended after {text}");
            }
        })
        .await
    }

    /// Exactly so many bytes.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        soon(self.stream.read_exact(&mut bytes)).await.expect("as many bytes");
        bytes
    }

    /// How the connection ends, whatever else still comes.
    pub(crate) async fn end(&mut self) -> Option<ErrorKind> {
        self.rest().await.1
    }

    /// What still comes, and how the connection ends then.
    pub(crate) async fn rest(&mut self) -> (Vec<u8>, Option<ErrorKind>) {
        let mut rest = Vec::new();
        let ended = soon(self.stream.read_to_end(&mut rest)).await;
        (rest, ended.err().map(|error| error.kind()))
    }

    /// Whether the connection is open and has brought nothing until now.
    pub(crate) fn hears_nothing(&self) -> bool {
        let waiting = self.stream.try_read(&mut [0; 1]);
        self.read.is_empty() && waiting.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    fn parse(&mut self) -> Option<Got> {
        let head_end = self.read.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.read[..head_end]).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |number| number.parse().expect("a number"));
        let whole = head_end + 4 + length;
        if self.read.len() < whole {
            return None;
        }
        let body = String::from_utf8_lossy(&self.read[head_end + 4..whole]).into_owned();
        self.read.drain(..whole);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Some(Got { status, head, body })
    }
}
