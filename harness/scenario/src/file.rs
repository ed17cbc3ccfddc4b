//! Exactly what may be typed in a scenario file. Every key here does something today; unknown ones are refused.
//!
//! In: TOML. Out: [`File`], typed but not yet checked. Elsewhere: defaults and limits (`resolve`), how quantities look (`units`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{DurationText, RateText, ShareText};

/// A scenario: a bank, its accounts, what customers do, and what is expected of it.
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
    /// Markers that must have fired at least once, or the run shows nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markers: Option<Vec<String>>,
    /// How long each phase is.
    #[serde(default)]
    pub phases: Phases,
    /// The bank.
    #[serde(default)]
    pub system: System,
    /// Its accounts, loaded before warm-up.
    #[serde(default)]
    pub accounts: Accounts,
    /// What customers do.
    #[serde(default)]
    pub load: Vec<Load>,
    /// Objectives, such as `"deposit.response.p99" = "50ms"`.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::slo")]
    pub slo: BTreeMap<String, BTreeMap<String, BTreeMap<String, DurationText>>>,
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
    /// How long the copy may take to converge once load has ended; 30s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heal: Option<DurationText>,
    /// How long unknown outcomes may take to be resolved; 30s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolve: Option<DurationText>,
}

/// The bank.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Partitions of the topic of entries; 4 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i64>,
    /// Channel processes, which share the partitions; 2 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_instances: Option<i64>,
    /// Workers per assigned partition; 100 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<i64>,
    /// How a consumer spreads its work; `keyed_batched` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_mode: Option<WorkerMode>,
    /// Waited once per account sync, before its transaction; 0s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_cost: Option<DurationText>,
}

/// How a channel's consumer spreads its work.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerMode {
    /// One record after the other.
    Serial,
    /// A queue per account, one transaction an account.
    Keyed,
    /// A queue per account, several accounts a transaction.
    KeyedBatched,
}

/// The accounts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// How many; 10,000 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// Opening balance in whole won; 1,000,000 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opening_balance: Option<i64>,
    /// Entries of each account before the run, the opening included; 10 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_depth: Option<i64>,
    /// Which account an operation touches; `"uniform"` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew: Option<Skew>,
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
}

/// One stream of operations.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// What is done.
    pub op: Op,
    /// How often.
    pub rate: RateText,
    /// How operations are spread in time; `constant` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// When an answer is given up and the outcome is unknown; 5s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// What follows a failed or unknown outcome; `none` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Connections, each with one request in flight; 64 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<i64>,
    /// Share of operations that are also looked up through the history API; 1% unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup: Option<ShareText>,
}

/// What is done.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// A deposit from another bank.
    Deposit,
}

/// How operations are spread in time.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// Exponential gaps.
    Poisson,
}

/// What follows a failed or unknown outcome.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Nothing; the resolve phase settles it.
    None,
}
