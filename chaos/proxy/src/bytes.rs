//! Links whose bytes are not understood: pieces are passed on as they come, both ways, and each way's end is passed on too.
//!
//! In: a caller's connection. Out: one of its own to the server. Elsewhere: what happens to pieces (`socket`), who is reset (`link`).

use std::sync::Arc;

use bankstorm_faults::rule::Way;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::TcpStream;

use crate::link::{Link, Open};
use crate::socket::{Ended, Socket};

/// For each way, as large as pieces can be.
const BUFFER: usize = 64 * 1024;

/// Passes on until both ways have ended.
pub(crate) async fn relay(link: &Arc<Link>, open: &Open, caller: TcpStream) {
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
    let ended = match link.connect().await {
        Ok(stream) => {
            let server = server.insert(Socket::new(stream, Way::Back, open.line()));
            let passed = copy_bidirectional_with_sizes(caller, server, BUFFER, BUFFER).await;
            passed.map_or(Ended::Reset, |_| Ended::Closed)
        }
        // As a server's that is not there: nobody answers.
        Err(_) => Ended::Closed,
    };
    open.line().keep_if_lost().await;
    ended
}
