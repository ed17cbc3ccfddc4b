//! The end of a run inside the reaper: everything that still lives is stopped, within fixed limits.

use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::signal::unix::Signal as SignalStream;
use tokio::time::{Instant, timeout_at};

use super::child::{State, collect};

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
#[cfg(target_os = "linux")]
fn descendants() -> Vec<i32> {
    let Ok(processes) = procfs::process::all_processes() else { return Vec::new() };
    let parents: Vec<(i32, i32)> =
        processes.flatten().filter_map(|process| process.stat().ok()).map(|stat| (stat.pid, stat.ppid)).collect();
    below(std::process::id() as i32, &parents)
}

/// Elsewhere the process groups of the children are all that can be found.
#[cfg(not(target_os = "linux"))]
fn descendants() -> Vec<i32> {
    Vec::new()
}

/// Everything below `root` in a list of (process, parent).
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "needs /proc"))]
fn below(root: i32, parents: &[(i32, i32)]) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(pid, of)| *of == parent && *pid != parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_through_several_generations() {
        let parents = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (9, 8)];
        assert_eq!(below(2, &parents), vec![3, 4]);
        let mut all = below(1, &parents);
        all.sort_unstable();
        assert_eq!(all, vec![2, 3, 4, 5, 6]);
        assert!(below(7, &parents).is_empty());
    }
}
