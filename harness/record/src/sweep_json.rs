//! `sweep.json`: what a grid of settings came to, with stable names and a committed JSON Schema.
//!
//! In: the cells that were measured, what they come to together. Out: [`SweepJson`]. Elsewhere: a line a cell as it ends
//! ([`crate::sweep_cells`]), the figures (`sizing`), how they are shown (`report`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run_json::Build;

/// The schema number that this build writes.
pub const SCHEMA: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepJson {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The sweep's id, which is also its folder's name.
    pub run_id: String,
    /// The scenario's name.
    pub scenario: String,
    /// What it shows, in the scenario's words.
    pub about: String,
    /// The seed of the cells' order.
    pub seed: u64,
    /// Where the bank came from.
    pub environment: String,
    /// When it began, UTC.
    pub started_at: String,
    /// When it ended, UTC; absent while it has not.
    pub ended_at: Option<String>,
    /// How often it was taken up again after it was broken off.
    pub resumed: u32,
    /// The process's exit code; absent while it has not ended.
    pub exit_code: Option<i32>,
    /// How it ended.
    pub state: SweepState,
    /// Why it did not end as it should, one sentence each.
    pub reasons: Vec<String>,
    /// Which Bankstorm.
    pub bankstorm: Build,
    /// Protections that were switched off.
    pub r#unsafe: Vec<String>,
    /// SHA-256 of the resolved scenario, hexadecimal: a sweep is taken up again with the same one only.
    pub scenario_sha256: String,
    /// What is measured.
    pub grid: Grid,
    /// The cells, by mode, cost, partitions and workers.
    pub cells: Vec<CellSummary>,
    /// What repeats of the anchor show of the machine; absent without an anchor.
    pub anchor: Option<AnchorSummary>,
    /// Every measurement, in the order in which they were made.
    pub runs: Vec<CellRun>,
}

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepState {
    /// It has not: it is under way, or was broken off.
    Unfinished,
    /// Every cell was measured, or given up.
    Finished,
    /// Its user ended it.
    Interrupted,
    /// The bank was lost, or there is no room to write to.
    Lost,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grid {
    /// How a cell is measured: `drain`.
    pub mode: String,
    /// Numbers of partitions.
    pub partitions: Vec<u32>,
    /// Numbers of workers per partition.
    pub workers: Vec<u32>,
    /// Ways to spread work over workers.
    pub worker_modes: Vec<String>,
    /// Costs of an account sync, in microseconds.
    pub sync_costs_us: Vec<u64>,
    /// How often each cell is measured.
    pub repeats: u32,
    /// Measurements in all, the anchor's included.
    pub planned: u64,
    /// Channel processes.
    pub channel_instances: u32,
    /// Accounts.
    pub accounts: u64,
    /// Entries of each before the backlog.
    pub history_depth: u32,
    /// Events that core posted once, one an account; absent while it has not.
    pub backlog: Option<u64>,
}

/// One combination of settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct CellKey {
    /// How work is spread over workers.
    pub worker_mode: String,
    /// What an account sync costs, in microseconds.
    pub sync_cost_us: u64,
    /// Partitions.
    pub partitions: u32,
    /// Workers per partition.
    pub workers: u32,
}

/// What became of one measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CellVerdict {
    /// Within 10 % of what workers and cost predict.
    AsPredicted,
    /// Below it, or with nothing predicted, and what bound it was seen.
    Bound,
    /// Measured, and not explained by anything that was seen.
    Unexplained,
    /// It did not finish: no figure.
    Dnf,
    /// The copy is not what core has: no figure.
    Failed,
}

impl CellVerdict {
    /// Whether its figure may be used.
    pub const fn is_measured(self) -> bool {
        matches!(self, Self::AsPredicted | Self::Bound | Self::Unexplained)
    }
}

/// What a cell could not do more than.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoundBy {
    /// In a few words: `processors`.
    pub resource: String,
    /// What shows it, in a sentence with figures.
    pub evidence: String,
}

/// One measurement of one cell: a line of `cells.ndjson`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellRun {
    /// What it is called: `slots-100000us-p5-w10-1`, `anchor-2`.
    pub id: String,
    /// The settings.
    pub cell: CellKey,
    /// Whether it is one of the anchor's.
    pub anchor: bool,
    /// When it began, UTC.
    pub began_at: String,
    /// How long all of it took, from taking the copy back to ending the channel, in seconds.
    pub took_s: f64,
    /// What became of it.
    pub verdict: CellVerdict,
    /// Why there is no figure, or why it is not explained.
    pub reason: Option<String>,
    /// Workers of all partitions together.
    pub workers_total: u64,
    /// Events that were to be worked off.
    pub events: u64,
    /// What was found; absent where nothing can be said.
    pub figures: Option<CellFigures>,
    /// What bound it, where that was seen.
    pub bound_by: Option<BoundBy>,
}

