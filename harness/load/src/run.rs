//! The load of a run from start to end: threads are started, paced, drained and joined; every planned operation gets its row.
//!
//! In: [`DriveInput`]. Out: [`DriveResult`]. Elsewhere: each thread's work (`pacer`, `sender`, `lookup`).

use std::sync::Arc;
use std::time::Duration;

use bankstorm_customers::Plan;
use bankstorm_record::clock::Origin;
use bankstorm_record::rows::{OperationRow, PageRow, VisibleRow};

use crate::stop::Stop;
use crate::tally::Tally;

/// A channel instance that lookups ask.
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
    /// One row per planned operation, sorted by `op`. `visible_ns` is still absent, `resolved` equals a first outcome that is terminal.
    pub operations: Vec<OperationRow>,
    /// Every page that a lookup read, sorted by (account, `invoked_ns`).
    pub pages: Vec<PageRow>,
    /// First reads that showed a looked-up entry, instance `harness`: upper bounds of its visible time. Sorted by (account, `to_seq`).
    pub first_reads: Vec<VisibleRow>,
    /// Lookups that were given up at their limit.
    pub lookups_given_up: u64,
    /// When the plan began, in nanoseconds since the origin.
    pub started_ns: i64,
    /// When measuring began.
    pub measure_ns: i64,
    /// When the plan ended, or was interrupted.
    pub ended_ns: i64,
    /// From here on nothing was sent or waited for: where misses enter histograms, at the earliest.
    pub cut_off_ns: i64,
    /// The stop cell ended it early.
    pub interrupted: bool,
    /// What the generator says of itself.
    pub generator: GeneratorFacts,
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
    /// CPU share (0 to 1) of the busiest thread over the load.
    pub cpu_share_max: f64,
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
    /// CPU time over the load, in nanoseconds.
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
    /// A thread could not be started, or died.
    #[error("generator thread {name} {problem}")]
    Thread {
        /// Which.
        name: String,
        /// What happened.
        problem: String,
    },
}
