//! Rows of a transaction, locked: sync rows in account order, then transfers in id order (D33).
//!
//! In: a connection whose BEGIN was answered or travels just ahead. Out: rows. Elsewhere: the statements (`statements`), the
//! transaction (`tx`).

use std::collections::BTreeSet;

use bankstorm_contracts::{AccountNo, Head, Won};
use bankstorm_outside::LockMode;
use postgres_types::ToSql;
use tokio_postgres::{Error, Row};

use super::statements::Statements;
use crate::postgres::columns::lock_timeout;
use crate::postgres::pool::{Lease, STEP_LIMIT};

/// Ends the limit of waits: what is written afterwards waits for nobody, and a commit that stalls is not the row's fault.
pub(super) async fn reset_wait(lease: &Lease<Statements>) -> Result<(), Error> {
    set_wait(lease, &lock_timeout(STEP_LIMIT)).await
}

/// Limits the waits that follow.
pub(super) async fn set_wait(lease: &Lease<Statements>, wait: &str) -> Result<(), Error> {
    lease.client().execute(&lease.statements().set_wait, &[&wait]).await.map(drop)
}

/// Locks the rows that exist, in account order. One round trip.
pub(super) async fn existing(lease: &Lease<Statements>, wanted: &[i64], mode: LockMode) -> Result<Vec<Head>, Error> {
    let (client, sql) = (lease.client(), lease.statements());
    let asked: [&(dyn ToSql + Sync); 1] = [&wanted];
    let rows = match mode {
        LockMode::SkipLocked => client.query(&sql.lock_skip, &asked).await?,
        LockMode::Wait(wait) => {
            let wait = lock_timeout(wait);
            let (limited, rows, reset) =
                futures_util::join!(set_wait(lease, &wait), client.query(&sql.lock_wait, &asked), reset_wait(lease));
            limited?;
            let rows = rows?;
            reset?;
            rows
        }
    };
    Ok(rows.iter().map(head).collect())
}

/// Makes, and so locks, the rows that are still missing beside `heads`. BEGIN must have been answered.
pub(super) async fn make_missing(
    lease: &Lease<Statements>,
    wanted: &[i64],
    mode: LockMode,
    heads: &mut Vec<Head>,
) -> Result<(), Error> {
    let missing = absent(wanted, heads);
    if missing.is_empty() {
        return Ok(());
    }
    let (client, sql) = (lease.client(), lease.statements());
    let asked: [&(dyn ToSql + Sync); 1] = [&missing];
    let made = match mode {
        LockMode::SkipLocked => client.query(&sql.make_skip, &asked).await?,
        LockMode::Wait(wait) => {
            let wait = lock_timeout(wait);
            let (limited, made, reset) =
                futures_util::join!(set_wait(lease, &wait), client.query(&sql.make_wait, &asked), reset_wait(lease));
            limited?;
            let made = made?;
            reset?;
            made
        }
    };
    heads.extend(made.iter().map(|row| Head { account: AccountNo::new(row.get(0)), seq: 0, balance: Won::ZERO }));
    if matches!(mode, LockMode::Wait(_)) {
        // Somebody else made them while we waited: now they can be locked like any other.
        let missing = absent(wanted, heads);
        if !missing.is_empty() {
            heads.extend(existing(lease, &missing, mode).await?);
        }
    }
    heads.sort_by_key(|head| head.account);
    Ok(())
}

/// The numbers among `wanted` that `heads` lacks.
pub(super) fn absent(wanted: &[i64], heads: &[Head]) -> Vec<i64> {
    let here: BTreeSet<i64> = heads.iter().map(|head| head.account.get()).collect();
    wanted.iter().copied().filter(|number| !here.contains(number)).collect()
}

fn head(row: &Row) -> Head {
    Head {
        account: AccountNo::new(row.get("account")),
        seq: row.get("last_seq"),
        balance: Won::new(row.get("balance")),
    }
}
