//! Lookups: a share of the operations is read back through the channels' history, as a customer would.
//!
//! In: operations that were acknowledged, and transfers after which the customer looks once, whatever he finds. Out: every page read, and
//! when each entry was first shown. Elsewhere: which operations (`customers`), what pages must satisfy (`check`).
//!
//! They run on a thread and connections of their own, so that deposits are not disturbed, and ask the instances in turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::Outcome;
use bankstorm_contracts::channel_api::{DEFAULT_PAGE, HistoryPage};
use bankstorm_record::clock::{Origin, monotonic_ns};
use bankstorm_record::rows::{PageRow, VisibleRow, entry_hash, pending_bytes};
use bytes::Bytes;
use hyper::Method;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::answer::Ending;
use crate::instance::Instance;
use crate::run::{ChannelAddress, DriveError};
use crate::sharding::Sharding;
use crate::stop::Stop;
use crate::tally::{Count, Tally};
use crate::wire::{Address, Answer, NoAnswer};

/// One read gives up after this.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Lookups at the same time; further ones wait for their turn, within their own limit.
const LOOKUPS_MAX: usize = 256;
/// The first pause between two reads of a lookup; it doubles ...
const PAUSE_FIRST: Duration = Duration::from_millis(2);
/// ... up to this.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// An operation to be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) op: u64,
    pub(crate) account: i64,
    pub(crate) wanted: Wanted,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The entry of this serial, until it is shown.
    Entry(i64),
    /// The newest page, once.
    Newest,
}

/// What the lookup thread needs.
#[derive(Debug)]
pub(crate) struct Lookups {
    pub(crate) jobs: mpsc::UnboundedReceiver<Job>,
    /// Instance names and addresses.
    pub(crate) channels: Vec<(String, Address)>,
    pub(crate) sharding: Sharding,
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
    /// Operations whose entry was never shown within the limit.
    pub(crate) given_up: Vec<u64>,
    /// Operations after which nobody came to look within it.
    pub(crate) own_unread: Vec<u64>,
}

impl Lookups {
    /// Looks up on the calling thread until the last job has ended.
    pub(crate) fn run(mut self) -> std::io::Result<LookedUp> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(async {
            let instances: Arc<[Instance]> =
                self.channels.drain(..).map(|(name, address)| Instance::new(name, address)).collect();
            let mut running = JoinSet::new();
            let mut waiting = VecDeque::new();
            let mut all = LookedUp::default();
            let mut turn = 0;
            let mut more = true;
            loop {
                while running.len() < LOOKUPS_MAX
                    && let Some(lookup) = waiting.pop_front()
                {
                    running.spawn(Lookup::run(lookup, Arc::clone(&self.stop)));
                }
                tokio::select! {
                    biased;
                    Some(done) = running.join_next() => {
                        let (seen, wanted) = done.expect("a lookup does not panic");
                        all.add(seen, wanted, &self.tally);
                    }
                    job = self.jobs.recv(), if more => match job {
                        Some(job) if !instances.is_empty() => {
                            turn += 1;
                            let (instances, until) = (Arc::clone(&instances), Instant::now() + self.limit);
                            let (sharding, origin) = (self.sharding, self.origin);
                            waiting.push_back(Lookup { job, instances, sharding, turn, origin, until });
                        }
                        Some(job) => all.note_unread(job),
                        None => more = false,
                    },
                    else => break,
                }
            }
            all
        }))
    }
}

impl LookedUp {
    fn add(&mut self, one: Self, wanted: Wanted, tally: &Tally) {
        self.pages.extend(one.pages);
        self.first_reads.extend(one.first_reads);
        self.given_up.extend(one.given_up);
        self.own_unread.extend(one.own_unread);
        if wanted != Wanted::Newest {
            tally.add(Count::Lookup);
        }
    }

    fn note_unread(&mut self, job: Job) {
        match job.wanted {
            Wanted::Entry(_) => self.given_up.push(job.op),
            Wanted::Newest => self.own_unread.push(job.op),
        }
    }
}

/// One lookup.
struct Lookup {
    job: Job,
    instances: Arc<[Instance]>,
    sharding: Sharding,
    turn: usize,
    origin: Origin,
    /// When it is given up, whether it has begun or not.
    until: Instant,
}

