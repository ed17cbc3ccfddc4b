//! Lookups: a share of the deposits is read back through the channels' history, as a customer would.
//!
//! In: acknowledged deposits. Out: every page read, and when each entry was first shown. Elsewhere: which deposits (`customers`), what
//! pages must satisfy (`check`).
//!
//! They run on a thread and connections of their own, so that deposits are not disturbed, and ask the instances in turn.

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::Outcome;
use bankstorm_contracts::channel_api::{DEFAULT_PAGE, HistoryPage};
use bankstorm_record::clock::{Origin, monotonic_ns};
use bankstorm_record::rows::{PageRow, VisibleRow, entry_hash};
use bytes::Bytes;
use hyper::Method;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::run::{ChannelAddress, DriveError};
use crate::stop::Stop;
use crate::tally::{Count, Tally};
use crate::wire::{Address, Answer, Client, NoAnswer};

/// One read gives up after this.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// The first pause between two reads of a lookup; it doubles ...
const PAUSE_FIRST: Duration = Duration::from_millis(2);
/// ... up to this.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// A deposit to be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) op: u64,
    pub(crate) account: i64,
    pub(crate) seq: i64,
}

/// What the lookup thread needs.
#[derive(Debug)]
pub(crate) struct Lookups {
    pub(crate) jobs: mpsc::UnboundedReceiver<Job>,
    /// Instance names and addresses.
    pub(crate) channels: Vec<(String, Address)>,
    pub(crate) origin: Origin,
    pub(crate) limit: Duration,
    pub(crate) stop: Arc<Stop>,
    pub(crate) tally: Arc<Tally>,
}

/// What it saw.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    pub(crate) pages: Vec<PageRow>,
    pub(crate) first_reads: Vec<VisibleRow>,
    pub(crate) given_up: u64,
}

/// Connections to one instance that are not in use.
#[derive(Debug)]
struct Instance {
    name: String,
    address: Address,
    idle: Mutex<Vec<Client>>,
}

impl Lookups {
    /// Looks up on the calling thread until the last job has ended.
    pub(crate) fn run(mut self) -> std::io::Result<LookedUp> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(async {
            let instances: Arc<[Instance]> = self
                .channels
                .drain(..)
                .map(|(name, address)| Instance { name, address, idle: Mutex::default() })
                .collect();
            let mut running = JoinSet::new();
            let mut all = LookedUp::default();
            let mut turn = 0;
            loop {
                tokio::select! {
                    biased;
                    Some(done) = running.join_next() => all.add(done.expect("a lookup does not panic"), &self.tally),
                    job = self.jobs.recv() => match job {
                        Some(job) if !instances.is_empty() => {
                            turn += 1;
                            let lookup = Lookup { job, instances: Arc::clone(&instances), turn, origin: self.origin };
                            running.spawn(lookup.run(self.limit, Arc::clone(&self.stop)));
                        }
                        Some(_) => all.given_up += 1,
                        None => break,
                    },
                }
            }
            while let Some(done) = running.join_next().await {
                all.add(done.expect("a lookup does not panic"), &self.tally);
            }
            all
        }))
    }
}

impl LookedUp {
    fn add(&mut self, one: Self, tally: &Tally) {
        self.pages.extend(one.pages);
        self.first_reads.extend(one.first_reads);
        self.given_up += one.given_up;
        tally.add(Count::Lookup);
    }
}

/// One lookup.
struct Lookup {
    job: Job,
    instances: Arc<[Instance]>,
    turn: usize,
    origin: Origin,
}

impl Lookup {
    async fn run(self, limit: Duration, stop: Arc<Stop>) -> LookedUp {
        let mut seen = LookedUp::default();
        tokio::select! {
            biased;
            () = self.until_shown(&mut seen) => {}
            () = tokio::time::sleep(limit) => {}
            () = stop.raised() => {}
        }
        seen.given_up = u64::from(seen.first_reads.is_empty());
        seen
    }

