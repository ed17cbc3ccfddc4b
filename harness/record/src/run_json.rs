//! `run.json`: the summary of a run, with stable names and a committed JSON Schema.
//!
//! In: figures from load and environment, verdicts from checks. Out: [`RunJson`]. Elsewhere: how verdicts are reached (`check`), how
//! they are shown (`report`). Fields of parts that do not exist yet are empty, not invented.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Origin;

mod following;
mod overload;

pub use following::{ArmRecord, DepthRecord, DrainRecord, SparedPart, SparedRecord};
pub use overload::{DepositEndings, OverloadRecord};

/// The schema number that this build writes.
pub const SCHEMA: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunJson {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Unique name of the run, also its folder's.
    pub run_id: String,
    /// The scenario's name.
    pub scenario: String,
    /// The seed of all planned randomness.
    pub seed: u64,
    /// `local`, `containers` or `external`.
    pub environment: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC; absent until the run ended.
    pub ended_at: Option<String>,
    /// The process's exit code; absent until the run ended.
    pub exit_code: Option<i32>,
    /// Which Bankstorm.
    pub bankstorm: Build,
    /// Protections that were switched off.
    pub r#unsafe: Vec<String>,
    /// Link of the bank, from who connects to who listens -> `direct` or `proxied`.
    pub links: BTreeMap<String, String>,
    /// Zero of all moments.
    #[schemars(with = "BTreeMap<String, i64>")]
    pub origin: Origin,
    /// Fingerprints.
    pub digests: Digests,
    /// When each phase was, in order.
    pub phases: Vec<PhaseSpan>,
    /// Evidence file -> rows and hash.
    pub evidence: BTreeMap<String, EvidenceFile>,
    /// Whether the run may be believed.
    pub validity: Validity,
    /// Whether the guarantees held.
    pub guarantees: Guarantees,
    /// Whether the objectives were met.
    pub slo: Slo,
    /// Operation -> counts.
    pub load: BTreeMap<String, LoadCounts>,
    /// Operation -> `response`, `service`, `send_lag`, `sync_lag`, `visible` -> figures of the measured phase.
    pub latency_us: BTreeMap<String, BTreeMap<String, Latency>>,
    /// `steady`, `fault`, `recovery` -> the same for the operations that belong to that part; empty unless a planned fault fired.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub latency_during_us: BTreeMap<String, BTreeMap<String, BTreeMap<String, Latency>>>,
    /// Faults, planned and unplanned.
    pub faults: Vec<FaultRecord>,
    /// Marker -> how often it fired.
    pub markers: BTreeMap<String, u64>,
    /// Recovery times, one row for each planned fault that fired.
    pub recovery: Vec<RecoveryRecord>,
    /// How long core took to post what it had admitted, by parts of the measured phase: one part, or several where load came and went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub posting: Vec<PostingSpan>,
    /// What a load of deposits that came and went did to core; absent unless there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overload: Option<OverloadRecord>,
    /// What core was spared; absent where nothing was read or posted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spared: Option<SparedRecord>,
    /// How deep pages compare with the first ones; absent where nobody scrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<DepthRecord>,
    /// How a backlog was worked off; absent unless all channels were away at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainRecord>,
    /// The same once more with something else, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<ArmRecord>,
    /// The system under test.
    pub system: SystemFacts,
}

/// A part of the measured phase as core saw it: from the admission of a request to the end of its transaction, by core's own histogram.
/// The first and the last look lie within the part, up to a second from its ends. Percentiles are reckoned as Prometheus does, as if the
/// values of a bucket were spread evenly over it: off by its width at most, and a bucket is 1.4 times as high as it is low at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostingSpan {
    /// From when, in milliseconds since the origin.
    pub from_ms: i64,
    /// Until when.
    pub to_ms: i64,
    /// What was planned for core and channels in it, a second.
    pub offered_per_s: f64,
    /// Requests that core had admitted and that ended in it.
    pub admitted: u64,
    /// Median, in microseconds; absent where nothing ended, or it lies beyond the last bucket.
    pub p50_us: Option<u64>,
    /// 99th percentile, likewise.
    pub p99_us: Option<u64>,
}

/// Which build ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Version.
    pub version: String,
    /// Commit, with `+dirty` where the tree was changed; `unknown` outside a checkout.
    pub commit: String,
    /// Build profile, with its optimisation level.
    pub profile: String,
}

/// Fingerprints, as hexadecimal SHA-256; empty where there is nothing to hash.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Digests {
    /// Of the planned operations.
    pub plan: String,
    /// Of the planned faults.
    pub faults: String,
    /// Of what happened (operations file).
    pub history: String,
}

/// A phase's span, in milliseconds since the origin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PhaseSpan {
    /// `load_accounts`, `warm_up`, `measure`, `resolve`, `converge`, `evidence`, `check`.
    pub name: String,
    /// Start.
    pub start_ms: i64,
    /// End.
    pub end_ms: i64,
}

/// An evidence file's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceFile {
    /// Rows in it.
    pub rows: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// Whether the run may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValidityVerdict {
    /// Yes.
    Valid,
    /// No: the harness, not the bank, shaped the figures.
    Invalid,
    /// It cannot be told: interrupted, or something needed was not seen.
    Inconclusive,
}

/// Verdict and reasons.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Validity {
    /// The verdict.
    pub verdict: ValidityVerdict,
    /// One sentence each, with the figure and its limit.
    pub reasons: Vec<String>,
}

/// What is known of a guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuaranteeVerdict {
    /// Every row examined agrees.
    Holds,
    /// At least one counter-example.
    Violated,
    /// The checker could not look.
    Unknown,
}

