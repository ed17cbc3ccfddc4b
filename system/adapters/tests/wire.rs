//! Requests by hand, one connection each: what the front doors' trials send, byte by byte.

use bankstorm_adapters::http::read::CALLER;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::database::LIMIT;

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Everything before the body.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl Answer {
    /// A header, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The content type.
    pub(crate) fn kind(&self) -> &str {
        self.header("content-type").unwrap_or_default()
    }
}

/// Sends one request, such as `GET /healthz`, and reads the answer to its end.
pub(crate) async fn ask(address: &str, line: &str, body: &str) -> Answer {
    read(send(address, line, body).await).await
}

/// As [`ask`], from a caller that names itself.
pub(crate) async fn ask_as(caller: &str, address: &str, line: &str, body: &str) -> Answer {
    ask_with(&format!("{CALLER}: {caller}\r\n"), address, line, body).await
}

/// As [`ask`], with these header lines, each ended.
pub(crate) async fn ask_with(headers: &str, address: &str, line: &str, body: &str) -> Answer {
    read(write(address, headers, line, body.as_bytes()).await).await
}

/// As [`ask`], with a body that is called JSON, whatever it is.
pub(crate) async fn ask_json(address: &str, line: &str, body: &[u8]) -> Answer {
    read(write(address, "content-type: application/json\r\n", line, body).await).await
}

async fn read(mut socket: TcpStream) -> Answer {
    let mut answer = String::new();
    timeout(LIMIT, socket.read_to_string(&mut answer)).await.expect("an answer").expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Sends one request.
pub(crate) async fn send(address: &str, line: &str, body: &str) -> TcpStream {
    write(address, "", line, body.as_bytes()).await
}

async fn write(address: &str, headers: &str, line: &str, body: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("the front door");
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n");
    // A refusal may come, and the socket close, before the whole body went out.
    let _ = socket.write_all(&[head.as_bytes(), body].concat()).await;
    socket
}
