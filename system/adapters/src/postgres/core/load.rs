//! Accounts with history into core, by binary COPY, before a run begins.
//!
//! In: loaded accounts. Out: rows of account, transfer and entry with both legs, analysed and checkpointed. Loaded entries have no outbox
//! row: the channel's copy is loaded from the same source. Elsewhere: the source (`bulk`, the harness).

use std::pin::{Pin, pin};
use std::time::Duration;

use bankstorm_outside::StoreError;
use postgres_types::{ToSql, Type};
use tokio::time::timeout;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::{Client, Error};

use super::super::bulk::{LoadedAccount, check, counterpart, loaded_from, loaded_hash};
use super::super::error::store_error;
use super::connect_plain;

/// How long one chunk, ANALYZE or CHECKPOINT may take.
const CHUNK_LIMIT: Duration = Duration::from_secs(120);
/// Accounts per chunk: a chunk is held in memory once, as what the caller's iterator yields.
const CHUNK_ACCOUNTS: usize = 2_000;

/// Loads accounts; the tables must be there and hold none of them.
pub async fn bulk_load(url: &str, accounts: impl Iterator<Item = LoadedAccount>) -> Result<(), StoreError> {
    bulk_load_with_progress(url, accounts, |_| ()).await
}

/// [`bulk_load`]; `progress` is told the number of accounts loaded so far.
pub async fn bulk_load_with_progress(
    url: &str,
    accounts: impl Iterator<Item = LoadedAccount>,
    mut progress: impl FnMut(u64),
) -> Result<(), StoreError> {
    let (client, driver) = connect_plain(url).await?;
    let mut accounts = accounts;
    let mut loaded = 0;
    loop {
        let chunk: Vec<LoadedAccount> = accounts.by_ref().take(CHUNK_ACCOUNTS).collect();
        if chunk.is_empty() {
            break;
        }
        check(&chunk)?;
        limited("loading accounts", load_chunk(&client, &chunk)).await?;
        loaded += chunk.len() as u64;
        progress(loaded);
    }
    limited("ANALYZE", client.batch_execute("ANALYZE")).await?;
    limited("CHECKPOINT", client.batch_execute("CHECKPOINT")).await?;
    driver.abort();
    Ok(())
}

async fn limited<T>(what: &str, work: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
    match timeout(CHUNK_LIMIT, work).await {
        Ok(done) => done.map_err(|error| store_error(&error)),
        Err(_) => Err(StoreError::Unavailable(format!("{what} did not end within {CHUNK_LIMIT:?}"))),
    }
}

async fn load_chunk(client: &Client, chunk: &[LoadedAccount]) -> Result<(), Error> {
    let types = [Type::INT8, Type::INT8, Type::INT8, Type::TEXT];
    let mut writer = pin!(copy_in(client, "account (no, seq, balance, status)", &types).await?);
    for loaded in chunk {
        let head = loaded.head();
        row(&mut writer, &[&head.account.get(), &head.seq, &head.balance.get(), &loaded.status.as_str()]).await?;
    }
    writer.finish().await?;
    load_transfers(client, chunk).await?;
    load_legs(client, chunk).await
}

async fn load_transfers(client: &Client, chunk: &[LoadedAccount]) -> Result<(), Error> {
    let columns = "transfer (id, params_hash, kind, state, account, amount, party_bank, party_account, seq, balance_after, \
                   created_at_us, posted_at_us)";
    let (text, number) = (Type::TEXT, Type::INT8);
    let types = [
        Type::UUID,
        Type::BYTEA,
        text.clone(),
        text.clone(),
        number.clone(),
        number.clone(),
        text.clone(),
        text,
        number.clone(),
        number.clone(),
        number.clone(),
        number,
    ];
    let from = loaded_from();
    let mut writer = pin!(copy_in(client, columns, &types).await?);
    for entry in chunk.iter().flat_map(|loaded| &loaded.entries) {
        let hash = loaded_hash(entry);
        let values: [&(dyn ToSql + Sync); 12] = [
            &entry.transfer.0,
            &&hash.0[..],
            &entry.kind.as_str(),
            &"completed",
            &entry.account.get(),
            &entry.amount.get(),
            &from.bank,
            &from.account,
            &entry.seq,
            &entry.balance_after.get(),
            &entry.posted_at.0,
            &entry.posted_at.0,
        ];
        row(&mut writer, &values).await?;
    }
    writer.finish().await.map(drop)
}

async fn load_legs(client: &Client, chunk: &[LoadedAccount]) -> Result<(), Error> {
    let columns = "entry (transfer, account, seq, amount, balance_after, kind, posted_at_us)";
    let types = [Type::UUID, Type::INT8, Type::INT8, Type::INT8, Type::INT8, Type::TEXT, Type::INT8];
    let none: Option<i64> = None;
    let mut writer = pin!(copy_in(client, columns, &types).await?);
    for entry in chunk.iter().flat_map(|loaded| &loaded.entries) {
        let (id, kind, at) = (entry.transfer.0, entry.kind.as_str(), entry.posted_at.0);
        let (amount, balance) = (entry.amount.get(), entry.balance_after.get());
        row(&mut writer, &[&id, &entry.account.get(), &entry.seq, &amount, &balance, &kind, &at]).await?;
        // The harness's amounts are far from the one number that has no negative.
        let other = counterpart(entry.kind).expect("kinds are checked before they are loaded").get();
        row(&mut writer, &[&id, &other, &none, &amount.wrapping_neg(), &none, &kind, &at]).await?;
    }
    writer.finish().await.map(drop)
}

async fn copy_in(client: &Client, columns: &str, types: &[Type]) -> Result<BinaryCopyInWriter, Error> {
    let sink = client.copy_in(&format!("COPY {columns} FROM STDIN BINARY")).await?;
    Ok(BinaryCopyInWriter::new(sink, types))
}

async fn row(writer: &mut Pin<&mut BinaryCopyInWriter>, values: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
    writer.as_mut().write(values).await
}
