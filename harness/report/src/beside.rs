//! A run and its arms side by side: one column a run, one row a figure.
//!
//! In: `run.json`s of a run folder and of the folders of its arms below it. Out: [`Beside`]s, and the table that all formats show. Elsewhere:
//! what an arm is (`scenario`), the verdicts and figures themselves (`check`).

use bankstorm_record::folder::RunFolder;
use bankstorm_record::run_json::{ArmRecord, GuaranteeVerdict, RunJson, SparedPart};

use crate::tables::{self, Column, Row, TextTable};
use crate::words::{self, count, ms};

/// Scrolls of fewer pages have no depth to speak of.
const DEEP: u32 = 9;
/// The heading of the run itself.
const AS_IT_STANDS: &str = "as it stands";

/// An arm with its own summary, where it got as far.
#[derive(Clone, Debug)]
pub struct Beside {
    /// What the run says of it.
    pub arm: ArmRecord,
    /// Its own summary; absent where it was not played, or cannot be read.
    pub run: Option<RunJson>,
}

/// The arms of `run`, whose folder is `folder`; what cannot be read is named in `missing`.
pub(crate) fn read(run: &RunJson, folder: &RunFolder, missing: &mut Vec<String>) -> Vec<Beside> {
    let beside = |arm: &ArmRecord| {
        let own = RunFolder::new(folder.root().join(&arm.folder)).run_json();
        let read = std::fs::read(&own).map_err(|error| error.to_string());
        let read = read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
        if let (Err(problem), None) = (&read, &arm.problem) {
            missing.push(format!("{}/run.json cannot be read: {problem}: no figures of that arm.", arm.folder));
        }
        Beside { arm: arm.clone(), run: read.ok() }
    };
    run.arms.iter().map(beside).collect()
}

/// A row: what it is called, and what it says of a run.
type Line = (String, Vec<Option<String>>);

/// The table; no rows without arms.
pub(crate) fn table(run: &RunJson, arms: &[Beside]) -> TextTable {
    let mut head = vec![Column::of("", false), Column::of(AS_IT_STANDS, true)];
    head.extend(arms.iter().map(|beside| Column::of(&beside.arm.name, true)));
    if arms.is_empty() {
        return TextTable { head, rows: Vec::new() };
    }
    let runs: Vec<Option<&RunJson>> =
        std::iter::once(Some(run)).chain(arms.iter().map(|beside| beside.run.as_ref())).collect();
    let mut lines = verdicts(&runs, arms);
    lines.extend(latencies(&runs));
    lines.extend(of_core(&runs));
    lines.extend(of_the_copy(&runs));
    // A row that says nothing of any run is none.
    let lines = lines.into_iter().filter(|(_, cells)| cells.iter().any(Option::is_some));
    let rows = lines.map(|(name, cells)| {
        let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
        Row { cells: std::iter::once(name).chain(cells).collect(), tone: None, minor: false }
    });
    TextTable { head, rows: rows.collect() }
}

fn line(name: &str, runs: &[Option<&RunJson>], of: impl Fn(&RunJson) -> Option<String>) -> Line {
    (name.to_owned(), runs.iter().map(|run| run.and_then(&of)).collect())
}

