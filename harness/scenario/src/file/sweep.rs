//! A sweep as it is typed, under `[sweep]`: the bank's backlog, worked off once for every combination of a few settings.
//!
//! In: TOML. Out: [`Sweep`]. Elsewhere: defaults and limits (`resolve/sweep`), what is done with it (`cli`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WorkerMode;
use crate::units::DurationText;

/// A grid of settings. What `[[load]]` posts is the backlog of every cell: one deposit an account.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// How a cell is measured; `drain` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<SweepMode>,
    /// Numbers of partitions.
    pub partitions: Vec<i64>,
    /// Numbers of workers per partition.
    pub workers: Vec<i64>,
    /// Ways to spread work over workers; that of `[system]` alone unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_mode: Option<Vec<WorkerMode>>,
    /// Costs of an account sync; that of `[system]` alone unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_cost: Option<Vec<DurationText>>,
    /// The most events of a cell; as many as the load posts unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<i64>,
    /// The most events of a cell of which nothing can be predicted, because a sync costs nothing; 20,000 unless given. Its rate is all of them
    /// over all of the time, so they should last seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_events: Option<i64>,
    /// How long the other cells' events last at the rate that is predicted; 10s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts: Option<DurationText>,
    /// The longest that a cell may take before it is given up: half as long again as any cell lasts as predicted, at least; 3m unless given.
    /// `system.sweep_every` must not be shorter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<DurationText>,
    /// How often each cell is measured; once unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<i64>,
    /// The cell that is measured first, in the middle and last as well, so that a machine that changes meanwhile shows; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
}

/// How a cell is measured.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepMode {
    /// A backlog is worked off, and how fast that goes is its capacity.
    Drain,
}

/// One of the cells, in the first worker mode and at the first sync cost.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// One of the numbers of partitions.
    pub partitions: i64,
    /// One of the numbers of workers.
    pub workers: i64,
}
