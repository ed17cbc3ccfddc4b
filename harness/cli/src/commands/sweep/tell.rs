//! What a sweep says while it goes on.
//!
//! In: cells. Out: lines of progress, with the time that is left. Elsewhere: the table at the end (`report::sweep`).

use bankstorm_record::sweep_json::{CellKey, CellRun, CellVerdict};
use bankstorm_sizing::left::time_left;
use bankstorm_sizing::order::Job;

use super::WARM_UP;
use super::open::OpenSweep;

/// What is about to begin.
pub(super) fn begins(open: &OpenSweep, left: usize) -> String {
    let planned = open.order.len();
    match planned - left {
        0 => format!(
            "{planned} cells, repeats and anchor included, in an order that seed {} decides",
            open.scenario.seed
        ),
        done => format!("{done} of {planned} cells are there already, {left} are left"),
    }
}

/// What is being measured.
pub(super) fn measuring(job: &Job) -> String {
    let what = match (job.id == WARM_UP, job.anchor) {
        (true, _) => " (warm-up)",
        (_, true) => " (anchor)",
        _ => "",
    };
    format!("measuring {}{what}", settings(&job.cell))
}

/// What a cell that was measured for nothing came to.
pub(super) fn warm_up(run: &CellRun) -> String {
    let counts = if run.verdict == CellVerdict::Failed { "which stands" } else { "which counts for nothing" };
    format!("{WARM_UP}, {counts}: {}", became(run))
}

/// What the last cell came to, and how long the others take.
pub(super) fn cell(open: &OpenSweep, left: &[Job]) -> String {
    let (runs, planned) = (&open.json.runs, open.order.len());
    let told = runs.last().map(became).unwrap_or_default();
    let time = if left.is_empty() {
        "nothing is left".to_owned()
    } else {
        let seconds = time_left(left, runs, open.sizes()).as_secs();
        format!("about {} min {:02} s left", seconds / 60, seconds % 60)
    };
    format!("cell {} of {planned}: {told}; {time}", runs.len())
}

fn became(run: &CellRun) -> String {
    let settings = settings(&run.cell);
    let reason = run.reason.as_deref().unwrap_or_default();
    let Some(figures) = &run.figures else {
        let word = if run.verdict == CellVerdict::Failed { "FAILED" } else { "DNF" };
        return format!("{settings}: {word}, {reason}");
    };
    let predicted = figures.predicted_per_s.map(|per_s| format!(" of {per_s:.1} predicted")).unwrap_or_default();
    let bound = match (&run.bound_by, run.verdict) {
        (Some(bound), _) => format!(", bound by {}", bound.resource),
        (None, CellVerdict::AsPredicted) => String::new(),
        (None, _) => format!(", unexplained: {reason}"),
    };
    format!("{settings}: {:.1} events/s{predicted}{bound}", figures.events_per_s)
}

fn settings(cell: &CellKey) -> String {
    let CellKey { worker_mode, sync_cost_us, partitions, workers } = cell;
    format!("{partitions} x {workers} {worker_mode} at {} ms", *sync_cost_us as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use bankstorm_record::sweep_json::{BoundBy, CellFigures, CellKey, CellRun, CellVerdict};

    use super::became;

    #[test]
    fn a_cell_says_what_it_came_to() {
        let mut run = CellRun {
            id: "x".to_owned(),
            cell: CellKey { worker_mode: "slots".to_owned(), sync_cost_us: 100_000, partitions: 5, workers: 10 },
            anchor: false,
            began_at: String::new(),
            took_s: 1.0,
            verdict: CellVerdict::AsPredicted,
            reason: None,
            workers_total: 50,
            events: 5_000,
            figures: Some(CellFigures { events_per_s: 489.04, predicted_per_s: Some(500.0), ..CellFigures::default() }),
            bound_by: None,
        };
        assert_eq!(became(&run), "5 x 10 slots at 100 ms: 489.0 events/s of 500.0 predicted");
        run.verdict = CellVerdict::Bound;
        run.bound_by = Some(BoundBy { resource: "processors".to_owned(), evidence: String::new() });
        assert!(became(&run).ends_with("of 500.0 predicted, bound by processors"));
        (run.verdict, run.figures, run.reason) = (CellVerdict::Dnf, None, Some("its budget was spent".to_owned()));
        assert_eq!(became(&run), "5 x 10 slots at 100 ms: DNF, its budget was spent");
    }
}
