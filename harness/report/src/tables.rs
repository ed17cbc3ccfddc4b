//! The rows that terminal, Markdown and HTML share.
//!
//! In: `run.json`. Out: [`TextTable`]s, already formatted. Elsewhere: tables of faults (`tables::faults`), how a table is drawn (each
//! format), how figures came about (`load`, `check`).

mod faults;
mod following;
mod objectives;
mod posting;
mod processes;

use std::borrow::Cow;

use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict, Latency, RunJson};
use serde_json::Value;

pub(crate) use self::faults::{during, faults, parts, proxied, recovery};
pub(crate) use self::following::{drain, followed, spared};
pub(crate) use self::objectives::{notes, objectives};
pub(crate) use self::posting::posting;
pub(crate) use self::processes::processes;
use crate::words::{self, Tone, count, ms};

/// A table of text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TextTable {
    /// Column headings, with whether the column holds numbers.
    pub(crate) head: Vec<Column>,
    /// Rows.
    pub(crate) rows: Vec<Row>,
}

/// A column's heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its text.
    pub(crate) name: Cow<'static, str>,
    /// Aligned to the right.
    pub(crate) number: bool,
}

impl Column {
    /// A column whose name is known at run time only.
    pub(crate) fn of(name: &str, number: bool) -> Self {
        Self { name: Cow::Owned(name.to_owned()), number }
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// One text per column.
    pub(crate) cells: Vec<String>,
    /// The row's verdict, where it has one: it colours the cell of `verdict_at`.
    pub(crate) tone: Option<(usize, Tone)>,
    /// A row that explains the one above: shown weaker.
    pub(crate) minor: bool,
}

impl Row {
    fn plain(cells: Vec<String>) -> Self {
        Self { cells, tone: None, minor: false }
    }
}

fn columns(names: &[(&'static str, bool)]) -> Vec<Column> {
    names.iter().map(|&(name, number)| Column { name: Cow::Borrowed(name), number }).collect()
}

/// Counts per operation, measured phase.
pub(crate) fn load(run: &RunJson) -> TextTable {
    let names = ["planned", "sent", "ok", "rejected", "failed", "unknown", "unresolved", "missed"];
    let mut head = columns(&[("operation", false)]);
    head.extend(names.map(|name| Column { name: Cow::Borrowed(name), number: true }));
    let rows = run.load.iter().map(|(op, c)| {
        let figures = [c.planned, c.sent, c.ok, c.rejected, c.failed, c.unknown, c.unresolved, c.missed];
        Row::plain(std::iter::once(op.clone()).chain(figures.map(count)).collect())
    });
    TextTable { head, rows: rows.collect() }
}

/// Latencies in milliseconds, with a second line where misses were left out.
pub(crate) fn latency(run: &RunJson) -> TextTable {
    let head = columns(&[
        ("ms", false),
        ("from, to", false),
        ("p50", true),
        ("p90", true),
        ("p99", true),
        ("p99.9", true),
        ("max", true),
        ("count", true),
    ]);
    let several = run.latency_us.len() > 1;
    let mut rows = Vec::new();
    for (op, kinds) in &run.latency_us {
        let known = words::LATENCIES.iter().filter_map(|(key, label, span, _)| Some((*label, *span, kinds.get(*key)?)));
        // A kind that this build does not know is still shown, under its own name.
        let other = kinds
            .iter()
            .filter(|(key, _)| !words::LATENCIES.iter().any(|(known, ..)| known == key))
            .map(|(key, figures)| (key.as_str(), "", figures));
        for (label, span, figures) in known.chain(other) {
            let label = if several { format!("{op} {label}") } else { label.to_owned() };
            rows.push(latency_row(label, span, figures, false));
            if let Some(without) = &figures.without_missed {
                rows.push(latency_row("  without missed".to_owned(), "", without, true));
            }
        }
    }
    TextTable { head, rows }
}

fn latency_row(label: String, span: &str, figures: &Latency, minor: bool) -> Row {
    let mut cells = vec![label, span.to_owned()];
    if figures.count == 0 {
        cells.extend(std::iter::repeat_n("-".to_owned(), 5));
    } else {
        cells.extend([figures.p50, figures.p90, figures.p99, figures.p999, figures.max].map(ms));
    }
    cells.push(count(figures.count));
    Row { cells, tone: None, minor }
}

/// Values among the latencies that are bounds, not measurements: (operation and latency, how many, of how many).
pub(crate) fn upper_bounds(run: &RunJson) -> Vec<(String, u64, u64)> {
    let all = run.latency_us.iter().flat_map(|(op, kinds)| kinds.iter().map(move |(kind, f)| (op, kind, f)));
    all.filter(|(.., f)| f.upper_bound > 0)
        .map(|(op, kind, f)| (format!("{op} {}", kind.replace('_', " ")), f.upper_bound, f.count))
        .collect()
}

/// The checks of the bank.
pub(crate) fn guarantee_checks(run: &RunJson) -> impl Iterator<Item = &CheckResult> {
    run.guarantees.checks.iter().filter(|check| !is_validity(check))
}

/// The checks of the run itself, V2 and V3: a failure makes it not believable and says nothing of the bank. V1 is a guarantee.
pub(crate) fn validity_checks(run: &RunJson) -> impl Iterator<Item = &CheckResult> {
    run.guarantees.checks.iter().filter(|check| is_validity(check))
}

pub(crate) fn is_validity(check: &CheckResult) -> bool {
    ["V2", "V3"].contains(&check.id.as_str())
}

/// Guarantees with counts.
pub(crate) fn guarantees(run: &RunJson) -> TextTable {
    checks(guarantee_checks(run))
}

/// The checks of the run itself with counts.
pub(crate) fn validity(run: &RunJson) -> TextTable {
    checks(validity_checks(run))
}

fn checks<'a>(checks: impl Iterator<Item = &'a CheckResult>) -> TextTable {
    let head =
        columns(&[("verdict", false), ("check", false), ("name", false), ("examined", true), ("violations", true)]);
    let mut rows = Vec::new();
    for check in checks {
        let (word, tone) = words::guarantee(check.verdict);
        let cells =
            vec![word.to_owned(), check.id.clone(), check.name.clone(), count(check.examined), count(check.violations)];
        rows.push(Row { cells, tone: Some((0, tone)), minor: false });
        for (name, figure) in &check.figures {
            let none = String::new;
            let told = format!("{}: {}", name.replace('_', " "), count(*figure));
            rows.push(Row { cells: vec![none(), none(), told, none(), none()], tone: None, minor: true });
        }
    }
    TextTable { head, rows }
}

/// Checks that did not hold, worst first, with what they saw. A check of the run itself is left out when what it saw is printed already,
/// among the reasons of validity.
pub(crate) fn witnesses(run: &RunJson) -> Vec<(&CheckResult, &str)> {
    let is_told = |check: &CheckResult| {
        is_validity(check) && check.first.as_ref().is_some_and(|first| run.validity.reasons.contains(first))
    };
    let of = |verdict| {
        run.guarantees
            .checks
            .iter()
            .filter(move |check| check.verdict == verdict && !is_told(check))
            .map(|check| (check, check.first.as_deref().unwrap_or("no witness was recorded")))
    };
    of(GuaranteeVerdict::Violated).chain(of(GuaranteeVerdict::Unknown)).collect()
}

/// What the services ran in, from the machine facts: `engine` and `Docker 20.10.24`.
pub(crate) fn environment(machine: &Value) -> Vec<(&str, &str)> {
    let facts = machine.get("environment").and_then(Value::as_object);
    facts.into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
}

/// Said once where an image is a stand-in.
pub(crate) fn stand_ins(machine: &Value) -> Option<&'static str> {
    let any = environment(machine).iter().any(|(_, value)| value.contains("stand-in"));
    any.then_some("Images marked stand-in were built from distribution packages, not pulled.")
}

/// The measured phase, in milliseconds since the origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// When measuring began; 0 where no phase says so.
    pub(crate) from_ms: i64,
    /// When load ended; absent where no phase says so.
    pub(crate) ended_ms: Option<i64>,
}

