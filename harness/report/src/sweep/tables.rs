//! The rows that the terminal and the page share.
//!
//! In: `sweep.json`. Out: [`TextTable`]s, already formatted. Elsewhere: the heat map (`html`).

use bankstorm_record::sweep_json::{CellKey, CellRun, CellSummary, CellVerdict, Spread, SweepJson};

use super::{of_grid, per_s, verdict};
use crate::tables::{Column, Row, TextTable};
use crate::words::{clean, count};

/// The cells of one mode and cost, as a table with its heading.
pub(crate) fn grids(sweep: &SweepJson) -> Vec<(String, TextTable)> {
    let mut grids: Vec<(String, TextTable)> = Vec::new();
    for summary in &sweep.cells {
        let heading = of_grid(&summary.cell);
        if grids.last().is_none_or(|(last, _)| *last != heading) {
            grids.push((heading, TextTable { head: head(), rows: Vec::new() }));
        }
        grids.last_mut().expect("just pushed").1.rows.push(row(summary));
    }
    grids
}

fn head() -> Vec<Column> {
    let names = ["cell", "events/s", "spread", "predicted", "%", "busy workers", "machine"];
    let mut head: Vec<Column> = names.iter().map(|name| Column::of(name, true)).collect();
    head.push(Column::of("verdict", false));
    head
}

fn row(summary: &CellSummary) -> Row {
    let dash = || "-".to_owned();
    let spread = summary.events_per_s;
    let (word, tone) = verdict(summary.verdict);
    let share = |per_s: f64| spread.map(|spread| format!("{:.0}", spread.median / per_s * 100.0));
    let bound = summary.bound_by.as_ref().map(|bound| clean(&format!("{word}: {}", bound.resource)));
    Row {
        cells: vec![
            format!("{} x {}", summary.cell.partitions, summary.cell.workers),
            spread.map_or_else(dash, |spread| per_s(spread.median)),
            spread.filter(|spread| spread.count > 1).map_or_else(dash, around),
            summary.predicted_per_s.map_or_else(dash, per_s),
            summary.predicted_per_s.and_then(share).unwrap_or_else(dash),
            busy(summary),
            summary.machine_busy.map_or_else(dash, |share| format!("{:.0} %", share * 100.0)),
            bound.unwrap_or_else(|| word.to_owned()),
        ],
        tone: Some((7, tone)),
        minor: false,
    }
}

/// Half of what lies between the least and the greatest: `± 1.5 %`.
fn around(spread: Spread) -> String {
    format!("± {:.1} %", (spread.max - spread.min) / 2.0 / spread.median * 100.0)
}

/// `10 of 20`.
fn busy(summary: &CellSummary) -> String {
    let total = count(summary.workers_total);
    summary.busy_workers.map_or_else(|| total.clone(), |busy| format!("{} of {total}", count(busy)))
}

/// Processor microseconds an event, by process.
pub(crate) fn cpu(sweep: &SweepJson, most: usize) -> TextTable {
    let mut processes: Vec<&String> = sweep.cells.iter().flat_map(|summary| summary.cpu_us_per_event.keys()).collect();
    processes.sort();
    processes.dedup();
    let mut head = vec![Column::of("cell", true)];
    head.extend(processes.iter().map(|process| Column::of(process, true)));
    let measured = sweep.cells.iter().filter(|summary| !summary.cpu_us_per_event.is_empty());
    let rows = measured.take(most).map(|summary| {
        let CellKey { sync_cost_us, partitions, workers, .. } = &summary.cell;
        let mut cells = vec![format!("{partitions} x {workers}, {}", super::cost(*sync_cost_us))];
        let of =
            |process: &&String| summary.cpu_us_per_event.get(*process).map_or("-".to_owned(), |us| format!("{us:.0}"));
        cells.extend(processes.iter().map(of));
        Row { cells, tone: None, minor: false }
    });
    TextTable { rows: rows.collect(), head }
}

/// What bound each cell, with what shows it.
pub(crate) fn evidence(sweep: &SweepJson, most: usize) -> Vec<String> {
    let told = sweep.cells.iter().filter_map(|summary| {
        let bound = summary.bound_by.as_ref()?;
        Some(clean(&format!("{}: bound by {}: {}", settings(&summary.cell), bound.resource, bound.evidence)))
    });
    told.take(most).collect()
}

/// Every measurement that is neither as predicted nor bound, with its reason: those of the anchor too.
pub(crate) fn reasons(sweep: &SweepJson, most: usize) -> Vec<String> {
    let unwell = |run: &&CellRun| !matches!(run.verdict, CellVerdict::AsPredicted | CellVerdict::Bound);
    let told = sweep.runs.iter().filter(unwell).map(|run| {
        let (word, _) = verdict(Some(run.verdict));
        let reason = run.reason.as_deref().unwrap_or("nothing is known of why");
        clean(&format!("{} ({}): {word}: {reason}", run.id, settings(&run.cell)))
    });
    told.take(most).collect()
}

fn settings(cell: &CellKey) -> String {
    format!("{} x {}, {}", cell.partitions, cell.workers, of_grid(cell))
}

/// Every measurement in its order.
pub(crate) fn runs(sweep: &SweepJson, most: usize) -> TextTable {
    let head = [
        ("measurement", false),
        ("began", false),
        ("took, s", true),
        ("events", true),
        ("owned, s", true),
        ("drained, s", true),
        ("events/s", true),
        ("rows checked", true),
        ("verdict", false),
    ];
    let rows = sweep.runs.iter().take(most).map(run);
    TextTable { head: head.iter().map(|(name, number)| Column::of(name, *number)).collect(), rows: rows.collect() }
}

fn run(run: &CellRun) -> Row {
    let figure = |of: fn(&bankstorm_record::sweep_json::CellFigures) -> String| {
        run.figures.as_ref().map_or_else(|| "-".to_owned(), of)
    };
    let (word, tone) = verdict(Some(run.verdict));
    Row {
        cells: vec![
            run.id.clone(),
            run.began_at.clone(),
            format!("{:.1}", run.took_s),
            count(run.events),
            figure(|figures| format!("{:.1}", figures.owned_s)),
            figure(|figures| format!("{:.1}", figures.drained_s)),
            figure(|figures| per_s(figures.events_per_s)),
            figure(|figures| count(figures.rows_checked)),
            word.to_owned(),
        ],
        tone: Some((8, tone)),
        minor: false,
    }
}