impl Lookup {
    async fn run(self, stop: Arc<Stop>) -> (LookedUp, Wanted) {
        let (mut seen, wanted) = (LookedUp::default(), self.job.wanted);
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(self.until) => {}
            () = stop.raised() => {}
            () = async {
                match wanted {
                    Wanted::Entry(seq) => self.until_shown(seq, &mut seen).await,
                    Wanted::Newest => self.once(&mut seen).await,
                }
            } => {}
        }
        let is_unread = match wanted {
            Wanted::Entry(_) => seen.first_reads.is_empty(),
            Wanted::Newest => seen.pages.is_empty(),
        };
        if is_unread {
            seen.note_unread(self.job);
        }
        (seen, wanted)
    }

    /// Reads the newest page, which is what it is.
    async fn once(&self, seen: &mut LookedUp) {
        let Job { op, account, .. } = self.job;
        let instance = self.sharding.pick(&self.instances, account, self.turn);
        let (row, _) = read_page(instance, account, Some(op), None, &self.origin, READ_TIMEOUT).await;
        seen.pages.push(row);
    }

    /// Reads until the entry is on a page. What was read so far stays in `seen` when the caller gives up.
    async fn until_shown(&self, seq: i64, seen: &mut LookedUp) {
        let Job { op, account, .. } = self.job;
        let mut pause = PAUSE_FIRST;
        // The newest page first; an entry that has slid off it is asked for by its cursor.
        let mut cursor = None;
        for turn in self.turn.. {
            let instance = self.sharding.pick(&self.instances, account, turn);
            let (row, page) = read_page(instance, account, Some(op), cursor, &self.origin, READ_TIMEOUT).await;
            let completed_ns = row.completed_ns;
            seen.pages.push(row);
            if let Got::Page(page) = page {
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

/// What [`read_heads`] saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heads {
    /// One row per read; its outcome tells whether a page came.
    pub pages: Vec<PageRow>,
    /// Accounts of which no page came.
    pub unread: u64,
}

/// Reads the newest page of each account now, from the first channel that answers: for entries whose visible stamp died with its process
/// (D44). It ends after `limit` at the latest; a channel that is silent or cannot be connected to is not asked again.
///
/// # Errors
/// [`DriveError::Address`] when an address cannot be used.
pub async fn read_heads(
    channels: &[ChannelAddress],
    accounts: impl IntoIterator<Item = i64>,
    origin: Origin,
    limit: Duration,
) -> Result<Heads, DriveError> {
    let until = Instant::now() + limit;
    let mut instances = Vec::new();
    for channel in channels {
        let address = Address::resolve(&channel.url).await?;
        instances.push(Instance::new(channel.instance.clone(), address));
    }
    let mut heads = Heads::default();
    for account in accounts {
        let mut read = false;
        let mut next = 0;
        while !read && next < instances.len() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let timeout = READ_TIMEOUT.min(left);
            let (row, got) = read_page(&instances[next], account, None, None, &origin, timeout).await;
            heads.pages.push(row);
            match got {
                Got::Page(_) => read = true,
                Got::NoPage => next += 1,
                Got::Silence => drop(instances.remove(next)),
            }
        }
        heads.unread += u64::from(!read);
    }
    Ok(heads)
}

/// What a read came to.
pub(crate) enum Got {
    Page(HistoryPage),
    /// An answer, or a part of one, that is no page.
    NoPage,
    /// Nothing within its timeout, or no connection.
    Silence,
}

/// Reads one page and describes it.
pub(crate) async fn read_page(
    instance: &Instance,
    account: i64,
    op: Option<u64>,
    cursor: Option<i64>,
    origin: &Origin,
    timeout: Duration,
) -> (PageRow, Got) {
    let mut client = instance.take().await;
    let path = history_path(account, DEFAULT_PAGE, cursor);
    let invoked_ns = origin.moment(monotonic_ns());
    let exchange = tokio::time::timeout(timeout, client.exchange(Method::GET, &path, &Bytes::new())).await;
    let completed_ns = origin.moment(monotonic_ns());
    let (outcome, got) = match exchange {
        Ok(exchange) => {
            instance.give_back(client).await;
            read_answer(exchange)
        }
        // The connection goes with the client: its answer may still come.
        Err(_) => (Outcome::Unknown, Got::Silence),
    };
    let page = if let Got::Page(page) = &got { Some(page) } else { None };
    let asked = Page { account, op, cursor };
    (page_row(asked, instance.name(), (invoked_ns, completed_ns), outcome, page), got)
}

/// Where a page of history is asked for.
pub(crate) fn history_path(account: i64, limit: u32, cursor: Option<i64>) -> String {
    let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
    format!("/v1/accounts/{account}/history?limit={limit}{cursor}")
}

/// The page that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) account: i64,
    pub(crate) op: Option<u64>,
    pub(crate) cursor: Option<i64>,
}

/// The row of a page, from its request to its answer; moments since the origin.
pub(crate) fn page_row(
    asked: Page,
    instance: &str,
    (invoked_ns, completed_ns): (i64, i64),
    outcome: Outcome,
    page: Option<&HistoryPage>,
) -> PageRow {
    let mut row = PageRow {
        account: asked.account,
        invoked_ns,
        completed_ns,
        instance: instance.to_owned(),
        op: asked.op,
        cursor: asked.cursor,
        outcome: outcome.as_str().to_owned(),
        contiguous: true,
        ..PageRow::default()
    };
    if let Some(page) = page {
        describe(&mut row, page);
    }
    row
}

fn read_answer(exchange: Result<Answer, NoAnswer>) -> (Outcome, Got) {
    let is_unsent = matches!(exchange, Err(NoAnswer::Unsent(_)));
    let (ending, page) = Ending::of_read(exchange);
    let got = match page {
        Some(page) => Got::Page(page),
        None if is_unsent => Got::Silence,
        None => Got::NoPage,
    };
    (ending.outcome, got)
}

fn describe(row: &mut PageRow, page: &HistoryPage) {
    row.top_seq = page.items.first().map_or(0, |entry| entry.seq);
    row.bottom_seq = page.items.last().map_or(0, |entry| entry.seq);
    row.count = u32::try_from(page.items.len()).unwrap_or(u32::MAX);
    row.contiguous = page.items.windows(2).all(|pair| pair[0].seq == pair[1].seq + 1);
    row.as_of_seq = page.as_of_seq;
    row.stale = page.stale;
    row.next_cursor = page.next_cursor;
    row.pending = pending_bytes(page.pending.iter().map(|pending| pending.id.0.as_u128()));
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

#[cfg(test)]
mod tests;