/// The measured phase of a run.
pub(crate) fn measured(run: &RunJson) -> Measured {
    let measure = run.phases.iter().find(|phase| phase.name == "measure");
    Measured { from_ms: measure.map_or(0, |phase| phase.start_ms), ended_ms: measure.map(|phase| phase.end_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn checks_of_the_run_are_no_guarantees_and_their_reasons_are_printed_once() {
        let mut run = fixture::invalid();
        let ids = |table: TextTable| table.rows.into_iter().map(|row| row.cells[1].clone()).collect::<Vec<_>>();
        assert_eq!(ids(validity(&run)), ["V2", "V3"]);
        assert_eq!(ids(guarantees(&run)).len(), 14);
        assert_eq!(ids(guarantees(&run))[13], "V1", "deadlocks are the bank's");
        assert_eq!(witnesses(&run), []);
        run.guarantees.checks[15].first = Some("another finding".to_owned());
        assert_eq!(witnesses(&run).len(), 1);
    }

    #[test]
    fn what_a_check_counts_and_does_not_judge_stands_below_it() {
        let mut run = fixture::held();
        run.guarantees.checks[0].figures.insert("resent_after_end".to_owned(), 1_234);
        let TextTable { rows, .. } = guarantees(&run);
        assert_eq!((&*rows[1].cells[2], rows[1].minor), ("resent after end: 1,234", true));
        assert_eq!(rows.len(), 15, "and nothing below the others");
    }
}