/// What was found in a measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellFigures {
    /// Accounts with events.
    pub busy_keys: u64,
    /// Account syncs a second, an event each. Where a rate is predicted, between the 5th and the 95th percentile of their moments; where a sync
    /// costs nothing, all events over all of `drained_s`.
    pub events_per_s: f64,
    /// The lesser of all workers and busy keys, divided by what a sync costs; absent where it costs nothing.
    pub predicted_per_s: Option<f64>,
    /// From the moment at which all partitions were seen to have owners, or the first event where that came before, to the last event, in
    /// seconds.
    pub drained_s: f64,
    /// Until all partitions had their owners, from the moment when the channels were ready, in seconds.
    pub owned_s: f64,
    /// The most workers that were seen busy at once.
    pub busy_workers: u64,
    /// The workers that were busy on average, over the looks while most of the backlog was there.
    pub busy_workers_mean: Option<f64>,
    /// The workers that would be busy on average if nothing but the chance of the hash decided how much each has.
    pub busy_by_chance: Option<f64>,
    /// Advance transactions that all channels had open on average, over the same looks as `busy_workers_mean`.
    pub transactions_mean: Option<f64>,
    /// Records that the channels had not taken from the log yet, on average over the same looks.
    pub in_log_mean: Option<f64>,
    /// Records that the channels had taken and no worker had, on average over the same looks.
    pub waiting_mean: Option<f64>,
    /// Workers that had no work, on average over the same looks, at those of them at which channels had less than one waiting record a
    /// worker, and the log more records than those workers could take; at the others they count as 0.
    pub short_mean: Option<f64>,
    /// Workers that ever had work, of those that have a place of their own (`slots`).
    pub slots_used: u64,
    /// Processor seconds by process, its children included, over `cpu_events` events.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Between the two looks at the machine and its processes, in seconds; absent where they say nothing of the cell.
    pub looked_s: Option<f64>,
    /// Events that were worked off between the two looks.
    pub cpu_events: u64,
    /// Share of the machine's processors that was busy meanwhile, 0 to 1.
    pub machine_busy: Option<f64>,
    /// Share that waited for a disk.
    pub machine_iowait: Option<f64>,
    /// Share that the hypervisor took.
    pub machine_steal: Option<f64>,
    /// Rows of the copy that were held against core's, all of them.
    pub rows_checked: u64,
}

impl CellFigures {
    /// Processor microseconds an event of each process.
    pub fn cpu_us_per_event(&self) -> BTreeMap<String, f64> {
        let events = self.cpu_events.max(1) as f64;
        self.cpu_seconds.iter().map(|(process, seconds)| (process.clone(), seconds * 1e6 / events)).collect()
    }
}

/// Repeats of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// The least.
    pub min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

/// What a cell's repeats come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellSummary {
    /// The settings.
    pub cell: CellKey,
    /// The worst of its repeats; absent where there is none yet.
    pub verdict: Option<CellVerdict>,
    /// Workers of all partitions together.
    pub workers_total: u64,
    /// Events a second over the repeats that were measured; absent where one of them FAILED.
    pub events_per_s: Option<Spread>,
    /// What workers and cost predict.
    pub predicted_per_s: Option<f64>,
    /// The most workers seen busy at once, in any repeat.
    pub busy_workers: Option<u64>,
    /// Accounts with events.
    pub busy_keys: Option<u64>,
    /// Processor microseconds an event, by process, the mean of the repeats that have such figures.
    pub cpu_us_per_event: BTreeMap<String, f64>,
    /// Share of the machine's processors that was busy, the mean of the repeats.
    pub machine_busy: Option<f64>,
    /// What bound it, of the repeat that was slowest.
    pub bound_by: Option<BoundBy>,
    /// Why a repeat has no figure or is not explained, the first of them; `runs` has all.
    pub reason: Option<String>,
}

/// What repeats of the anchor show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnchorSummary {
    /// Which cell.
    pub cell: CellKey,
    /// Events a second, in the order of the measurements.
    pub events_per_s: Vec<f64>,
    /// The greatest less the least, as a share of the median; absent with fewer than two.
    pub drift: Option<f64>,
}
