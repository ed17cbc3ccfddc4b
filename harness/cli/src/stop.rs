//! Ctrl-C: the first one asks for a clean end, the second one ends at once.
//!
//! In: SIGINT, SIGTERM, SIGHUP. Out: [`Interrupt`]: the cell that ends load, and the time that is left for what follows. Elsewhere: the
//! reaper, which cleans up after either end (`environment::reaper`).

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bankstorm_load::Stop;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::error::CliError;

/// Signals that come so soon after the first say the same.
const SAME_WISH: Duration = Duration::from_millis(500);

/// The user's wish to stop.
#[derive(Clone)]
pub(crate) struct Interrupt {
    /// Raised by the user; ends load. A lost environment raises it too, without being an interrupt.
    pub(crate) load: Arc<Stop>,
    user: Arc<Stop>,
    at: Arc<OnceLock<Instant>>,
    /// The cell that the next signal raises: that of the load which runs.
    current: Arc<Mutex<Arc<Stop>>>,
}

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP (a closed terminal) from now on.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let load = Arc::new(Stop::new());
        let current = Arc::new(Mutex::new(Arc::clone(&load)));
        let interrupt = Self { load, user: Arc::new(Stop::new()), at: Arc::default(), current };
        let cannot = |error| CliError::Environment(format!("cannot listen for signals: {error}"));
        let mut interrupted = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(cannot)?;
        let mut hung_up = signal(SignalKind::hangup()).map_err(cannot)?;
        let raised = interrupt.clone();
        #[expect(clippy::disallowed_methods, reason = "the command's own runtime; lives as long as the process")]
        tokio::spawn(async move {
            loop {
                tokio::select! { biased; _ = interrupted.recv() => {}, _ = terminated.recv() => {}, _ = hung_up.recv() => {} }
                raised.signalled();
            }
        });
        Ok(interrupt)
    }

    fn signalled(&self) {
        let first = *self.at.get_or_init(Instant::now);
        if self.is_asked() {
            // `timeout` and some terminals signal the process and then its group: that is one wish, not two.
            if first.elapsed() < SAME_WISH {
                return;
            }
            crate::output::note("second interrupt: leaving at once; the reaper removes processes and folders");
            std::process::exit(4);
        }
        crate::output::note(
            "interrupt: ending; what happened is kept, everything is stopped (once more to leave at once)",
        );
        self.user.raise();
        self.current.lock().expect("no panic while raising").raise();
    }

    /// The same wish, for another run with a load of its own: what ended the load before says nothing of this one.
    pub(crate) fn renewed(&self) -> Self {
        let load = Arc::new(Stop::new());
        let mut current = self.current.lock().expect("no panic while raising");
        // Under the lock: a signal either finds the new cell, or was raised before this look.
        if self.is_asked() {
            load.raise();
        }
        *current = Arc::clone(&load);
        drop(current);
        Self { load, ..self.clone() }
    }

    /// Whether the user asked to stop.
    pub(crate) fn is_asked(&self) -> bool {
        self.user.is_raised()
    }

    /// Completes when the user asks to stop.
    pub(crate) async fn asked(&self) {
        self.user.raised().await;
    }

    /// Runs a step to its end; once the user asked to stop, it has until `limit` after that, and `None` says that this was too short.
    pub(crate) async fn within<T>(&self, limit: Duration, step: impl Future<Output = T>) -> Option<T> {
        let late = async {
            self.asked().await;
            let at = self.at.get().copied().unwrap_or_else(Instant::now);
            sleep_until(at + limit).await;
        };
        tokio::select! { biased; done = step => Some(done), () = late => None }
    }
}
