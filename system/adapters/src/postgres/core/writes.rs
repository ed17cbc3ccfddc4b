//! What a posting transaction writes, as columns for one statement per table.

use std::collections::BTreeMap;

use bankstorm_contracts::{AccountNo, Entry, Head, Leg, Won};
use bankstorm_outside::core_store::{EndedHold, Hold, Settled, Writes};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::Error;
use uuid::Uuid;

use super::super::columns::{Column, column, run};
use super::super::pool::Lease;
use super::sql::CoreSql;

/// The rows of each table, column by column; empty tables are left out.
pub(super) struct Columns {
    legs: Vec<Column>,
    accounts: Vec<Column>,
    holds: Vec<Column>,
    ended: Vec<Column>,
    settled: Vec<Column>,
    released: Vec<Column>,
    outbox: Vec<Column>,
}

impl Columns {
    pub(super) fn of(writes: &Writes) -> Self {
        Self {
            legs: legs(&writes.legs),
            accounts: accounts(&writes.heads, &writes.held),
            holds: holds(&writes.holds),
            ended: ended(&writes.ended),
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
            (&sql.write_accounts, &self.accounts),
            (&sql.write_holds, &self.holds),
            (&sql.end_holds, &self.ended),
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

/// One row per account, so that a posting that moves its head and what it holds updates it once; what stays is absent.
fn accounts(heads: &[Head], held: &[(AccountNo, Won)]) -> Vec<Column> {
    let mut rows: BTreeMap<AccountNo, (Option<Head>, Option<Won>)> = BTreeMap::new();
    heads.iter().for_each(|head| rows.entry(head.account).or_default().0 = Some(*head));
    held.iter().for_each(|(account, held)| rows.entry(*account).or_default().1 = Some(*held));
    if rows.is_empty() {
        return Vec::new();
    }
    let rows: Vec<_> = rows.into_iter().collect();
    vec![
        column(&rows, |(account, _)| account.get()),
        column(&rows, |(_, (head, _))| head.map(|head| head.seq)),
        column(&rows, |(_, (head, _))| head.map(|head| head.balance.get())),
        column(&rows, |(_, (_, held))| held.map(Won::get)),
    ]
}

fn holds(holds: &[Hold]) -> Vec<Column> {
    if holds.is_empty() {
        return Vec::new();
    }
    vec![
        column(holds, |hold| hold.transfer.0),
        column(holds, |hold| hold.account.get()),
        column(holds, |hold| hold.amount.get()),
        column(holds, |hold| hold.placed_seq),
        column(holds, |hold| hold.placed_at.0),
    ]
}

fn ended(ended: &[EndedHold]) -> Vec<Column> {
    if ended.is_empty() {
        return Vec::new();
    }
    vec![
        column(ended, |hold| hold.transfer.0),
        column(ended, |hold| hold.end.as_str()),
        column(ended, |hold| hold.ended_seq),
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
        column(settled, |settled| settled.posted_at.map(|at| at.0)),
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
