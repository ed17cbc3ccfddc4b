//! The end of a run inside the reaper: everything that still lives is stopped, within fixed limits.

use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::signal::unix::Signal as SignalStream;
use tokio::time::{Instant, timeout_at};

use super::child::{State, collect};
use super::tree;

/// For the polite signals. PostgreSQL's immediate shutdown needs a few tens of milliseconds, and releases its shared memory, which
/// SIGKILL would leave in the kernel; a service may end its log.
const POLITE: Duration = Duration::from_millis(1_500);
/// For SIGKILL: the kernel may have to write back or free much memory.
const FORCED: Duration = Duration::from_millis(1_500);
/// New descendants can appear while others are killed, so they are looked for again and again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Stops all children and their descendants; answers what is still there.
pub(super) async fn everything(state: &mut State, exits: &mut SignalStream) -> Vec<String> {
    for (pid, child) in &state.children {
        if let Some(signal) = child.last_signal {
            let _ = killpg(Pid::from_raw(*pid), signal);
            // A stopped process takes its signal only once it goes on.
            let _ = killpg(Pid::from_raw(*pid), Signal::SIGCONT);
        }
    }
    // A frozen node would hold its parent up: PostgreSQL waits for its backends.
    for pid in descendants() {
        let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
    }
    let deadline = Instant::now() + POLITE;
    loop {
        collect(state);
        if state.children.is_empty() || timeout_at(deadline, exits.recv()).await.is_err() {
            break;
        }
    }

    let deadline = Instant::now() + FORCED;
    loop {
        for pid in state.children.keys() {
            let _ = killpg(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        for pid in descendants() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let (_, any_left) = collect(state);
        if !any_left {
            return Vec::new();
        }
        if Instant::now() >= deadline {
            break;
        }
        let _ = timeout_at(Instant::now() + LOOK_AGAIN, exits.recv()).await;
    }
    let limit = FORCED.as_secs_f64();
    state
        .children
        .iter()
        .map(|(pid, child)| format!("{} (pid {pid}): lives {limit} s after SIGKILL", child.name))
        .collect()
}

/// All processes below this one, also those in sessions of their own.
fn descendants() -> Vec<i32> {
    tree::below(std::process::id() as i32)
}
