//! The load of a run from start to end: threads are started, paced, drained and joined; every planned operation gets its row.
//!
//! In: [`DriveInput`]. Out: [`DriveResult`]. Elsewhere: the threads (`run/threads`) and their work (`pacer`, `sender`, `scroll`, `press`,
//! `lookup`, `watch`).

mod threads;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_customers::Plan;
use bankstorm_record::clock::{Origin, monotonic_ns};
use bankstorm_record::latency::CutOffs;
use bankstorm_record::rows::{OperationRow, PageRow, SyncRow, TransferReadRow, VisibleRow};
use bankstorm_scenario::resolved::Op;

use self::threads::{Addresses, Ended, Threads};
use crate::assemble;
use crate::lookup::LookedUp;
use crate::pacer::{Paced, nanos};
use crate::priority::raise_open_files;
use crate::sender::{self, Sent};
use crate::stop::Stop;
use crate::tally::Tally;
use crate::watch::Watched;
use crate::wire::Address;

/// A channel instance that transfers are sent to and lookups ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelAddress {
    /// Its name in evidence, for example `channel-0`.
    pub instance: String,
    /// For example `http://127.0.0.1:8080`.
    pub url: String,
}

/// What [`drive`] needs.
#[derive(Clone, Debug)]
pub struct DriveInput {
    /// What is to be done when.
    pub plan: Arc<Plan>,
    /// Core's address, for example `http://127.0.0.1:8080`.
    pub core_url: String,
    /// The channel instances, asked in turn.
    pub channels: Vec<ChannelAddress>,
    /// Zero of all moments.
    pub origin: Origin,
    /// The moment at which the plan begins, in nanoseconds since the origin; best a few hundred milliseconds ahead, so that connections
    /// and the first requests are ready. A moment that has passed is taken as it is, and shows as send lag.
    pub start_at_ns: i64,
    /// Ends the load early.
    pub stop: Arc<Stop>,
    /// Live counts.
    pub tally: Arc<Tally>,
    /// Settings of the generator itself.
    pub tuning: Tuning,
}

/// Settings of the generator itself; a scenario says nothing about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Sender threads.
    pub senders: usize,
    /// Operations that may wait between pacer and one sender thread, per load; more are missed and counted.
    pub ring: usize,
    /// How long a lookup goes on before it is given up.
    pub lookup_limit: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { senders: 1, ring: 65_536, lookup_limit: Duration::from_secs(10) }
    }
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct DriveResult {
    /// One row per planned operation, then one per transfer that was sent again under another id, sorted by `op`. `visible_ns` is still absent, `resolved` equals a first outcome that is terminal.
    pub operations: Vec<OperationRow>,
    /// Every page that a lookup, a watch, or one who scrolls read, sorted by (account, `invoked_ns`).
    pub pages: Vec<PageRow>,
    /// Every press of the button that was begun, sorted by (account, `invoked_ns`).
    pub syncs: Vec<SyncRow>,
    /// What became of the sessions of those who scroll.
    pub scrolls: ScrollFacts,
    /// How late the generator wrote each page of the measured phase, by `op`, in nanoseconds: those of [`ScrollFacts::send_lag`].
    pub scroll_lags: BTreeMap<u64, u64>,
    /// What channels told of transfers, sorted by (transfer, `invoked_ns`).
    pub transfer_reads: Vec<TransferReadRow>,
    /// First reads that showed a looked-up entry, instance `harness`: upper bounds of its visible time. Sorted by (account, `to_seq`).
    pub first_reads: Vec<VisibleRow>,
    /// Lookups that were given up at their limit.
    pub lookups_given_up: Vec<u64>,
    /// Transfers after which the customer was to read his history, and nobody got to it within the same limit.
    pub own_unread: Vec<u64>,
    /// When the plan began, in nanoseconds since the origin.
    pub started_ns: i64,
    /// When measuring began.
    pub measure_ns: i64,
    /// When the plan ended, or was interrupted.
    pub ended_ns: i64,
    /// From here on no deposit was sent or waited for: where misses enter histograms, at the earliest.
    pub cut_off_ns: i64,
    /// The stop cell ended it early.
    pub interrupted: bool,
    /// What the generator says of itself.
    pub generator: GeneratorFacts,
}