    /// Reads until the entry is on a page. What was read so far stays in `seen` when the caller gives up.
    async fn until_shown(&self, seen: &mut LookedUp) {
        let Job { op, account, seq } = self.job;
        let mut pause = PAUSE_FIRST;
        // The newest page first; an entry that has slid off it is asked for by its cursor.
        let mut cursor = None;
        for turn in self.turn.. {
            let instance = &self.instances[turn % self.instances.len()];
            let (row, page) = read_page(instance, account, Some(op), cursor, &self.origin).await;
            let completed_ns = row.completed_ns;
            seen.pages.push(row);
            if let Some(page) = page {
                if page.items.iter().any(|entry| entry.seq == seq) {
                    let (from_seq, to_seq, instance) = (seq - 1, seq, "harness".to_owned());
                    seen.first_reads.push(VisibleRow { account, from_seq, to_seq, at_ns: completed_ns, instance });
                    return;
                }
                let slid_off = page.as_of_seq >= seq && page.items.last().is_some_and(|oldest| oldest.seq > seq);
                cursor = slid_off.then_some(seq + 1);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Reads the newest page of each account now, from the first channel that answers: for entries whose visible stamp died with its process
/// (D44). One row per read; its outcome tells whether a page came.
pub async fn read_heads(
    channels: &[ChannelAddress],
    accounts: impl IntoIterator<Item = i64>,
    origin: Origin,
) -> Result<Vec<PageRow>, DriveError> {
    let mut instances = Vec::new();
    for channel in channels {
        let address = Address::resolve(&channel.url).await?;
        instances.push(Instance { name: channel.instance.clone(), address, idle: Mutex::default() });
    }
    let mut pages = Vec::new();
    for account in accounts {
        for instance in &instances {
            let (row, page) = read_page(instance, account, None, None, &origin).await;
            pages.push(row);
            if page.is_some() {
                break;
            }
        }
    }
    Ok(pages)
}

/// Reads one page and describes it.
async fn read_page(
    instance: &Instance,
    account: i64,
    op: Option<u64>,
    cursor: Option<i64>,
    origin: &Origin,
) -> (PageRow, Option<HistoryPage>) {
    let mut client = match instance.idle.lock().await.pop() {
        Some(client) => client,
        None => Client::new(instance.address.clone()),
    };
    let mut path = format!("/v1/accounts/{account}/history?limit={DEFAULT_PAGE}");
    if let Some(cursor) = cursor {
        path += &format!("&cursor={cursor}");
    }
    let invoked_ns = origin.moment(monotonic_ns());
    let exchange = tokio::time::timeout(READ_TIMEOUT, client.exchange(Method::GET, &path, &Bytes::new())).await;
    let completed_ns = origin.moment(monotonic_ns());
    let (outcome, page) = match exchange {
        Ok(exchange) => {
            instance.idle.lock().await.push(client);
            read_answer(exchange)
        }
        // The connection goes with the client: its answer may still come.
        Err(_) => (Outcome::Unknown, None),
    };
    let mut row = PageRow {
        account,
        invoked_ns,
        completed_ns,
        instance: instance.name.clone(),
        op,
        cursor,
        outcome: outcome.as_str().to_owned(),
        top_seq: 0,
        bottom_seq: 0,
        count: 0,
        contiguous: true,
        rows_hash: 0,
        as_of_seq: 0,
        stale: false,
    };
    if let Some(page) = &page {
        describe(&mut row, page);
    }
    (row, page)
}

fn read_answer(exchange: Result<Answer, NoAnswer>) -> (Outcome, Option<HistoryPage>) {
    match exchange {
        Ok(Answer { status: 200, body }) => match serde_json::from_slice(&body) {
            Ok(page) => (Outcome::Ok, Some(page)),
            Err(_) => (Outcome::Unknown, None),
        },
        Ok(Answer { status, .. }) => (Outcome::of_http(status, false, None), None),
        Err(NoAnswer::Unsent(_)) => (Outcome::Failed, None),
        Err(NoAnswer::Lost(_)) => (Outcome::Unknown, None),
    }
}

fn describe(row: &mut PageRow, page: &HistoryPage) {
    row.top_seq = page.items.first().map_or(0, |entry| entry.seq);
    row.bottom_seq = page.items.last().map_or(0, |entry| entry.seq);
    row.count = u32::try_from(page.items.len()).unwrap_or(u32::MAX);
    row.contiguous = page.items.windows(2).all(|pair| pair[0].seq == pair[1].seq + 1);
    row.as_of_seq = page.as_of_seq;
    row.stale = page.stale;
    row.rows_hash = page.items.iter().fold(0, |sum: u64, entry| {
        sum.wrapping_add(entry_hash(
            entry.account.get(),
            entry.seq,
            entry.transfer.0.as_u128(),
            entry.amount.get(),
            entry.balance_after.get(),
            entry.kind.as_str(),
        ))
    });
}
