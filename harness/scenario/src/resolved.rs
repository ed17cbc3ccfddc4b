//! The resolved scenario: values that the rest may trust.
//!
//! In: a checked file (`resolve`). Out: [`Scenario`]. Elsewhere: how it is typed, and the limits of each value (`file`, `resolve`).

use std::time::Duration;

pub use bankstorm_faults::plan::Fault;

/// A whole scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The file's stem.
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// The seed of all planned randomness.
    pub seed: u64,
    /// How long each phase is.
    pub phases: Phases,
    /// The bank.
    pub system: System,
    /// Its accounts.
    pub accounts: Accounts,
    /// What customers do.
    pub load: Vec<Load>,
    /// What is broken on purpose, in the order of the file: `fault-0`, `fault-1` ..
    pub faults: Vec<Fault>,
    /// Images that the scenario asks for.
    pub images: Images,
    /// Objectives of latencies.
    pub slo: Vec<Objective>,
    /// Objectives of the way back after faults; empty without faults.
    pub recovery_slo: Vec<RecoveryObjective>,
    /// Markers that must have fired at least once (V2).
    pub markers: Vec<String>,
}

/// Lengths of phases; `resolve` and `heal` are limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phases {
    /// Load whose figures are not counted.
    pub warm_up: Duration,
    /// Load whose figures are.
    pub measure: Duration,
    /// How long the copy may take to converge once load has ended.
    pub heal: Duration,
    /// How long unknown outcomes may take to be resolved.
    pub resolve: Duration,
}

/// The bank under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Partitions of `core.entries`.
    pub partitions: u32,
    /// Channel processes.
    pub channel_instances: u32,
    /// Workers per assigned partition (D42).
    pub workers: u32,
    /// How a consumer spreads its work.
    pub worker_mode: WorkerMode,
    /// Waited once per account sync, before its transaction (D42).
    pub sync_cost: Duration,
    /// Kafka brokers: 1 or 3.
    pub kafka_brokers: u32,
}

impl System {
    /// The nodes that faults can be done to, by name.
    pub fn places(&self) -> Vec<String> {
        let channels = (0..self.channel_instances).map(|index| format!("channel-{index}"));
        let brokers = (1..=self.kafka_brokers).map(|number| format!("kafka-{number}"));
        let databases = ["postgres-core", "postgres-channel"].map(str::to_owned);
        std::iter::once("core".to_owned()).chain(channels).chain(databases).chain(brokers).collect()
    }
}

/// Images that the scenario asks for, each `name:tag`; `None` is the environment's own. A scenario does not know where it runs: an
/// environment without containers has no use for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// Both databases.
    pub postgres: Option<String>,
    /// The brokers.
    pub kafka: Option<String>,
    /// The cache.
    pub redis: Option<String>,
    /// Core and channels.
    pub services: Option<String>,
}

/// How a channel's consumer spreads its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerMode {
    /// One record after the other.
    Serial,
    /// A queue per account, one transaction an account.
    Keyed,
    /// A queue per account, several accounts a transaction.
    KeyedBatched,
}

/// The accounts.
#[derive(Clone, Debug, PartialEq)]
pub struct Accounts {
    /// How many.
    pub count: u64,
    /// Opening balance, in won.
    pub opening_balance_won: i64,
    /// Entries of each account before the run, the opening included.
    pub history_depth: u32,
    /// Which account an operation touches.
    pub skew: Skew,
}

/// Which account an operation touches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Skew {
    /// Each as likely as any other.
    Uniform,
    /// Zipf's law with this exponent, above 0.
    Zipf(f64),
    /// The first account takes this share (0 to 1), the rest is uniform.
    Hot(f64),
}

/// One stream of operations.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// What is done.
    pub op: Op,
    /// Operations a second, above 0.
    pub rate_per_s: f64,
    /// How they are spread in time.
    pub arrivals: Arrivals,
    /// When an answer is given up and the outcome is unknown.
    pub timeout: Duration,
    /// What follows a failed or unknown outcome.
    pub retry: Retry,
    /// Connections, shared by the sender threads.
    pub connections: u32,
    /// Share of operations (0 to 1) that are also looked up through the history API.
    pub lookup: f64,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// A deposit from another bank.
    Deposit,
}

impl Op {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
        }
    }
}

/// How operations are spread in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// Exponential gaps.
    Poisson,
}

/// What follows a failed or unknown outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing; the resolve phase settles it.
    None,
}

/// An objective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    /// For example `deposit.response.p99`; the same for every `during`.
    pub name: String,
    /// The operation.
    pub op: Op,
    /// Which latency.
    pub latency: LatencyKind,
    /// Which figure of it.
    pub figure: Figure,
    /// The most it may be.
    pub limit: Duration,
    /// Of which part of the measured phase.
    pub during: During,
}

/// A part of the measured phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum During {
    /// Neither while a fault lasts nor while the bank recovers from one.
    Steady,
    /// While a fault lasts.
    Fault,
    /// From the heal of a fault until the bank is as before.
    Recovery,
    /// The whole measured phase.
    All,
}

impl During {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Fault => "fault",
            Self::Recovery => "recovery",
            Self::All => "all",
        }
    }
}

/// An objective of the way back after each fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryObjective {
    /// For example `recovery.first_ok`.
    pub name: String,
    /// Which time.
    pub figure: RecoveryFigure,
    /// The most it may be, after any fault.
    pub limit: Duration,
}

/// Times of the way back, from the moment that a fault was healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecoveryFigure {
    /// Until the first operation succeeds.
    FirstOk,
    /// Until 90 % of the rate before the fault succeeds.
    Rate90,
    /// Until the copy's lag is as it was before.
    LagNormal,
}

impl RecoveryFigure {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 3] = [Self::FirstOk, Self::Rate90, Self::LagNormal];

    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstOk => "first_ok",
            Self::Rate90 => "rate_90",
            Self::LagNormal => "lag_normal",
        }
    }
}

/// The latencies of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LatencyKind {
    /// Intended -> acknowledged.
    Response,
    /// Written -> acknowledged.
    Service,
    /// Intended -> written.
    SendLag,
    /// Acknowledged -> visible.
    SyncLag,
    /// Intended -> visible.
    Visible,
}

impl LatencyKind {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Response, Self::Service, Self::SendLag, Self::SyncLag, Self::Visible];

    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Service => "service",
            Self::SendLag => "send_lag",
            Self::SyncLag => "sync_lag",
            Self::Visible => "visible",
        }
    }
}

/// Figures of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Mean.
    Mean,
    /// Median.
    P50,
    /// 90th percentile.
    P90,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P999,
    /// Largest.
    Max,
}

impl Figure {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 6] = [Self::Mean, Self::P50, Self::P90, Self::P99, Self::P999, Self::Max];

    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::Max => "max",
        }
    }
}
