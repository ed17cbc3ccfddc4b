//! What is known of every node that was started: how it is started again, how it is stopped, whether it is frozen.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::launch::{Launcher, log_contains, log_length};
use super::{postgres, redis, services};
use crate::EnvironmentError;
use crate::environment::NodeKind;
use crate::reaper::Spawn;

/// What makes a process ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ready {
    /// A new line of its log.
    Line(&'static str),
    /// 200 from an address and path.
    Http { address: String, path: String },
    /// A new line of its log, and then an answer to `select 1` at this connection string.
    Select { line: &'static str, address: String },
    /// An answer to Redis's PING.
    Ping { address: String },
}

/// Everything that it takes to start a node, the first time or again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) kind: NodeKind,
    pub(super) spawn: Spawn,
    pub(super) ready: Ready,
}

impl Plan {
    /// Starts the process and waits until it is ready; it is not watched yet.
    pub(super) async fn start(&self, launcher: &Launcher<'_>, limit: Duration) -> Result<u32, EnvironmentError> {
        let name = &self.spawn.name;
        let before = log_length(&self.spawn.log);
        let waiting_for = self.waiting_for();
        launcher.progress.started(name, &waiting_for);
        let pid = launcher.reaper.spawn(self.spawn.clone()).await?;
        let look = || async {
            let ready = match &self.ready {
                Ready::Line(line) => log_contains(&self.spawn.log, before, line),
                Ready::Select { line, address } => {
                    log_contains(&self.spawn.log, before, line) && postgres::ask(address, "select 1").await.is_some()
                }
                Ready::Http { address, path } => services::answers_ok(address, path).await,
                Ready::Ping { address } => redis::answers(address).await,
            };
            ready.then_some(())
        };
        match launcher.until(name, &waiting_for, limit, look).await {
            Err(EnvironmentError::Died { name, log, .. }) if log_contains(&log.file, before, PORT_IS_TAKEN) => {
                Err(EnvironmentError::PortTaken { name, log })
            }
            other => other.map(|()| pid),
        }
    }

    fn waiting_for(&self) -> String {
        match &self.ready {
            Ready::Line(line) => (*line).to_owned(),
            Ready::Select { .. } => "an answer to `select 1`".to_owned(),
            Ready::Http { address, path } => format!("200 from http://{address}{path}"),
            Ready::Ping { address } => format!("PONG from {address}"),
        }
    }
}

/// How the operating system says it, in the log of whoever could not bind.
const PORT_IS_TAKEN: &str = "Address already in use";

/// A node that was started at least once.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) plan: Plan,
    /// Frozen by an operation; says nothing about a process that ended meanwhile.
    pub(super) paused: bool,
}

/// All of them, by name.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl Nodes {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node that is about to be started, or one that starts anew.
    pub(super) fn note(&self, name: &str, plan: Plan) {
        self.entries().insert(name.to_owned(), Entry { plan, paused: false });
    }

    pub(super) fn get(&self, name: &str) -> Option<Entry> {
        self.entries().get(name).cloned()
    }

    pub(super) fn set_paused(&self, name: &str, paused: bool) {
        if let Some(entry) = self.entries().get_mut(name) {
            entry.paused = paused;
        }
    }

    pub(super) fn all(&self) -> BTreeMap<String, Entry> {
        self.entries().clone()
    }
}
