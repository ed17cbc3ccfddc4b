//! What a run shows of how the channel follows core: what core was spared, how deep pages were, how a backlog was worked off; and its arms.
//!
//! In: evidence and samples. Out: the records below. Elsewhere: how they are reckoned (`check::{core_cost, depth, drain}`), how they are shown
//! (`report`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What core had to do for others than those who post: calls about histories, and its own time a posting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SparedRecord {
    /// Purpose -> calls about histories in the measured phase: `read`, `manual`, `history` are made for readers; `none` where none was said.
    pub calls: BTreeMap<String, u64>,
    /// How many of them were made for readers.
    pub calls_by_reads: u64,
    /// Pages that were read in the measured phase, lookups included.
    pub pages: u64,
    /// The parts of the measured phase between which loads come and go.
    pub parts: Vec<SparedPart>,
}

/// A part of the measured phase: what was read in it, and what core did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SparedPart {
    /// From when, in milliseconds since the origin.
    pub from_ms: i64,
    /// Until when.
    pub to_ms: i64,
    /// Pages answered in it.
    pub pages: u64,
    /// Core's calls in it that were made for readers.
    pub calls_by_reads: u64,
    /// Deposits and transfers that were answered ok in it.
    pub posted: u64,
    /// Processor time of core's process for each of them, in microseconds; absent where nothing was posted or sampled.
    pub core_cpu_us: Option<u64>,
    /// The same of core's database.
    pub core_database_cpu_us: Option<u64>,
    /// Share of all processors that readers took, 0 to 1: the channels, their database and the load's own process.
    pub readers_cpu_share: Option<f64>,
    /// Core's posting p99, admission to commit, in microseconds.
    pub posting_p99_us: Option<u64>,
}

/// How the pages of long scrolls compare: service times, request to answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DepthRecord {
    /// Pages of scrolls that were answered ok in the measured phase.
    pub pages: u64,
    /// Scrolls of which at least one page was.
    pub sessions: u64,
    /// The highest number of a page, from 0.
    pub deepest: u32,
    /// Pages in the first tenth of the depth.
    pub first_pages: u64,
    /// Pages in the deepest tenth.
    pub last_pages: u64,
    /// 99th percentile of the first tenth, in microseconds; absent where there were too few pages.
    pub first_p99_us: Option<u64>,
    /// The same of the deepest tenth.
    pub last_p99_us: Option<u64>,
}

/// How fast a backlog was worked off once all channels were back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DrainRecord {
    /// When the first channel was back, in milliseconds since the origin.
    pub from_ms: i64,
    /// When the last entry became visible.
    pub to_ms: i64,
    /// Entries that became visible in between.
    pub events: u64,
    /// Account syncs that this took: advances of one account's copy.
    pub syncs: u64,
    /// Different accounts among them.
    pub busy_keys: u64,
    /// Account syncs a second, between the 5th and the 95th percentile of their moments; absent where they were too few.
    pub syncs_per_s: Option<f64>,
    /// Entries a second, likewise.
    pub events_per_s: Option<f64>,
    /// Workers of all partitions together; with `serial` one a partition.
    pub workers_total: u64,
    /// What a sync costs, in microseconds.
    pub sync_cost_us: u64,
    /// The lesser of workers and busy accounts, divided by what a sync costs; absent where it costs nothing.
    pub predicted_per_s: Option<f64>,
    /// The most workers that were busy at once, by the channels' own gauges; absent where none was sampled.
    pub busy_workers: Option<u64>,
    /// Gauge -> its highest sum over the channels.
    pub gauges: BTreeMap<String, u64>,
    /// Process -> processor seconds in it.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Share of all processors that was busy in it, 0 to 1, on average.
    pub machine_busy: Option<f64>,
}

impl DrainRecord {
    /// Measured to predicted, in thousandths.
    pub fn of_predicted(&self) -> Option<u64> {
        let share = self.syncs_per_s? / self.predicted_per_s.filter(|predicted| *predicted > 0.0)?;
        Some((share * 1_000.0) as u64)
    }
}

/// The same scenario once more with something else, in a folder of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArmRecord {
    /// Its name.
    pub name: String,
    /// `holds` or `violated`.
    pub expect: String,
    /// Ids of the checks of which one is expected to be violated; any where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// The exit code of its own run; absent where it was not played to its end.
    pub exit_code: Option<i32>,
    /// Whether it showed what was expected of it.
    pub shown: bool,
    /// Its run folder, below this one.
    pub folder: String,
    /// Why it was not played to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
