//! The files of a run folder: which are copied, and why the others are not.
//!
//! In: a folder. Out: every file with its size and SHA-256, copies. Elsewhere: the manifest they stand in (`record::published`).
//!
//! What a reader needs to judge a figure is copied: scenario, summary, facts, report. What he needs to check it again, rows and lines by
//! the second, is large; its hash is kept, so that whoever has the run folder can show that it is this one.

use std::path::{Path, PathBuf};

use bankstorm_record::published::{Kind, ManifestFile};
use bankstorm_record::save::sha256_file;

use super::{PublishError, io};

/// Documents: summaries, scenarios, reports.
const DOCUMENTS: [&str; 5] = ["json", "toml", "md", "html", "xml"];
/// Documents that the figures of a line come from, and what they rest on: copied whatever their size.
const NEEDED: [&str; 8] = [
    "run.json",
    "sweep.json",
    "simulate.json",
    "ablate.json",
    "calibrate.json",
    "cells.ndjson",
    "scenario.toml",
    "machine.json",
];
/// The documents of `ablate`; the others beside them are plans, one a row.
const OF_ABLATE: [&str; 2] = ["ablate.json", "machine.json"];
/// Short lists with a line for each of something.
const LISTS: [&str; 2] = ["faults.ndjson", "cells.ndjson"];
/// The most bytes of one file that is not needed.
const FILE_MAX_BYTES: u64 = 1_000_000;

/// Whether files were copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// They were.
    Yes,
    /// They were left out.
    No,
}

/// Every file below `folder`, which is of `kind`, by path.
pub(super) fn list(folder: &Path, kind: Kind) -> Result<Vec<ManifestFile>, PublishError> {
    let mut files = Vec::new();
    walk(folder, kind, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(root: &Path, kind: Kind, below: &str, files: &mut Vec<ManifestFile>) -> Result<(), PublishError> {
    let folder = root.join(below);
    for entry in std::fs::read_dir(&folder).map_err(io(&folder))? {
        let entry = entry.map_err(io(&folder))?;
        let (path, what) = (entry.path(), entry.file_type().map_err(io(&entry.path()))?);
        let name = entry.file_name().to_string_lossy().into_owned();
        let below = if below.is_empty() { name } else { format!("{below}/{name}") };
        if what.is_dir() {
            walk(root, kind, &below, files)?;
        } else if what.is_file() {
            let bytes = entry.metadata().map_err(io(&path))?.len();
            let sha256 = sha256_file(&path)?;
            files.push(ManifestFile { left_out: left_out(&below, kind, bytes), path: below, bytes, sha256 });
        } else if what.is_symlink() && (path.is_dir() || is_needed(&below, kind)) {
            let problem = "is a link; accepted is the file or folder itself, which is copied".to_owned();
            return Err(PublishError::Document { path, problem });
        }
    }
    Ok(())
}

fn is_needed(path: &str, kind: Kind) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    NEEDED.contains(&name) && (kind != Kind::Ablate || OF_ABLATE.contains(&name))
}

/// Why a file is not copied; nothing where it is. `path` is from the run folder, or from that of an arm.
fn left_out(path: &str, kind: Kind, bytes: u64) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_in = |folder: &str| path.split('/').rev().skip(1).any(|part| part == folder);
    let why = if is_needed(path, kind) {
        return None;
    } else if is_in("logs") {
        "what processes logged"
    } else if is_in("visible") {
        "stamps as processes wrote them; the evidence has them"
    } else if extension == "parquet" {
        "rows, large; its hash is kept"
    } else if name == "samples.ndjson" || extension == "hlog" {
        "a line a second; the report draws them"
    } else if !DOCUMENTS.contains(&extension) && !LISTS.contains(&name) {
        "no part of what is published"
    } else if kind == Kind::Ablate && !OF_ABLATE.contains(&name) {
        "a plan; the same seeds make the same one"
    } else if bytes > FILE_MAX_BYTES {
        "larger than 1 MB"
    } else {
        return None;
    };
    Some(why.to_owned())
}

/// How many there are, and their bytes.
pub(super) fn sum(files: &[ManifestFile], copied: Copied) -> (u64, u64) {
    let of = files.iter().filter(|file| file.left_out.is_none() == (copied == Copied::Yes));
    of.fold((0, 0), |(count, bytes), file| (count + 1, bytes + file.bytes))
}

/// The largest of those that are copied, for people: `report.html (412,000 bytes)`.
pub(super) fn largest(files: &[ManifestFile]) -> String {
    let mut copied: Vec<&ManifestFile> = files.iter().filter(|file| file.left_out.is_none()).collect();
    copied.sort_by_key(|file| std::cmp::Reverse(file.bytes));
    let told = copied.iter().take(3).map(|file| format!("{} ({} bytes)", file.path, crate::count(file.bytes)));
    told.collect::<Vec<_>>().join(", ")
}

/// Copies what is to be copied into `into`, and holds the copies against the hashes: the run folder may be written to meanwhile.
pub(super) fn copy(from: &Path, files: &[ManifestFile], into: &Path) -> Result<(), PublishError> {
    for file in files.iter().filter(|file| file.left_out.is_none()) {
        let (source, target): (PathBuf, PathBuf) = (from.join(&file.path), into.join(&file.path));
        let folder = target.parent().unwrap_or(into);
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        std::fs::copy(&source, &target).map_err(io(&source))?;
        if sha256_file(&target)? != file.sha256 {
            let problems = vec![format!("{} changed while it was copied", file.path)];
            return Err(PublishError::Changed { run: from.to_owned(), problems });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bankstorm_record::published::Kind;

    use super::left_out;

    #[test]
    fn documents_are_copied_and_rows_logs_and_seconds_are_not() {
        for path in [
            "run.json",
            "scenario.toml",
            "report.html",
            "report.md",
            "junit.xml",
            "faults.ndjson",
            "cells.ndjson",
            "arms/offset/run.json",
        ] {
            assert_eq!(left_out(path, Kind::Run, 1_000), None, "{path}");
        }
        for (path, why) in [
            ("operations.parquet", "rows"),
            ("arms/offset/evidence/page.parquet", "rows"),
            ("arms/offset/logs/core.json", "logged"),
            ("visible/banks.book", "stamps"),
            ("samples.ndjson", "a line a second"),
            ("latency.hlog", "a line a second"),
            ("run.json.part", "no part"),
            ("core", "no part"),
        ] {
            assert!(left_out(path, Kind::Run, 1_000).is_some_and(|told| told.contains(why)), "{path}");
        }
        for path in ["run.json", "arms/logs/run.json", "sweep.json", "cells.ndjson", "machine.json", "scenario.toml"] {
            assert_eq!(left_out(path, Kind::Run, 1_000_001), None, "{path}");
        }
        assert!(left_out("report.html", Kind::Run, 1_000_001).is_some_and(|told| told.contains("1 MB")));
    }

    #[test]
    fn plans_are_copied_of_failing_seeds_and_not_of_every_row_of_a_table() {
        assert_eq!(left_out("seed-7.json", Kind::Simulate, 1_000), None);
        for path in ["ablate.json", "machine.json"] {
            assert_eq!(left_out(path, Kind::Ablate, 1_000), None, "{path}");
        }
        let told = left_out("p7-none-bare.json", Kind::Ablate, 1_000);
        assert!(told.as_ref().is_some_and(|told| told.contains("a plan")), "{told:?}");
    }
}
