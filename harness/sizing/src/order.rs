//! The order of measurements: shuffled, so that a machine that changes meanwhile does not favour a corner of the grid, and the same for the
//! same seed, so that a sweep that was broken off goes on where it was.
//!
//! In: a grid, the anchor, a seed. Out: [`Job`]s. Elsewhere: which of them are done (`left`).
//!
//! Repeats come round by round: each round is the whole grid, shuffled anew. The anchor stands before, in the middle and at the end.

use bankstorm_record::sweep_json::{CellKey, Grid};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::grid::cells;

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What it is called; no two have the same.
    pub id: String,
    /// The settings.
    pub cell: CellKey,
    /// Whether it is one of the anchor's.
    pub anchor: bool,
}

/// All measurements of `grid` in their order; `anchor` is one of its cells.
pub fn order(grid: &Grid, anchor: Option<&CellKey>, seed: u64) -> Vec<Job> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut jobs = Vec::new();
    for repeat in 1..=grid.repeats {
        let mut round = cells(grid);
        // Fisher and Yates.
        for last in (1..round.len()).rev() {
            round.swap(last, random.random_range(0..=last));
        }
        jobs.extend(round.into_iter().map(|cell| Job { id: format!("{}-{repeat}", name(&cell)), cell, anchor: false }));
    }
    if let Some(cell) = anchor {
        let job = |number: u32| Job { id: format!("anchor-{number}"), cell: cell.clone(), anchor: true };
        jobs.insert(jobs.len() / 2, job(2));
        jobs.insert(0, job(1));
        jobs.push(job(3));
    }
    jobs
}

/// `slots-100000us-p5-w10`.
pub fn name(cell: &CellKey) -> String {
    let CellKey { worker_mode, sync_cost_us, partitions, workers } = cell;
    format!("{worker_mode}-{sync_cost_us}us-p{partitions}-w{workers}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{Job, order};
    use crate::fixture::{cell, grid};
    use crate::grid::cells;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn each_round_is_the_whole_grid_and_the_seed_alone_decides_its_order(seed: u64, repeats in 1_u32..5) {
            let grid = bankstorm_record::sweep_json::Grid { repeats, ..grid() };
            let jobs = order(&grid, None, seed);
            prop_assert_eq!(&jobs, &order(&grid, None, seed));
            let whole: BTreeSet<_> = cells(&grid).into_iter().collect();
            for round in jobs.chunks(whole.len()) {
                prop_assert_eq!(round.iter().map(|job| job.cell.clone()).collect::<BTreeSet<_>>(), whole.clone());
            }
            let ids: BTreeSet<_> = jobs.iter().map(|job| &job.id).collect();
            prop_assert_eq!(ids.len(), whole.len() * repeats as usize);
        }
    }

    #[test]
    fn seeds_shuffle_and_so_do_rounds() {
        let cells_of = |jobs: &[Job]| jobs.iter().map(|job| job.cell.clone()).collect::<Vec<_>>();
        let (one, two) = (order(&grid(), None, 1), order(&grid(), None, 2));
        assert_ne!(cells_of(&one), cells_of(&two));
        assert_ne!(cells_of(&one[..12]), cells_of(&one[12..]), "the second round has an order of its own");
        assert_ne!(cells_of(&one[..12]), cells(&grid()), "shuffled");
    }

    #[test]
    fn the_anchor_is_first_in_the_middle_and_last_and_moves_nothing_else() {
        let anchor = cell(2, 10, 100_000);
        let jobs = order(&grid(), Some(&anchor), 7);
        let at: Vec<_> =
            (0..).zip(&jobs).filter(|(_, job)| job.anchor).map(|(at, job)| (at, job.id.as_str())).collect();
        assert_eq!(at, [(0, "anchor-1"), (13, "anchor-2"), (26, "anchor-3")]);
        let others: Vec<Job> = jobs.into_iter().filter(|job| !job.anchor).collect();
        assert_eq!(others, order(&grid(), None, 7));
    }

    #[test]
    fn an_order_is_pinned_because_broken_off_sweeps_go_on_with_it() {
        let first: Vec<String> = order(&grid(), None, 1).into_iter().take(3).map(|job| job.id).collect();
        assert_eq!(first, ["slots-0us-p2-w10-1", "slots-0us-p1-w10-1", "slots-100000us-p2-w1-1"]);
    }
}
