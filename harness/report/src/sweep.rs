//! Reports of a sweep: a table on the terminal, and one page with a heat map.
//!
//! In: `sweep.json`. Out: text, and `report.html` in the sweep's folder. Elsewhere: every verdict and figure (`sizing`); how tables are
//! drawn on the terminal (`terminal`).

mod html;
mod tables;

#[cfg(test)]
pub(crate) mod fixture;

use std::path::PathBuf;

use bankstorm_record::folder::RunFolder;
use bankstorm_record::sweep_json::{CellKey, CellVerdict, SweepJson, SweepState};

use crate::ReportError;
use crate::words::Tone;

pub use self::html::html;
pub(crate) use self::tables::{cpu, evidence, grids, reasons, runs};
pub use crate::terminal::sweep::summary;

/// Writes `report.html` into the folder of `sweep`.
///
/// # Errors
/// When it cannot be rendered or written.
pub fn write(folder: &RunFolder, sweep: &SweepJson) -> Result<PathBuf, ReportError> {
    let path = folder.report_html();
    // Beside it first: an interrupted write must not leave half a report under the report's name.
    let draft = path.with_extension("part");
    let page = html(sweep)?;
    std::fs::write(&draft, page)
        .and_then(|()| std::fs::rename(&draft, &path))
        .map_err(|source| ReportError::Write { path: path.clone(), source })?;
    Ok(path)
}

/// The word of a cell's verdict, and its tone.
pub(crate) const fn verdict(verdict: Option<CellVerdict>) -> (&'static str, Tone) {
    match verdict {
        Some(CellVerdict::AsPredicted) => ("as predicted", Tone::Good),
        Some(CellVerdict::Bound) => ("bound", Tone::Good),
        Some(CellVerdict::Unexplained) => ("unexplained", Tone::Warn),
        Some(CellVerdict::Dnf) => ("DNF", Tone::Warn),
        Some(CellVerdict::Failed) => ("FAILED", Tone::Bad),
        None => ("not measured", Tone::Warn),
    }
}

/// How the sweep ended, in one line for people who do not know the words, worst first.
pub(crate) fn headline(sweep: &SweepJson) -> (&'static str, &'static str, Tone) {
    let worst = sweep.runs.iter().map(|run| run.verdict).max();
    match (worst, sweep.state) {
        (Some(CellVerdict::Failed), _) => (
            "A copy was not what core has",
            "At least one cell ended with rows that are missing, doubled or different. It has no figure, and what was found is below.",
            Tone::Bad,
        ),
        (_, SweepState::Lost) => (
            "The sweep had to end early",
            "The bank was lost, or the disk is full. The cells before stand; `--resume` measures the others.",
            Tone::Warn,
        ),
        (_, SweepState::Interrupted | SweepState::Unfinished) => {
            ("The sweep was broken off", "The cells that ended stand; `--resume` measures the others.", Tone::Warn)
        }
        (Some(CellVerdict::Dnf | CellVerdict::Unexplained), _) => (
            "Not every cell has a figure that is explained",
            "The others do: each copy was held against core, row by row.",
            Tone::Warn,
        ),
        _ => (
            "Every cell is as predicted, or bound by something that was seen",
            "After each cell the copy was held against core, row by row, and was the same.",
            Tone::Good,
        ),
    }
}

/// `12,345`, `489`, `48.9`: three digits at least.
pub(crate) fn per_s(rate: f64) -> String {
    if rate >= 100.0 { crate::words::count(rate.round() as u64) } else { format!("{rate:.1}") }
}

/// `100 ms`.
pub(crate) fn cost(sync_cost_us: u64) -> String {
    format!("{} ms", sync_cost_us as f64 / 1e3)
}

/// `slots, 100 ms a sync`.
pub(crate) fn of_grid(cell: &CellKey) -> String {
    match cell.sync_cost_us {
        0 => format!("{}, a sync costs nothing", cell.worker_mode),
        us => format!("{}, {} a sync", cell.worker_mode, cost(us)),
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::folder::RunFolder;

    use super::*;

    #[test]
    fn the_page_is_written_under_its_name_and_nothing_is_left_beside_it() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let written = write(&RunFolder::new(root.path()), &fixture::sweep(3, 3)).expect("a page");
        assert!(written.ends_with("report.html") && written.is_file());
        assert_eq!(std::fs::read_dir(root.path()).expect("listed").count(), 1);
    }

    #[test]
    fn the_worst_cell_leads() {
        let mut sweep = fixture::sweep(2, 2);
        assert_eq!(headline(&sweep).2, Tone::Good);
        sweep.runs[0].verdict = CellVerdict::Dnf;
        assert_eq!(headline(&sweep).2, Tone::Warn);
        sweep.state = SweepState::Lost;
        assert!(headline(&sweep).0.contains("end early"));
        sweep.runs[1].verdict = CellVerdict::Failed;
        assert_eq!(headline(&sweep).2, Tone::Bad, "a violation wins over a lost bank");
    }

    #[test]
    fn rates_keep_three_digits() {
        assert_eq!([per_s(9.87), per_s(98.76), per_s(487.6), per_s(12_345.6)], ["9.9", "98.8", "488", "12,346"]);
    }
}
