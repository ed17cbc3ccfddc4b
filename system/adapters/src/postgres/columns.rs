//! Rows as columns: one statement takes all rows of a table, one array per column.
//!
//! In: rows. Out: arrays, and the statement run on them; words back. Elsewhere: which columns a table has (`core::writes`,
//! `channel::columns`).

use std::time::Duration;

use bankstorm_outside::StoreError;
use postgres_types::ToSql;
use tokio_postgres::{Error, Statement};

use super::pool::{Lease, Prepared};

/// An array, or a value that all rows share.
pub(super) type Column = Box<dyn ToSql + Sync + Send>;

/// The values of one column, in the order of the rows.
pub(super) fn column<R, T>(rows: &[R], value: impl FnMut(&R) -> T) -> Column
where
    Vec<T>: ToSql + Sync + Send + 'static,
{
    Box::new(rows.iter().map(value).collect::<Vec<T>>())
}

/// Runs a statement on columns.
pub(super) async fn run<S: Prepared>(lease: &Lease<S>, statement: &Statement, columns: &[Column]) -> Result<(), Error> {
    let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| &**column as &(dyn ToSql + Sync)).collect();
    lease.client().execute(statement, &parameters).await.map(drop)
}

/// A `lock_timeout`. Zero would mean "for ever" there, so the least is 1 ms.
pub(super) fn lock_timeout(wait: Duration) -> String {
    format!("{}ms", wait.as_millis().clamp(1, 1_000_000))
}

/// What a word stands for that a CHECK constraint keeps inside the list.
pub(super) fn word<T>(text: &str, from_word: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
    from_word(text)
        .ok_or_else(|| StoreError::Other(format!("the store holds the word {text:?}, which this build does not know")))
}
