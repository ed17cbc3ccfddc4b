//! Repeats of a cell into one figure with its spread, and what repeats of the anchor say of the machine.
//!
//! In: measurements. Out: [`CellSummary`]s, [`AnchorSummary`]. Elsewhere: each measurement's verdict (`bound`).
//!
//! A cell of which one copy was not what core has has no figure, whatever its other repeats gave.

use std::collections::BTreeMap;

use bankstorm_record::sweep_json::{
    AnchorSummary, CellFigures, CellKey, CellRun, CellSummary, CellVerdict, Grid, Spread,
};

use crate::grid::cells;
use crate::predict::workers_total;

/// Every cell of the grid with what its repeats came to, the anchor's own measurements aside.
pub fn summarise(grid: &Grid, runs: &[CellRun]) -> Vec<CellSummary> {
    let repeats =
        |cell: &CellKey| -> Vec<&CellRun> { runs.iter().filter(|run| !run.anchor && run.cell == *cell).collect() };
    cells(grid).into_iter().map(|cell| of_cell(&repeats(&cell), &cell)).collect()
}

fn of_cell(runs: &[&CellRun], cell: &CellKey) -> CellSummary {
    let verdict = runs.iter().map(|run| run.verdict).max();
    let measured: Vec<(&CellRun, &CellFigures)> = runs
        .iter()
        .filter(|run| run.verdict.is_measured() && verdict != Some(CellVerdict::Failed))
        .filter_map(|run| Some((*run, run.figures.as_ref()?)))
        .collect();
    let slowest = measured.iter().min_by(|a, b| a.1.events_per_s.total_cmp(&b.1.events_per_s));
    CellSummary {
        cell: cell.clone(),
        verdict,
        workers_total: workers_total(cell),
        events_per_s: spread(measured.iter().map(|(_, figures)| figures.events_per_s)),
        predicted_per_s: measured.first().and_then(|(_, figures)| figures.predicted_per_s),
        busy_workers: measured.iter().map(|(_, figures)| figures.busy_workers).max(),
        busy_keys: measured.first().map(|(_, figures)| figures.busy_keys),
        cpu_us_per_event: cpu(&measured),
        machine_busy: mean(measured.iter().filter_map(|(_, figures)| figures.machine_busy)),
        bound_by: slowest.and_then(|(run, _)| run.bound_by.clone()),
        reason: runs.iter().find_map(|run| run.reason.clone()),
    }
}

/// The mean of the repeats that have such figures.
fn cpu(measured: &[(&CellRun, &CellFigures)]) -> BTreeMap<String, f64> {
    let told: Vec<BTreeMap<String, f64>> =
        measured.iter().map(|(_, figures)| figures.cpu_us_per_event()).filter(|told| !told.is_empty()).collect();
    let mut means: BTreeMap<String, f64> = BTreeMap::new();
    for (process, us) in told.iter().flatten() {
        *means.entry(process.clone()).or_default() += us / told.len() as f64;
    }
    means
}

/// The spread of figures; `None` without any.
pub fn spread(figures: impl Iterator<Item = f64>) -> Option<Spread> {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let median = f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    Some(Spread { count: sorted.len() as u64, min, median, max })
}

