//! Saving: whole files under their names or none, `run.json`, and whether the evidence is still what the run wrote.
//!
//! In: documents and a run folder. Out: files, hashes, and sentences about files that differ. Elsewhere: rows (`parquet`), lines as they
//! happen (`marks`).

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::folder::RunFolder;
use crate::parquet::RecordError;
use crate::run_json::{RunJson, SCHEMA};

/// The name in [`RunJson::evidence`] of the one evidence file that lies beside the folder `evidence`.
pub const OPERATIONS: &str = "operations";

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// SHA-256 of a text, hexadecimal.
pub fn sha256_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// SHA-256 of a file, hexadecimal.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_file(path: impl AsRef<Path>) -> Result<String, RecordError> {
    let path = path.as_ref();
    let mut file = File::open(path).map_err(RecordError::io(path))?;
    let mut sha256 = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut chunk).map_err(RecordError::io(path))?;
        if read == 0 {
            return Ok(hex(&sha256.finalize()));
        }
        sha256.update(&chunk[..read]);
    }
}

/// The name under which `path` is written until it is whole.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// Writes a whole file: under a temporary name, synced, then renamed. A crash leaves the old file or the new one.
///
/// # Errors
/// When the file cannot be written or renamed.
pub fn write_atomically(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), RecordError> {
    let path = path.as_ref();
    let temporary = temporary(path);
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(RecordError::io(path))
}

/// Writes a document as pretty JSON, atomically.
///
/// # Errors
/// When it cannot be written.
pub fn write_json<T: Serialize>(path: impl AsRef<Path>, document: &T) -> Result<(), RecordError> {
    let path = path.as_ref();
    let mut text = serde_json::to_vec_pretty(document).map_err(RecordError::json(path))?;
    text.push(b'\n');
    write_atomically(path, &text)
}

/// Writes `run.json`.
///
/// # Errors
/// When it cannot be written.
pub fn write_run_json(folder: &RunFolder, run: &RunJson) -> Result<(), RecordError> {
    write_json(folder.run_json(), run)
}

/// Reads `run.json`.
///
/// # Errors
/// When it is missing, is no such document, or has a schema number that this build does not read.
pub fn read_run_json(folder: &RunFolder) -> Result<RunJson, RecordError> {
    let path = folder.run_json();
    let text = std::fs::read(&path).map_err(RecordError::io(&path))?;
    let run: RunJson = serde_json::from_slice(&text).map_err(RecordError::json(&path))?;
    if run.schema == SCHEMA {
        Ok(run)
    } else {
        let problem = format!("schema is {}, and this build reads schema {SCHEMA}", run.schema);
        Err(RecordError::json(path)(serde::de::Error::custom(problem)))
    }
}

/// The file of a name in [`RunJson::evidence`].
pub fn evidence_path(folder: &RunFolder, name: &str) -> PathBuf {
    if name == OPERATIONS { folder.operations() } else { folder.evidence_file(name) }
}

/// Holds the evidence against what `run.json` says of it: one sentence for each file that is missing, differs, or is not listed.
pub fn verify_evidence(folder: &RunFolder, run: &RunJson) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, listed) in &run.evidence {
        match sha256_file(evidence_path(folder, name)) {
            Ok(found) if found == listed.sha256 => {}
            Ok(found) => {
                problems.push(format!("evidence file {name} has SHA-256 {found}; run.json says {}", listed.sha256))
            }
            Err(error) => problems.push(format!("evidence file {name} cannot be read: {error}")),
        }
    }
    problems.extend(unlisted(folder, run));
    problems
}

/// Parquet files of the evidence folder that `run.json` does not know.
fn unlisted(folder: &RunFolder, run: &RunJson) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder.evidence()) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".parquet").map(str::to_owned))
        .filter(|name| !run.evidence.contains_key(name))
        .collect();
    names.sort();
    names.into_iter().map(|name| format!("evidence file {name} is not listed in run.json")).collect()
}

#[cfg(test)]
mod tests;
