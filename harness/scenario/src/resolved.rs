//! The resolved scenario: values that the rest may trust.
//!
//! In: a checked file (`resolve`). Out: [`Scenario`]. Elsewhere: how it is typed, and the limits of each value (`file`, `resolve`).

mod objectives;

use std::time::Duration;

pub use bankstorm_faults::plan::Fault;

pub use crate::protections::Protections;

pub use self::objectives::{
    During, Figure, LatencyKind, Objective, OverloadObjectives, RecoveryFigure, RecoveryObjective,
};

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
    /// The other banks.
    pub banks: Banks,
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
    /// Objectives of core under a greater load.
    pub overload_slo: OverloadObjectives,
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
    /// Of whom a channel takes one transfer at a time (A5, D8).
    pub guard: Guard,
    /// How long a channel waits for core's answer to a transfer.
    pub call_timeout: Duration,
    /// How long core may still post a transfer; whole milliseconds.
    pub validity: Duration,
    /// From when the validity counts (D31).
    pub deadline: Deadline,
    /// The most requests in one posting transaction of core.
    pub core_batch: u32,
    /// Posting transactions of core at once.
    pub core_slots: u32,
    /// What each batch that core posts costs beyond the database's time.
    pub core_posting_cost: Duration,
    /// The most requests that core takes on and has not answered yet.
    pub core_admitted: u32,
    /// The age at which core cancels a hold that no other bank has answered (D39).
    pub outbound_expiry: Duration,
    /// What protects the bank.
    pub protections: Protections,
}

/// Of whom a channel takes one transfer at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Of each customer.
    User,
    /// Of each account that pays.
    Account,
}

impl Guard {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Account => "account",
        }
    }
}

/// From when a transfer's validity counts (D31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// From its arrival at core, by core's clock.
    Relative,
    /// From when the channel began it, by the channel's clock.
    Absolute,
}

impl Deadline {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relative => "relative",
            Self::Absolute => "absolute",
        }
    }
}

/// How the other banks answer; shares (0 to 1) are of credits.
#[derive(Clone, Debug, PartialEq)]
pub struct Banks {
    /// Answered by a callback after `delay`.
    pub late: f64,
    /// Never answered by themselves.
    pub never: f64,
    /// Answered twice.
    pub twice: f64,
    /// Refused for good.
    pub refused: f64,
    /// How long a late answer takes, from the shortest to the longest.
    pub delay: (Duration, Duration),
}

impl Default for Banks {
    /// Banks that credit everything and say so at once.
    fn default() -> Self {
        Self {
            late: 0.0,
            never: 0.0,
            twice: 0.0,
            refused: 0.0,
            delay: (Duration::from_millis(100), Duration::from_secs(2)),
        }
    }
}

impl System {
    /// The nodes that faults can be done to, by name.
    pub fn places(&self) -> Vec<String> {
        let channels = (0..self.channel_instances).map(|index| format!("channel-{index}"));
        let brokers = (1..=self.kafka_brokers).map(|number| format!("kafka-{number}"));
        let databases = ["postgres-core", "postgres-channel"].map(str::to_owned);
        let core = std::iter::once("core".to_owned());
        core.chain(channels).chain(["banks".to_owned()]).chain(databases).chain(brokers).collect()
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
    /// Customers, 1 to `count`, who share the accounts evenly.
    pub users: u64,
    /// Opening balance, in won.
    pub opening_balance_won: i64,
    /// Entries of each account before the run, the opening included.
    pub history_depth: u32,
    /// Which account an operation touches.
    pub skew: Skew,
    /// Accounts that do not let everything happen.
    pub stopped: Stopped,
}

/// Shares (0 to 1) of the accounts that do not let everything happen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stopped {
    /// Nothing.
    pub closed: f64,
    /// Nothing comes in.
    pub deposit: f64,
    /// Nothing goes out.
    pub withdrawal: f64,
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
    /// The part of the measured phase in which it is done, from its start; `None` is warm-up and all of it.
    pub window: Option<(Duration, Duration)>,
    /// When an answer is given up and the outcome is unknown.
    pub timeout: Duration,
    /// What follows a failed or unknown outcome.
    pub retry: Retry,
    /// Connections, shared by the sender threads.
    pub connections: u32,
    /// Share of operations (0 to 1) that are also looked up through the history API.
    pub lookup: f64,
    /// What customers do besides; of deposits, nothing.
    pub behaviour: Behaviour,
}

/// What customers do around their transfers; shares (0 to 1) are of transfers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Behaviour {
    /// What follows an unknown outcome.
    pub on_unknown: OnUnknown,
    /// Sent again within moments under another id.
    pub double_click: f64,
    /// The id used again for another amount.
    pub reuse_key: f64,
    /// Another transfer meanwhile, from a second device.
    pub two_devices: f64,
}

impl Default for Behaviour {
    /// A patient customer with one device, who clicks once.
    fn default() -> Self {
        Self { on_unknown: OnUnknown::Wait, double_click: 0.0, reuse_key: 0.0, two_devices: 0.0 }
    }
}

/// What a customer does whose transfer's outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknown {
    /// He asks how it stands until it is settled.
    Wait,
    /// He asks too, and sends the same again under another id.
    Resubmit,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// A deposit from another bank, at core.
    Deposit,
    /// A transfer inside the bank, at a channel.
    Transfer,
    /// A transfer to another bank, at a channel.
    Outbound,
}

impl Op {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 3] = [Self::Deposit, Self::Transfer, Self::Outbound];

    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Transfer => "transfer",
            Self::Outbound => "outbound",
        }
    }

    /// Whether a customer sends it to a channel.
    pub const fn is_transfer(self) -> bool {
        matches!(self, Self::Transfer | Self::Outbound)
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
    /// The same request under the same id, twice more at most.
    SameId,
}