impl DriveResult {
    /// The cut-offs as far as the load alone knows them; a run whose phases are known has them from those ([`CutOffs::of`]).
    pub const fn cut_offs(&self) -> CutOffs {
        CutOffs { ended_ns: self.ended_ns, load_ns: self.cut_off_ns, visible_ns: self.cut_off_ns }
    }
}

/// What became of the sessions of those who scroll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrollFacts {
    /// Sessions that asked for a page at least.
    pub sessions: u64,
    /// Of them, begun within a planned one whose history had ended before.
    pub begun_again: u64,
    /// Pages that were asked for once more, since they had not come.
    pub asked_again: u64,
    /// The greatest `page_no` that was asked for.
    pub deepest: u32,
    /// Written minus when it could be written, measured phase: when it was due, the page before was answered, a connection was free and
    /// open, whichever came last. The generator's own lag. (The send lag of operations counts from when they were due, and so tells of the
    /// bank where pages are slower than customers scroll.)
    pub send_lag: PacingLag,
}

/// What the generator says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeneratorFacts {
    /// What each thread was granted, and how busy it was.
    pub threads: Vec<ThreadFacts>,
    /// Hand-over minus due, by the pacer alone, measured phase.
    pub pacing_lag: PacingLag,
    /// Operations missed because the ring to the senders was full.
    pub ring_full: u64,
    /// CPU share (0 to 1) of the busiest thread, over the span of [`ThreadFacts::wall_ns`].
    pub cpu_share_max: f64,
    /// How many files this process may have open, connections included; absent where it cannot be read.
    pub open_files_max: Option<u64>,
}

/// How a thread was scheduled.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreadFacts {
    /// `pacer`, `sender-0` ...
    pub name: String,
    /// `fifo`, `nice` or `normal`.
    pub priority: String,
    /// Timer slack in nanoseconds; absent where it could not be set.
    pub timer_slack_ns: Option<u64>,
    /// CPU time over the measured phase, in nanoseconds; over the warm-up where load was ended in it.
    pub cpu_ns: u64,
    /// Wall time of the same span, in nanoseconds.
    pub wall_ns: u64,
}

/// How late the pacer handed operations over, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacingLag {
    /// Operations.
    pub count: u64,
    /// Median.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// Largest.
    pub max_ns: u64,
}

/// Why load could not be driven at all. What goes wrong with single operations is in their rows.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// An address that cannot be used.
    #[error("address {url:?} cannot be used: {problem}; accepted is http://host:port")]
    Address {
        /// As given.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// Transfers or reads are planned, and there is nobody to send them to.
    #[error("the plan has operations for channels, but no channel was given")]
    NoChannel,
    /// A thread could not be started, or died.
    #[error("generator thread {name} {problem}")]
    Thread {
        /// Which.
        name: String,
        /// What happened.
        problem: String,
    },
}

