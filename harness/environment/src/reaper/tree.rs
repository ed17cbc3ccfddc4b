//! Signals to a process and everything below it, with a look at what came of them.
//!
//! In: a child of the reaper. Out: [`Seen`], or why it was not seen. A process group would not do: PostgreSQL's backends make sessions of
//! their own. Elsewhere: who asks (`local/operations`), the end of everything (`sweep`).

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use super::child::{State, collect};
use super::protocol::{Act, Event, Seen};

/// For everything that is done to a tree: signals take microseconds, a write to a busy disk that cannot be interrupted much longer.
const LIMIT: Duration = Duration::from_secs(5);
/// A tree that is to be killed is frozen first, so that nothing is forked meanwhile; the kill does not wait longer for that.
const FREEZE_TO_KILL: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Does `act` to the child `name` and all processes below it. The events are those of processes that ended meanwhile, then the answer.
pub(super) async fn act(state: &mut State, id: u64, name: &str, act: Act) -> Vec<Event> {
    let mut events = Vec::new();
    let target = state.children.iter().find(|(_, child)| child.name == name).map(|(pid, _)| *pid);
    let outcome = match (target, act) {
        (None, _) => Err("it ended meanwhile".to_owned()),
        (Some(pid), Act::Pause) => freeze(pid, LIMIT).await,
        (Some(pid), Act::Resume) => thaw(pid).await,
        (Some(pid), Act::Kill) => end(state, &mut events, pid).await,
    };
    events.push(Event::Acted { id, outcome });
    events
}

/// What one look at the processes below (and including) one found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    /// Process id to whether all of its threads stand still.
    processes: BTreeMap<i32, bool>,
}

impl Look {
    fn moving(&self) -> impl Iterator<Item = i32> + '_ {
        self.processes.iter().filter(|(_, still)| !**still).map(|(pid, _)| *pid)
    }

    fn seen(&self, root: i32) -> Seen {
        Seen { pid: root as u32, below: self.processes.len().saturating_sub(1), at_ns: super::monotonic_ns() }
    }
}

/// Stops the parent, then those below it, until two looks in a row find nothing new and nothing moving: one alone could have missed a
/// process that was forked while it went on.
async fn freeze(root: i32, limit: Duration) -> Result<Seen, String> {
    let deadline = Instant::now() + limit;
    signal(root, Signal::SIGSTOP);
    let mut before: Option<Look> = None;
    loop {
        let look = look(root);
        if !look.processes.contains_key(&root) {
            return Err("it ended meanwhile".to_owned());
        }
        // As long as the parent moves, it may fork; those below wait for their turn.
        let parent_moves = look.moving().any(|pid| pid == root);
        if !parent_moves {
            look.moving().for_each(|pid| signal(pid, Signal::SIGSTOP));
            if look.moving().next().is_none() && before.as_ref() == Some(&look) {
                return Ok(look.seen(root));
            }
        }
        if Instant::now() >= deadline {
            let moving: Vec<String> = look.moving().map(|pid| pid.to_string()).collect();
            return Err(format!("processes {} moved {} s after SIGSTOP", moving.join(", "), limit.as_secs_f64()));
        }
        before = Some(look);
        sleep(LOOK_AGAIN).await;
    }
}

async fn thaw(root: i32) -> Result<Seen, String> {
    let deadline = Instant::now() + LIMIT;
    // Those below first: a parent that moves may take the silence of its children for something.
    look(root).processes.keys().rev().for_each(|pid| signal(*pid, Signal::SIGCONT));
    loop {
        let look = look(root);
        if !look.processes.contains_key(&root) {
            return Err("it ended meanwhile".to_owned());
        }
        let still: Vec<i32> = look.processes.iter().filter(|(_, still)| **still).map(|(pid, _)| *pid).collect();
        if still.is_empty() {
            return Ok(look.seen(root));
        }
        if Instant::now() >= deadline {
            return Err(format!("processes {still:?} stand still {} s after SIGCONT", LIMIT.as_secs()));
        }
        still.into_iter().for_each(|pid| signal(pid, Signal::SIGCONT));
        sleep(LOOK_AGAIN).await;
    }
}

/// SIGKILL to all, and a wait until none of them is left, not even as a zombie.
async fn end(state: &mut State, events: &mut Vec<Event>, root: i32) -> Result<Seen, String> {
    // One that cannot be stopped in time is killed all the same.
    let _ = freeze(root, FREEZE_TO_KILL).await;
    let victims = look(root);
    victims.processes.keys().for_each(|pid| signal(*pid, Signal::SIGKILL));
    let deadline = Instant::now() + LIMIT;
    loop {
        // Those below come to us when their parent is gone; nothing else collects them.
        events.extend(collect(state).0);
        let left: Vec<i32> = victims.processes.keys().copied().filter(|pid| exists(*pid)).collect();
        if left.is_empty() {
            return Ok(victims.seen(root));
        }
        if Instant::now() >= deadline {
            return Err(format!("processes {left:?} live {} s after SIGKILL", LIMIT.as_secs()));
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn signal(pid: i32, signal: Signal) {
    // ESRCH: it ended meanwhile, which the next look sees.
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Whether a process, or what is left of it, has that id. Ids are not given anew within the milliseconds that this is asked for.
fn exists(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
}

#[cfg(target_os = "linux")]
fn look(root: i32) -> Look {
    use procfs::process::Process;
    let all: Vec<i32> = std::iter::once(root).chain(below(root)).collect();
    let state = |pid: i32| {
        let process = Process::new(pid).ok()?;
        // Zombies neither move nor can be stopped.
        let main = process.stat().ok()?.state;
        if main == 'Z' {
            return None;
        }
        let mut threads = process.tasks().ok()?.flatten().filter_map(|task| task.stat().ok());
        Some((pid, threads.all(|thread| matches!(thread.state, 'T' | 'Z' | 'X'))))
    };
    Look { processes: all.into_iter().filter_map(state).collect() }
}

/// Without /proc the child alone is known, and a signal counts as done when it was sent.
#[cfg(not(target_os = "linux"))]
fn look(root: i32) -> Look {
    Look { processes: exists(root).then_some((root, true)).into_iter().collect() }
}

/// All processes below `root`, also those in sessions of their own.
#[cfg(target_os = "linux")]
pub(super) fn below(root: i32) -> Vec<i32> {
    let Ok(processes) = procfs::process::all_processes() else { return Vec::new() };
    let parents: Vec<(i32, i32)> =
        processes.flatten().filter_map(|process| process.stat().ok()).map(|stat| (stat.pid, stat.ppid)).collect();
    below_in(root, &parents)
}

/// Elsewhere the process groups of the children are all that can be found.
#[cfg(not(target_os = "linux"))]
pub(super) fn below(_root: i32) -> Vec<i32> {
    Vec::new()
}

/// Everything below `root` in a list of (process, parent).
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "needs /proc"))]
fn below_in(root: i32, parents: &[(i32, i32)]) -> Vec<i32> {
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
        assert_eq!(below_in(2, &parents), vec![3, 4]);
        let mut all = below_in(1, &parents);
        all.sort_unstable();
        assert_eq!(all, vec![2, 3, 4, 5, 6]);
        assert!(below_in(7, &parents).is_empty());
    }

    #[test]
    fn a_look_tells_who_moves() {
        let look = Look { processes: BTreeMap::from([(7, true), (8, false)]) };
        assert_eq!(look.moving().collect::<Vec<_>>(), [8]);
        assert_eq!((look.seen(7).pid, look.seen(7).below), (7, 1));
    }
}
