//! The resolved scenario: values that the rest may trust.
//!
//! In: a checked file (`resolve`). Out: [`Scenario`]. Elsewhere: how it is typed, and the limits of each value (`file`, `resolve`).

mod arm;
mod load;
mod objectives;
mod sweep;
mod system;

use std::collections::BTreeSet;
use std::time::Duration;

pub use bankstorm_faults::plan::Fault;

pub use crate::protections::Protections;

pub use self::arm::{Arm, Expect};
pub use self::load::{Arrivals, Behaviour, Load, OnUnknown, Op, Retry, Scroll};
pub use self::objectives::{
    DrainObjectives, During, Figure, LatencyKind, Objective, OverloadObjectives, RecoveryFigure, RecoveryObjective,
    ScrollObjectives,
};
pub use self::sweep::Sweep;
pub use self::system::{Deadline, Guard, HistorySource, ReadSync, SyncMode, System, WorkerMode};

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
    /// What `sweep` measures, where that is asked for.
    pub sweep: Option<Sweep>,
    /// Images that the scenario asks for.
    pub images: Images,
    /// Objectives of latencies.
    pub slo: Vec<Objective>,
    /// Objectives of the way back after faults; empty without faults.
    pub recovery_slo: Vec<RecoveryObjective>,
    /// Objectives of core under a greater load.
    pub overload_slo: OverloadObjectives,
    /// Objectives of how deep pages compare with the first ones.
    pub scroll_slo: ScrollObjectives,
    /// Objectives of working a backlog off.
    pub drain_slo: DrainObjectives,
    /// Markers that must have fired at least once (V2).
    pub markers: Vec<String>,
    /// The same once more with something else, in the order of the file; those of an arm are none.
    pub arms: Vec<Arm>,
}

impl Scenario {
    /// The links that faults name, each once, in order: all others stay direct.
    pub fn proxied(&self) -> Vec<(String, String)> {
        let ends = self.faults.iter().filter_map(|fault| bankstorm_faults::nodes::ends(&fault.place));
        let ends: BTreeSet<(&str, &str)> = ends.collect();
        ends.into_iter().map(|(from, to)| (from.to_owned(), to.to_owned())).collect()
    }
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
    /// One after the other, each once before any comes again.
    Each,
}
