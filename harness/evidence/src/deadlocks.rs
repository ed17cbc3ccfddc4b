//! Deadlocks as the databases themselves count them (V1).
//!
//! In: a connection string, a server's log, rows. Out: counts, and `evidence/database`. Elsewhere: when servers are asked (`cli`), what the
//! counts mean (`check::deadlock`).
//!
//! Two witnesses, since each misses something. PostgreSQL's counter falls to 0 when the server recovers from a crash, and a session
//! reports to it only up to ten seconds after its transaction; the log says so at once, as long as the server is not told otherwise.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::{ParquetRow, RowWriter};
use bankstorm_record::rows::DatabaseRow;

use crate::Evidence;
use crate::database::Database;
use crate::error::EvidenceError;

/// The log is the server's, so the counter is of all of its databases too.
const COUNTER: &str = "SELECT coalesce(sum(deadlocks), 0)::bigint FROM pg_stat_database";
/// What the server writes when it ended a deadlock.
const LOGGED: &[u8] = b"deadlock detected";

/// How many deadlocks a database server has counted since its counters were last at 0.
///
/// # Errors
/// When the server refuses or does not answer within its limit (10 s to connect).
pub async fn read_deadlocks(url: &str) -> Result<i64, EvidenceError> {
    let [deadlocks] = Database::connect("server", url).await?.numbers(COUNTER).await?;
    Ok(deadlocks)
}

/// How many lines of a server's log tell of a deadlock.
///
/// # Errors
/// When the log cannot be read.
pub fn count_logged(log: impl AsRef<Path>) -> io::Result<i64> {
    let mut log = BufReader::new(File::open(log)?);
    let (mut lines, mut line) = (0, Vec::new());
    while log.read_until(b'\n', &mut line)? > 0 {
        lines += i64::from(line.windows(LOGGED.len()).any(|part| part == LOGGED));
        line.clear();
    }
    Ok(lines)
}

/// Sorts and writes what the databases said.
///
/// # Errors
/// When the file cannot be written.
pub fn write_database(mut rows: Vec<DatabaseRow>, folder: &RunFolder) -> Result<Evidence, EvidenceError> {
    rows.sort_by(|a, b| (&a.database, a.at_ns).cmp(&(&b.database, b.at_ns)));
    let mut writer = RowWriter::create(folder.evidence_file(DatabaseRow::NAME))?;
    rows.into_iter().try_for_each(|row| writer.push(row))?;
    Ok(Evidence::from([(DatabaseRow::NAME.to_owned(), writer.finish()?)]))
}

#[cfg(test)]
mod tests {
    use bankstorm_record::folder::RunFolder;
    use bankstorm_record::folder_source::FolderSource;
    use bankstorm_record::rows::DatabaseRow;
    use bankstorm_record::source::Source;

    use super::{count_logged, write_database};

    #[test]
    fn lines_of_the_log_are_counted_whatever_else_is_in_it() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let log = root.path().join("postgres-core.log");
        let text = b"LOG:  ready\n\xff\xfe\nERROR:  deadlock detected\nDETAIL:  Process 7 waits for ShareLock\n\
            2026 [9] ERROR:  deadlock detected";
        std::fs::write(&log, text).expect("written");
        assert_eq!(count_logged(&log).expect("read"), 2);
        assert!(count_logged(root.path().join("none.log")).is_err());
    }

    #[test]
    fn rows_are_stored_by_database_and_moment() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(root.path());
        let row = |database: &str, at_ns| DatabaseRow { database: database.to_owned(), at_ns, deadlocks: 0, logged: 0 };
        let rows = vec![row("core", 9), row("channel", 9), row("core", 1), row("channel", 1)];
        let evidence = write_database(rows, &folder).expect("written");
        assert_eq!(evidence["database"].rows, 4);
        let stored: Vec<_> = FolderSource::new(folder).databases().collect::<Result<_, _>>().expect("read");
        assert_eq!(stored, [row("channel", 1), row("channel", 9), row("core", 1), row("core", 9)]);
    }
}
