//! How a start tells of itself: who is being started, what is waited for, how long it took.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::EnvironmentError;

/// Between two lines about a wait that lasts.
const TELL_AGAIN: Duration = Duration::from_secs(3);

/// Told of each step of the start; called from several tasks at once.
pub trait Progress: Send + Sync {
    /// `name` was started and is not ready before `waiting_for` has happened.
    fn started(&self, name: &str, waiting_for: &str);
    /// Every few seconds while it lasts: `name` still waits for `waiting_for`, of at most `limit`.
    fn waiting(&self, name: &str, waiting_for: &str, so_far: Duration, limit: Duration);
    /// `name` may be used, `took` after its start.
    fn ready(&self, name: &str, took: Duration);
    /// `name` will not come up; the whole start ends with an error that says more.
    fn failed(&self, name: &str, reason: &str);
}

/// Prints nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn started(&self, _name: &str, _waiting_for: &str) {}
    fn waiting(&self, _name: &str, _waiting_for: &str, _so_far: Duration, _limit: Duration) {}
    fn ready(&self, _name: &str, _took: Duration) {}
    fn failed(&self, _name: &str, _reason: &str) {}
}

/// One line per step on standard error: for logs and terminals without cursor control.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainProgress;

impl Progress for PlainProgress {
    fn started(&self, name: &str, waiting_for: &str) {
        eprintln!("  {name}: starting, waiting for {waiting_for}");
    }

    fn waiting(&self, name: &str, waiting_for: &str, so_far: Duration, limit: Duration) {
        eprintln!(
            "  {name}: still waiting for {waiting_for} ({:.0} of {:.0} s)",
            so_far.as_secs_f64(),
            limit.as_secs_f64()
        );
    }

    fn ready(&self, name: &str, took: Duration) {
        eprintln!("  {name}: ready after {:.1} s", took.as_secs_f64());
    }

    fn failed(&self, name: &str, reason: &str) {
        eprintln!("  {name}: {reason}");
    }
}

/// Waits for `what` and says every few seconds that it still does.
pub(crate) async fn told<T>(
    progress: &dyn Progress,
    name: &str,
    waiting_for: &str,
    limit: Duration,
    what: impl Future<Output = T>,
) -> T {
    let begun = Instant::now();
    tokio::pin!(what);
    loop {
        tokio::select! {
            biased;
            result = &mut what => return result,
            () = sleep(TELL_AGAIN) => progress.waiting(name, waiting_for, begun.elapsed(), limit),
        }
    }
}

/// Wraps the whole start of `name`: tells when it is ready or why it is not.
pub(crate) async fn telling<T>(
    progress: &dyn Progress,
    name: &str,
    start: impl Future<Output = Result<T, EnvironmentError>>,
) -> Result<T, EnvironmentError> {
    let begun = Instant::now();
    let result = start.await;
    match &result {
        Ok(_) => progress.ready(name, begun.elapsed()),
        Err(error) => progress.failed(name, &error.first_line()),
    }
    result
}
