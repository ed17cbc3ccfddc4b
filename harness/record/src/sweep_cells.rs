//! `cells.ndjson`: a line a measured cell, on the disk before the next cell begins.
//!
//! In: [`CellRun`]s. Out: the file; and its lines read back, without one that a crash cut off. Elsewhere: the document that a sweep ends
//! with ([`crate::sweep_json`]), what is still to be measured (`sizing`).

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::folder::RunFolder;
use crate::parquet::RecordError;
use crate::save::write_json;
use crate::sweep_json::{CellRun, SCHEMA, SweepJson};

/// The name of the lines in a sweep's folder.
pub const CELLS: &str = "cells.ndjson";
/// The name of the document.
pub const SWEEP: &str = "sweep.json";

/// Appends cells.
#[derive(Debug)]
pub struct CellLog {
    path: PathBuf,
    file: File,
}

impl CellLog {
    /// Opens a sweep's cells, those that are there first. A last line without its end is cut off: what was measured in it is measured
    /// again.
    ///
    /// # Errors
    /// When the file cannot be made or read, or a line is no cell.
    pub fn open(folder: &RunFolder) -> Result<(Self, Vec<CellRun>), RecordError> {
        let path = folder.root().join(CELLS);
        let open = || OpenOptions::new().create(true).read(true).append(true).open(&path);
        let mut log = Self { file: open().map_err(RecordError::io(&path))?, path };
        let text = log.whole_lines().map_err(RecordError::io(&log.path))?;
        let cells = text.lines().map(serde_json::from_str).collect::<Result<Vec<CellRun>, _>>();
        let cells = cells.map_err(RecordError::json(&log.path))?;
        Ok((log, cells))
    }

    fn whole_lines(&mut self) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            self.file.set_len(whole as u64)?;
            self.file.seek(SeekFrom::End(0))?;
            bytes.truncate(whole);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Adds a cell, and returns once it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written: the disk is full, for one.
    pub fn add(&mut self, cell: &CellRun) -> Result<(), RecordError> {
        let mut line = serde_json::to_vec(cell).map_err(RecordError::json(&self.path))?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).map_err(RecordError::io(&self.path))
    }
}

/// The document's path.
pub fn sweep_path(folder: &RunFolder) -> PathBuf {
    folder.root().join(SWEEP)
}

/// Writes `sweep.json`.
///
/// # Errors
/// When it cannot be written.
pub fn write_sweep(folder: &RunFolder, sweep: &SweepJson) -> Result<(), RecordError> {
    write_json(sweep_path(folder), sweep)
}

/// Reads `sweep.json`.
///
/// # Errors
/// When it is missing, is no such document, or has a schema number that this build does not read.
pub fn read_sweep(folder: &RunFolder) -> Result<SweepJson, RecordError> {
    let path = sweep_path(folder);
    let text = std::fs::read(&path).map_err(RecordError::io(&path))?;
    let sweep: SweepJson = serde_json::from_slice(&text).map_err(RecordError::json(&path))?;
    known(&path, sweep)
}

fn known(path: &Path, sweep: SweepJson) -> Result<SweepJson, RecordError> {
    if sweep.schema == SCHEMA {
        return Ok(sweep);
    }
    let problem = format!("schema is {}, and this build reads schema {SCHEMA}", sweep.schema);
    Err(RecordError::json(path)(serde::de::Error::custom(problem)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{CELLS, CellLog};
    use crate::folder::RunFolder;
    use crate::sweep_json::{CellKey, CellRun, CellVerdict};

    fn cell(id: &str) -> CellRun {
        CellRun {
            id: id.to_owned(),
            cell: CellKey { worker_mode: "slots".to_owned(), sync_cost_us: 100_000, partitions: 2, workers: 10 },
            anchor: false,
            began_at: "2026-11-23T01:00:00Z".to_owned(),
            took_s: 1.5,
            verdict: CellVerdict::Dnf,
            reason: Some("channel-0 ended by itself".to_owned()),
            workers_total: 20,
            events: 200,
            figures: None,
            bound_by: None,
        }
    }

    #[test]
    fn cells_are_there_again_and_a_torn_last_line_is_cut_off_before_the_next() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(root.path());
        let (mut log, cells) = CellLog::open(&folder).expect("opened");
        assert!(cells.is_empty());
        log.add(&cell("a")).expect("written");
        log.add(&cell("b")).expect("written");
        let mut file = std::fs::OpenOptions::new().append(true).open(root.path().join(CELLS)).expect("opened");
        file.write_all(b"{\"id\": \"c\", ").expect("torn");
        let (mut log, cells) = CellLog::open(&folder).expect("opened");
        assert_eq!(cells, [cell("a"), cell("b")]);
        log.add(&cell("c")).expect("written");
        let (_, cells) = CellLog::open(&folder).expect("opened");
        assert_eq!(cells, [cell("a"), cell("b"), cell("c")]);
    }

    #[test]
    fn a_line_that_is_no_cell_is_an_error_and_so_is_a_disk_that_is_full() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(root.path());
        std::fs::write(root.path().join(CELLS), "not json\n").expect("written");
        assert!(CellLog::open(&folder).is_err_and(|error| error.to_string().contains(CELLS)));
        let Ok(full) = std::fs::OpenOptions::new().append(true).open("/dev/full") else { return };
        let mut log = CellLog { path: "cells.ndjson".into(), file: full };
        assert!(log.add(&cell("a")).is_err_and(|error| error.to_string().contains("os error 28")));
    }
}