/// Drives the plan: warm-up and measure in one go, until every operation has ended or was given up, and every lookup too. When the
/// returned future is dropped, the stop cell is raised, so that the threads end.
///
/// # Errors
/// [`DriveError`] when load cannot be driven at all.
pub async fn drive(input: DriveInput) -> Result<DriveResult, DriveError> {
    let open_files_max = raise_open_files();
    let core = Address::resolve(&input.core_url).await?;
    let mut channels = Vec::new();
    for channel in &input.channels {
        channels.push((channel.instance.clone(), Address::resolve(&channel.url).await?));
    }
    if channels.is_empty() && input.plan.scenario().load.iter().any(|load| load.op != Op::Deposit) {
        return Err(DriveError::NoChannel);
    }
    let addresses = Addresses { core, channels };
    let mut guard = RaiseOnDrop(Some(Arc::clone(&input.stop)));
    let start_ns = input.origin.monotonic_ns + input.start_at_ns;
    let threads = Threads::start(&input, start_ns, &addresses)?;
    let meters = threads.meters();
    let pacing = threads.pacer.join();
    tokio::pin!(pacing);
    let (paced, pacer) = tokio::select! {
        biased;
        paced = &mut pacing => paced?,
        () = until(start_ns + nanos(input.plan.measure_from())) => {
            meters.iter().for_each(|meter| meter.open());
            pacing.await?
        }
    };
    meters.iter().for_each(|meter| meter.close());
    let ((), prepare) = threads.prepare.join().await?;
    let mut ended = vec![pacer, prepare];
    let mut sent = Vec::new();
    for thread in threads.senders {
        let (value, sender) = thread.join().await?;
        sent.push(value);
        ended.push(sender);
    }
    let cut_off_ns = monotonic_ns();
    let (looked_up, lookup) = threads.lookup.join().await?;
    let (watched, watch) = threads.watch.join().await?;
    ended.extend([lookup, watch]);
    guard.0 = None;
    let threads = ended.into_iter().map(Ended::facts).collect();
    let saw = Saw { paced, sent, looked_up, watched };
    let mut done = result(&input, start_ns, saw, cut_off_ns, threads);
    done.generator.open_files_max = open_files_max;
    Ok(done)
}

/// Resolves at a moment of CLOCK_MONOTONIC, give or take a millisecond.
async fn until(at_ns: i64) {
    let left_ns = u64::try_from(at_ns - monotonic_ns()).unwrap_or(0);
    tokio::time::sleep(Duration::from_nanos(left_ns)).await;
}

/// Ends the threads when nobody waits for them any more.
struct RaiseOnDrop(Option<Arc<Stop>>);

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.raise();
        }
    }
}

/// What all threads saw.
struct Saw {
    paced: Paced,
    sent: Vec<Sent>,
    looked_up: LookedUp,
    watched: Watched,
}

fn result(input: &DriveInput, start_ns: i64, saw: Saw, cut_off_ns: i64, threads: Vec<ThreadFacts>) -> DriveResult {
    let Saw { paced, sent, looked_up, watched } = saw;
    let Watched { reads: mut transfer_reads, again, pages: watched_pages } = watched;
    let ring_full = paced.ring_full.len() as u64;
    let mut all = sender::Saw::default();
    sent.into_iter().for_each(|sent| all.add(sent.saw));
    let sender::Saw { seen, reads, pages: scrolled, mut syncs, mut scrolls, lags } = all;
    transfer_reads.extend(reads);
    let scroll_lags = lags.unwrap_or_default().into_map();
    scrolls.send_lag = PacingLag::of(scroll_lags.values().copied());
    let operations = assemble::rows(&input.plan, &input.origin, start_ns, seen, &paced.ring_full, again);
    let LookedUp { mut pages, mut first_reads, given_up, own_unread } = looked_up;
    pages.extend(watched_pages);
    pages.extend(scrolled);
    syncs.sort_by_key(|press| (press.account, press.invoked_ns));
    pages.sort_by_key(|page| (page.account, page.invoked_ns));
    transfer_reads.sort_by_key(|read| (read.transfer, read.invoked_ns));
    first_reads.sort_by_key(|read| (read.account, read.to_seq, read.at_ns));
    let share = |thread: &ThreadFacts| thread.cpu_ns as f64 / thread.wall_ns.max(1) as f64;
    let generator = GeneratorFacts {
        cpu_share_max: threads.iter().map(share).fold(0.0, f64::max),
        threads,
        pacing_lag: paced.lag,
        ring_full,
        open_files_max: None,
    };
    let started_ns = input.origin.moment(start_ns);
    DriveResult {
        operations,
        pages,
        syncs,
        scrolls,
        scroll_lags,
        transfer_reads,
        first_reads,
        lookups_given_up: given_up,
        own_unread,
        started_ns,
        measure_ns: started_ns + nanos(input.plan.measure_from()),
        ended_ns: input.origin.moment(paced.ended_ns),
        cut_off_ns: input.origin.moment(cut_off_ns),
        interrupted: paced.interrupted,
        generator,
    }
}
