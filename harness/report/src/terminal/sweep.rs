//! What a sweep ends with on the terminal: how it ended, one table a mode and cost, what bound cells, processor time an event.
//!
//! In: `sweep.json` and where its folder is. Out: text. Elsewhere: the rows (`sweep::tables`), how they are drawn (`terminal`).

use bankstorm_record::folder::RunFolder;
use bankstorm_record::sweep_json::SweepJson;

use super::{INDENT, Out};
use crate::sweep::{cpu, evidence, grids, headline, of_grid, per_s, reasons};
use crate::words::{clean, count};

/// The most lines of evidence, and the most rows of processor time.
const LINES: usize = 80;

/// The summary of `sweep`, whose report lies in `folder`.
pub fn summary(sweep: &SweepJson, folder: &RunFolder, colour: bool) -> String {
    let mut out = Out { text: String::new(), colour };
    let (line, meaning, tone) = headline(sweep);
    let line = out.paint(tone, line);
    out.line(&format!("{line}  {}  sweep {}", clean(&sweep.scenario), clean(&sweep.run_id)));
    out.wrapped(meaning, INDENT);
    let (done, planned) = (count(sweep.runs.len() as u64), count(sweep.grid.planned));
    let resumed = if sweep.resumed > 0 { format!(", taken up again {}", times(sweep.resumed)) } else { String::new() };
    out.wrapped(
        &format!("{done} of {planned} measurements{resumed}, environment {}, seed {}", sweep.environment, sweep.seed),
        INDENT,
    );
    if !sweep.r#unsafe.is_empty() {
        out.wrapped(&format!("PROTECTIONS SWITCHED OFF: {}", sweep.r#unsafe.join(", ")), INDENT);
    }
    for reason in &sweep.reasons {
        out.item(reason);
    }
    for (heading, table) in grids(sweep) {
        out.table(&format!("Events worked off a second: {heading}"), &table);
    }
    let evidence = evidence(sweep, LINES);
    if !evidence.is_empty() {
        out.heading("What bound them");
        evidence.iter().for_each(|line| out.item(line));
    }
    let reasons = reasons(sweep, LINES);
    if !reasons.is_empty() {
        out.heading("What has no figure, or one that is not explained");
        reasons.iter().for_each(|line| out.item(line));
    }
    if let Some(anchor) = &sweep.anchor {
        let rates: Vec<String> = anchor.events_per_s.iter().map(|rate| per_s(*rate)).collect();
        let drift = anchor.drift.map(|drift| format!(", {:.1} % apart", drift * 100.0)).unwrap_or_default();
        let cell = format!("{} x {}, {}", anchor.cell.partitions, anchor.cell.workers, of_grid(&anchor.cell));
        out.blank();
        out.wrapped(&format!("Anchor {cell}: {} events/s in the order of measuring{drift}.", rates.join(", ")), INDENT);
    }
    out.table("Processor time of an event in microseconds, by process", &cpu(sweep, LINES));
    out.files(folder);
    out.text
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::folder::RunFolder;
    use bankstorm_record::sweep_json::{CellRun, CellVerdict, SweepState};

    use super::summary;
    use crate::sweep::fixture;

    #[test]
    fn a_sweep_that_ended_well() {
        insta::assert_snapshot!(summary(&fixture::sweep(2, 3), &RunFolder::new("runs/sweep"), false));
    }

    #[test]
    fn a_sweep_that_was_broken_off_says_what_is_missing_and_why() {
        let mut sweep = fixture::sweep(1, 2);
        (sweep.state, sweep.anchor) = (SweepState::Lost, None);
        sweep.reasons = vec!["the disk under runs/x has 7 MiB left".to_owned()];
        let dnf = &mut sweep.cells[1];
        (dnf.verdict, dnf.events_per_s) = (Some(CellVerdict::Dnf), None);
        dnf.reason = Some("channel-0 ended by itself".to_owned());
        let run = &mut sweep.runs[2];
        (run.verdict, run.reason, run.figures) = (CellVerdict::Dnf, dnf.reason.clone(), None);
        let anchor = CellRun { id: "anchor-1".to_owned(), anchor: true, ..sweep.runs[0].clone() };
        let reason = Some("3.0 of 4 workers had work on average".to_owned());
        sweep.runs.insert(0, CellRun { verdict: CellVerdict::Unexplained, reason, ..anchor });
        let unmeasured = &mut sweep.cells[2];
        (unmeasured.verdict, unmeasured.events_per_s, unmeasured.busy_workers) = (None, None, None);
        sweep.runs.truncate(4);
        insta::assert_snapshot!(summary(&sweep, &RunFolder::new("runs/sweep"), false));
    }
}
