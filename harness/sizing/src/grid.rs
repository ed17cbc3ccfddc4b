//! The cells of a grid: every value of each setting with every value of the others.
//!
//! In: [`Grid`]. Out: [`CellKey`]s, sorted. Elsewhere: in which order they are measured (`order`).

use bankstorm_record::sweep_json::{CellKey, Grid};

/// Every cell, by mode, cost, partitions and workers, each in the grid's order.
pub fn cells(grid: &Grid) -> Vec<CellKey> {
    let mut cells = Vec::new();
    for worker_mode in &grid.worker_modes {
        for sync_cost_us in &grid.sync_costs_us {
            for partitions in &grid.partitions {
                cells.extend(grid.workers.iter().map(|workers| CellKey {
                    worker_mode: worker_mode.clone(),
                    sync_cost_us: *sync_cost_us,
                    partitions: *partitions,
                    workers: *workers,
                }));
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::cells;
    use crate::fixture::grid;

    #[test]
    fn every_value_meets_every_other_once() {
        let all = cells(&grid());
        assert_eq!(all.len(), 2 * 2 * 3);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!((all[0].partitions, all[0].workers, all[0].sync_cost_us), (1, 1, 100_000));
        assert_eq!((all[11].partitions, all[11].workers, all[11].sync_cost_us), (2, 100, 0));
    }
}
