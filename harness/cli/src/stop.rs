//! Ctrl-C: the first one asks for a clean end, the second one ends at once.
//!
//! In: SIGINT and SIGTERM. Out: a raised [`Stop`], which phases wait on. Elsewhere: the reaper, which cleans up after either end
//! (`environment::reaper`).

use std::sync::Arc;

use bankstorm_load::Stop;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::CliError;

/// Listens for SIGINT and SIGTERM from now on.
pub(crate) fn listen() -> Result<Arc<Stop>, CliError> {
    let stop = Arc::new(Stop::new());
    let cannot = |error| CliError::Environment(format!("cannot listen for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let raised = Arc::clone(&stop);
    #[expect(clippy::disallowed_methods, reason = "the command's own runtime; lives as long as the process")]
    tokio::spawn(async move {
        let mut asked_before = false;
        loop {
            tokio::select! { biased; _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if asked_before {
                eprintln!("second interrupt: leaving at once; the reaper removes processes and folders");
                std::process::exit(4);
            }
            asked_before = true;
            eprintln!("interrupt: ending; what happened is kept, everything is stopped (once more to leave at once)");
            raised.raise();
        }
    });
    Ok(stop)
}
