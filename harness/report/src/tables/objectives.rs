//! Objectives with what was measured, and what the figures rest on.
//!
//! In: `run.json`. Out: a row for each objective, a sentence for each that has a note. Elsewhere: verdicts (`check`).

use bankstorm_record::run_json::{RunJson, SloVerdict};

use super::{Row, TextTable, columns};
use crate::words::{self, amount};

/// Objectives with what was measured. Ratios and counts say what they are; all else is milliseconds.
pub(crate) fn objectives(run: &RunJson) -> TextTable {
    let head = columns(&[
        ("verdict", false),
        ("objective", false),
        ("limit, ms", true),
        ("measured, ms", true),
        ("during", false),
    ]);
    let rows = run.slo.objectives.iter().map(|objective| {
        let (word, tone) = words::slo(objective.verdict);
        let measured = match (objective.measured_us, objective.verdict) {
            (Some(value), _) => amount(value, objective.unit),
            (None, SloVerdict::Missed) => "not reached".to_owned(),
            (None, _) => "-".to_owned(),
        };
        let limit = amount(objective.limit_us, objective.unit);
        let cells = vec![word.to_owned(), objective.name.clone(), limit, measured, objective.during.clone()];
        Row { cells, tone: Some((0, tone)), minor: false }
    });
    TextTable { head, rows: rows.collect() }
}

/// What figures rest on, or why there is no verdict on them.
pub(crate) fn notes(run: &RunJson) -> Vec<String> {
    let noted = run.slo.objectives.iter().filter_map(|objective| Some((objective, objective.note.as_ref()?)));
    noted.map(|(objective, note)| format!("{}: {note}.", objective.name)).collect()
}

#[cfg(test)]
mod tests {
    use bankstorm_record::folder::RunFolder;
    use bankstorm_record::run_json::{ObjectiveResult, SloVerdict, Unit};

    use super::{notes, objectives};
    use crate::fixture;
    use crate::terminal::summary;

    #[test]
    fn ratios_and_counts_are_told_as_such_and_rest_on_something() {
        let mut run = fixture::held();
        assert_eq!(notes(&run), [] as [String; 0]);
        let objective = |name: &str, unit, limit_us, measured_us, note: &str| ObjectiveResult {
            name: format!("overload.{name}"),
            limit_us,
            during: "overload".to_owned(),
            measured_us: Some(measured_us),
            verdict: SloVerdict::Missed,
            unit,
            note: Some(note.to_owned()),
        };
        run.slo.objectives = vec![
            objective("posting_p99", Unit::Permille, 3_000, 3_126, "of 3000 admitted"),
            objective("recovery", Unit::Us, 10_000_000, 12_300_000, "none"),
            objective("unrefused", Unit::Count, 0, 1_234, "1234 unknown, status 500"),
        ];
        let cells: Vec<Vec<String>> = objectives(&run).rows.into_iter().map(|row| row.cells[1..4].to_vec()).collect();
        assert_eq!(cells[0], ["overload.posting_p99", "3.00x", "3.13x"]);
        assert_eq!(cells[1], ["overload.recovery", "10,000", "12,300"]);
        assert_eq!(cells[2], ["overload.unrefused", "0", "1,234"]);
        assert_eq!(notes(&run)[2], "overload.unrefused: 1234 unknown, status 500.");
        let (terminal, junit) = (summary(&run, &RunFolder::new("runs/x"), false), crate::junit::junit(&run));
        assert!(terminal.contains("overload.posting_p99: of 3000 admitted."), "{terminal}");
        assert!(junit.contains("measured 3.13x, limit 3.00x: of 3000 admitted"), "{junit}");
    }
}
