//! The channels' databases as evidence: the copy, its heads, how it moved, what it put aside, and the transfers that began here.
//!
//! In: their connection strings, several where customers are spread over several. Out: `channel_entry`, `channel_account`, `apply_journal`, `dead_letter`, `channel_transfer`, of one snapshot. Elsewhere: the tables
//! (`adapters::postgres::channel`).

use bankstorm_record::folder::RunFolder;
use bankstorm_record::rows::{ApplyJournalRow, ChannelAccountRow, ChannelEntryRow, ChannelTransferRow, DeadLetterRow};
use tokio_postgres::binary_copy::BinaryCopyOutRow;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::Evidence;
use crate::database::{Database, stream_merged};
use crate::error::EvidenceError;

const ENTRIES: &str = "SELECT account, seq, transfer, amount, balance_after, kind, posted_at_us FROM entry \
    ORDER BY account, seq";
const ACCOUNTS: &str = "SELECT account, last_seq, balance, dirty FROM account_sync ORDER BY account";
/// A transaction id fits a bigint for longer than any database lives; there is no direct cast.
const JOURNAL: &str = "WITH kept AS (SELECT current_setting('track_commit_timestamp')::boolean AS yes) \
    SELECT id, account, from_seq, to_seq, source, topic, partition, record_offset, generation, instance, txid::text::bigint, \
    CASE WHEN kept.yes THEN (extract(epoch FROM pg_xact_commit_timestamp(txid::xid)) * 1000000)::bigint END \
    FROM apply_journal, kept ORDER BY account, id";
/// One topic has letters about it.
const LETTERS: &str = "SELECT partition, record_offset, account, seq, class, code, detail, attempts::bigint, redrives::bigint, parked_us, \
    closed_us, closed_by FROM dead_letter WHERE topic = 'core.entries' ORDER BY partition, record_offset";
/// Commit timestamps rise with commits that waited for each other, which stamps taken inside a transaction do not. A server that keeps none
/// would refuse to be asked.
const TRANSFERS: &str = "WITH kept AS (SELECT current_setting('track_commit_timestamp')::boolean AS yes) \
    SELECT id, user_no, from_account, to_bank, to_account, amount, params_hash, stage, reason, seq, created_at_us, \
    attempts::bigint, settled_txid::text::bigint, \
    CASE WHEN kept.yes THEN (extract(epoch FROM pg_xact_commit_timestamp(opened_txid::xid)) * 1000000)::bigint END, \
    CASE WHEN kept.yes THEN (extract(epoch FROM pg_xact_commit_timestamp(settled_txid::xid)) * 1000000)::bigint END \
    FROM transfer, kept ORDER BY id";

/// Collects the tables of the channels' databases into `folder`, in the order of rows whichever database they are in.
///
/// # Errors
/// When the database refuses, a limit is hit or a file cannot be written.
pub async fn collect_channel(urls: &[String], folder: &RunFolder) -> Result<Evidence, EvidenceError> {
    let mut databases = Vec::new();
    for url in urls {
        let database = Database::connect("channel", url).await?;
        database.snapshot().await?;
        databases.push(database);
    }
    let databases = databases.as_slice();
    let mut evidence = Evidence::new();
    entries(databases, folder, &mut evidence).await?;
    let types = [Type::INT8, Type::INT8, Type::INT8, Type::BOOL];
    let row = |row: &BinaryCopyOutRow| {
        Ok(ChannelAccountRow {
            account: row.try_get(0)?,
            last_seq: row.try_get(1)?,
            balance: row.try_get(2)?,
            dirty: row.try_get(3)?,
        })
    };
    stream_merged(databases, (ACCOUNTS, &types), folder, &mut evidence, row, |row: &ChannelAccountRow| row.account)
        .await?;
    journal(databases, folder, &mut evidence).await?;
    letters(databases, folder, &mut evidence).await?;
    transfers(databases, folder, &mut evidence).await?;
    Ok(evidence)
}

