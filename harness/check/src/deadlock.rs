//! V1 deadlock: no database had to end a deadlock while the run went on.
//!
//! In: what each database server said before load, after it, and whenever it was asked in between. Out: `deadlock`. Elsewhere: how servers
//! are asked (`evidence::deadlocks`); V1's recovery times, which are objectives (`recover`, `objectives`).

use std::collections::BTreeMap;

use bankstorm_record::parquet::ParquetRow;
use bankstorm_record::rows::DatabaseRow;
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally};

/// The servers that must have been asked; more may be.
const DATABASES: [&str; 2] = ["channel", "core"];

/// V1.
pub struct Deadlock;

impl Check for Deadlock {
    fn id(&self) -> &'static str {
        "V1"
    }

    fn name(&self) -> &'static str {
        "deadlock"
    }

    fn explains(&self) -> &'static str {
        "No database counted a deadlock during the run, and no server's log tells of one: account locks are taken in one order (deadlock)."
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        // Server -> its last row, and how often it was asked.
        let mut servers: BTreeMap<String, (DatabaseRow, u64)> = BTreeMap::new();
        for (index, row) in source.databases().enumerate() {
            let row = row?;
            tally.look();
            let unreadable = |problem: String| Err(unreadable(format!("row {} {problem}", index + 1)));
            if row.deadlocks < 0 || row.logged < 0 {
                return unreadable("has a negative count".to_owned());
            }
            let Some((last, times)) = servers.get_mut(&row.database) else {
                servers.insert(row.database.clone(), (row, 1));
                continue;
            };
            if row.at_ns < last.at_ns {
                return unreadable(format!("is out of order: {} after {}", row.at_ns, last.at_ns));
            }
            if row.logged < last.logged {
                let (now, before) = (row.logged, last.logged);
                return unreadable(format!(
                    "tells of fewer logged lines than the row before it, {now} after {before}: the server's log is not whole"
                ));
            }
            compare(last, &row, tally);
            (*last, *times) = (row, *times + 1);
        }
        let mut names = DATABASES.iter().copied().chain(servers.keys().map(String::as_str));
        let once = names.find(|name| servers.get(*name).is_none_or(|(_, times)| *times < 2));
        match once {
            // A deadlock that was seen is one, whatever else was not looked at.
            Some(name) if !servers.is_empty() && tally.violations() == 0 => {
                Err(unreadable(format!("{name} was not asked twice, so nothing tells whether its counts rose")))
            }
            _ => Ok(()),
        }
    }
}

/// Holds two looks at a server against each other.
fn compare(last: &DatabaseRow, row: &DatabaseRow, tally: &mut Tally) {
    let (counted, logged) = (increment(last.deadlocks, row.deadlocks), row.logged - last.logged);
    if counted > 0 || logged > 0 {
        tally.violated("deadlock", || {
            let ms = |ns: i64| ns / 1_000_000;
            format!(
                "database {}: {counted} more counted and {logged} more in its log between {} ms and {} ms",
                row.database,
                ms(last.at_ns),
                ms(row.at_ns)
            )
        });
    }
}

/// By how much the server's counter rose. One that fell began anew at 0 in between (a crash), so it counts whole.
const fn increment(last: i64, now: i64) -> i64 {
    if now < last { now } else { now - last }
}

fn unreadable(problem: String) -> ReadError {
    ReadError { file: DatabaseRow::NAME.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::rows::DatabaseRow;
    use bankstorm_record::run_json::GuaranteeVerdict::{Holds, Unknown, Violated};

    use crate::bank::{Bank, assert_only};

    /// Core's server, asked again at the end: (deadlocks, logged) each time.
    fn core(looks: &[(i64, i64)]) -> Bank {
        let mut bank = Bank::good();
        bank.source.databases.retain(|row| row.database != "core");
        bank.source.databases.extend(looks.iter().zip(1..).map(|((deadlocks, logged), at)| DatabaseRow {
            database: "core".to_owned(),
            at_ns: at * 1_000_000_000,
            deadlocks: *deadlocks,
            logged: *logged,
        }));
        bank
    }

    #[test]
    fn a_counter_that_rose_is_a_deadlock_and_what_was_counted_before_the_run_is_none() {
        assert_only(&core(&[(4, 4), (4, 4), (4, 4)]), &[]);
        let told = "deadlock: database core: 2 more counted and 0 more in its log between 1000 ms and 2000 ms";
        assert_only(&core(&[(4, 4), (6, 4)]), &[("V1", told)]);
    }

    #[test]
    fn a_counter_that_began_anew_counts_whole() {
        assert_only(&core(&[(4, 0), (0, 0), (0, 0)]), &[]);
        assert_only(&core(&[(4, 0), (1, 0)]), &[("V1", "1 more counted and 0 more")]);
        assert_only(&core(&[(4, 0), (0, 0), (1, 0)]), &[("V1", "between 2000 ms and 3000 ms")]);
    }

    #[test]
    fn what_a_crash_took_from_the_counter_is_in_the_log() {
        assert_only(&core(&[(0, 1), (0, 2)]), &[("V1", "0 more counted and 1 more in its log")]);
    }

    #[test]
    fn a_server_that_was_not_asked_twice_is_unknown_unless_another_saw_a_deadlock() {
        for looks in [&[][..], &[(0, 0)]] {
            let found = core(looks).result("V1");
            assert_eq!(found.verdict, Unknown);
            assert!(found.first.expect("a reason").starts_with("database: core was not asked twice"));
        }
        let mut bank = core(&[(0, 0), (1, 1)]);
        bank.source.databases.retain(|row| row.database != "channel");
        assert_eq!(bank.result("V1").verdict, Violated);
        let mut bank = core(&[(0, 0), (0, 0)]);
        bank.source.databases.push(DatabaseRow { database: "banks".to_owned(), ..bank.source.databases[0].clone() });
        assert_eq!(bank.result("V1").verdict, Unknown, "a further server is no exception");
        bank.source.databases.push(bank.source.databases[bank.source.databases.len() - 1].clone());
        assert_eq!(bank.result("V1").verdict, Holds);
    }

    #[test]
    fn counts_that_cannot_be_are_unknown() {
        assert_eq!(core(&[(0, 0), (-1, 0)]).result("V1").verdict, Unknown);
        assert_eq!(core(&[(0, 3), (0, 0)]).result("V1").verdict, Unknown, "a log only grows");
        let mut bank = core(&[(0, 0), (0, 0)]);
        bank.source.databases.reverse();
        assert_eq!(bank.result("V1").verdict, Unknown);
    }
}
