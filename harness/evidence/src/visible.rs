//! When each entry became visible (D44): the channels' own stamps, and where a stamp died with its process, an upper bound.
//!
//! In: raw visible logs, first reads of the harness, operations. Out: `evidence/visible`, and the visible time of each operation.
//! Elsewhere: who stamps (`adapters::visible`), who reads (`load`).
//!
//! Stamps are held in memory while they are sorted, 40 bytes each. A killed process may leave a last line without its end; it is counted
//! and left out. Any other line that is not one is an error.

mod join;
mod read;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use bankstorm_record::clock::Origin;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::{ParquetRow, RowWriter};
use bankstorm_record::rows::{OperationRow, VisibleRow};

use crate::Evidence;
use crate::error::EvidenceError;

pub use join::Joined;

/// The instance of a first read by the harness.
pub const HARNESS: &str = "harness";

/// What the visible logs gave.
#[derive(Clone, Debug, Default)]
pub struct CollectedVisible {
    /// The file `visible`.
    pub evidence: Evidence,
    /// What became of the operations.
    pub joined: Joined,
    /// Last lines without their end, left out.
    pub torn_lines: u64,
}

/// Reads the raw logs (`instance`, path), adds the harness's `first_reads`, sets each operation's visible time, writes `visible`.
///
/// # Errors
/// When a log cannot be read or has a bad line, or the file cannot be written.
pub fn collect_visible(
    logs: &[(String, PathBuf)],
    origin: Origin,
    first_reads: &[VisibleRow],
    operations: &mut [OperationRow],
    folder: &RunFolder,
) -> Result<CollectedVisible, EvidenceError> {
    let mut stamps = Stamps::read(logs, origin)?;
    stamps.add(first_reads);
    let joined = stamps.join(operations);
    Ok(CollectedVisible { joined, torn_lines: stamps.torn_lines, evidence: stamps.write(folder)? })
}

/// One stamp; `instance` is an index into the names. Ordered as the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    account: i64,
    to_seq: i64,
    at_ns: i64,
    from_seq: i64,
    instance: usize,
}

/// All stamps of a run.
#[derive(Debug, Default)]
pub struct Stamps {
    stamps: Vec<Stamp>,
    instances: Vec<String>,
    /// Last lines without their end, left out.
    pub torn_lines: u64,
}

impl Stamps {
    /// Reads the raw logs.
    ///
    /// # Errors
    /// When one cannot be read, or a line that is not its last one is torn.
    pub fn read(logs: &[(String, PathBuf)], origin: Origin) -> Result<Self, EvidenceError> {
        let mut stamps = Self::default();
        for (instance, path) in logs {
            stamps.read_log(instance, path, origin)?;
        }
        stamps.stamps.sort_unstable();
        Ok(stamps)
    }

    /// Adds rows that were seen otherwise. Those of instance [`HARNESS`] are upper bounds.
    pub fn add(&mut self, rows: &[VisibleRow]) {
        for row in rows {
            let instance = self.instance(&row.instance);
            let VisibleRow { account, from_seq, to_seq, at_ns, .. } = *row;
            self.stamps.push(Stamp { account, to_seq, at_ns, from_seq, instance });
        }
        self.stamps.sort_unstable();
    }

    /// The stamps as rows, by account and serial.
    pub fn rows(&self) -> impl Iterator<Item = VisibleRow> {
        self.stamps.iter().map(|stamp| {
            let Stamp { account, to_seq, at_ns, from_seq, instance } = *stamp;
            VisibleRow { account, from_seq, to_seq, at_ns, instance: self.instances[instance].clone() }
        })
    }

    /// Writes `visible`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<Evidence, EvidenceError> {
        let mut writer = RowWriter::create(folder.evidence_file(VisibleRow::NAME))?;
        self.rows().try_for_each(|row| writer.push(row))?;
        Ok(Evidence::from([(VisibleRow::NAME.to_owned(), writer.finish()?)]))
    }

    fn instance(&mut self, name: &str) -> usize {
        self.instances.iter().position(|known| known == name).unwrap_or_else(|| {
            self.instances.push(name.to_owned());
            self.instances.len() - 1
        })
    }
}
