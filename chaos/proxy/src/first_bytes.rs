//! Whom a connection is for: a proxy's own rules come in at the same address as what it passes on.
//!
//! In: the first bytes of a connection, which stay where they are. Out: whether they ask for a path of the proxy's own. Elsewhere: what is
//! answered then (`control`).
//!
//! This is looked at before any rule is: a link on which everything vanishes must still be told to stop that.

use std::time::Duration;

use bankstorm_faults::rule::CONTROL;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Who says nothing for so long does not come for the rules. A connection that is opened ahead of time pays this once, while it is idle.
const PATIENCE: Duration = Duration::from_millis(100);
/// Until the rest of a first line is looked for again.
const AGAIN: Duration = Duration::from_millis(1);
/// The longest method.
const METHOD_MAX: usize = 7;
/// Enough for a method, a space and the path's beginning.
const LOOK: usize = 32;

/// Whether this connection comes for the rules.
pub(crate) async fn are_for_control(caller: &TcpStream) -> bool {
    let look = async {
        loop {
            let mut first = [0; LOOK];
            let seen = caller.peek(&mut first).await.unwrap_or(0);
            match read(&first[..seen]) {
                Look::Control => return true,
                Look::More if seen > 0 => sleep(AGAIN).await,
                _ => return false,
            }
        }
    };
    timeout(PATIENCE, look).await.unwrap_or(false)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Control,
    Other,
    /// It may become either.
    More,
}

fn read(first: &[u8]) -> Look {
    let method = first.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    if method > METHOD_MAX {
        return Look::Other;
    }
    let Some((b' ', path)) = first[method..].split_first() else {
        return if method == first.len() { Look::More } else { Look::Other };
    };
    let control = CONTROL.as_bytes();
    if method == 0 {
        Look::Other
    } else if path.starts_with(control) {
        Look::Control
    } else if control.starts_with(path) {
        Look::More
    } else {
        Look::Other
    }
}

#[cfg(test)]
mod tests {
    use super::{Look, read};

    #[test]
    fn only_a_first_line_for_the_proxys_own_paths_comes_for_the_rules() {
        for (first, expected) in [
            (&b"GET /-/proxy/ready HTTP/1.1\r\n"[..], Look::Control),
            (b"DELETE /-/proxy/rules/1", Look::Control),
            (b"POST /v1/transfers HTTP/1.1", Look::Other),
            (b"GET /-/prox", Look::More),
            (b"PU", Look::More),
            (b"", Look::More),
            (b" /-/proxy/", Look::Other),
            (b"get /-/proxy/ready", Look::Other),
            (b"PROPFINDS /-/proxy/", Look::Other),
            // PostgreSQL's and Kafka's first message begin with their length.
            (&[0, 0, 0, 8, 4, 210, 22, 47], Look::Other),
        ] {
            assert_eq!(read(first), expected, "{:?}", String::from_utf8_lossy(first));
        }
    }
}
