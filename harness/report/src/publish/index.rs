//! The index of published runs: one line a run, replaced as a whole.
//!
//! In: the folder of published runs. Out: its lines; a line added, or put in the place of an older one of the same run. Elsewhere: a
//! line's form (`record::published`).
//!
//! Two that publish at once take turns: whoever writes holds a lock on the folder itself, so that no lock file is left behind.

use std::fs::File;
use std::path::{Path, PathBuf};

use bankstorm_record::published::{IndexLine, SCHEMA};
use bankstorm_record::save::write_atomically;

use super::{PublishError, io};

/// The index's name.
const INDEX: &str = "index.ndjson";

/// The index, which nobody else may change meanwhile.
pub(super) struct Index {
    path: PathBuf,
    lines: Vec<IndexLine>,
    /// Released when it is closed.
    _lock: File,
}

impl Index {
    /// That of `folder`, which is made where it is absent; waits for whoever publishes at the same time.
    pub(super) fn open(folder: &Path) -> Result<Self, PublishError> {
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        let lock = File::open(folder).map_err(io(folder))?;
        lock.lock().map_err(io(folder))?;
        Ok(Self { lines: read(folder)?, path: folder.join(INDEX), _lock: lock })
    }

    /// All lines, in the order in which they were published.
    pub(super) fn lines(&self) -> &[IndexLine] {
        &self.lines
    }

    /// A run is published once, unless it is asked for again.
    pub(super) fn refuse_twice(&self, run_id: &str, folder: &Path, again: bool) -> Result<(), PublishError> {
        if again || !self.lines.iter().any(|line| line.run_id == run_id) {
            return Ok(());
        }
        Err(PublishError::Twice { run_id: run_id.to_owned(), folder: folder.to_owned() })
    }

    /// Adds a line, or puts it in the place of the one of the same run; [`Self::write`] keeps it.
    pub(super) fn put(&mut self, line: IndexLine) {
        match self.lines.iter_mut().find(|old| old.run_id == line.run_id) {
            Some(old) => *old = line,
            None => self.lines.push(line),
        }
    }

    /// Writes all lines.
    pub(super) fn write(&self) -> Result<(), PublishError> {
        let text: String = self.lines.iter().map(written).collect();
        Ok(write_atomically(&self.path, text.as_bytes())?)
    }
}

fn written(line: &IndexLine) -> String {
    serde_json::to_string(line).expect("a line is JSON") + "\n"
}

/// The lines of the index in `folder`; none where nothing was published.
///
/// # Errors
/// [`PublishError::Index`] for a line that is none, [`PublishError::Io`] when the file cannot be read.
pub fn read(folder: &Path) -> Result<Vec<IndexLine>, PublishError> {
    let path = folder.join(INDEX);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(&path)(error)),
    };
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    lines.map(|(line, number)| parsed(line, number, &path)).collect()
}

fn parsed(text: &str, line: usize, path: &Path) -> Result<IndexLine, PublishError> {
    let refuse = |problem: String| PublishError::Index { path: path.to_owned(), line, problem };
    let parsed: IndexLine = serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?;
    if parsed.schema == SCHEMA {
        return Ok(parsed);
    }
    Err(refuse(format!("schema is {}, and this build reads schema {SCHEMA}", parsed.schema)))
}
