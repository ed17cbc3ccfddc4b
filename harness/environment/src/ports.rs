//! Free loopback ports for processes that bind them later.
//!
//! Between the look and the bind another process may take the port, so starters retry with a new one. Taken from below the range
//! that the kernel gives to outgoing connections, because a run opens many of those while it starts; and no port is handed out
//! twice by one process.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// Ports below this are left to well-known services.
const LOWEST: u16 = 15_000;
/// Random tries before the kernel is asked for any free port.
const TRIES: u32 = 200;

static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
static NEXT: Mutex<Option<u16>> = Mutex::new(None);

/// A loopback port that is free now and was not handed out before by this process.
///
/// # Errors
/// When no port can be bound at all.
pub fn free_port() -> std::io::Result<u16> {
    if let Some(port) = NEXT.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
        return Ok(port);
    }
    let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let highest = first_outgoing_port().clamp(LOWEST + 1_000, u16::MAX);
    for _ in 0..TRIES {
        let port = LOWEST + (random() % u64::from(highest - LOWEST)) as u16;
        if !given.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            given.insert(port);
            return Ok(port);
        }
    }
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    given.insert(port);
    Ok(port)
}

/// Makes the next [`free_port`] answer `port` without a look at it: how the tests let a start meet a port that was taken meanwhile.
#[doc(hidden)]
pub fn answer_next(port: u16) {
    *NEXT.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(port);
}

/// The choice must differ between runs that start at the same time; a fresh hasher's key is random.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn first_outgoing_port() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| parse_range(&range))
        .unwrap_or(32_768)
}

fn parse_range(text: &str) -> Option<u16> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_never_the_same() {
        let ports: Vec<u16> = (0..50).map(|_| free_port().expect("a port")).collect();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
    }

    #[test]
    fn the_kernels_range_is_read() {
        assert_eq!(parse_range("32768\t60999\n"), Some(32_768));
        assert_eq!(parse_range(""), None);
    }
}