fn mean(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = figures.fold((0.0, 0_u32), |(sum, count), one| (sum + one, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// What the anchor's measurements show; `None` without any.
pub fn anchor(runs: &[CellRun]) -> Option<AnchorSummary> {
    let of_anchor: Vec<&CellRun> = runs.iter().filter(|run| run.anchor).collect();
    let cell = of_anchor.first()?.cell.clone();
    let measured = of_anchor.iter().filter(|run| run.verdict.is_measured());
    let events_per_s: Vec<f64> = measured.filter_map(|run| Some(run.figures.as_ref()?.events_per_s)).collect();
    let drift = spread(events_per_s.iter().copied()).filter(|spread| spread.count > 1 && spread.median > 0.0);
    Some(AnchorSummary { cell, drift: drift.map(|spread| (spread.max - spread.min) / spread.median), events_per_s })
}

/// The exit code that measurements ask for: 6 for a copy that is not what core has, 4 where one has no figure or none that is explained.
pub fn exit_code(runs: &[CellRun]) -> u8 {
    match runs.iter().map(|run| run.verdict).max() {
        Some(CellVerdict::Failed) => 6,
        Some(CellVerdict::Dnf | CellVerdict::Unexplained) => 4,
        Some(CellVerdict::Bound | CellVerdict::AsPredicted) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bankstorm_record::sweep_json::{BoundBy, CellRun, CellVerdict};

    use super::{anchor, exit_code, summarise};
    use crate::fixture::{cell, grid, run};

    #[test]
    fn repeats_become_a_median_with_its_spread_and_the_worst_verdict() {
        let key = cell(2, 10, 100_000);
        let mut runs: Vec<CellRun> =
            (1..).zip([190.0, 150.0, 200.0, 180.0]).map(|(n, rate)| run(key.clone(), n, rate)).collect();
        runs[1].verdict = CellVerdict::Bound;
        runs[1].bound_by = Some(BoundBy { resource: "processors".to_owned(), evidence: "busy".to_owned() });
        let figures = runs[0].figures.as_mut().expect("measured");
        (figures.cpu_seconds, figures.cpu_events) = (BTreeMap::from([("core".to_owned(), 0.4)]), 1_000);
        let summaries = summarise(&grid(), &runs);
        assert_eq!(summaries.len(), 12, "cells without a measurement are there too");
        let found = summaries.iter().find(|summary| summary.cell == key).expect("measured");
        let spread = found.events_per_s.expect("rates");
        assert_eq!((spread.count, spread.min, spread.median, spread.max), (4, 150.0, 185.0, 200.0));
        assert_eq!(found.verdict, Some(CellVerdict::Bound));
        assert_eq!(found.bound_by.as_ref().map(|bound| bound.resource.as_str()), Some("processors"), "of the slowest");
        assert_eq!(found.cpu_us_per_event["core"], 400.0, "of the one that knows it");
        assert!(summaries.iter().filter(|summary| summary.cell != key).all(|summary| summary.verdict.is_none()));
    }

    #[test]
    fn what_did_not_finish_has_no_figure_and_shows_in_the_verdict() {
        let key = cell(1, 1, 0);
        let mut runs = vec![run(key.clone(), 1, 500.0), run(key.clone(), 2, 700.0)];
        (runs[1].verdict, runs[1].reason) = (CellVerdict::Dnf, Some("budget".to_owned()));
        let summaries = summarise(&grid(), &runs);
        let found = summaries.iter().find(|summary| summary.cell == key).expect("measured");
        assert_eq!((found.verdict, found.reason.as_deref()), (Some(CellVerdict::Dnf), Some("budget")));
        assert_eq!(found.events_per_s.map(|spread| (spread.count, spread.max)), Some((1, 500.0)));
    }

    #[test]
    fn a_copy_that_was_not_cores_leaves_its_cell_without_a_figure() {
        let key = cell(1, 1, 0);
        let mut runs = vec![run(key.clone(), 1, 500.0), run(key.clone(), 2, 700.0)];
        (runs[1].verdict, runs[1].reason, runs[1].figures) = (CellVerdict::Failed, Some("rows".to_owned()), None);
        let summaries = summarise(&grid(), &runs);
        let found = summaries.iter().find(|summary| summary.cell == key).expect("measured");
        assert_eq!((found.verdict, found.reason.as_deref()), (Some(CellVerdict::Failed), Some("rows")));
        assert_eq!((found.events_per_s, found.busy_workers, found.machine_busy), (None, None, None));
    }

    #[test]
    fn the_anchor_tells_how_much_the_machine_moved() {
        let key = cell(2, 10, 100_000);
        let mut runs: Vec<CellRun> =
            (1..).zip([200.0, 190.0, 210.0]).map(|(n, rate)| run(key.clone(), n, rate)).collect();
        assert_eq!(anchor(&runs), None);
        for run in &mut runs {
            run.anchor = true;
        }
        let told = anchor(&runs).expect("an anchor");
        assert_eq!((told.events_per_s.as_slice(), told.drift), ([200.0, 190.0, 210.0].as_slice(), Some(0.1)));
        assert!(
            summarise(&grid(), &runs).iter().all(|summary| summary.verdict.is_none()),
            "they are no repeats of the cell"
        );
    }

    #[test]
    fn the_worst_cell_decides_the_exit_code() {
        let verdicts = |verdicts: &[CellVerdict]| {
            let run = |verdict: &CellVerdict| CellRun { verdict: *verdict, ..run(cell(1, 1, 0), 1, 1.0) };
            exit_code(&verdicts.iter().map(run).collect::<Vec<_>>())
        };
        assert_eq!(verdicts(&[]), 0);
        assert_eq!(verdicts(&[CellVerdict::AsPredicted, CellVerdict::Bound]), 0);
        assert_eq!(verdicts(&[CellVerdict::Unexplained, CellVerdict::Bound]), 4);
        assert_eq!(verdicts(&[CellVerdict::Dnf, CellVerdict::Bound]), 4);
        assert_eq!(verdicts(&[CellVerdict::Dnf, CellVerdict::Failed]), 6);
    }
}
