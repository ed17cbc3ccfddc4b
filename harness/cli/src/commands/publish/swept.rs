//! Whether a sweep's document says what its measurements come to.
//!
//! In: a sweep's folder. Out: nothing, or where `sweep.json` says something else than `cells.ndjson` and the stored scenario. Elsewhere: what
//! measurements come to (`sizing::summary`), what is published of them (`report::publish`).
//!
//! Numbers are held together as far as ten digits: they went through text.

use std::path::Path;

use bankstorm_record::folder::RunFolder;
use bankstorm_record::save::sha256_file;
use bankstorm_record::sweep_cells::{CELLS, read_sweep, sweep_path};
use bankstorm_record::sweep_json::{CellRun, CellSummary, SweepJson, SweepState};
use bankstorm_sizing::summary;
use serde_json::{Value, json};

use crate::error::{CliError, unusable};

/// Refuses a sweep whose document is not what its cells come to; a folder without a sweep is left to others.
pub(super) fn check(folder: &Path) -> Result<(), CliError> {
    let folder = RunFolder::new(folder);
    let document = sweep_path(&folder);
    if !document.is_file() {
        return Ok(());
    }
    let sweep = read_sweep(&folder).map_err(|error| CliError::Usage(error.to_string()))?;
    let runs = runs(&folder.root().join(CELLS))?;
    let scenario = folder.scenario();
    let sha256 = sha256_file(&scenario).map_err(|error| CliError::Usage(error.to_string()))?;
    if sha256 != sweep.scenario_sha256 {
        let said = &sweep.scenario_sha256;
        return Err(unusable(&scenario, format!("has SHA-256 {sha256}, and sweep.json was measured with {said}")));
    }
    let problem = differs(&sweep, &runs);
    problem.map_or(Ok(()), |problem| {
        let remedy = "take the folder as the sweep left it, or sweep again";
        Err(unusable(&document, format!("{problem}, which is not what {CELLS} comes to; {remedy}")))
    })
}

fn runs(path: &Path) -> Result<Vec<CellRun>, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| unusable(path, error))?;
    let parsed = |(line, number): (&str, usize)| {
        serde_json::from_str(line).map_err(|error| unusable(path, format!("line {number}: {error}")))
    };
    text.lines().zip(1..).map(parsed).collect()
}

/// What the document says and the measurements do not.
fn differs(sweep: &SweepJson, runs: &[CellRun]) -> Option<String> {
    let (said, found) = (json!(sweep.runs), json!(runs));
    if !alike(&said, &found) {
        return Some(format!("has {} measurements, and not the same", sweep.runs.len()));
    }
    let cells = summary::summarise(&sweep.grid, runs);
    let said: Vec<Value> = sweep.cells.iter().map(told).collect();
    let found: Vec<Value> = cells.iter().map(told).collect();
    if said.len() != found.len() {
        return Some(format!("has {} cells for {}", said.len(), found.len()));
    }
    let anchor = (json!(sweep.anchor), json!(summary::anchor(runs)));
    let mut pairs = said.into_iter().zip(found).chain([anchor]);
    let wrong = pairs.find(|(said, found)| !alike(said, found)).map(|(said, found)| format!("says {said} for {found}"));
    let is_good = sweep.state == SweepState::Finished && summary::exit_code(runs) == 0;
    wrong.or_else(|| (sweep.exit_code == Some(0) && !is_good).then(|| "says that it ended well".to_owned()))
}

/// What is told of a cell. What its processes took is left out: builds differ in how they sum it up, and the measurements have it.
fn told(cell: &CellSummary) -> Value {
    let CellSummary { cell, verdict, workers_total, events_per_s, predicted_per_s, bound_by, reason, .. } = cell;
    json!({
        "cell": cell,
        "verdict": verdict,
        "workers_total": workers_total,
        "events_per_s": events_per_s,
        "predicted_per_s": predicted_per_s,
        "bound_by": bound_by,
        "reason": reason,
    })
}

