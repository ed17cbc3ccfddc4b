//! What a posting transaction writes, as columns for one statement per table.

use bankstorm_contracts::{AccountNo, Entry, Head, Leg, Won};
use bankstorm_outside::core_store::{Settled, Writes};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use postgres_types::ToSql;
use tokio_postgres::{Error, Statement};
use uuid::Uuid;

use super::super::pool::Lease;
use super::sql::CoreSql;

type Column = Box<dyn ToSql + Sync + Send>;

/// The rows of each table, column by column; empty tables are left out.
pub(super) struct Columns {
    legs: Vec<Column>,
    heads: Vec<Column>,
    settled: Vec<Column>,
    released: Vec<Column>,
    outbox: Vec<Column>,
}

impl Columns {
    pub(super) fn of(writes: &Writes) -> Self {
        Self {
            legs: legs(&writes.legs),
            heads: heads(&writes.heads),
            settled: settled(&writes.settled),
            released: if writes.released.is_empty() { Vec::new() } else { vec![column(&writes.released, |id| id.0)] },
            outbox: outbox(&writes.outbox),
        }
    }

    /// The statements, to be polled together.
    pub(super) fn statements<'a>(&'a self, lease: &'a Lease<CoreSql>) -> Vec<BoxFuture<'a, Result<(), Error>>> {
        let sql = lease.statements();
        [
            (&sql.write_legs, &self.legs),
            (&sql.write_heads, &self.heads),
            (&sql.settle, &self.settled),
            (&sql.release, &self.released),
            (&sql.write_outbox, &self.outbox),
        ]
        .into_iter()
        .filter(|(_, columns)| !columns.is_empty())
        .map(|(statement, columns)| run(lease, statement, columns).boxed())
        .collect()
    }
}

async fn run(lease: &Lease<CoreSql>, statement: &Statement, columns: &[Column]) -> Result<(), Error> {
    let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| &**column as &(dyn ToSql + Sync)).collect();
    lease.client().execute(statement, &parameters).await.map(drop)
}

fn column<R, T>(rows: &[R], value: impl FnMut(&R) -> T) -> Column
where
    Vec<T>: ToSql + Sync + Send + 'static,
{
    Box::new(rows.iter().map(value).collect::<Vec<T>>())
}

fn legs(legs: &[Leg]) -> Vec<Column> {
    if legs.is_empty() {
        return Vec::new();
    }
    vec![
        column(legs, |leg| leg.transfer.0),
        column(legs, |leg| leg.account.get()),
        column(legs, |leg| leg.seq),
        column(legs, |leg| leg.amount.get()),
        column(legs, |leg| leg.balance_after.map(Won::get)),
        column(legs, |leg| leg.kind.as_str()),
        column(legs, |leg| leg.posted_at.0),
    ]
}

fn heads(heads: &[Head]) -> Vec<Column> {
    if heads.is_empty() {
        return Vec::new();
    }
    vec![
        column(heads, |head| AccountNo::get(head.account)),
        column(heads, |head| head.seq),
        column(heads, |head| head.balance.get()),
    ]
}

fn settled(settled: &[Settled]) -> Vec<Column> {
    if settled.is_empty() {
        return Vec::new();
    }
    vec![
        column(settled, |settled| -> Uuid { settled.id.0 }),
        column(settled, |settled| settled.state.as_str()),
        column(settled, |settled| settled.reason.map(|reason| reason.as_str())),
        column(settled, |settled| settled.seq),
        column(settled, |settled| settled.balance_after.map(Won::get)),
    ]
}

fn outbox(entries: &[Entry]) -> Vec<Column> {
    if entries.is_empty() {
        return Vec::new();
    }
    vec![
        column(entries, |entry| entry.account.get()),
        column(entries, |entry| entry.seq),
        column(entries, |entry| entry.amount.get()),
        column(entries, |entry| entry.balance_after.get()),
        column(entries, |entry| entry.transfer.0),
        column(entries, |entry| entry.kind.as_str()),
        column(entries, |entry| entry.posted_at.0),
    ]
}
