//! A model of a process, and of what it lends its services.
//!
//! In: a name. Out: a scope whose tasks can be stopped, frozen or killed, markers, counters, the visible log, the access log. Elsewhere: what a kill
//! leaves of stores and log (their own models: an open transaction rolls back, a member's session runs out), who kills (`world`).
//!
//! A frozen process is one that got SIGSTOP: nothing of it runs, its timers run out meanwhile, and once it goes on it finds them so.

mod shown;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bankstorm_outside::process::Scope;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub use shown::{AccessLine, ModelAccess, ModelMetrics, ModelVisible, VisibleLine};

use crate::trace;

/// A task that panicked. A real process would have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// The task's name.
    pub task: &'static str,
    /// What it said.
    pub message: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} panicked: {}", self.task, self.message)
    }
}

/// The process ended before the future did: it was killed, or the future panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

#[derive(Default)]
struct State {
    stopping: bool,
    killed: bool,
    paused: bool,
    /// Whoever wanted to run while the process was frozen, in that order.
    frozen: Vec<Waker>,
    panicked: Vec<Panicked>,
    running: Vec<AbortHandle>,
    /// At this many the finished ones among `running` are forgotten.
    sweep_at: usize,
}

struct Process {
    name: &'static str,
    /// Whether it is frozen or killed: the one look that every poll costs.
    halted: AtomicBool,
    /// How many futures others drive for it.
    driven: AtomicUsize,
    state: Mutex<State>,
    stop: Notify,
    kill: Notify,
}

/// A process: every task in it, nested ones too, ends with it. Clones are the same process.
#[derive(Clone)]
pub struct ModelScope(Arc<Process>);

impl Default for ModelScope {
    fn default() -> Self {
        Self::named("process")
    }
}

impl fmt::Debug for ModelScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ModelScope").field(&self.0.name).finish()
    }
}

impl ModelScope {
    /// A process of this name that runs nothing yet.
    pub fn named(name: &'static str) -> Self {
        let (halted, driven, state) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::default());
        Self(Arc::new(Process { name, halted, driven, state, stop: Notify::new(), kill: Notify::new() }))
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the process to stop, as SIGTERM does.
    pub fn stop(&self) {
        trace::note_of(self.0.name, || "is asked to stop".to_owned());
        self.state().stopping = true;
        self.0.stop.notify_waiters();
    }

    /// Freezes the process, as SIGSTOP does: until [`Self::resume`] none of its tasks runs.
    pub fn pause(&self) {
        let mut state = self.state();
        if state.killed || state.paused {
            return;
        }
        state.paused = true;
        self.0.halted.store(true, Ordering::Relaxed);
        drop(state);
        trace::note_of(self.0.name, || "is frozen".to_owned());
    }

    /// Lets a frozen process go on, as SIGCONT does.
    pub fn resume(&self) {
        let frozen = {
            let mut state = self.state();
            if state.killed || !state.paused {
                return;
            }
            state.paused = false;
            self.0.halted.store(false, Ordering::Relaxed);
            std::mem::take(&mut state.frozen)
        };
        trace::note_of(self.0.name, || "goes on".to_owned());
        frozen.into_iter().for_each(Waker::wake);
    }

    /// Whether it is frozen.
    pub fn is_paused(&self) -> bool {
        self.state().paused
    }

    /// Ends every task at whatever await it stands on, as SIGKILL does, frozen or not; nothing starts here any more.
    pub fn kill(&self) {
        let (running, frozen) = {
            let mut state = self.state();
            if state.killed {
                return;
            }
            (state.killed, state.paused) = (true, false);
            self.0.halted.store(true, Ordering::Relaxed);
            (std::mem::take(&mut state.running), std::mem::take(&mut state.frozen))
        };
        drop(frozen);
        if self.is_serving() || !running.iter().all(AbortHandle::is_finished) {
            trace::note_of(self.0.name, || "is killed".to_owned());
        }
        for task in running {
            task.abort();
        }
        self.0.kill.notify_waiters();
    }

    /// Whether the process was killed.
    pub fn is_killed(&self) -> bool {
        self.0.halted.load(Ordering::Relaxed) && self.state().killed
    }

