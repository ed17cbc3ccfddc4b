//! What the databases count about themselves, looked at before load and after it: deadlocks (V1).
//!
//! In: both databases and their logs. Out: rows of the evidence file `database`. Elsewhere: what a rising count means (`check`).

use std::collections::BTreeMap;

use bankstorm_evidence::{Evidence, count_logged, read_deadlocks, write_database};
use bankstorm_record::rows::DatabaseRow;

use crate::bank::Bank;
use crate::bank::specs::channel_database;

use super::open::OpenRun;

/// The looks of one run.
#[derive(Debug, Default)]
pub(crate) struct Databases {
    rows: Vec<DatabaseRow>,
    problems: Vec<String>,
}

impl Databases {
    /// Looks at every database now.
    pub(crate) async fn look(&mut self, open: &OpenRun, bank: &Bank) {
        let channels = (0..).zip(&bank.addresses.channel_databases);
        let channels = channels.map(|(index, address)| (channel_database(index), address));
        for (database, address) in std::iter::once(("core".to_owned(), &bank.addresses.core_database)).chain(channels) {
            let at_ns = open.json.origin.elapsed_ns();
            let log = open.folder.logs().join(format!("postgres-{database}.log"));
            let look = async {
                let deadlocks = read_deadlocks(address).await.map_err(|error| error.to_string())?;
                let logged = count_logged(&log).map_err(|error| format!("{}: {error}", log.display()))?;
                Ok::<_, String>(DatabaseRow { database: database.clone(), at_ns, deadlocks, logged })
            };
            match look.await {
                Ok(row) => self.rows.push(row),
                Err(problem) => self.problems.push(format!("deadlock counter of {database}: {problem}")),
            }
        }
    }

    /// Writes the evidence; what could not be seen goes to `problems`.
    pub(crate) fn write(self, open: &OpenRun, problems: &mut Vec<String>) -> Evidence {
        problems.extend(self.problems);
        match write_database(self.rows, &open.folder) {
            Ok(evidence) => evidence,
            Err(error) => {
                problems.push(format!("evidence file database: {error}"));
                BTreeMap::new()
            }
        }
    }
}
