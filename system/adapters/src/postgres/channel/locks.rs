//! Rows of a transaction, locked: owners of partitions, sync rows in account order, then transfers in id order (D33, D36).
//!
//! In: a connection whose BEGIN was answered or travels just ahead. Out: rows. Elsewhere: the statements (`statements`), the
//! transaction (`tx`).

use std::collections::BTreeSet;

use bankstorm_contracts::{AccountNo, Head, Won};
use bankstorm_outside::LockMode;
use bankstorm_outside::channel_store::{Fence, SyncRow};
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
pub(super) async fn existing(lease: &Lease<Statements>, wanted: &[i64], mode: LockMode) -> Result<Vec<SyncRow>, Error> {
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
    Ok(rows.iter().map(sync_row).collect())
}

/// Makes, and so locks, the rows that are still missing beside `here`. BEGIN must have been answered.
pub(super) async fn make_missing(
    lease: &Lease<Statements>,
    wanted: &[i64],
    mode: LockMode,
    here: &mut Vec<SyncRow>,
) -> Result<(), Error> {
    let missing = absent(wanted, here);
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
    here.extend(made.iter().map(|row| {
        let account = AccountNo::new(row.get(0));
        SyncRow::clean(Head { account, seq: 0, balance: Won::ZERO })
    }));
    if matches!(mode, LockMode::Wait(_)) {
        // Somebody else made them while we waited: now they can be locked like any other.
        let missing = absent(wanted, here);
        if !missing.is_empty() {
            here.extend(existing(lease, &missing, mode).await?);
        }
    }
    here.sort_by_key(|row| row.head.account);
    Ok(())
}

/// The numbers among `wanted` that `here` lacks.
pub(super) fn absent(wanted: &[i64], here: &[SyncRow]) -> Vec<i64> {
    let here: BTreeSet<i64> = here.iter().map(|row| row.head.account.get()).collect();
    wanted.iter().copied().filter(|number| !here.contains(number)).collect()
}

fn sync_row(row: &Row) -> SyncRow {
    SyncRow { head: head(row), dirty: row.get("dirty"), hole: row.get("hole") }
}

/// A sync row's head.
pub(super) fn head(row: &Row) -> Head {
    Head {
        account: AccountNo::new(row.get("account")),
        seq: row.get("last_seq"),
        balance: Won::new(row.get("balance")),
    }
}

/// Partitions whose owners are read and kept.
pub(super) struct Owners {
    topic: String,
    key: i32,
    partitions: Vec<i32>,
    generations: Vec<i32>,
}

impl Owners {
    /// In the order of partitions, in which they are locked.
    pub(super) fn of(fence: Fence<'_>) -> Self {
        let mut held = fence.held.to_vec();
        held.sort_unstable();
        let (partitions, generations) = held.into_iter().unzip();
        Self { topic: fence.topic.to_owned(), key: topic_key(fence.topic), partitions, generations }
    }

    /// Those that a higher generation owns. One round trip, and none where there are no partitions. Whoever is raising an owner is waited
    /// for, which he limits himself.
    pub(super) async fn refused(&self, lease: &Lease<Statements>) -> Result<Vec<i32>, Error> {
        if self.partitions.is_empty() {
            return Ok(Vec::new());
        }
        let (client, sql) = (lease.client(), lease.statements());
        let locks: [&(dyn ToSql + Sync); 2] = [&self.key, &self.partitions];
        let read: [&(dyn ToSql + Sync); 3] = [&self.topic, &self.partitions, &self.generations];
        let (locked, refused) =
            futures_util::join!(client.query(&sql.fence_lock, &locks), client.query(&sql.fence, &read));
        locked?;
        Ok(refused?.iter().map(|row| row.get(0)).collect())
    }
}

/// The first half of the advisory lock of a topic's partitions, the same in every build (FNV-1a). Two topics that share one merely wait for
/// each other.
pub(super) fn topic_key(topic: &str) -> i32 {
    let hash = topic.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.cast_signed()
}