async fn entries(databases: &[Database], folder: &RunFolder, evidence: &mut Evidence) -> Result<(), EvidenceError> {
    let types = [Type::INT8, Type::INT8, Type::UUID, Type::INT8, Type::INT8, Type::TEXT, Type::INT8];
    let row = |row: &BinaryCopyOutRow| {
        Ok(ChannelEntryRow {
            account: row.try_get(0)?,
            seq: row.try_get(1)?,
            transfer: row.try_get::<Uuid>(2)?.as_u128(),
            amount: row.try_get(3)?,
            balance_after: row.try_get(4)?,
            kind: row.try_get(5)?,
            posted_at_us: row.try_get(6)?,
        })
    };
    stream_merged(databases, (ENTRIES, &types), folder, evidence, row, |row: &ChannelEntryRow| (row.account, row.seq))
        .await
}

async fn journal(databases: &[Database], folder: &RunFolder, evidence: &mut Evidence) -> Result<(), EvidenceError> {
    let types = [
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::INT4,
        Type::INT8,
        Type::INT4,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
    ];
    let row = |row: &BinaryCopyOutRow| {
        Ok(ApplyJournalRow {
            journal_id: row.try_get(0)?,
            account: row.try_get(1)?,
            from_seq: row.try_get(2)?,
            to_seq: row.try_get(3)?,
            source: row.try_get(4)?,
            topic: row.try_get(5)?,
            partition: row.try_get(6)?,
            record_offset: row.try_get(7)?,
            generation: row.try_get(8)?,
            instance: row.try_get(9)?,
            txid: row.try_get(10)?,
            commit: row.try_get(11)?,
            ..ApplyJournalRow::default()
        })
    };
    stream_merged(databases, (JOURNAL, &types), folder, evidence, row, |row: &ApplyJournalRow| {
        (row.account, row.journal_id)
    })
    .await
}

async fn letters(databases: &[Database], folder: &RunFolder, evidence: &mut Evidence) -> Result<(), EvidenceError> {
    let types = [
        Type::INT4,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
    ];
    let row = |row: &BinaryCopyOutRow| {
        Ok(DeadLetterRow {
            partition: row.try_get(0)?,
            record_offset: row.try_get(1)?,
            account: row.try_get(2)?,
            seq: row.try_get(3)?,
            class: row.try_get(4)?,
            code: row.try_get(5)?,
            detail: row.try_get(6)?,
            attempts: row.try_get(7)?,
            redrives: row.try_get(8)?,
            parked_us: row.try_get(9)?,
            closed_us: row.try_get(10)?,
            closed_by: row.try_get(11)?,
        })
    };
    stream_merged(databases, (LETTERS, &types), folder, evidence, row, |row: &DeadLetterRow| {
        (row.partition, row.record_offset)
    })
    .await
}

async fn transfers(databases: &[Database], folder: &RunFolder, evidence: &mut Evidence) -> Result<(), EvidenceError> {
    let types = [
        Type::UUID,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::BYTEA,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
    ];
    let row = |row: &BinaryCopyOutRow| {
        Ok(ChannelTransferRow {
            transfer: row.try_get::<Uuid>(0)?.as_u128(),
            user: row.try_get(1)?,
            account: row.try_get(2)?,
            to_bank: row.try_get(3)?,
            to_account: row.try_get(4)?,
            amount: row.try_get(5)?,
            params_hash: row.try_get(6)?,
            stage: row.try_get(7)?,
            reason: row.try_get(8)?,
            seq: row.try_get(9)?,
            created_at_us: row.try_get(10)?,
            attempts: row.try_get(11)?,
            settled_txid: row.try_get(12)?,
            opened_commit: row.try_get(13)?,
            settled_commit: row.try_get(14)?,
        })
    };
    stream_merged(databases, (TRANSFERS, &types), folder, evidence, row, |row: &ChannelTransferRow| row.transfer).await
}