/// All guarantees.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Guarantees {
    /// The worst of the checks.
    pub verdict: GuaranteeVerdict,
    /// Each check.
    pub checks: Vec<CheckResult>,
}

/// One check's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// For example `L1`.
    pub id: String,
    /// For example `conserve`.
    pub name: String,
    /// The verdict.
    pub verdict: GuaranteeVerdict,
    /// Rows examined.
    pub examined: u64,
    /// Counter-examples found.
    pub violations: u64,
    /// The smallest witness of the first: violation name, rows, offsets.
    pub first: Option<String>,
    /// What it counts and does not judge, by name, such as `resent_after_end`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, u64>,
}

/// Whether the objectives were met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SloVerdict {
    /// All of them.
    Met,
    /// At least one was missed.
    Missed,
    /// The run is not valid, or nothing was measured.
    Unmeasured,
}

/// All objectives.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Slo {
    /// The worst of them.
    pub verdict: SloVerdict,
    /// Each objective.
    pub objectives: Vec<ObjectiveResult>,
}

/// One objective's result.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ObjectiveResult {
    /// For example `deposit.response.p99`.
    pub name: String,
    /// The limit, in microseconds unless `unit` says otherwise.
    pub limit_us: u64,
    /// Which part of the run it speaks of.
    pub during: String,
    /// What was measured, in the same unit.
    pub measured_us: Option<u64>,
    /// The verdict.
    pub verdict: SloVerdict,
    /// What limit and figure count; times unless given.
    #[serde(default, skip_serializing_if = "Unit::is_time")]
    pub unit: Unit,
    /// What the figure rests on, or why there is no verdict on it, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What an objective's limit and figure count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Microseconds.
    #[default]
    Us,
    /// Thousandths of another figure.
    Permille,
    /// Operations.
    Count,
}

impl Unit {
    const fn is_time(&self) -> bool {
        matches!(self, Self::Us)
    }
}

/// Counts of one operation, measured phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoadCounts {
    /// In the plan.
    pub planned: u64,
    /// Written to a socket.
    pub sent: u64,
    /// First outcome ok.
    pub ok: u64,
    /// First outcome rejected.
    pub rejected: u64,
    /// First outcome failed.
    pub failed: u64,
    /// First outcome unknown.
    pub unknown: u64,
    /// Without a verdict at the end.
    pub unresolved: u64,
    /// Never sent.
    pub missed: u64,
    /// Visible times that are upper bounds (D44).
    pub visible_upper_bound: u64,
}

/// Figures of one histogram, in microseconds. Misses enter at the run's cut-off; `without_missed` leaves them out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Values, misses included.
    pub count: u64,
    /// Of them, values that are upper bounds or cut-offs.
    pub upper_bound: u64,
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Largest.
    pub max: u64,
    /// The same without misses; absent where there were none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub without_missed: Option<Box<Latency>>,
}

/// A fault, planned or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultRecord {
    /// Unique in the run.
    pub id: String,
    /// For example `node.kill`.
    pub kind: String,
    /// For example `channel-1`.
    pub place: String,
    /// Whether the scenario planned it.
    pub planned: bool,
    /// Whether it began.
    pub fired: bool,
    /// What proves it: exit status, counter, log line.
    pub witnessed: Option<String>,
    /// When it began, in milliseconds since the origin.
    pub started_ms: Option<i64>,
    /// When it was healed.
    pub healed_ms: Option<i64>,
    /// What proves that it was healed.
    #[serde(default)]
    pub heal_witnessed: Option<String>,
    /// What went wrong with the fault itself: it could not be begun, or not be healed.
    #[serde(default)]
    pub problem: Option<String>,
}

/// How long the bank took to be itself again after a planned fault, in milliseconds since its heal, rounded up. What was not reached before
/// load ended is absent; after a fault that was never healed, everything is; without anything to compare with, rate and lag are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryRecord {
    /// The fault's id.
    pub fault: String,
    /// The first answer ok to an operation that was due after the heal.
    pub first_ok_ms: Option<i64>,
    /// The start of the first whole second with at least 90 % of the rate of ok answers before the fault, counting answers to operations
    /// that were due after the heal.
    pub rate_90_ms: Option<i64>,
    /// The start of the first whole second whose sync lag was no longer than before the fault.
    pub lag_normal_ms: Option<i64>,
    /// How much undisturbed time before the fault rate and lag were compared with, in milliseconds; 0 where there was nothing to compare
    /// with.
    #[serde(default)]
    pub baseline_ms: i64,
}

impl RecoveryRecord {
    /// The latest of the three, when all were reached: from then on the bank is steady again.
    pub fn recovered_ms(&self) -> Option<i64> {
        Some(self.first_ok_ms?.max(self.rate_90_ms?).max(self.lag_normal_ms?))
    }
}

/// The system under test.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SystemFacts {
    /// Partitions of `core.entries`.
    pub partitions: u32,
    /// Workers per assigned partition.
    pub workers: u32,
    /// Partitions x workers.
    pub workers_total: u32,
    /// Channel instances.
    pub channel_instances: u32,
    /// Accounts.
    pub accounts: u64,
    /// CPU seconds per process over the measured phase.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Process -> most resident memory of it and its children in any sample from the start of load until the copy had converged, in bytes;
    /// what they share counts once.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memory_peak_bytes: BTreeMap<String, u64>,
    /// Highest lag seen in the measured phase, in records.
    pub lag_max_records: Option<u64>,
}
