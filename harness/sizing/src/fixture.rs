//! Values that tests of this crate begin with.

use bankstorm_record::sweep_json::{CellFigures, CellKey, CellRun, CellVerdict, Grid};

/// Two numbers of partitions, three of workers, two costs.
pub(crate) fn grid() -> Grid {
    Grid {
        mode: "drain".to_owned(),
        partitions: vec![1, 2],
        workers: vec![1, 10, 100],
        worker_modes: vec!["slots".to_owned()],
        sync_costs_us: vec![100_000, 0],
        repeats: 2,
        planned: 0,
        channel_instances: 1,
        accounts: 100_000,
        history_depth: 1,
        backlog: None,
    }
}

pub(crate) fn cell(partitions: u32, workers: u32, sync_cost_us: u64) -> CellKey {
    CellKey { worker_mode: "slots".to_owned(), sync_cost_us, partitions, workers }
}

/// A measurement that gave this rate.
pub(crate) fn run(cell: CellKey, repeat: u32, events_per_s: f64) -> CellRun {
    CellRun {
        id: format!("{}-{repeat}", crate::order::name(&cell)),
        workers_total: crate::predict::workers_total(&cell),
        cell,
        anchor: false,
        began_at: String::new(),
        took_s: 20.0,
        verdict: CellVerdict::AsPredicted,
        reason: None,
        events: 1_000,
        figures: Some(CellFigures { events_per_s, drained_s: 12.0, busy_keys: 1_000, ..CellFigures::default() }),
        bound_by: None,
    }
}
