//! Exactly what may be typed in a scenario file. Every key here does something today; unknown ones are refused.
//!
//! In: TOML. Out: [`File`], typed but not yet checked. Elsewhere: defaults and limits (`resolve`), how quantities look (`units`).

mod arm;
mod fault;
mod load;
mod slo;
mod sweep;
mod system;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::arm::{Arm, Expect};
pub use self::fault::{Fault, Way, When};
pub use self::load::{Arrivals, Load, OnUnknown, Op, Retry, ScrollFrom};
pub use self::slo::{Drain, During, Latencies, Limit, Limits, Overload, ScrollSlo, Slo};
pub use self::sweep::{Anchor, Sweep, SweepMode};
pub use self::system::{Deadline, Guard, HistorySource, ReadSync, SyncMode, System, WorkerMode};
use crate::units::{DurationText, ShareText};

/// A scenario: a bank, its accounts, what customers do, what is broken, and what is expected of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Scenario")]
pub struct File {
    /// What the scenario is called; the file's name unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it shows, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The seed of all planned randomness (0 to 9223372036854775807); 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Markers that must have fired at least once, or the run shows nothing; of `a|b` one is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markers: Option<Vec<String>>,
    /// How long each phase is.
    #[serde(default)]
    pub phases: Phases,
    /// The bank.
    #[serde(default)]
    pub system: System,
    /// The other banks.
    #[serde(default)]
    pub banks: Banks,
    /// Its accounts, loaded before warm-up.
    #[serde(default)]
    pub accounts: Accounts,
    /// What customers do.
    #[serde(default)]
    pub load: Vec<Load>,
    /// What is broken on purpose, each under `[[fault]]`.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// The same once more with something else, each under `[[arm]]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arm: Vec<Arm>,
    /// A grid of settings that `sweep` measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
    /// Images of the containers, where there are containers.
    #[serde(default)]
    pub images: Images,
    /// Objectives, such as `"deposit.response.p99" = "50ms"`, and of scenarios with faults `"recovery.first_ok" = "5s"`.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::slo")]
    pub slo: Slo,
}

/// How long each phase is.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Load whose figures are not counted; 5s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<DurationText>,
    /// Load whose figures are; 20s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<DurationText>,
    /// How long the bank may take after load to be whole again: faults to be healed, then the copy to converge; 30s each unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heal: Option<DurationText>,
    /// How long unknown outcomes may take to be known once load has ended: deposits are resolved at core, transfers only asked about; 30s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolve: Option<DurationText>,
}

/// The other banks: how they answer. All shares are of credits, and none unless given; `late`, `never` and `twice` are 1 together at most.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Banks {
    /// Taken on at once, and answered by a callback after `delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<ShareText>,
    /// Neither decided in the answer nor told by a callback: only whoever asks again learns it. Half of them get no answer at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub never: Option<ShareText>,
    /// Core is called back twice, at once and after `delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twice: Option<ShareText>,
    /// Refused, for good, in whichever way that is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<ShareText>,
    /// How long a late answer takes, or the second of two, from the shortest to the longest; `["100ms", "2s"]` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<[DurationText; 2]>,
}

/// The accounts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// How many; 10,000 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// Customers, who share the accounts evenly; as many as accounts unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<i64>,
    /// Opening balance in whole won; 1,000,000 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opening_balance: Option<i64>,
    /// Entries of each account before the run, the opening included; 10 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_depth: Option<i64>,
    /// Which account an operation touches; `"uniform"` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew: Option<Skew>,
    /// Share of accounts that are closed; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ShareText>,
    /// Share of accounts that nothing comes into; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deposit_stopped: Option<ShareText>,
    /// Share of accounts that nothing goes out of; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawal_stopped: Option<ShareText>,
}

/// Which account an operation touches.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Skew {
    /// `"uniform"`: each as likely as any other.
    Uniform,
    /// `{ zipf = 1.1 }`: Zipf's law with this exponent.
    Zipf(f64),
    /// `{ hot = "20%" }`: the first account takes this share, the rest is uniform.
    Hot(ShareText),
    /// `"each"`: one after the other, each once before any comes again.
    Each,
}

/// Images of the containers, each `name:tag`; the environment's own unless given. Without containers they are not used.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// Both databases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<String>,
    /// The brokers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<String>,
    /// The cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
    /// Core, channels and the other banks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<String>,
}
