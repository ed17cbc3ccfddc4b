//! A caller's connection and one of its own to the server, from their beginning to their end.
//!
//! In: a caller's connection. Out: both closed, or both reset. Elsewhere: what passes between them (`bytes`, `postgres`), what happens to
//! pieces (`socket`), who is reset (`link`); links of HTTP, which have connections of other lives (`http`).

use bankstorm_faults::rule::Way;
use tokio::net::TcpStream;

use crate::link::{Link, Open};
use crate::settings::Protocol;
use crate::socket::{Ended, Socket};
use crate::{bytes, postgres};

/// Why a relay ends before both ways have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A rule cut a commit.
    Cut,
    /// One side was reset.
    Broken,
}

impl From<std::io::Error> for Stop {
    fn from(_: std::io::Error) -> Self {
        Self::Broken
    }
}

/// Passes on until both ways have ended, or one side or a rule ends it.
pub(crate) async fn relay(link: &Link, open: &Open, caller: TcpStream) {
    let mut caller = Socket::new(caller, Way::There, open.line());
    let mut server = None;
    let ended = tokio::select! {
        biased;
        () = open.line().is_reset() => Ended::Reset,
        ended = pass(link, open, &mut caller, &mut server) => ended,
    };
    caller.end(ended);
    if let Some(server) = server {
        server.end(ended);
    }
}

async fn pass(link: &Link, open: &Open, caller: &mut Socket, server: &mut Option<Socket>) -> Ended {
    let passed = match link.connect().await {
        Ok(stream) => {
            let server = server.insert(Socket::new(stream, Way::Back, open.line()));
            match link.settings().protocol {
                Protocol::Postgres => postgres::pass(link, caller, server).await,
                Protocol::Bytes | Protocol::Http => bytes::pass(caller, server).await,
            }
        }
        // As a server's that is not there: nobody answers.
        Err(_) => Ok(()),
    };
    if passed != Err(Stop::Cut) {
        open.line().keep_if_lost().await;
    }
    if passed.is_err() { Ended::Reset } else { Ended::Closed }
}
