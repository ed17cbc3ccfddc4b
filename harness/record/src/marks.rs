//! Marks as they happen: faults and samples, one JSON document a line, each line handed to the kernel when it is written.
//!
//! In: [`FaultRecord`]s and [`SampleRow`]s. Out: `faults.ndjson`, `samples.ndjson`; and the same rows read back. A crash of the harness
//! leaves every line but the one being written. Elsewhere: who samples (`evidence::sampler`), who strikes (`environment`, `cli`).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::folder::RunFolder;
use crate::parquet::RecordError;
use crate::run_json::FaultRecord;
use crate::source::ReadError;

/// One line of `samples.ndjson`: the state of the run at a moment. What could not be seen is absent, not zero. Flat maps, so that a
/// table of it needs no unpacking.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SampleRow {
    /// When, in milliseconds since the origin.
    pub at_ms: i64,
    /// Records of the entries topic that the channel has not committed yet.
    pub lag_records: Option<u64>,
    /// The machine since the sample before, in percent of all cores: neither idle nor waiting for a disk nor stolen.
    pub cpu_percent: Option<f64>,
    /// Taken by the hypervisor, likewise.
    pub steal_percent: Option<f64>,
    /// Idle while a disk was waited for, likewise.
    pub iowait_percent: Option<f64>,
    /// Process, its children included -> processor seconds since its start.
    pub process_cpu_seconds: BTreeMap<String, f64>,
    /// Process -> processors used since the sample before, in percent of one core.
    pub process_cpu_percent: BTreeMap<String, f64>,
    /// Process, its children included -> resident memory, in bytes; what they share counts once.
    pub process_rss_bytes: BTreeMap<String, u64>,
    /// `process.metric` -> value of every `bankstorm_*` metric, as scraped.
    pub metrics: BTreeMap<String, f64>,
    /// What could not be read this time, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// Appends lines to a file.
pub struct Marks<T> {
    path: PathBuf,
    file: File,
    row: std::marker::PhantomData<fn(&T)>,
}

/// Appends to `faults.ndjson`.
pub type FaultMarks = Marks<FaultRecord>;
/// Appends to `samples.ndjson`.
pub type SampleMarks = Marks<SampleRow>;

impl FaultMarks {
    /// Opens a run's faults.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn faults(folder: &RunFolder) -> Result<Self, RecordError> {
        Self::append(folder.faults())
    }
}

impl SampleMarks {
    /// Opens a run's samples.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn samples(folder: &RunFolder) -> Result<Self, RecordError> {
        Self::append(folder.samples())
    }
}

impl<T: Serialize> Marks<T> {
    fn append(path: PathBuf) -> Result<Self, RecordError> {
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(RecordError::io(&path))?;
        Ok(Self { path, file, row: std::marker::PhantomData })
    }

    /// Adds a line, in one write.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn mark(&mut self, row: &T) -> Result<(), RecordError> {
        let mut line = serde_json::to_vec(row).map_err(RecordError::json(&self.path))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(RecordError::io(&self.path))
    }
}

/// Reads a run's faults.
///
/// # Errors
/// When the file is missing or a line is not one; a last line without its end is left out.
pub fn read_faults(folder: &RunFolder) -> Result<Vec<FaultRecord>, ReadError> {
    read_lines(&folder.faults())
}

/// Reads a run's samples.
///
/// # Errors
/// When the file is missing or a line is not one; a last line without its end is left out.
pub fn read_samples(folder: &RunFolder) -> Result<Vec<SampleRow>, ReadError> {
    read_lines(&folder.samples())
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, ReadError> {
    let fail = |problem: String| ReadError { file: path.display().to_string(), problem };
    let mut lines = BufReader::new(File::open(path).map_err(|error| fail(error.to_string()))?);
    let mut rows = Vec::new();
    let mut line = String::new();
    for number in 1_u64.. {
        line.clear();
        lines.read_line(&mut line).map_err(|error| fail(format!("line {number}: {error}")))?;
        // The end, or a line that a crash cut off.
        if !line.ends_with('\n') {
            break;
        }
        rows.push(serde_json::from_str(&line).map_err(|error| fail(format!("line {number}: {error}")))?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{FaultMarks, SampleMarks, SampleRow, read_faults, read_samples};
    use crate::folder::RunFolder;
    use crate::run_json::FaultRecord;

    #[test]
    fn lines_are_there_at_once_and_a_torn_last_line_is_left_out() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(root.path());
        let mut samples = SampleMarks::samples(&folder).expect("opened");
        let row = SampleRow { at_ms: 1_000, lag_records: Some(3), ..SampleRow::default() };
        samples.mark(&row).expect("written");
        assert_eq!(read_samples(&folder).expect("read"), std::slice::from_ref(&row));
        let mut file = std::fs::OpenOptions::new().append(true).open(folder.samples()).expect("opened");
        file.write_all(b"{\"at_ms\": 2000, ").expect("torn");
        assert_eq!(read_samples(&folder).expect("read"), [row]);
    }

    #[test]
    fn a_broken_line_is_named_by_its_number() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(root.path());
        let fault = FaultRecord {
            id: "unplanned-1".to_owned(),
            kind: "node.kill".to_owned(),
            place: "channel-1".to_owned(),
            planned: false,
            fired: true,
            witnessed: Some("signal 9".to_owned()),
            started_ms: Some(12),
            ..FaultRecord::default()
        };
        FaultMarks::faults(&folder).expect("opened").mark(&fault).expect("written");
        assert_eq!(read_faults(&folder).expect("read")[0].place, "channel-1");
        let mut file = std::fs::OpenOptions::new().append(true).open(folder.faults()).expect("opened");
        file.write_all(b"not json\n").expect("written");
        let error = read_faults(&folder).expect_err("a broken line");
        assert!(error.problem.starts_with("line 2: "), "{error}");
    }
}
