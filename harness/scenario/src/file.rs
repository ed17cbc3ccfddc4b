//! Exactly what may be typed in a scenario file. Every key here does something today; unknown ones are refused.
//!
//! In: TOML. Out: [`File`], typed but not yet checked. Elsewhere: defaults and limits (`resolve`), how quantities look (`units`).

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

use crate::units::{DURATION_HINT, DurationText, RateText, ShareText, duration};

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
    /// What is broken on purpose, each under `[[fault]]`.
    #[serde(default)]
    pub fault: Vec<Fault>,
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
    /// Kafka brokers, 1 or 3; 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka_brokers: Option<i64>,
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

/// Something that is broken on purpose.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What is done: `node.kill`, `node.pause` or `node.restart`.
    #[schemars(schema_with = "crate::schema::fault_kind")]
    pub kind: String,
    /// To which node: `core`, `channel-0`, `postgres-core`, `postgres-channel`, `kafka-1` ..
    pub place: String,
    /// When: this long after the measured phase began, a second at least. Exactly one of `at` and `nth` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<DurationText>,
    /// When: once this many operations were sent, warm-up included; not before the measured phase is a second old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<i64>,
    /// For how long, and until load ends at most: `node.pause` needs it, `node.kill` lasts until the heal phase without it, `node.restart` refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts: Option<DurationText>,
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
    /// Core and channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<String>,
}

/// Objectives, by what they speak of.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// Of deposits: latency, figure, limits.
    #[serde(default)]
    pub deposit: BTreeMap<String, BTreeMap<String, Limits>>,
    /// Of the way back after a fault was healed: figure, limit.
    #[serde(default)]
    pub recovery: BTreeMap<String, DurationText>,
}

/// The limits of one figure: `"50ms"`, `{ limit = "50ms", during = "all" }`, or a list of such tables.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Limits {
    /// While no fault is at work.
    Steady(DurationText),
    /// During one part of the run.
    One(Limit),
    /// During several.
    Several(Vec<Limit>),
}

/// A limit, and of which part of the run.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The most it may be.
    pub limit: DurationText,
    /// Of which part of the run; `steady` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub during: Option<During>,
}

/// A part of the measured phase.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
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

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LimitsVisitor)
    }
}

struct LimitsVisitor;

impl<'de> Visitor<'de> for LimitsVisitor {
    type Value = Limits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DURATION_HINT}, or {{ limit = \"50ms\", during = \"all\" }}, or a list of such tables")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Limits, E> {
        let limit = duration(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))?;
        Ok(Limits::Steady(DurationText(limit)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Limits, A::Error> {
        Limit::deserialize(MapAccessDeserializer::new(map)).map(Limits::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Limits, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Limits::Several)
    }
}
