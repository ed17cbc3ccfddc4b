//! How every run sets out, wherever its nodes will run: old runs are cleared away, logs have a folder, the reaper lives.
//!
//! In: [`Needs`]. Out: the run's reaper and the folder of its logs. Elsewhere: what each environment starts then (`local`, `containers`).

use std::path::PathBuf;

use crate::local::folder;
use crate::needs::Needs;
use crate::reaper::Reaper;
use crate::{EnvironmentError, orphans};

/// Sets out. `second_user`: whether another user than the harness must reach the run's folder. Without a run folder of its own the logs'
/// folder lies in the temporary one, and is not made yet.
pub(crate) async fn set_out(needs: &Needs, second_user: bool) -> Result<(Reaper, PathBuf), EnvironmentError> {
    clear_old_runs().await;
    let parent = folder::parent(second_user)?;
    let kept_logs = needs.run_dir.as_ref().map(|run| run.join("logs"));
    if let Some(logs) = &kept_logs {
        std::fs::create_dir_all(logs).map_err(EnvironmentError::io("make", logs))?;
    }
    let reaper_log = kept_logs.as_ref().map(|logs| logs.join("reaper.log"));
    let reaper = Reaper::start(&parent, &needs.name, reaper_log.as_deref()).await?;
    let logs = kept_logs.unwrap_or_else(|| reaper.folder().join("logs"));
    Ok((reaper, logs))
}

/// Removes what earlier runs left whose reaper was killed too.
#[expect(
    clippy::disallowed_methods,
    reason = "harness room: blocking look at /proc, files and engine, off the runtime"
)]
async fn clear_old_runs() {
    match tokio::task::spawn_blocking(orphans::clear).await {
        Ok(cleaned) if cleaned != orphans::Cleaned::default() => tracing::info!(?cleaned, "left by an earlier run"),
        _ => {}
    }
}
