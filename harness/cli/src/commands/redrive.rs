//! `redrive --channel URL`: a channel tries its dead letters again (A9).
//!
//! In: a channel's address. Out: what became of the letters, on standard output; exit code 0 when the channel answered, whatever became of
//! them, 2 for an address that is none, 3 when the channel cannot be reached or answers otherwise. Elsewhere: what a redrive does
//! (`channel`).

use std::time::Duration;

use bankstorm_contracts::channel_api::{RedriveAnswer, RedriveRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args::RedriveArgs;
use crate::error::CliError;
use crate::output::say;

/// Each letter is an advance that may ask core.
const LIMIT: Duration = Duration::from_secs(60);
/// The most that is read of the answer, in bytes.
const ANSWER_BYTES: u64 = 1 << 20;
const PATH: &str = "/v1/dead-letters/redrive";

/// Asks, prints.
pub(crate) async fn run(args: &RedriveArgs) -> Result<u8, CliError> {
    let url = &args.channel;
    let host = url.strip_prefix("http://").map(|host| host.trim_end_matches('/'));
    let Some(host) = host.filter(|host| !host.is_empty() && !host.contains('/')) else {
        let accepted = "accepted is such as http://127.0.0.1:7101";
        return Err(CliError::Usage(format!("--channel {url}: this is no base URL; {accepted}")));
    };
    let body = serde_json::to_string(&RedriveRequest { limit: args.limit }).expect("a number");
    let answered = timeout(LIMIT, post(host, &body)).await;
    let answered = answered.unwrap_or_else(|_| Err(format!("limit hit: no answer within {} s", LIMIT.as_secs())));
    let answer = answered.and_then(|answer| read(&answer));
    let answer = answer.map_err(|problem| CliError::Environment(format!("{url}{PATH}: {problem}")))?;
    print(&answer);
    Ok(0)
}

fn print(answer: &RedriveAnswer) {
    let RedriveAnswer { taken, closed, failed, open, oldest_ms } = answer;
    say(&format!("taken {taken}, closed {closed}, failed again {failed}"));
    let oldest = oldest_ms.map(|ms| format!(", the oldest for {:.1} s", ms as f64 / 1_000.0));
    say(&format!("still open {open}{}", oldest.unwrap_or_default()));
}

/// Version 1.0, so that the answer ends with the connection and is not chunked.
async fn post(host: &str, body: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect(host).await.map_err(|error| error.to_string())?;
    let length = body.len();
    let request = format!(
        "POST {PATH} HTTP/1.0\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn read(answer: &str) -> Result<RedriveAnswer, String> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer has no end of its head")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" {
        return Err(format!("status {status}: {}", body.trim()));
    }
    serde_json::from_str(body).map_err(|error| format!("the answer is none of a redrive: {error}"))
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::channel_api::RedriveAnswer;

    use super::read;

    #[test]
    fn an_answer_is_counts_or_the_problem_as_it_was_told() {
        let body = r#"{"taken": 3, "closed": 2, "failed": 1, "open": 1, "oldest_ms": 1500}"#;
        let expected = RedriveAnswer { taken: 3, closed: 2, failed: 1, open: 1, oldest_ms: Some(1_500) };
        assert_eq!(read(&format!("HTTP/1.0 200 OK\r\n\r\n{body}")), Ok(expected));
        let refused = read("HTTP/1.0 503 Service Unavailable\r\n\r\n{\"title\": \"not ready\"}");
        assert_eq!(refused, Err("status 503: {\"title\": \"not ready\"}".to_owned()));
        assert!(read("HTTP/1.0 200 OK\r\n\r\n<html>").is_err_and(|problem| problem.contains("none of a redrive")));
    }
}
