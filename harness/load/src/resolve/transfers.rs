//! Transfers whose outcome is unknown: the channels are asked where they stand, again and again, and nothing else is done about them.
//!
//! In: rows of the load. Out: the same rows with verdicts, and every answer about a state. Elsewhere: one question (`states`).
//!
//! An id is asked about once, however many rows are open under it. Which of several sets of parameters it is bound to, its state does not
//! tell; where that matters, because it was completed, the amount of its row in the payer's history does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
use crate::lookup::{Got, read_page};
use crate::run::{ChannelAddress, DriveError};
use crate::sharding::Sharding;
use crate::states::{READ_TIMEOUT, Told, read_state};
use crate::wire::Address;

/// A transfer that every channel goes on not knowing for so long, with no load and no fault any more, never arrived: what was written to a
/// socket then is either read by now or lost with its connection.
const NEVER_ARRIVED: Duration = Duration::from_secs(5);

const DRIFTED: &str = "the id is bound to other parameters";

/// An id with open rows.
#[derive(Clone, Debug)]
struct Open {
    transfer: TransferId,
    /// Who pays.
    account: i64,
    asked: Vec<Asked>,
    /// Since when it is not known to the channels.
    unknown_since: Option<Instant>,
}

/// A row to be settled, and what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    index: usize,
    amount: i64,
    params_hash: Vec<u8>,
}

type Queue = Arc<Mutex<VecDeque<Open>>>;

/// What one worker found: verdicts by row, and every answer.
#[derive(Default)]
struct Found {
    endings: Vec<(usize, Ending)>,
    reads: Vec<TransferReadRow>,
    /// Pages of history that it took besides.
    pages: u64,
}

/// Asks the channels about each transfer whose first outcome is unknown until it is settled or `limit` has passed since the call. Rows
/// without a verdict keep `resolved` absent. An id that was sent with several sets of parameters tells of the one that it is bound to.
///
/// # Errors
/// [`DriveError::Address`] when an address cannot be used.
pub async fn read_transfers(
    rows: &mut [OperationRow],
    channels: &[ChannelAddress],
    sharding: Sharding,
    origin: Origin,
    limit: Duration,
) -> Result<(Resolved, Vec<TransferReadRow>), DriveError> {
    let until = Instant::now() + limit;
    let drifted = settle_drifted(rows);
    let open = open_transfers(rows);
    let open_rows: usize = open.iter().map(|open| open.asked.len()).sum();
    let mut facts = Resolved { unknown: drifted + open_rows as u64, resolved: drifted, attempts: 0 };
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
        tasks.spawn(work(Arc::clone(&queue), (Arc::clone(&instances), sharding), number, origin, until));
    }
    while let Some(done) = tasks.join_next().await {
        let found =
            done.map_err(|error| DriveError::Thread { name: "resolve".to_owned(), problem: error.to_string() })?;
        facts.attempts += found.reads.len() as u64 + found.pages;
        reads.extend(found.reads);
        for (index, ending) in found.endings {
            facts.resolved += 1;
            store(&mut rows[index], ending);
        }
    }
    Ok((facts, reads))
}

/// Every open transfer, by id.
fn open_transfers(rows: &[OperationRow]) -> VecDeque<Open> {
    let mut ids: BTreeMap<u128, Open> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| is_transfer(row) && is_open(row)) {
        let transfer = TransferId(Uuid::from_u128(row.transfer));
        let new = || Open { transfer, account: row.account, asked: Vec::new(), unknown_since: None };
        let asked = Asked { index, amount: row.amount, params_hash: row.params_hash.clone() };
        ids.entry(row.transfer).or_insert_with(new).asked.push(asked);
    }
    ids.into_values().collect()
}

fn is_transfer(row: &OperationRow) -> bool {
    row.kind != "deposit"
}

