//! The resolve phase: core is asked for a verdict on every deposit whose outcome is unknown. Transfers are only asked about (D32): a
//! channel that leaves one open must not be helped.
//!
//! In: rows of the load. Out: the same rows with verdicts, as far as there were any within the limit. Elsewhere: transfers
//! (`resolve/transfers`), what `resolve` does in core.

mod transfers;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_contracts::{Outcome, TransferId};
use bankstorm_record::rows::OperationRow;
use bytes::Bytes;
use hyper::Method;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::answer::Ending;
use crate::run::DriveError;
use crate::wire::{Address, Client, NoAnswer};
pub use transfers::read_transfers;

/// Requests at the same time.
const CONNECTIONS: usize = 16;
/// One attempt gives up after this; core's own limit for a tombstone is 1 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts on one transfer.
const PAUSE: Duration = Duration::from_millis(100);

/// How it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Outcomes that were unknown.
    pub unknown: u64,
    /// Of them, now with a verdict.
    pub resolved: u64,
    /// Requests that it took.
    pub attempts: u64,
}

type Queue = Arc<Mutex<VecDeque<(usize, TransferId)>>>;

/// Asks core about each deposit whose first outcome is unknown, again and again until there is a verdict or `limit` has passed since the
/// call. Rows without a verdict keep `resolved` absent.
///
/// # Errors
/// [`DriveError::Address`] when `core_url` cannot be used.
pub async fn resolve_unknown(
    rows: &mut [OperationRow],
    core_url: &str,
    limit: Duration,
) -> Result<Resolved, DriveError> {
    let unknown: VecDeque<_> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.kind == "deposit" && is_open(row))
        .map(|(index, row)| (index, TransferId(Uuid::from_u128(row.transfer))))
        .collect();
    let mut facts = Resolved { unknown: unknown.len() as u64, ..Resolved::default() };
    if unknown.is_empty() {
        return Ok(facts);
    }
    let address = Address::resolve(core_url).await?;
    let until = tokio::time::Instant::now() + limit;
    let workers = unknown.len().min(CONNECTIONS);
    let queue: Queue = Arc::new(Mutex::new(unknown));
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        tasks.spawn(work(Arc::clone(&queue), Client::new(address.clone()), until));
    }
    while let Some(done) = tasks.join_next().await {
        let (attempts, endings) =
            done.map_err(|error| DriveError::Thread { name: "resolve".to_owned(), problem: error.to_string() })?;
        facts.attempts += attempts;
        for (index, ending) in endings {
            facts.resolved += 1;
            store(&mut rows[index], ending);
        }
    }
    Ok(facts)
}

/// Whether nobody knows yet what became of it.
fn is_open(row: &OperationRow) -> bool {
    row.outcome.as_deref() == Some(Outcome::Unknown.as_str()) && row.resolved.is_none()
}

fn store(row: &mut OperationRow, ending: Ending) {
    row.resolved = Some(ending.outcome.as_str().to_owned());
    row.seq = ending.seq;
    row.balance_after = ending.balance_after;
    row.http_status = ending.status.map(u32::from).or(row.http_status);
    row.detail = match (row.detail.take(), ending.detail) {
        (Some(first), Some(then)) => Some(format!("{first}; then {then}")),
        (first, then) => then.or(first),
    };
}

async fn work(queue: Queue, mut client: Client, until: tokio::time::Instant) -> (u64, Vec<(usize, Ending)>) {
    let no_body = Bytes::new();
    let mut attempts = 0;
    let mut endings = Vec::new();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((index, transfer)) = next else { return (attempts, endings) };
        if tokio::time::Instant::now() >= until {
            return (attempts, endings);
        }
        attempts += 1;
        let attempt_until = until.min(tokio::time::Instant::now() + ATTEMPT_TIMEOUT);
        let path = format!("/v1/transfers/{transfer}/resolve");
        let exchange = client.exchange(Method::POST, &path, &no_body);
        let exchange = match tokio::time::timeout_at(attempt_until, exchange).await {
            Ok(exchange) => exchange,
            Err(_) => {
                client.drop_connection();
                Err(NoAnswer::Lost("resolve was not answered".to_owned()))
            }
        };
        let status = exchange.as_ref().ok().map(|answer| answer.status);
        let ending = Ending::of_core(transfer, exchange);
        // Only a verdict on the transfer settles it. A refusal of the question itself (a 4xx, a 503) says nothing about the deposit.
        if matches!(status, Some(200 | 201)) && matches!(ending.outcome, Outcome::Ok | Outcome::Rejected) {
            endings.push((index, ending));
            continue;
        }
        queue.lock().unwrap_or_else(PoisonError::into_inner).push_back((index, transfer));
        tokio::time::sleep_until(until.min(tokio::time::Instant::now() + PAUSE)).await;
    }
}
