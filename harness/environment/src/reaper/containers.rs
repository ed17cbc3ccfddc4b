//! The engine's share of a run's end: containers, networks and volumes with the run's label, removed by the reaper.

use std::path::Path;
use std::time::Duration;

use crate::containers::engine;
use crate::containers::leftovers::{Expect, remove_run};

/// For all of it. A busy engine needs a second or two for ten containers.
const LIMIT: Duration = Duration::from_secs(10);

/// Removes everything of the run with that folder, also what is still being created; answers what is left.
pub(super) async fn remove(address: &str, folder: &Path, expect: Expect) -> Vec<String> {
    let run = folder.file_name().unwrap_or_default().to_string_lossy();
    match engine::client(address) {
        Ok(docker) => remove_run(&docker, &run, expect, LIMIT).await.left,
        Err(error) => vec![format!("containers of {run}: {error}")],
    }
}
