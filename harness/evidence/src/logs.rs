//! Panics and fatal errors in the processes' logs: what V3 needs to know of them.
//!
//! In: `logs/*.log` of a run folder. Out: hits by file. Elsewhere: what they mean for the run (`check`, `cli`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use bankstorm_record::folder::RunFolder;

use crate::error::EvidenceError;

/// Lines that are kept of one file; further ones are counted.
const KEPT: usize = 20;
/// The most that is kept of one line, in characters.
const LINE: usize = 400;

/// What PostgreSQL says as FATAL when it is stopped, or asked before it is up; that is no fault.
const EXPECTED: [&str; 11] = [
    // A client was killed while it was being answered: the client's end is recorded as a fault of its own.
    "connection to client lost",
    "terminating connection due to administrator command",
    "terminating connection due to unexpected postmaster exit",
    "terminating background worker",
    "terminating logical replication",
    "the database system is shutting down",
    "the database system is starting up",
    "the database system is in recovery mode",
    "the database system is not yet accepting connections",
    // A stopped process must not keep its row locks for ever (D36): a protection at work.
    "terminating connection due to idle-in-transaction timeout",
    // A service that quotes what its database told it; the database's own log decides.
    "\"level\":",
];

/// What one log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// How many lines.
    pub count: u64,
    /// The first of them, each with its line number.
    pub first: Vec<String>,
}

/// Looks through every log of a run. Files without a hit are absent.
///
/// # Errors
/// When the folder or a file of it cannot be read.
pub fn scan_logs(folder: &RunFolder) -> Result<BTreeMap<String, Hits>, EvidenceError> {
    let logs = folder.logs();
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(&logs).map_err(EvidenceError::read(&logs))? {
        let path = entry.map_err(EvidenceError::read(&logs))?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let hits = scan(&path)?;
            if hits.count > 0 {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found.insert(name, hits);
            }
        }
    }
    Ok(found)
}

fn scan(path: &Path) -> Result<Hits, EvidenceError> {
    let mut log = BufReader::new(File::open(path).map_err(EvidenceError::read(path))?);
    let mut hits = Hits::default();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if log.read_until(b'\n', &mut line).map_err(EvidenceError::read(path))? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        if is_hit(&text) {
            hits.count += 1;
            if hits.first.len() < KEPT {
                hits.first.push(format!("line {number}: {}", text.trim().chars().take(LINE).collect::<String>()));
            }
        }
    }
    Ok(hits)
}

fn is_hit(line: &str) -> bool {
    let says = |text: &str| line.contains(text);
    says("panicked at")
        || says("PANIC:")
        || says("OutOfMemoryError")
        || says("out of memory")
        || (says("FATAL") && !EXPECTED.iter().any(|expected| says(expected)))
}

#[cfg(test)]
mod tests {
    use bankstorm_record::folder::RunFolder;

    use super::{is_hit, scan_logs};

    #[test]
    fn faults_are_told_from_the_usual() {
        for line in [
            "thread 'main' panicked at src/main.rs:1:1:",
            "2026-01-01 [7] PANIC:  could not write to file",
            "2026-01-01 [7] FATAL:  sorry, too many clients already",
            "java.lang.OutOfMemoryError: Java heap space",
            "[2026-01-01] FATAL Exiting Kafka due to fatal exception (kafka.Kafka$)",
            "ERROR:  out of memory",
        ] {
            assert!(is_hit(line), "{line}");
        }
        for line in [
            "2026-01-01 [7] FATAL:  terminating connection due to administrator command",
            "2026-01-01 [7] FATAL:  the database system is starting up",
            "2026-01-01 [7] LOG:  database system is shut down",
            "2026-01-01 [7] FATAL:  terminating connection due to idle-in-transaction timeout",
            "{\"level\":\"WARN\",\"fields\":{\"message\":\"FATAL: the database said no\"}}",
            "INFO a deposit was rejected",
        ] {
            assert!(!is_hit(line), "{line}");
        }
    }

    #[test]
    fn hits_are_counted_by_file_and_the_first_are_kept() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(root.path());
        std::fs::create_dir_all(folder.logs()).expect("the logs' folder");
        let panics = "fine\n".to_owned() + &"thread 'x' panicked at y\n".repeat(30);
        std::fs::write(folder.logs().join("core.log"), panics).expect("written");
        std::fs::write(folder.logs().join("kafka-1.log"), b"fine \xff\n").expect("written");
        let found = scan_logs(&folder).expect("scanned");
        assert_eq!(found.len(), 1);
        assert_eq!((found["core.log"].count, found["core.log"].first.len()), (30, 20));
        assert_eq!(found["core.log"].first[0], "line 2: thread 'x' panicked at y");
    }
}
