//! Accounts with history into the channel's copy, by binary COPY, before a run begins.
//!
//! In: loaded accounts. Out: entries and sync rows, analysed and checkpointed; no journal, since nothing was applied. Elsewhere: the
//! source (`bulk`, the harness), core's side of the same accounts (`core::load`).

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bankstorm_outside::StoreError;
use postgres_types::Type;
use tokio::time::timeout;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::{Client, Error};

use super::connect_plain;
use crate::postgres::bulk::{LoadedAccount, check};
use crate::postgres::error::store_error;

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
    let sink = client.copy_in("COPY account_sync (account, last_seq, balance) FROM STDIN BINARY").await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT8, Type::INT8, Type::INT8]));
    for loaded in chunk {
        let head = loaded.head();
        writer.as_mut().write(&[&head.account.get(), &head.seq, &head.balance.get()]).await?;
    }
    writer.finish().await?;

    let columns = "account, seq, transfer, amount, balance_after, kind, posted_at_us";
    let sink = client.copy_in(&format!("COPY entry ({columns}) FROM STDIN BINARY")).await?;
    let types = [Type::INT8, Type::INT8, Type::UUID, Type::INT8, Type::INT8, Type::TEXT, Type::INT8];
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for entry in chunk.iter().flat_map(|loaded| &loaded.entries) {
        let (account, amount, balance) = (entry.account.get(), entry.amount.get(), entry.balance_after.get());
        let (id, kind, at) = (entry.transfer.0, entry.kind.as_str(), entry.posted_at.0);
        writer.as_mut().write(&[&account, &entry.seq, &id, &amount, &balance, &kind, &at]).await?;
    }
    writer.finish().await.map(drop)
}