/// An id that is bound to other parameters: the open request under it was refused, whatever its answer would have been.
fn settle_drifted(rows: &mut [OperationRow]) -> u64 {
    let mut bound: BTreeMap<u128, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let was_taken = |row: &&OperationRow| row.http_status.is_some_and(|status| (200..=202).contains(&status));
    for row in rows.iter().filter(|row| is_transfer(row)).filter(was_taken) {
        bound.entry(row.transfer).or_default().insert(row.params_hash.clone());
    }
    let mut settled = 0;
    for row in rows.iter_mut().filter(|row| is_transfer(row) && is_open(row)) {
        if bound.get(&row.transfer).is_some_and(|hashes| !hashes.contains(&row.params_hash)) {
            settled += 1;
            store(row, Ending::without_answer(Outcome::Rejected, DRIFTED));
        }
    }
    settled
}

async fn work(
    queue: Queue,
    (instances, sharding): (Arc<[Instance]>, Sharding),
    number: usize,
    origin: Origin,
    until: Instant,
) -> Found {
    let mut found = Found::default();
    for turn in number.. {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(mut open) = next else { break };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let instance = sharding.pick(&instances, open.account, turn);
        let (read, told) = read_state(instance, open.transfer, &origin, READ_TIMEOUT.min(left)).await;
        found.reads.push(read);
        match told {
            Told::View(view) => {
                open.unknown_since = None;
                if view.state.is_terminal()
                    && let Some(endings) = open.endings(&view, instance, &origin, until, &mut found.pages).await
                {
                    found.endings.extend(endings);
                    continue;
                }
            }
            Told::NotFound => {
                let since = *open.unknown_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= NEVER_ARRIVED {
                    let ending = Ending::without_answer(Outcome::Failed, "no channel ever knew it");
                    found.endings.extend(open.asked.iter().map(|asked| (asked.index, ending.clone())));
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

impl Open {
    /// How its rows end, now that it is settled; `None` when that is not shown yet.
    ///
    /// One that was not completed has booked nothing under any parameters, so that its end is that of all rows.
    async fn endings(
        &self,
        view: &TransferView,
        instance: &Instance,
        origin: &Origin,
        until: Instant,
        pages: &mut u64,
    ) -> Option<Vec<(usize, Ending)>> {
        let is_one = self.asked.windows(2).all(|pair| pair[0].params_hash == pair[1].params_hash);
        if is_one || outcome_of(view.state) != Outcome::Ok {
            return Some(self.asked.iter().map(|asked| (asked.index, settled(view))).collect());
        }
        let timeout = READ_TIMEOUT.min(until.saturating_duration_since(Instant::now()));
        let cursor = view.seq.map(|seq| seq + 1);
        *pages += 1;
        let (_, got) = read_page(instance, self.account, None, cursor, origin, timeout).await;
        let Got::Page(page) = got else { return None };
        let entry = page.items.into_iter().find(|entry| entry.transfer == self.transfer)?;
        Some(self.by_amount(entry.amount.get(), view))
    }

    /// The rows that asked for what was booked have its state, the others were refused. Where the amount does not tell which those are,
    /// none gets a verdict: nobody knows.
    fn by_amount(&self, booked: i64, view: &TransferView) -> Vec<(usize, Ending)> {
        let is_it = |asked: &&Asked| asked.amount.checked_neg() == Some(booked);
        let bound: BTreeSet<&[u8]> =
            self.asked.iter().filter(is_it).map(|asked| asked.params_hash.as_slice()).collect();
        if bound.len() != 1 {
            return Vec::new();
        }
        let ending = |asked: &Asked| match is_it(&asked) {
            true => settled(view),
            false => Ending::without_answer(Outcome::Rejected, DRIFTED),
        };
        self.asked.iter().map(|asked| (asked.index, ending(asked))).collect()
    }
}

fn settled(view: &TransferView) -> Ending {
    let mut ending = Ending::without_answer(outcome_of(view.state), "");
    ending.detail = view.reason.map(|reason| reason.as_str().to_owned());
    Ending { seq: view.seq, status: Some(200), stage: Some(view.state), reason: view.reason, ..ending }
}

#[cfg(test)]
mod tests;
