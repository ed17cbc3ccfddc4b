//! A model of what a process lends its services.
//!
//! In: a name. Out: a scope whose tasks can be stopped or killed, markers, counters, the visible log. Elsewhere: what a kill leaves of
//! stores and log (their own models: an open transaction rolls back, a member's session runs out).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bankstorm_contracts::{AccountNo, Seq};
use bankstorm_outside::process::{Metrics, Points, Scope, VisibleLog};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

#[derive(Default)]
struct Tasks {
    stopping: bool,
    killed: bool,
    panicked: Vec<&'static str>,
    running: Vec<AbortHandle>,
}

/// A process: every task in it, nested ones too, ends with it.
#[derive(Clone, Default)]
pub struct ModelScope {
    tasks: Arc<Mutex<Tasks>>,
    stop: Arc<Notify>,
    kill: Arc<Notify>,
}

impl ModelScope {
    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the process to stop, as SIGTERM does.
    pub fn stop(&self) {
        self.tasks().stopping = true;
        self.stop.notify_waiters();
    }

    /// Ends every task at whatever await it stands on, as SIGKILL does; nothing starts here any more.
    pub fn kill(&self) {
        let running = {
            let mut tasks = self.tasks();
            tasks.killed = true;
            std::mem::take(&mut tasks.running)
        };
        for task in running {
            task.abort();
        }
        self.kill.notify_waiters();
    }

    /// Whether the process was killed.
    pub fn is_killed(&self) -> bool {
        self.tasks().killed
    }

    /// Completes when the process was killed; at once if it was already.
    pub async fn killed(&self) {
        loop {
            let kill = self.kill.notified();
            if self.is_killed() {
                return;
            }
            kill.await;
        }
    }

    /// The names of tasks that panicked. A real process would have ended.
    pub fn panicked(&self) -> Vec<&'static str> {
        self.tasks().panicked.clone()
    }

    /// Whether every task has ended.
    pub fn is_idle(&self) -> bool {
        self.tasks().running.iter().all(AbortHandle::is_finished)
    }
}

/// Notes a task that unwinds.
struct Witness {
    scope: ModelScope,
    name: &'static str,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.scope.tasks().panicked.push(self.name);
        }
    }
}

impl Scope for ModelScope {
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        if self.tasks().killed {
            return;
        }
        let witness = Witness { scope: self.clone(), name };
        #[expect(clippy::disallowed_methods, reason = "this is the Scope that services spawn through")]
        let handle = tokio::spawn(async move {
            let _witness = witness;
            task.await;
        });
        let mut tasks = self.tasks();
        tasks.running.retain(|task| !task.is_finished());
        tasks.running.push(handle.abort_handle());
    }

    async fn stopping(&self) {
        loop {
            let stop = self.stop.notified();
            if self.is_stopping() {
                return;
            }
            stop.await;
        }
    }

    fn is_stopping(&self) -> bool {
        self.tasks().stopping
    }
}

/// Markers and counters, kept as numbers.
#[derive(Clone, Default)]
pub struct ModelMetrics {
    counts: Arc<Mutex<BTreeMap<&'static str, i64>>>,
}

impl ModelMetrics {
    fn counts(&self) -> MutexGuard<'_, BTreeMap<&'static str, i64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every marker's and counter's count and every gauge's last value.
    pub fn all(&self) -> BTreeMap<&'static str, i64> {
        self.counts().clone()
    }
}

impl Metrics for ModelMetrics {
    fn count(&self, name: &'static str, by: u64) {
        *self.counts().entry(name).or_default() += i64::try_from(by).unwrap_or(i64::MAX);
    }

    fn gauge(&self, name: &'static str, value: i64) {
        self.counts().insert(name, value);
    }
}

impl Points for ModelMetrics {
    fn reached(&self, marker: &'static str) {
        *self.counts().entry(marker).or_default() += 1;
    }
}

/// One line of the visible log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisibleLine {
    /// When, by virtual time.
    pub at: Instant,
    /// Whose.
    pub account: AccountNo,
    /// The last serial that was visible before.
    pub from_seq: Seq,
    /// The last serial that is visible now.
    pub to_seq: Seq,
}

/// What became visible when.
#[derive(Clone, Default)]
pub struct ModelVisible {
    lines: Arc<Mutex<Vec<VisibleLine>>>,
}

impl ModelVisible {
    /// Every line in order.
    pub fn lines(&self) -> Vec<VisibleLine> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl VisibleLog for ModelVisible {
    fn visible(&self, advances: &[(AccountNo, Seq, Seq)]) {
        let at = Instant::now();
        let line = |&(account, from_seq, to_seq): &(AccountNo, Seq, Seq)| VisibleLine { at, account, from_seq, to_seq };
        let lines = advances.iter().map(line);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use bankstorm_outside::process::Scope;

    use super::ModelScope;

    #[tokio::test(start_paused = true)]
    async fn a_kill_ends_nested_tasks_and_nothing_starts_after_it() {
        let scope = ModelScope::default();
        let inner = scope.clone();
        scope.spawn("outer", async move {
            inner.spawn("nested", pending());
            pending::<()>().await;
        });
        tokio::task::yield_now().await;
        scope.kill();
        tokio::task::yield_now().await;
        assert!(scope.is_idle());
        scope.spawn("late", async { panic!("a killed process runs nothing") });
        tokio::task::yield_now().await;
        assert!(scope.panicked().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_wakes_those_who_wait_and_those_who_come_later() {
        let scope = ModelScope::default();
        let waiting = scope.clone();
        tokio::join!(biased; waiting.stopping(), async { scope.stop() });
        scope.stopping().await;
        assert!(scope.is_stopping());
    }
}
