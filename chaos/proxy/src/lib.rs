//! Proxies: a process between two others that passes on what comes, and does to it what the rules say that are in force.
//!
//! In: a listener, [`Settings`], and rules, over HTTP at the same address. Out: bytes, requests and commits, passed on, late, twice or
//! never, and counts of what was met. Elsewhere: rules as values (`faults::rule`), when they are put and taken away (`faults::conductor`),
//! who starts a proxy (`harness/environment`), its command line (`harness/cli`).
//!
//! ```text
//! caller -> first bytes -> control: rules are put, read, taken away
//!                       -> http     -> a whole request  -> its fate -> forwarded on a connection of its caller's
//!                       -> postgres -> messages, framed -> is it a COMMIT? -> forwarded, or cut
//!                       -> bytes    -> pieces
//!           all three through `socket`, where pieces are late, vanish, or pass
//! ```
//!
//! | to read first | what it is |
//! |---|---|
//! | `rules` | the rules in force: who is picked, what is counted (pure) |
//! | `link` | what the connections of a proxy share: the rules, who is open, who must be reset |
//! | `socket` | delay, blackhole and cut, in the order of the bytes |
//! | `http`, `bytes`, `postgres` | one protocol each; the latter two within `relay` |
//! | `control` | how rules come in |

mod bytes;
mod control;
mod first_bytes;
mod http;
mod link;
mod postgres;
mod relay;
mod rules;
mod settings;
mod socket;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

pub use crate::settings::{Protocol, Settings, Upstream, UpstreamError};

use crate::link::Link;

/// The pause after the system refused to accept, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, and then drops every connection and every request that is held.
pub async fn serve(listener: TcpListener, settings: Settings, shutdown: impl Future<Output = ()>) {
    let link = Arc::new(Link::new(settings));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((caller, _)) => {
                    connections.spawn(meet(Arc::clone(&link), caller));
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection could be taken");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    link.let_go();
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task ended early");
    }
}

/// One connection, from its first bytes to its end.
async fn meet(link: Arc<Link>, caller: TcpStream) {
    if let Err(error) = caller.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
    if first_bytes::are_for_control(&caller).await {
        return control::converse(&link, caller).await;
    }
    let Some(open) = link.open() else { return socket::reset(caller) };
    match link.settings().protocol {
        Protocol::Http => http::converse(&link, &open, caller).await,
        Protocol::Bytes | Protocol::Postgres => relay::relay(&link, &open, caller).await,
    }
}
