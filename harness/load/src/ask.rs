//! One request and its answer, or the moment at which it was given up.
//!
//! In: a connection, a request, how long it may take. Out: [`Asked`]. Elsewhere: bytes (`wire`), meaning (`answer`), who asks (`sender`,
//! `scroll`, `press`).

use std::time::Duration;

use bankstorm_record::clock::monotonic_ns;
use bytes::Bytes;
use hyper::Method;

use crate::stop::Stop;
use crate::wire::{Answer, Client, NoAnswer};

/// How long requests in flight may still take once the stop cell is raised.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// How long a connection may take to open ahead of the first operation; later ones are within the operation's own timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What is asked, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) body: &'a Bytes,
    pub(crate) left: Duration,
}

/// How it went; moments by CLOCK_MONOTONIC.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) begun_ns: i64,
    /// When the first byte was written.
    pub(crate) sent_ns: Option<i64>,
    pub(crate) acked_ns: i64,
    /// Without a byte of it written: why it was given up.
    pub(crate) exchange: Result<Result<Answer, NoAnswer>, &'static str>,
}

/// Asks once. What was given up loses its connection: its answer may still come.
pub(crate) async fn ask(client: &mut Client, asking: Asking<'_>, stop: &Stop) -> Asked {
    let Asking { method, path, body, left } = asking;
    client.forget_write();
    let begun_ns = monotonic_ns();
    let exchange = tokio::select! {
        biased;
        exchange = client.exchange(method.clone(), path, body) => Ok(exchange),
        () = tokio::time::sleep(left) => Err(GivenUp::AT_TIMEOUT),
        () = stopped(stop) => Err(GivenUp::AT_STOP),
    };
    let acked_ns = monotonic_ns();
    let sent_ns = client.first_write_ns();
    let exchange = match exchange {
        Ok(exchange) => Ok(exchange),
        Err(given_up) => {
            client.drop_connection();
            match sent_ns {
                None => Err(given_up.never_sent),
                Some(_) => Ok(Err(NoAnswer::Lost(given_up.no_answer.to_owned()))),
            }
        }
    };
    Asked { begun_ns, sent_ns, acked_ns, exchange }
}

/// Opens the connection before the first operation is due. When it cannot be, within [`CONNECT_TIMEOUT`] or at all, the first operation
/// tries again and says why.
pub(crate) async fn connect_ahead(client: &mut Client, stop: &Stop) {
    tokio::select! {
        biased;
        _ = client.connect() => {}
        () = stop.raised() => {}
        () = tokio::time::sleep(CONNECT_TIMEOUT) => {}
    }
}

/// Why an operation was given up, in the words of its row.
struct GivenUp {
    no_answer: &'static str,
    never_sent: &'static str,
}

impl GivenUp {
    const AT_TIMEOUT: Self = Self {
        no_answer: "no answer before its timeout",
        never_sent: "never sent: no connection was open before its timeout",
    };
    const AT_STOP: Self = Self {
        no_answer: "the load was ended before its answer",
        never_sent: "never sent: the load was ended before a connection was open",
    };
}

/// Resolves once requests in flight are to be given up.
async fn stopped(stop: &Stop) {
    stop.raised().await;
    tokio::time::sleep(STOP_GRACE).await;
}
