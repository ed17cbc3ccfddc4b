//! What is still to be measured, and how long that takes.
//!
//! In: the order, the measurements that are there. Out: [`Job`]s, seconds. Elsewhere: the order itself (`order`).
//!
//! A cell takes what all take beside their backlog (starting, publishing, checking), as long as it took on average so far, and then its
//! events at the rate that is expected: of the same settings where they were measured, else the lesser of what is predicted and the fastest
//! rate that was ever seen.

use std::collections::BTreeSet;
use std::time::Duration;

use bankstorm_record::sweep_json::CellRun;

use crate::order::Job;
use crate::predict::{Sizes, events, predicted_per_s};

/// What a cell takes beside its backlog, before any was measured.
const BESIDE_S: f64 = 10.0;
/// The rate of a cell of which nothing is known, until a faster one was measured.
const FREE_PER_S: f64 = 1_000.0;

/// Those of `order` that `done` has no measurement of, in their order.
pub fn left(order: &[Job], done: &[CellRun]) -> Vec<Job> {
    let done: BTreeSet<&str> = done.iter().map(|run| run.id.as_str()).collect();
    order.iter().filter(|job| !done.contains(job.id.as_str())).cloned().collect()
}

/// How long `jobs` take.
pub fn time_left(jobs: &[Job], done: &[CellRun], sizes: Sizes) -> Duration {
    let beside: Vec<f64> =
        done.iter().filter_map(|run| Some((run.took_s - run.figures.as_ref()?.drained_s).max(0.0))).collect();
    let beside_s = if beside.is_empty() { BESIDE_S } else { beside.iter().sum::<f64>() / beside.len() as f64 };
    let seconds = jobs.iter().map(|job| beside_s + events(&job.cell, sizes) as f64 / expected_per_s(job, done));
    Duration::from_secs_f64(seconds.sum())
}

fn expected_per_s(job: &Job, done: &[CellRun]) -> f64 {
    let rate = |run: &CellRun| run.figures.as_ref().map(|figures| figures.events_per_s).filter(|rate| *rate > 0.0);
    let same = done.iter().filter(|run| run.cell == job.cell).filter_map(rate).next_back();
    let fastest = done.iter().filter_map(rate).fold(FREE_PER_S, f64::max);
    same.unwrap_or_else(|| predicted_per_s(&job.cell, u64::MAX).map_or(fastest, |predicted| predicted.min(fastest)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bankstorm_record::sweep_json::{CellRun, CellVerdict};

    use super::{left, time_left};
    use crate::fixture::{cell, grid, run};
    use crate::order::{Job, order};
    use crate::predict::Sizes;

    const SIZES: Sizes = Sizes { events: 100_000, free_events: 20_000, lasts: Duration::from_secs(10) };

    fn done(job: &Job) -> CellRun {
        CellRun { id: job.id.clone(), anchor: job.anchor, ..run(job.cell.clone(), 1, 100.0) }
    }

    #[test]
    fn what_was_measured_is_not_measured_again_whatever_became_of_it() {
        let jobs = order(&grid(), Some(&cell(2, 10, 100_000)), 3);
        let mut measured: Vec<CellRun> = jobs[..10].iter().map(done).collect();
        (measured[4].verdict, measured[4].figures) = (CellVerdict::Dnf, None);
        assert_eq!(left(&jobs, &measured), jobs[10..]);
        assert_eq!(left(&jobs, &[]), jobs);
        // A cell in the middle is missing, as when its line was torn.
        measured.remove(6);
        assert_eq!(left(&jobs, &measured)[0], jobs[6]);
        assert_eq!(left(&jobs, &jobs.iter().map(done).collect::<Vec<_>>()), []);
    }

    #[test]
    fn the_time_left_learns_from_what_was_measured() {
        let job = |cell| Job { id: String::new(), cell, anchor: false };
        let jobs = [job(cell(1, 1, 100_000)), job(cell(1, 1, 0))];
        let seconds = |done: &[CellRun]| time_left(&jobs, done, SIZES).as_secs_f64().round();
        assert_eq!(
            seconds(&[]),
            10.0 + 10.0 + 10.0 + 20.0,
            "ten seconds each beside a hundred events at 10/s and 20,000 at 1,000/s"
        );
        // Eight seconds beside the backlog, and the same settings gave 500 a second.
        assert_eq!(seconds(&[run(cell(1, 1, 0), 1, 500.0)]), 8.0 + 10.0 + 8.0 + 40.0);
        // Others were faster than what was assumed.
        assert_eq!(seconds(&[run(cell(2, 10, 0), 1, 4_000.0)]), 8.0 + 10.0 + 8.0 + 5.0);
        assert_eq!(time_left(&[], &[], SIZES), Duration::ZERO);
    }
}