    /// Completes when the process was killed; at once if it was already.
    pub async fn killed(&self) {
        loop {
            let kill = self.0.kill.notified();
            if self.is_killed() {
                return;
            }
            kill.await;
        }
    }

    /// The tasks that panicked, in order.
    pub fn panicked(&self) -> Vec<Panicked> {
        self.state().panicked.clone()
    }

    /// Whether futures that others drive, as handlers of calls, are still at work here. [`Self::is_idle`] does not ask for them.
    pub fn is_serving(&self) -> bool {
        self.0.driven.load(Ordering::Relaxed) > 0
    }

    /// Whether every task has ended.
    pub fn is_idle(&self) -> bool {
        self.state().running.iter().all(AbortHandle::is_finished)
    }

    /// A future of this process that somebody else drives, as the handler of a call: it runs only while the process does.
    ///
    /// # Errors
    /// The process was killed, or the future panicked, which [`Self::panicked`] then names `task`.
    pub async fn run<F: Future>(&self, task: &'static str, future: F) -> Result<F::Output, Ended> {
        let _driven = Driven::new(&self.0.driven);
        tokio::select! {
            // First: what happens at one moment with the kill does not happen.
            biased;
            () = self.killed() => Err(Ended),
            ended = self.gated(task, future) => ended,
        }
    }

    /// Polls a future while the process runs, in its name; what it panics with is kept.
    async fn gated<F: Future>(&self, task: &'static str, future: F) -> Result<F::Output, Ended> {
        let mut future = pin!(future);
        let polled = poll_fn(|context| {
            if self.0.halted.load(Ordering::Relaxed) && self.holds_back(context) {
                return Poll::Pending;
            }
            let _who = trace::acting(self.0.name);
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
                Ok(polled) => polled.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            }
        });
        let panic = match polled.await {
            Ok(output) => return Ok(output),
            Err(panic) => panic,
        };
        self.keep(Panicked { task, message: message(&*panic) });
        Err(Ended)
    }

    /// Whether the one who polls must not run now; woken when the process goes on.
    fn holds_back(&self, context: &Context<'_>) -> bool {
        let mut state = self.state();
        if state.paused && !state.frozen.iter().any(|waker| waker.will_wake(context.waker())) {
            state.frozen.push(context.waker().clone());
        }
        state.paused || state.killed
    }

    fn keep(&self, panicked: Panicked) {
        trace::note_of(self.0.name, || panicked.to_string());
        self.state().panicked.push(panicked);
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}

/// Counts one future that somebody else drives, while it is driven.
struct Driven<'a>(&'a AtomicUsize);

impl<'a> Driven<'a> {
    fn new(driven: &'a AtomicUsize) -> Self {
        driven.fetch_add(1, Ordering::Relaxed);
        Self(driven)
    }
}

impl Drop for Driven<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Notes a task that unwinds where nobody catches it: while it is dropped.
struct Witness {
    scope: ModelScope,
    task: &'static str,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.scope.keep(Panicked { task: self.task, message: "while it was dropped".to_owned() });
        }
    }
}

impl Scope for ModelScope {
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        const SWEEP_LEAST: usize = 32;
        if self.is_killed() {
            return;
        }
        let witness = Witness { scope: self.clone(), task: name };
        #[expect(clippy::disallowed_methods, reason = "this is the Scope that services spawn through")]
        let handle = tokio::spawn(async move {
            // An error is a panic, which is kept, or a kill, which has its own end.
            let _ended = witness.scope.gated(name, task).await;
        });
        let mut state = self.state();
        if state.running.len() >= state.sweep_at {
            state.running.retain(|task| !task.is_finished());
            state.sweep_at = (2 * state.running.len()).max(SWEEP_LEAST);
        }
        state.running.push(handle.abort_handle());
    }

    async fn stopping(&self) {
        loop {
            let stop = self.0.stop.notified();
            if self.is_stopping() {
                return;
            }
            stop.await;
        }
    }

    fn is_stopping(&self) -> bool {
        self.state().stopping
    }
}
