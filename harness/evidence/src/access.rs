//! Core's access log as evidence: who read what a copy should hold, and what for (G1).
//!
//! In: the file that core appends to (`adapters::access`), one JSON line a call. Out: `core_access`, sorted by (account, beginning). Elsewhere:
//! what of it is too much (`check`: G1, S6).
//!
//! A killed core may leave a last line without its end: it is counted and left out. Any other line that is not one is an error. Rows are held in memory while they are sorted, about 120 bytes each.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use bankstorm_record::clock::Origin;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::{ParquetRow, RowWriter};
use bankstorm_record::rows::CoreAccessRow;
use serde::Deserialize;

use crate::Evidence;
use crate::error::EvidenceError;

/// One line of the log; times are the host's monotonic clock.
#[derive(Deserialize)]
struct Line {
    begun_ns: i64,
    ended_ns: i64,
    caller: String,
    call: String,
    account: Option<i64>,
    purpose: Option<String>,
    status: u32,
}

/// What the access log gave.
#[derive(Clone, Debug, Default)]
pub struct CollectedAccess {
    /// The file `core_access`.
    pub evidence: Evidence,
    /// Last lines without their end, left out.
    pub torn_lines: u64,
}

/// Reads core's access log and writes `core_access`.
///
/// # Errors
/// When the log cannot be read or has a bad line, or the file cannot be written.
pub fn collect_access(log: &Path, origin: Origin, folder: &RunFolder) -> Result<CollectedAccess, EvidenceError> {
    let (mut rows, torn_lines) = read(log, origin)?;
    rows.sort_by_key(|row| (row.account, row.begun_ns));
    let mut writer = RowWriter::create(folder.evidence_file(CoreAccessRow::NAME))?;
    rows.into_iter().try_for_each(|row| writer.push(row))?;
    let evidence = Evidence::from([(CoreAccessRow::NAME.to_owned(), writer.finish()?)]);
    Ok(CollectedAccess { evidence, torn_lines })
}

fn read(log: &Path, origin: Origin) -> Result<(Vec<CoreAccessRow>, u64), EvidenceError> {
    let mut file = BufReader::new(File::open(log).map_err(EvidenceError::read(log))?);
    let (mut rows, mut text) = (Vec::new(), Vec::new());
    for number in 1_u64.. {
        text.clear();
        file.read_until(b'\n', &mut text).map_err(EvidenceError::read(log))?;
        if text.last() != Some(&b'\n') {
            break;
        }
        let line: Line = serde_json::from_slice(&text).map_err(|problem| {
            let problem = std::io::Error::other(format!("line {number}: {problem}"));
            EvidenceError::Read { path: log.to_owned(), source: problem }
        })?;
        rows.push(CoreAccessRow {
            begun_ns: origin.moment(line.begun_ns),
            ended_ns: origin.moment(line.ended_ns),
            caller: line.caller,
            call: line.call,
            account: line.account,
            purpose: line.purpose,
            status: line.status,
        });
    }
    Ok((rows, u64::from(!text.is_empty())))
}

#[cfg(test)]
mod tests {
    use bankstorm_record::clock::Origin;
    use bankstorm_record::folder::RunFolder;
    use bankstorm_record::folder_source::FolderSource;
    use bankstorm_record::rows::CoreAccessRow;
    use bankstorm_record::source::Source;

    use super::collect_access;
    use crate::error::EvidenceError;

    fn collect(log: &str) -> Result<(Vec<CoreAccessRow>, u64), EvidenceError> {
        let root = tempfile::tempdir().expect("a temporary folder");
        let (path, folder) = (root.path().join("core.access"), RunFolder::new(root.path()));
        std::fs::write(&path, log).expect("written");
        let collected = collect_access(&path, Origin { monotonic_ns: 1_000, wall_us: 0 }, &folder)?;
        let rows: Vec<_> =
            FolderSource::new(folder).core_access().collect::<Result<_, _>>().expect("readable evidence");
        assert_eq!(collected.evidence["core_access"].rows, rows.len() as u64);
        Ok((rows, collected.torn_lines))
    }

    const READ: &str = r#"{"begun_ns":5000,"ended_ns":6000,"caller":"channel-0","call":"heads","account":1000001,"purpose":"read","status":200}"#;
    const SWEEP: &str = r#"{"begun_ns":7000,"ended_ns":7100,"caller":"channel-1","call":"digests","account":null,"purpose":null,"status":0}"#;

    #[test]
    fn g1_calls_are_sorted_by_account_and_a_torn_end_is_left_out() {
        let (rows, torn) = collect(&format!("{READ}\n{SWEEP}\n{}", &READ[..40])).expect("a good log");
        let sweep = CoreAccessRow {
            begun_ns: 6_000,
            ended_ns: 6_100,
            caller: "channel-1".to_owned(),
            call: "digests".to_owned(),
            ..CoreAccessRow::default()
        };
        let read = CoreAccessRow {
            begun_ns: 4_000,
            ended_ns: 5_000,
            caller: "channel-0".to_owned(),
            call: "heads".to_owned(),
            account: Some(1_000_001),
            purpose: Some("read".to_owned()),
            status: 200,
        };
        assert_eq!((rows, torn), (vec![sweep, read], 1));
        assert_eq!(collect("").expect("an empty log"), (Vec::new(), 0));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let error = collect(&format!("{READ}\nnonsense\n{SWEEP}\n")).expect_err("a bad line").to_string();
        assert!(error.contains("line 2: "), "{error}");
    }
}
