//! Waiting for reapers that were let go: whoever drops an environment in mid-start may still want to say when it is gone.
//!
//! In: the children of this process. Out: whether no reaper is among them any more. Elsewhere: what a reaper does once it is let go
//! (`sweep`).

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Between two looks; a process that was let go has no event.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Waits until every reaper of this process has removed its run and ended; `false` when one still lives after `limit`.
pub async fn ended(limit: Duration) -> bool {
    let until = Instant::now() + limit;
    while lives() {
        if Instant::now() >= until {
            return false;
        }
        sleep(LOOK_AGAIN).await;
    }
    true
}

/// Whether a child of this process is a reaper, and no zombie.
#[cfg(target_os = "linux")]
fn lives() -> bool {
    let own = std::process::id() as i32;
    let Ok(all) = procfs::process::all_processes() else { return false };
    let children =
        all.flatten().filter(|process| process.stat().is_ok_and(|stat| stat.ppid == own && stat.state != 'Z'));
    children
        .filter_map(|child| child.cmdline().ok())
        .any(|words| words.get(1).is_some_and(|word| word == super::ARGUMENT))
}

/// Without /proc nobody can tell; the reaper ends all the same.
#[cfg(not(target_os = "linux"))]
const fn lives() -> bool {
    false
}
