//! What is known of every container of the run: its process, how it ended, whether that was planned.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::ready::Ready;
use crate::environment::NodeKind;
use crate::local::Death;
use crate::reaper::Exit;

/// One container, through all its restarts.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kind: NodeKind,
    pub(super) ready: Ready,
    pub(super) ready_limit: Duration,
    /// The engine's id; empty until it was created.
    pub(super) id: String,
    /// First process of its latest start, as this machine numbers it.
    pub(super) pid: Option<u32>,
    pub(super) paused: bool,
    /// Of its latest start: how it ended, and CLOCK_MONOTONIC in nanoseconds when that was read.
    pub(super) exit: Option<(Exit, u64)>,
    /// From ready to the planned end: an exit in between is a death.
    pub(super) watched: bool,
    /// Bytes of its output that are in its log file.
    pub(super) logged: u64,
    /// Its log file holds everything up to its end.
    pub(super) log_ended: bool,
}

impl Entry {
    pub(super) fn new(kind: NodeKind, ready: Ready, ready_limit: Duration) -> Self {
        Self {
            kind,
            ready,
            ready_limit,
            id: String::new(),
            pid: None,
            paused: false,
            exit: None,
            watched: false,
            logged: 0,
            log_ended: true,
        }
    }

    pub(super) fn running(&self) -> bool {
        self.pid.is_some() && self.exit.is_none()
    }
}

/// All of them, by node name.
#[derive(Default)]
pub(super) struct Nodes {
    known: Mutex<Known>,
    changed: Notify,
}

#[derive(Default)]
struct Known {
    entries: BTreeMap<String, Entry>,
    deaths: Option<UnboundedSender<Death>>,
    /// Deaths before anybody asked for them.
    untold: Vec<Death>,
    /// Nobody tells of ends any more.
    lost: bool,
}

impl Nodes {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A container that is about to be created.
    pub(super) fn note(&self, node: &str, entry: Entry) {
        self.known().entries.insert(node.to_owned(), entry);
    }

    pub(super) fn get(&self, node: &str) -> Option<Entry> {
        self.known().entries.get(node).cloned()
    }

    pub(super) fn all(&self) -> BTreeMap<String, Entry> {
        self.known().entries.clone()
    }

    /// Changes one entry and wakes everybody who waits.
    pub(super) fn change<T>(&self, node: &str, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let changed = self.known().entries.get_mut(node).map(change);
        self.changed.notify_waiters();
        changed
    }

    /// Waits until `look` finds something in `node`'s entry, at most `limit`.
    pub(super) async fn until<T>(&self, node: &str, limit: Duration, look: impl Fn(&Entry) -> Option<T>) -> Option<T> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // Registered before the look, so that a change in between is not missed.
                changed.as_mut().enable();
                if let Some(found) = self.known().entries.get(node).and_then(&look) {
                    return found;
                }
                changed.await;
            }
        };
        timeout(limit, wait).await.ok()
    }

    /// Unplanned ends, those that nobody was told of yet first; an earlier receiver ends.
    pub(super) fn deaths(&self) -> UnboundedReceiver<Death> {
        let (sender, receiver) = unbounded_channel();
        let mut known = self.known();
        for death in std::mem::take(&mut known.untold) {
            let _ = sender.send(death);
        }
        known.deaths = (!known.lost).then_some(sender);
        receiver
    }

    /// Tells of an unplanned end.
    pub(super) fn tell(&self, death: Death) {
        tracing::warn!(name = death.name, exit = %death.exit, "a container of the run died");
        let mut known = self.known();
        match &known.deaths {
            // An error means that nobody listens any more: the harness is about to stop.
            Some(deaths) => drop(deaths.send(death)),
            None => known.untold.push(death),
        }
    }

    /// The engine tells of nothing any more: whoever waits for deaths learns that there will be none.
    pub(super) fn lose(&self) {
        let mut known = self.known();
        known.lost = true;
        known.deaths = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(name: &str) -> Death {
        Death { name: name.into(), pid: 1, exit: Exit::Code(1), at_monotonic_ns: 1, last_lines: Vec::new() }
    }

    #[tokio::test]
    async fn deaths_before_the_first_listener_are_kept_and_a_lost_engine_ends_the_list() {
        let nodes = Nodes::default();
        nodes.tell(death("core"));
        let mut deaths = nodes.deaths();
        nodes.tell(death("kafka-1"));
        assert_eq!(deaths.recv().await.map(|death| death.name), Some("core".into()));
        assert_eq!(deaths.recv().await.map(|death| death.name), Some("kafka-1".into()));
        nodes.lose();
        assert_eq!(deaths.recv().await, None);
        assert_eq!(nodes.deaths().recv().await, None);
    }

    #[tokio::test]
    async fn a_change_wakes_who_waits_for_it() {
        let nodes = Nodes::default();
        nodes.note(
            "core",
            Entry::new(NodeKind::Service, Ready::Ping { address: "127.0.0.1:1".into() }, Duration::from_secs(1)),
        );
        let wait = nodes.until("core", Duration::from_secs(5), |entry| entry.pid);
        let change = async { nodes.change("core", |entry| entry.pid = Some(7)) };
        let (pid, changed) = tokio::join!(wait, change);
        assert_eq!((pid, changed), (Some(7), Some(())));
        assert_eq!(nodes.until("core", Duration::from_millis(1), |entry| entry.exit).await, None);
    }
}
