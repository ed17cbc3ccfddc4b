//! Transfers of the channel: rows read, one stored, due ones taken.
//!
//! In: a connection, what is asked. Out: rows. Elsewhere: the statements (`statements`), transactions (`tx`).

use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{AccountNo, ParamsHash, RejectReason, TransferId, UserNo, WallMicros, Won};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{Clock, NewTransfer, Opened, TransferRow};
use postgres_types::ToSql;
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;

use super::statements::Statements;
use crate::postgres::columns::word;

/// Microseconds of a duration, as the database counts them.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

/// The moment of a clock that is not the database's own.
pub(super) const fn given(clock: Clock) -> Option<i64> {
    match clock {
        Clock::Database => None,
        Clock::Given(now) => Some(now.0),
    }
}

/// What an attempt to store a transfer met: its own row, the row under its id, the row under its guard.
pub(super) struct Met {
    new: Vec<Row>,
    same_id: Vec<Row>,
    same_guard: Vec<Row>,
}

/// Tries to store a transfer, and reads what stands. To be sent with its limit just ahead.
pub(super) async fn insert(client: &Client, sql: &Statements, new: &NewTransfer) -> Result<Met, Error> {
    let (user, from, amount) = (new.user.0, new.from.get(), new.amount.get());
    let (hash, clock, due_in) = (&new.params_hash.0[..], given(new.clock), micros(new.due_in));
    let values: [&(dyn ToSql + Sync); 10] =
        [&new.id.0, &user, &new.guard, &from, &new.to.bank, &new.to.account, &amount, &hash, &clock, &due_in];
    let (id, guard): ([&(dyn ToSql + Sync); 1], [&(dyn ToSql + Sync); 1]) = ([&new.id.0], [&new.guard]);
    let (new, same_id, same_guard) = futures_util::join!(
        client.query(&sql.open, &values),
        client.query(&sql.transfer, &id),
        client.query(&sql.guarding, &guard)
    );
    Ok(Met { new: new?, same_id: same_id?, same_guard: same_guard? })
}

impl Met {
    /// What it is to the caller; `None` when whoever was in the way was gone before he could be read.
    pub(super) fn opened(&self) -> Result<Option<Opened>, StoreError> {
        if let Some(new) = self.new.first() {
            return Ok(Some(Opened::New(WallMicros(new.get("created_at_us")))));
        }
        if let Some(row) = self.same_id.first() {
            return Ok(Some(Opened::Existing(transfer(row)?)));
        }
        Ok(self.same_guard.first().map(|row| Opened::Guarded(TransferId(row.get("id")))))
    }
}

/// Locks transfers in id order.
pub(super) async fn lock(client: &Client, sql: &Statements, ids: &[Uuid]) -> Result<Vec<Row>, Error> {
    client.query(&sql.lock_transfers, &[&ids]).await
}

/// A transfer's row.
pub(super) fn transfer(row: &Row) -> Result<TransferRow, StoreError> {
    let hash: &[u8] = row.get("params_hash");
    let reason: Option<&str> = row.get("reason");
    let attempts: i32 = row.get("attempts");
    Ok(TransferRow {
        id: TransferId(row.get("id")),
        user: UserNo(row.get("user_no")),
        from: AccountNo::new(row.get("from_account")),
        to: Party { bank: row.get("to_bank"), account: row.get("to_account") },
        amount: Won::new(row.get("amount")),
        params_hash: ParamsHash(hash.try_into().map_err(|_| StoreError::Other("a hash of another length".to_owned()))?),
        stage: word(row.get("stage"), TransferStage::from_word)?,
        reason: reason.map(|text| word(text, RejectReason::from_word)).transpose()?,
        seq: row.get("seq"),
        created_at: WallMicros(row.get("created_at_us")),
        attempts: attempts.unsigned_abs(),
    })
}

/// Transfers' rows.
pub(super) fn transfers(rows: &[Row]) -> Result<Vec<TransferRow>, StoreError> {
    rows.iter().map(transfer).collect()
}
