//! Whether the trials leave anything behind: all temporary folders, those of the runs they start included, lie below one root.
//!
//! In: nothing. Out: the root, and what is in it at the end. Elsewhere: whether processes are left (each trial looks for itself).

use std::path::PathBuf;
use std::time::Duration;

use bankstorm_record::clock::monotonic_ns;
use tempfile::TempDir;

use crate::support::pause;

/// A reaper whose harness was killed may go on removing for so long.
const REMOVING_LIMIT: Duration = Duration::from_secs(10);

/// The folder in which everything temporary lies.
pub(crate) struct Root(TempDir);

impl Root {
    /// From now on `tempfile` and the binary make their folders here. To be called once, before anything else.
    pub(crate) fn new() -> Self {
        // A run is told by its name, which begins with bankstorm-; this is none.
        let root = tempfile::Builder::new().prefix("trials-").tempdir().expect("a temporary folder");
        tempfile::env::override_temp_dir(root.path()).expect("nobody did before");
        Self(root)
    }

    /// What is in it, once all trials have ended and what is still being removed is gone.
    pub(crate) fn left(&self) -> Vec<PathBuf> {
        let end = monotonic_ns() + i64::try_from(REMOVING_LIMIT.as_nanos()).expect("a short limit");
        loop {
            let entries = std::fs::read_dir(self.0.path()).expect("the root");
            let mut left: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
            // Stays for whoever has no home that can be written to: runs note there what is to be cleaned up after them.
            left.retain(|path| {
                !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("bankstorm-state-"))
            });
            if left.is_empty() || monotonic_ns() >= end {
                left.sort_unstable();
                return left;
            }
            pause();
        }
    }
}
