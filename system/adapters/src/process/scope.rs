//! Tasks and the stop signal.
//!
//! In: futures, SIGTERM and SIGINT. Out: tasks that end with the process. Elsewhere: what a task does.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bankstorm_outside::process::Scope;
use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::timeout;

/// The exit code after a panic: a bug in Bankstorm.
const PANICKED: i32 = 1;

/// The process as a scope on tokio. Clones are the same scope.
#[derive(Clone, Debug, Default)]
pub struct ProcessScope(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    running: AtomicUsize,
    /// Rings when `stopping` is set, and when the last task ends.
    changed: Notify,
}

impl ProcessScope {
    /// A scope that stops when [`ProcessScope::stop`] is called.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also stops on SIGTERM and SIGINT; a second signal ends the process at once. Needs a running tokio runtime.
    #[expect(
        clippy::disallowed_methods,
        reason = "the listener outlives every task of the scope, or the scope would never be empty"
    )]
    pub fn stop_on_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let scope = self.clone();
        tokio::spawn(async move {
            for times in 0.. {
                let name = tokio::select! {
                    biased;
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if times > 0 {
                    tracing::warn!(name, "a second signal: ending without waiting");
                    std::process::exit(PANICKED);
                }
                tracing::info!(name, "stopping");
                scope.stop();
            }
        });
        Ok(())
    }

    /// Asks every task to stop.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }

    /// Waits until every task has ended, at most `limit`; the number that still runs then.
    pub async fn ended(&self, limit: Duration) -> usize {
        let all = self.until(|shared| shared.running.load(Ordering::SeqCst) == 0);
        if timeout(limit, all).await.is_err() {
            return self.0.running.load(Ordering::SeqCst);
        }
        0
    }

    async fn until(&self, met: impl Fn(&Shared) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            // Registered before the check, so that a change in between is not missed.
            changed.as_mut().enable();
            if met(&self.0) {
                return;
            }
            changed.await;
        }
    }
}

impl Scope for ProcessScope {
    #[expect(clippy::disallowed_methods, reason = "this is what services spawn through")]
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let ended = AssertUnwindSafe(task).catch_unwind().await;
            if ended.is_err() {
                // The panic hook has printed where and why.
                tracing::error!(task = name, "a task panicked; the process ends");
                std::process::exit(PANICKED);
            }
            if shared.running.fetch_sub(1, Ordering::SeqCst) == 1 {
                shared.changed.notify_waiters();
            }
        });
    }

    async fn stopping(&self) {
        self.until(|shared| shared.stopping.load(Ordering::SeqCst)).await;
    }

    fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bankstorm_outside::process::Scope;

    use super::ProcessScope;

    #[tokio::test]
    async fn tasks_see_the_stop_and_the_scope_sees_their_end() {
        let scope = ProcessScope::new();
        let inside = scope.clone();
        scope.spawn("waits", async move { inside.stopping().await });
        assert_eq!(scope.ended(Duration::from_millis(1)).await, 1);
        scope.stop();
        assert_eq!(scope.ended(Duration::from_secs(5)).await, 0);
        scope.stopping().await;
        assert!(scope.is_stopping());
    }
}
