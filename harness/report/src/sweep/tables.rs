//! The rows that the terminal and the page share.
//!
//! In: `sweep.json`. Out: [`TextTable`]s, already formatted. Elsewhere: the heat map (`html`).

use bankstorm_record::sweep_json::{CellRun, CellSummary, SweepJson};

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
    let names = ["partitions", "workers", "events/s", "spread", "predicted", "%", "busy workers", "machine busy"];
    let mut head: Vec<Column> = names.iter().map(|name| Column::of(name, true)).collect();
    head.push(Column::of("verdict", false));
    head.push(Column::of("bound by, or why not", false));
    head
}

fn row(summary: &CellSummary) -> Row {
    let dash = || "-".to_owned();
    let spread = summary.events_per_s;
    let range = spread
        .filter(|spread| spread.count > 1)
        .map(|spread| format!("{} to {}", per_s(spread.min), per_s(spread.max)));
    let (word, tone) = verdict(summary.verdict);
    let share = spread
        .zip(summary.predicted_per_s)
        .map(|(spread, predicted)| format!("{:.0}", spread.median / predicted * 100.0));
    let why = summary.bound_by.as_ref().map(|bound| bound.resource.clone()).or_else(|| summary.reason.clone());
    Row {
        cells: vec![
            summary.cell.partitions.to_string(),
            summary.cell.workers.to_string(),
            spread.map_or_else(dash, |spread| per_s(spread.median)),
            range.unwrap_or_else(dash),
            summary.predicted_per_s.map_or_else(dash, per_s),
            share.unwrap_or_else(dash),
            busy(summary),
            summary.machine_busy.map_or_else(dash, |share| format!("{:.0} %", share * 100.0)),
            word.to_owned(),
            clean(&why.unwrap_or_default()),
        ],
        tone: Some((8, tone)),
        minor: false,
    }
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
    let mut head: Vec<Column> = ["cost", "partitions", "workers"].iter().map(|name| Column::of(name, true)).collect();
    head.extend(processes.iter().map(|process| Column::of(process, true)));
    let measured = sweep.cells.iter().filter(|summary| !summary.cpu_us_per_event.is_empty());
    let rows = measured.take(most).map(|summary| {
        let cell = &summary.cell;
        let mut cells = vec![super::cost(cell.sync_cost_us), cell.partitions.to_string(), cell.workers.to_string()];
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
        let cell = format!("{} x {}, {}", summary.cell.partitions, summary.cell.workers, of_grid(&summary.cell));
        let bound = summary.bound_by.as_ref().map(|bound| format!("bound by {}: {}", bound.resource, bound.evidence));
        let why = bound.or_else(|| summary.reason.clone())?;
        Some(clean(&format!("{cell}: {why}")))
    });
    told.take(most).collect()
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
