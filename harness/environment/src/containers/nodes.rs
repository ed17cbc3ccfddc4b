//! What is known of every container of the run: its process, how it ended, whether that was planned.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::ready::Ready;
use crate::EnvironmentError;
use crate::environment::NodeKind;
use crate::local::Death;
use crate::reaper::Exit;

/// One container, through all its restarts.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kind: NodeKind,
    pub(super) ready: Ready,
    /// The engine's id; empty until it was created.
    pub(super) id: String,
    /// First process of its latest start, as this machine numbers it.
    pub(super) pid: Option<u32>,
    /// Start of its present life, in the engine's nanoseconds since 1970; unknown while it is being started.
    pub(super) started: Option<i64>,
    pub(super) paused: bool,
    /// Of its latest start: how it ended, and CLOCK_MONOTONIC in nanoseconds when that was read.
    pub(super) exit: Option<(Exit, u64)>,
    /// That end in the engine's nanoseconds since 1970.
    pub(super) ended: Option<i64>,
    /// From ready to the planned end: an exit in between is a death.
    pub(super) watched: bool,
    /// Bytes of its output that are in its log file.
    pub(super) logged: u64,
    /// Its log file holds everything up to its end.
    pub(super) log_ended: bool,
    /// Held while a request to the engine changes it, also when nobody waits for the answer any more.
    pub(super) busy: Arc<tokio::sync::Mutex<()>>,
}

impl Entry {
    pub(super) fn new(kind: NodeKind, ready: Ready) -> Self {
        Self {
            kind,
            ready,
            id: String::new(),
            pid: None,
            started: None,
            paused: false,
            exit: None,
            ended: None,
            watched: false,
            logged: 0,
            log_ended: true,
            busy: Arc::default(),
        }
    }

    /// It is about to be started again.
    pub(super) fn begin_life(&mut self) {
        (self.pid, self.started, self.paused, self.exit, self.ended) = (None, None, false, None, None);
    }

    /// Its life is the one that began at `started`; an end that came before is one of an earlier life.
    pub(super) fn live(&mut self, pid: Option<u32>, started: Option<i64>) {
        (self.pid, self.started) = (pid, started);
        if self.ended.zip(started).is_some_and(|(ended, started)| ended < started) {
            (self.exit, self.ended) = (None, None);
        }
    }

    /// Notes an end; one that came before its present life is passed over. Its process, when nobody planned that.
    pub(super) fn end(&mut self, exit: Exit, at_monotonic_ns: u64, ended: Option<i64>) -> Option<u32> {
        if self.started.zip(ended).is_some_and(|(started, ended)| ended < started) {
            return None;
        }
        self.paused = false;
        (self.exit, self.ended) = (Some((exit, at_monotonic_ns)), ended);
        std::mem::take(&mut self.watched).then_some(self.pid).flatten()
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
    /// Why nobody tells of ends any more.
    lost: Option<String>,
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
        known.deaths = known.lost.is_none().then_some(sender);
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

    /// Nobody tells of ends any more: whoever waits for one, or for a death, learns that there will be none. The first reason counts.
    pub(super) fn lose(&self, reason: &str) {
        let mut known = self.known();
        known.lost.get_or_insert_with(|| reason.to_owned());
        known.deaths = None;
        drop(known);
        self.changed.notify_waiters();
    }

    /// Why the run is lost, if it is.
    pub(super) fn lost(&self) -> Option<String> {
        self.known().lost.clone()
    }

    /// Ends once the run is lost, with an error for whoever waits for `waiting_for` of `node`.
    pub(super) async fn loss(&self, node: &str, waiting_for: &str) -> EnvironmentError {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(reason) = self.lost() {
                return EnvironmentError::Lost { name: node.to_owned(), waiting_for: waiting_for.to_owned(), reason };
            }
            changed.await;
        }
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
        nodes.lose("the engine's events ended");
        nodes.lose("another reason");
        assert_eq!(deaths.recv().await, None);
        assert_eq!(nodes.deaths().recv().await, None);
        assert_eq!(nodes.lost().as_deref(), Some("the engine's events ended"));
        let error = nodes.loss("core", "readyz").await.to_string();
        assert!(error.contains("core") && error.contains("readyz") && error.contains("events ended"), "{error}");
    }

    fn entry() -> Entry {
        Entry::new(NodeKind::Service, Ready::Ping { address: "127.0.0.1:1".into() })
    }

    #[test]
    fn an_end_belongs_to_the_life_that_it_ended() {
        let mut entry = entry();
        entry.live(Some(7), Some(1_000));
        entry.watched = true;
        assert_eq!(entry.end(Exit::Code(1), 1, Some(999)), None, "an end before it began");
        assert!(entry.running() && entry.watched);
        assert_eq!(entry.end(Exit::Code(1), 1, Some(1_001)), Some(7));
        assert!(!entry.running() && !entry.watched);
        // A late word of that end, while the next life begins.
        entry.begin_life();
        assert_eq!(entry.end(Exit::Code(1), 1, Some(1_001)), None);
        entry.live(Some(8), Some(2_000));
        assert!(entry.running(), "{entry:?}");
        // Its own end may be told before its begin is known.
        entry.begin_life();
        assert_eq!(entry.end(Exit::Code(1), 1, Some(3_001)), None);
        entry.live(None, Some(3_000));
        assert!(entry.exit.is_some(), "{entry:?}");
    }

    #[tokio::test]
    async fn a_change_wakes_who_waits_for_it() {
        let nodes = Nodes::default();
        nodes.note("core", entry());
        let wait = nodes.until("core", Duration::from_secs(5), |entry| entry.pid);
        let change = async { nodes.change("core", |entry| entry.pid = Some(7)) };
        let (pid, changed) = tokio::join!(wait, change);
        assert_eq!((pid, changed), (Some(7), Some(())));
        assert_eq!(nodes.until("core", Duration::from_millis(1), |entry| entry.exit).await, None);
    }
}
