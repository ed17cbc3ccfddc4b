//! Transfers whose outcome is unknown: the channels are asked where they stand, again and again, and nothing else is done about them.
//!
//! In: rows of the load. Out: the same rows with verdicts, and every answer. Elsewhere: one question (`states`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_contracts::channel_api::TransferView;
use bankstorm_contracts::{Outcome, TransferId};
use bankstorm_record::clock::Origin;
use bankstorm_record::rows::{OperationRow, TransferReadRow};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use super::{CONNECTIONS, PAUSE, Resolved, is_open, store};
use crate::answer::{Ending, outcome_of};
use crate::instance::Instance;
use crate::run::{ChannelAddress, DriveError};
use crate::states::{READ_TIMEOUT, Told, read_state};
use crate::wire::Address;

/// A transfer that every channel goes on not knowing for so long, with no load and no fault any more, never arrived: what was written to a
/// socket then is either read by now or lost with its connection.
const NEVER_ARRIVED: Duration = Duration::from_secs(5);

/// A row to be settled.
#[derive(Clone, Copy, Debug)]
struct Open {
    index: usize,
    transfer: TransferId,
    /// Since when it is not known to the channels.
    unknown_since: Option<Instant>,
}

type Queue = Arc<Mutex<VecDeque<Open>>>;

/// What one worker found: verdicts by row, and every answer.
#[derive(Default)]
struct Found {
    endings: Vec<(usize, Ending)>,
    reads: Vec<TransferReadRow>,
}

/// Asks the channels about each transfer whose first outcome is unknown until it is settled or `limit` has passed since the call. Rows
/// without a verdict keep `resolved` absent. An id that was sent with several sets of parameters tells of the one that it is bound to.
///
/// # Errors
/// [`DriveError::Address`] when an address cannot be used.
pub async fn read_transfers(
    rows: &mut [OperationRow],
    channels: &[ChannelAddress],
    origin: Origin,
    limit: Duration,
) -> Result<(Resolved, Vec<TransferReadRow>), DriveError> {
    let until = Instant::now() + limit;
    let drifted = settle_drifted(rows);
    let open: VecDeque<Open> = open_transfers(rows).collect();
    let mut facts = Resolved { unknown: drifted + open.len() as u64, resolved: drifted, attempts: 0 };
    let mut reads = Vec::new();
    if open.is_empty() || channels.is_empty() {
        return Ok((facts, reads));
    }
    let mut instances = Vec::new();
    for channel in channels {
        instances.push(Instance::new(channel.instance.clone(), Address::resolve(&channel.url).await?));
    }
    let (instances, workers): (Arc<[Instance]>, usize) = (instances.into(), open.len().min(CONNECTIONS));
    let queue: Queue = Arc::new(Mutex::new(open));
    let mut tasks = JoinSet::new();
    for number in 0..workers {
        tasks.spawn(work(Arc::clone(&queue), Arc::clone(&instances), number, origin, until));
    }
    while let Some(done) = tasks.join_next().await {
        let found =
            done.map_err(|error| DriveError::Thread { name: "resolve".to_owned(), problem: error.to_string() })?;
        facts.attempts += found.reads.len() as u64;
        reads.extend(found.reads);
        for (index, ending) in found.endings {
            facts.resolved += 1;
            store(&mut rows[index], ending);
        }
    }
    Ok((facts, reads))
}

/// Transfers that are open and alone in being answered under their id.
fn open_transfers(rows: &[OperationRow]) -> impl Iterator<Item = Open> {
    let open_ids = rows.iter().filter(|row| is_transfer(row) && is_open(row)).fold(
        BTreeMap::<u128, u32>::new(),
        |mut ids, row| {
            *ids.entry(row.transfer).or_default() += 1;
            ids
        },
    );
    let is_alone = move |row: &OperationRow| open_ids.get(&row.transfer) == Some(&1);
    let open = rows.iter().enumerate().filter(move |(_, row)| is_transfer(row) && is_open(row) && is_alone(row));
    open.map(|(index, row)| Open { index, transfer: TransferId(Uuid::from_u128(row.transfer)), unknown_since: None })
}

fn is_transfer(row: &OperationRow) -> bool {
    row.kind != "deposit"
}

/// An id that is bound to other parameters: the open request under it was refused, whatever its answer would have been.
fn settle_drifted(rows: &mut [OperationRow]) -> u64 {
    let bound: BTreeMap<u128, Vec<u8>> = rows
        .iter()
        .filter(|row| is_transfer(row) && row.http_status.is_some_and(|status| (200..=202).contains(&status)))
        .map(|row| (row.transfer, row.params_hash.clone()))
        .collect();
    let mut settled = 0;
    for row in rows.iter_mut().filter(|row| is_transfer(row) && is_open(row)) {
        if bound.get(&row.transfer).is_some_and(|hash| *hash != row.params_hash) {
            settled += 1;
            store(row, Ending::without_answer(Outcome::Rejected, "the id is bound to other parameters"));
        }
    }
    settled
}

async fn work(queue: Queue, instances: Arc<[Instance]>, number: usize, origin: Origin, until: Instant) -> Found {
    let mut found = Found::default();
    for turn in number.. {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(mut open) = next else { break };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let instance = &instances[turn % instances.len()];
        let (read, told) = read_state(instance, open.transfer, &origin, READ_TIMEOUT.min(left)).await;
        found.reads.push(read);
        match told {
            Told::View(view) if view.state.is_terminal() => {
                found.endings.push((open.index, settled(&view)));
                continue;
            }
            Told::View(_) => open.unknown_since = None,
            Told::NotFound => {
                let since = *open.unknown_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= NEVER_ARRIVED {
                    let ending = Ending::without_answer(Outcome::Failed, "no channel ever knew it");
                    found.endings.push((open.index, ending));
                    continue;
                }
            }
            Told::Nothing => {}
        }
        queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(open);
        tokio::time::sleep_until(until.min(Instant::now() + PAUSE)).await;
    }
    found
}

fn settled(view: &TransferView) -> Ending {
    let mut ending = Ending::without_answer(outcome_of(view.state), "");
    ending.detail = view.reason.map(|reason| reason.as_str().to_owned());
    Ending { seq: view.seq, status: Some(200), stage: Some(view.state), reason: view.reason, ..ending }
}
