//! The visible log (D44): a file in the run folder.
//!
//! In: advances whose commit returned. Out: lines `at_ns account from_seq to_seq`, where `at_ns` is the host's CLOCK_MONOTONIC in
//! nanoseconds and serials `from_seq + 1 ..= to_seq` became visible. Elsewhere: who reads it (`harness/evidence`).
//!
//! One write(2) a call to an O_APPEND file: what was written outlives a SIGKILL, and lines of two processes never mix. The write goes to
//! the page cache and is short; a background writer would lose what it has not written yet.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bankstorm_contracts::{AccountNo, Seq};
use bankstorm_outside::process::{Metrics, VisibleLog};
use nix::time::{ClockId, clock_gettime};

use crate::process::registry::Registry;

/// The file. Clones append to the same one.
#[derive(Clone, Debug)]
pub struct VisibleFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    failures: AtomicU64,
    registry: Registry,
}

impl VisibleFile {
    /// Opens the file for appending, and makes it where it is not there yet. Failed writes are counted in [`VisibleFile::failures`].
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::counting_in(path, Registry::new())
    }

    /// As [`VisibleFile::create`]; failed writes also count in `visible_write_failures_total` of `registry`.
    pub fn counting_in(path: &Path, registry: Registry) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        registry.count("visible_write_failures_total", 0);
        Ok(Self(Arc::new(Inner { file, failures: AtomicU64::new(0), registry })))
    }

    /// Calls whose lines were not all written. The rows that they were about have no stamp.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    fn append(&self, advances: &[(AccountNo, Seq, Seq)]) -> io::Result<()> {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
        let at_ns = i128::from(now.tv_sec()) * 1_000_000_000 + i128::from(now.tv_nsec());
        let mut lines = String::with_capacity(advances.len() * 48);
        for (account, from, to) in advances {
            writeln!(lines, "{at_ns} {account} {from} {to}").expect("a String takes whatever is written");
        }
        // One write(2) unless the disk is full; then the rest fails by itself.
        (&self.0.file).write_all(lines.as_bytes())
    }
}

impl VisibleLog for VisibleFile {
    fn visible(&self, advances: &[(AccountNo, Seq, Seq)]) {
        if let Err(error) = self.append(advances) {
            self.0.failures.fetch_add(1, Ordering::Relaxed);
            self.0.registry.count("visible_write_failures_total", 1);
            tracing::error!(%error, accounts = advances.len(), "the visible log was not written: these advances have no stamp");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bankstorm_contracts::AccountNo;
    use bankstorm_outside::process::VisibleLog;

    use super::VisibleFile;

    #[test]
    fn a_write_that_fails_is_counted() {
        let file = VisibleFile::create(Path::new("/dev/full")).expect("the device opens");
        file.visible(&[(AccountNo::new(1), 0, 1)]);
        assert_eq!(file.failures(), 1);
    }
}