fn verdicts(runs: &[Option<&RunJson>], arms: &[Beside]) -> Vec<Line> {
    let word = |name: &str, at: usize| line(name, runs, |run| Some(words::verdicts(run)[at].0.to_owned()));
    let expected = arms.iter().map(|Beside { arm, .. }| {
        let shown = match (&arm.problem, arm.shown) {
            (Some(_), _) => "not played",
            (None, true) => "shown",
            (None, false) => "NOT shown",
        };
        let by = if arm.by.is_empty() { String::new() } else { format!(" by {}", arm.by.join(" or ")) };
        Some(format!("{}{by}, {shown}", arm.expect))
    });
    let first_violated = |run: &RunJson| {
        let violated = tables::guarantee_checks(run).filter(|check| check.verdict == GuaranteeVerdict::Violated);
        let ids: Vec<&str> = violated.map(|check| check.id.as_str()).collect();
        (!ids.is_empty()).then(|| ids.join(", "))
    };
    vec![
        word("validity", 0),
        word("guarantees", 1),
        line("  violated", runs, first_violated),
        word("objectives", 2),
        ("expected".to_owned(), std::iter::once(None).chain(expected).collect()),
        line("switched off", runs, |run| (!run.r#unsafe.is_empty()).then(|| run.r#unsafe.join(", "))),
    ]
}

/// Of each operation: answered ok a second, response p50 and p99, visible p99.
fn latencies(runs: &[Option<&RunJson>]) -> Vec<Line> {
    let ops: std::collections::BTreeSet<&String> = runs.iter().flatten().flat_map(|run| run.load.keys()).collect();
    let mut lines = Vec::new();
    for op in ops {
        let rate = |run: &RunJson| {
            let measured = run.phases.iter().find(|phase| phase.name == "measure")?;
            let seconds = (measured.end_ms - measured.start_ms) as f64 / 1_000.0;
            Some(format!("{:.1}", run.load.get(op)?.ok as f64 / seconds.max(0.001)))
        };
        lines.push(line(&format!("{op} ok/s"), runs, rate));
        for (kind, label) in [("response", "response"), ("visible", "visible")] {
            let figures = |run: &RunJson| {
                let found = run.latency_us.get(op)?.get(kind)?;
                (found.count > 0).then(|| format!("{} / {}", ms(found.p50), ms(found.p99)))
            };
            lines.push(line(&format!("{op} {label} p50 / p99, ms"), runs, figures));
        }
    }
    lines
}

/// What a posting cost while nobody read, and beside readers, over all such parts: `800 alone, 760 with readers (-5 %)`; or one figure.
fn beside_readers(run: &RunJson, figure: impl Fn(&SparedPart) -> Option<u64>) -> Option<String> {
    let parts = &run.spared.as_ref()?.parts;
    let mean = |with_readers: bool| {
        let told = parts.iter().filter(|part| (part.pages > 0) == with_readers);
        let told: Vec<(u64, u64)> = told.filter_map(|part| Some((part.posted, figure(part)?))).collect();
        let posted: u64 = told.iter().map(|(posted, _)| posted).sum();
        let spent: u64 = told.iter().map(|(posted, each)| posted * each).sum();
        (posted > 0).then(|| spent as f64 / posted as f64)
    };
    match (mean(false), mean(true)) {
        (Some(alone), Some(with)) if alone > 0.0 => {
            let moved = (with / alone - 1.0) * 100.0;
            Some(format!("{} alone, {} with readers ({moved:+.0} %)", count(alone as u64), count(with as u64)))
        }
        (alone, with) => with.or(alone).map(|one| count(one as u64)),
    }
}

/// The first and the last part that say something: `120 to 131`, or one figure.
fn first_to_last(run: &RunJson, figure: impl Fn(&SparedPart) -> Option<String>) -> Option<String> {
    let told: Vec<String> = run.spared.as_ref()?.parts.iter().filter_map(figure).collect();
    match (told.first()?, told.last()?, told.len()) {
        (only, _, 1) => Some(only.clone()),
        (first, last, _) => Some(format!("{first} to {last}")),
    }
}

fn of_core(runs: &[Option<&RunJson>]) -> Vec<Line> {
    let calls = |run: &RunJson| run.spared.as_ref().map(|spared| count(spared.calls_by_reads));
    let share = |part: &SparedPart| part.readers_cpu_share.map(|share| format!("{:.0} %", share * 100.0));
    vec![
        line("core's calls made for readers", runs, calls),
        line("core's CPU a posting, us", runs, |run| beside_readers(run, |part| part.core_cpu_us)),
        line("its database's, us", runs, |run| beside_readers(run, |part| part.core_database_cpu_us)),
        line("core's posting p99, ms", runs, |run| first_to_last(run, |part| part.posting_p99_us.map(ms))),
        line("CPU that readers took", runs, |run| first_to_last(run, share)),
    ]
}

fn of_the_copy(runs: &[Option<&RunJson>]) -> Vec<Line> {
    let depth = |run: &RunJson| {
        let depth = run.depth.as_ref().filter(|depth| depth.deepest >= DEEP)?;
        Some(format!("{} / {}", ms(depth.first_p99_us?), ms(depth.last_p99_us?)))
    };
    let rate = |rate: f64| format!("{rate:.1}");
    let share = |run: &RunJson| run.drain.as_ref()?.of_predicted().map(|share| format!("{:.1} %", share as f64 / 10.0));
    vec![
        line("page p99, first / deepest tenth, ms", runs, depth),
        line("backlog, syncs/s", runs, |run| run.drain.as_ref()?.syncs_per_s.map(rate)),
        line("  predicted", runs, |run| run.drain.as_ref()?.predicted_per_s.map(rate)),
        line("  measured to predicted", runs, share),
        line("  workers in all", runs, |run| run.drain.as_ref().map(|drain| count(drain.workers_total))),
        line("  busy at once, most", runs, |run| run.drain.as_ref()?.busy_workers.map(count)),
    ]
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::{ArmRecord, DepthRecord, DrainRecord, SparedPart, SparedRecord};

    use super::{Beside, table};
    use crate::fixture;

    fn arm(name: &str, expect: &str, shown: bool) -> ArmRecord {
        let folder = format!("arms/{name}");
        let (name, expect) = (name.to_owned(), expect.to_owned());
        ArmRecord { name, expect, exit_code: Some(0), shown, folder, ..ArmRecord::default() }
    }

    #[test]
    fn what_no_run_tells_has_no_row_and_what_one_tells_stands_beside_the_others() {
        let mut run = fixture::held();
        let part = |pages, posted, core_cpu_us| SparedPart {
            pages,
            posted,
            core_cpu_us: Some(core_cpu_us),
            ..SparedPart::default()
        };
        let parts = vec![part(0, 300, 100), part(50, 100, 126), part(0, 100, 140)];
        run.spared = Some(SparedRecord { parts, ..SparedRecord::default() });
        let mut broken = fixture::violated();
        broken.drain = Some(DrainRecord {
            syncs_per_s: Some(98.0),
            predicted_per_s: Some(100.0),
            workers_total: 10,
            ..DrainRecord::default()
        });
        broken.depth = Some(DepthRecord {
            deepest: 999,
            first_p99_us: Some(2_000),
            last_p99_us: Some(9_000),
            ..DepthRecord::default()
        });
        let arms = [
            Beside { arm: arm("offset", "violated", true), run: Some(broken.clone()) },
            Beside {
                arm: ArmRecord { by: ["O1", "O3"].map(str::to_owned).into(), ..arm("keys", "violated", false) },
                run: Some(broken),
            },
            Beside {
                arm: ArmRecord {
                    problem: Some("interrupted before it began".to_owned()),
                    ..arm("late", "holds", false)
                },
                run: None,
            },
        ];
        let shown = table(&run, &arms);
        let names: Vec<&str> = shown.head.iter().map(|column| &*column.name).collect();
        assert_eq!(names, ["", "as it stands", "offset", "keys", "late"]);
        let row = |name: &str| {
            let found = shown.rows.iter().find(|row| row.cells[0] == name);
            found.map(|row| row.cells[1..].join(" | "))
        };
        assert_eq!(row("guarantees").as_deref(), Some("HOLDS | VIOLATED | VIOLATED | -"));
        let expected = "- | violated, shown | violated by O1 or O3, NOT shown | holds, not played";
        assert_eq!(row("expected").as_deref(), Some(expected));
        assert_eq!(row("  violated").as_deref(), Some("- | S1 | S1 | -"));
        assert_eq!(row("deposit ok/s").as_deref(), Some("300.0 | 300.0 | 300.0 | -"));
        assert_eq!(row("core's CPU a posting, us").as_deref(), Some("110 alone, 126 with readers (+15 %) | - | - | -"));
        assert_eq!(row("page p99, first / deepest tenth, ms").as_deref(), Some("- | 2.00 / 9.00 | 2.00 / 9.00 | -"));
        assert_eq!(row("  measured to predicted").as_deref(), Some("- | 98.0 % | 98.0 % | -"));
        assert_eq!(row("CPU that readers took"), None);
        assert_eq!(table(&run, &[]).rows, []);
    }
}
