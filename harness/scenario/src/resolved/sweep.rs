//! Sweeps: a few settings, each with the values that it takes in turn.
//!
//! In: `resolve/sweep`. Out: [`Sweep`]. Elsewhere: the cells and their order (`sizing`), what is done with them (`cli`).

use std::time::Duration;

use super::WorkerMode;

/// A grid of settings, measured cell by cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Numbers of partitions, no two the same, as in all lists here.
    pub partitions: Vec<u32>,
    /// Numbers of workers per partition.
    pub workers: Vec<u32>,
    /// Ways to spread work over workers.
    pub worker_modes: Vec<WorkerMode>,
    /// Costs of an account sync.
    pub sync_costs: Vec<Duration>,
    /// The most events of a cell: no more than the load posts.
    pub events: u64,
    /// The most events of a cell in which a sync costs nothing.
    pub free_events: u64,
    /// How long the events of the others last at the rate that is predicted.
    pub lasts: Duration,
    /// The longest that a cell may take.
    pub budget: Duration,
    /// How often each cell is measured.
    pub repeats: u32,
    /// The cell that is measured first, in the middle and last as well: partitions and workers.
    pub anchor: Option<(u32, u32)>,
}
