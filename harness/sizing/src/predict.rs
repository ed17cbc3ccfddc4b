//! What workers and cost allow, and how many events it takes to see it.
//!
//! In: a cell, the most events, how long they are to last. Out: a rate, a number of events. Elsewhere: what was measured (`rate`).
//!
//! A worker that waits `sync_cost` an event works off `1 / sync_cost` a second; all of them together as often as there are workers, but no
//! more than there are accounts with events, since an account is in one worker's hands at a time. Nothing is predicted of what costs
//! nothing.

use std::time::Duration;

use bankstorm_record::sweep_json::CellKey;

/// The fewest events of a cell: half of them still make a rate.
pub const EVENTS_LEAST: u64 = 100;

/// How many events cells are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The most.
    pub events: u64,
    /// The most where a sync costs nothing.
    pub free_events: u64,
    /// How long the others last at the rate that is predicted.
    pub lasts: Duration,
}

/// Workers of all partitions together.
pub fn workers_total(cell: &CellKey) -> u64 {
    let each = if cell.worker_mode == "serial" { 1 } else { cell.workers };
    u64::from(cell.partitions) * u64::from(each)
}

/// Account syncs a second that workers and cost allow.
pub fn predicted_per_s(cell: &CellKey, busy_keys: u64) -> Option<f64> {
    let cost_s = cell.sync_cost_us as f64 / 1e6;
    (cost_s > 0.0).then(|| workers_total(cell).min(busy_keys) as f64 / cost_s)
}

/// How many events, one an account, `cell` is given.
pub fn events(cell: &CellKey, sizes: Sizes) -> u64 {
    let wanted = match predicted_per_s(cell, u64::MAX) {
        Some(per_s) => ((per_s * sizes.lasts.as_secs_f64()).round() as u64).max(EVENTS_LEAST),
        None => sizes.free_events,
    };
    wanted.min(sizes.events)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bankstorm_record::sweep_json::CellKey;

    use super::{Sizes, events, predicted_per_s, workers_total};
    use crate::fixture::cell;

    const SIZES: Sizes = Sizes { events: 100_000, free_events: 20_000, lasts: Duration::from_secs(10) };

    #[test]
    fn a14_ten_a_second_a_hundred_and_ten_thousand() {
        for (partitions, workers, per_s) in [(1, 1, 10.0), (10, 1, 100.0), (10, 100, 10_000.0)] {
            assert_eq!(predicted_per_s(&cell(partitions, workers, 100_000), 100_000), Some(per_s));
        }
        assert_eq!(predicted_per_s(&cell(10, 100, 100_000), 50), Some(500.0), "no more than there are busy accounts");
        assert_eq!(predicted_per_s(&cell(10, 100, 0), 100_000), None, "nothing is predicted of what costs nothing");
        let serial = CellKey { worker_mode: "serial".to_owned(), ..cell(10, 100, 100_000) };
        assert_eq!(workers_total(&serial), 10, "one a partition, whatever is asked");
    }

    #[test]
    fn events_last_as_long_as_is_asked_and_are_no_more_than_there_are() {
        let asked = |partitions, workers, cost| events(&cell(partitions, workers, cost), SIZES);
        assert_eq!([asked(1, 1, 100_000), asked(5, 10, 100_000), asked(20, 100, 100_000)], [100, 5_000, 100_000]);
        assert_eq!([asked(1, 1, 0), asked(20, 100, 0)], [20_000, 20_000]);
        assert_eq!(asked(1, 1, 10_000_000), 100, "the fewest that make a rate");
        let few = Sizes { events: 150, ..SIZES };
        assert_eq!([events(&cell(1, 1, 0), few), events(&cell(2, 10, 100_000), few)], [150, 150]);
    }
}
