//! Core's database as evidence: accounts, every leg, transfers, holds, what is still unsent.
//!
//! In: its connection string. Out: `core_account`, `core_entry`, `core_transfer`, `core_hold`, `core_outbox`, of one snapshot. Elsewhere: the tables
//! (`adapters::postgres::core`).

use bankstorm_contracts::AccountNo;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::rows::{CoreAccountRow, CoreEntryRow, CoreHoldRow, CoreOutboxRow, CoreTransferRow};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::Evidence;
use crate::database::Database;
use crate::error::EvidenceError;

/// Internal accounts have legs and no row of their own (D40), so they are found by their legs.
const ACCOUNTS: &str = "SELECT no, seq, balance, status, held FROM account \
    UNION ALL SELECT DISTINCT account, 0::bigint, NULL::bigint, 'open', 0::bigint FROM entry WHERE account < 1000000 ORDER BY 1";
const ENTRIES: &str = "SELECT account, seq, transfer, amount, balance_after, kind, posted_at_us FROM entry \
    ORDER BY account, seq, transfer, amount";
const TRANSFERS: &str = "SELECT id, kind, state, params_hash, account, amount, reason, seq, balance_after, party_bank, \
    party_account, created_at_us, posted_at_us, requested_at_us, valid_for_ms FROM transfer ORDER BY id";
const HOLDS: &str =
    "SELECT transfer, account, amount, state, placed_seq, placed_at_us, ended_seq FROM hold ORDER BY transfer";
const OUTBOX: &str = "SELECT account, seq, transfer FROM outbox ORDER BY account, seq, id";

/// Collects core's tables into `folder`. `loaded_seq` tells of each customer's account up to which serial the bulk load wrote it.
///
/// # Errors
/// When the database refuses, a limit is hit or a file cannot be written.
pub async fn collect_core(
    database: &str,
    loaded_seq: impl Fn(i64) -> i64,
    folder: &RunFolder,
) -> Result<Evidence, EvidenceError> {
    let database = Database::connect("core", database).await?;
    database.snapshot().await?;
    let mut evidence = Evidence::new();
    accounts(&database, loaded_seq, folder, &mut evidence).await?;
    entries(&database, folder, &mut evidence).await?;
    transfers(&database, folder, &mut evidence).await?;
    holds(&database, folder, &mut evidence).await?;
    let types = [Type::INT8, Type::INT8, Type::UUID];
    let row = |row: &tokio_postgres::binary_copy::BinaryCopyOutRow| {
        Ok(CoreOutboxRow {
            account: row.try_get(0)?,
            seq: row.try_get(1)?,
            transfer: row.try_get::<Uuid>(2)?.as_u128(),
        })
    };
    database.stream(OUTBOX, &types, folder, &mut evidence, row).await?;
    Ok(evidence)
}

async fn accounts(
    database: &Database,
    loaded_seq: impl Fn(i64) -> i64,
    folder: &RunFolder,
    evidence: &mut Evidence,
) -> Result<(), EvidenceError> {
    let types = [Type::INT8, Type::INT8, Type::INT8, Type::TEXT, Type::INT8];
    database
        .stream(ACCOUNTS, &types, folder, evidence, |row| {
            let account: i64 = row.try_get(0)?;
            let internal = AccountNo::new(account).is_internal();
            Ok(CoreAccountRow {
                account,
                kind: if internal { "internal" } else { "customer" }.to_owned(),
                seq: row.try_get(1)?,
                balance: row.try_get(2)?,
                loaded_seq: if internal { 0 } else { loaded_seq(account) },
                status: row.try_get(3)?,
                held: row.try_get(4)?,
            })
        })
        .await
}

async fn entries(database: &Database, folder: &RunFolder, evidence: &mut Evidence) -> Result<(), EvidenceError> {
    let types = [Type::INT8, Type::INT8, Type::UUID, Type::INT8, Type::INT8, Type::TEXT, Type::INT8];
    database
        .stream(ENTRIES, &types, folder, evidence, |row| {
            Ok(CoreEntryRow {
                account: row.try_get(0)?,
                seq: row.try_get(1)?,
                transfer: row.try_get::<Uuid>(2)?.as_u128(),
                amount: row.try_get(3)?,
                balance_after: row.try_get(4)?,
                kind: row.try_get(5)?,
                posted_at_us: row.try_get(6)?,
            })
        })
        .await
}

async fn transfers(database: &Database, folder: &RunFolder, evidence: &mut Evidence) -> Result<(), EvidenceError> {
    let types = [
        Type::UUID,
        Type::TEXT,
        Type::TEXT,
        Type::BYTEA,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
    ];
    database
        .stream(TRANSFERS, &types, folder, evidence, |row| {
            Ok(CoreTransferRow {
                transfer: row.try_get::<Uuid>(0)?.as_u128(),
                kind: row.try_get(1)?,
                state: row.try_get(2)?,
                params_hash: row.try_get(3)?,
                account: row.try_get(4)?,
                amount: row.try_get(5)?,
                reason: row.try_get(6)?,
                seq: row.try_get(7)?,
                balance_after: row.try_get(8)?,
                party_bank: row.try_get(9)?,
                party_account: row.try_get(10)?,
                created_at_us: row.try_get(11)?,
                posted_at_us: row.try_get(12)?,
                requested_at_us: row.try_get(13)?,
                valid_for_ms: row.try_get(14)?,
            })
        })
        .await
}

async fn holds(database: &Database, folder: &RunFolder, evidence: &mut Evidence) -> Result<(), EvidenceError> {
    let types = [Type::UUID, Type::INT8, Type::INT8, Type::TEXT, Type::INT8, Type::INT8, Type::INT8];
    database
        .stream(HOLDS, &types, folder, evidence, |row| {
            Ok(CoreHoldRow {
                transfer: row.try_get::<Uuid>(0)?.as_u128(),
                account: row.try_get(1)?,
                amount: row.try_get(2)?,
                state: row.try_get(3)?,
                placed_seq: row.try_get(4)?,
                placed_at_us: row.try_get(5)?,
                ended_seq: row.try_get(6)?,
            })
        })
        .await
}
