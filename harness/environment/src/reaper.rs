//! The reaper: the same binary executed again, in a session of its own, parent of every process of a run.
//!
//! In: requests over a socket pair (`protocol`). Out: process ids, exits with their time, and an empty machine. It outlives the
//! harness by seconds at most: end of file on the socket (exit, panic or `kill -9` of the harness) makes it stop all groups, remove
//! the run's folder and leave. Elsewhere: the harness's side of the socket (`client`), what a killed reaper leaves (`orphans`).
//!
//! A parent-death signal would not do: it fires when the spawning *thread* ends, and does not pass a change of user.

mod child;
pub(crate) mod client;
mod containers;
mod ended;
mod protocol;
pub(crate) mod shared_memory;
mod sweep;
mod tree;

pub(crate) use client::Reaper;
pub use ended::ended;
pub use protocol::Exit;
pub(crate) use protocol::{Act, Seen, Spawn};

/// First argument that turns an execution into the reaper.
const ARGUMENT: &str = "__reaper";

/// Must be the first line of `main`: when this process was executed as the reaper, does its job and exits; else returns at once.
pub fn hook() {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT) {
        let code = match child::run() {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("reaper: {error}");
                1
            }
        };
        std::process::exit(code);
    }
}

/// CLOCK_MONOTONIC in nanoseconds, the clock that all records of a run share.
pub(crate) fn monotonic_ns() -> u64 {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .map(|now| (now.tv_sec() as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec() as u64))
        .unwrap_or_default()
}