/// The same, numbers as far as ten digits.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-10 * a.abs().max(b.abs()),
            _ => a == b,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::folder::RunFolder;
    use bankstorm_record::run_json::Build;
    use bankstorm_record::save::sha256_text;
    use bankstorm_record::sweep_cells::{CELLS, CellLog, write_sweep};
    use bankstorm_record::sweep_json::{
        BoundBy, CellFigures, CellKey, CellRun, CellVerdict, Grid, SCHEMA, SweepJson, SweepState,
    };
    use bankstorm_sizing::summary;
    use tempfile::TempDir;

    use super::check;

    fn cell(workers: u32) -> CellKey {
        CellKey { worker_mode: "slots".to_owned(), sync_cost_us: 0, partitions: 1, workers }
    }

    fn run(workers: u32, repeat: u32, rate: f64) -> CellRun {
        CellRun {
            id: format!("{workers}-{repeat}"),
            cell: cell(workers),
            anchor: false,
            began_at: "2026-11-23T01:15:44Z".to_owned(),
            took_s: 0.1 + 0.2,
            verdict: CellVerdict::Bound,
            reason: None,
            workers_total: workers.into(),
            events: 1_000,
            figures: Some(CellFigures { events_per_s: rate, busy_keys: 9, ..CellFigures::default() }),
            bound_by: Some(BoundBy { resource: "processors".to_owned(), evidence: "busy".to_owned() }),
        }
    }

    /// A sweep as it is stored when it has ended.
    fn stored() -> (TempDir, RunFolder, SweepJson) {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(home.path());
        std::fs::write(folder.scenario(), "seed = 7\n").expect("written");
        let runs = vec![run(1, 1, 1_000.0 / 3.0), run(2, 1, 600.1), run(1, 2, 340.7), run(2, 2, 590.3)];
        let (mut log, _) = CellLog::open(&folder).expect("opened");
        for run in &runs {
            log.add(run).expect("written");
        }
        let grid = Grid {
            mode: "drain".to_owned(),
            partitions: vec![1],
            workers: vec![1, 2],
            worker_modes: vec!["slots".to_owned()],
            sync_costs_us: vec![0],
            repeats: 2,
            planned: 4,
            channel_instances: 1,
            accounts: 10,
            history_depth: 1,
            backlog: Some(1_000),
        };
        let sweep = SweepJson {
            schema: SCHEMA,
            run_id: "sweep".to_owned(),
            scenario: "sweep".to_owned(),
            about: String::new(),
            seed: 7,
            environment: "local".to_owned(),
            started_at: "2026-11-23T01:15:00Z".to_owned(),
            ended_at: None,
            resumed: 0,
            exit_code: Some(0),
            state: SweepState::Finished,
            reasons: Vec::new(),
            bankstorm: Build::default(),
            r#unsafe: Vec::new(),
            scenario_sha256: sha256_text("seed = 7\n"),
            cells: summary::summarise(&grid, &runs),
            anchor: summary::anchor(&runs),
            grid,
            runs,
        };
        write_sweep(&folder, &sweep).expect("written");
        (home, folder, sweep)
    }

    fn refused(folder: &RunFolder, sweep: &SweepJson) -> String {
        write_sweep(folder, sweep).expect("written");
        check(folder.root()).expect_err("it is refused").to_string()
    }

    #[test]
    fn a_sweep_says_what_its_cells_come_to_or_is_refused() {
        let (_home, folder, sweep) = stored();
        check(folder.root()).expect("as it was stored");
        let change = |change: &dyn Fn(&mut SweepJson)| {
            let mut changed = sweep.clone();
            change(&mut changed);
            refused(&folder, &changed)
        };
        let faster = change(&|sweep| sweep.cells[0].events_per_s.as_mut().expect("measured").median *= 1.001);
        assert!(faster.contains("sweep.json: says {") && faster.contains("not what cells.ndjson comes to"), "{faster}");
        let better = change(&|sweep| sweep.cells[1].verdict = Some(CellVerdict::AsPredicted));
        assert!(better.contains("\"as_predicted\"") && better.contains("sweep again"), "{better}");
        let code = change(&|sweep| (sweep.runs[0].verdict, sweep.cells[0].verdict) = (CellVerdict::Failed, None));
        assert!(code.contains("has 4 measurements, and not the same"), "{code}");
        assert!(change(&|sweep| drop(sweep.cells.pop())).contains("has 1 cells for 2"));
        assert!(change(&|sweep| sweep.state = SweepState::Interrupted).contains("says that it ended well"));
        assert!(change(&|sweep| sweep.scenario_sha256 = "9f".repeat(32)).contains("scenario.toml: has SHA-256"));
    }

    #[test]
    fn cells_that_cannot_be_read_are_named_and_what_is_no_sweep_is_left_alone() {
        let (_home, folder, _) = stored();
        let path = folder.root().join(CELLS);
        let cells = std::fs::read_to_string(&path).expect("lines");
        std::fs::write(&path, format!("{cells}{{\"id\": \"torn")).expect("written");
        let said = check(folder.root()).expect_err("the last line is torn").to_string();
        assert!(said.contains("cells.ndjson: line 5: "), "{said}");
        std::fs::remove_file(&path).expect("removed");
        assert!(check(folder.root()).is_err_and(|error| error.to_string().contains(CELLS)));
        check(tempfile::tempdir().expect("a temporary folder").path()).expect("no sweep");
    }
}
