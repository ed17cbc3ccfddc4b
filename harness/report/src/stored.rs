//! Reads a run folder for a report, whole or broken off.
//!
//! In: a folder. Out: [`ReportInput`], with a sentence for everything that is not there. Elsewhere: who wrote it (`record`, `cli`).
//!
//! A crash leaves a folder half full. A report of it is worth having, so nothing missing is an error here; but every gap is named.

use std::io::ErrorKind;
use std::path::Path;

use bankstorm_record::clock::Origin;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::latency::CutOffs;
use bankstorm_record::marks::SampleRow;
use bankstorm_record::run_json::{
    Build, Digests, FaultRecord, GuaranteeVerdict, Guarantees, RunJson, Slo, SloVerdict, SystemFacts, Validity,
    ValidityVerdict,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ReportError;
use crate::beside::{self, Beside};
use crate::series::{self, SecondPoint};

/// Everything that a report is made from.
#[derive(Clone, Debug)]
pub struct ReportInput {
    /// The summary.
    pub run: RunJson,
    /// Machine facts, any shape; `null` where there are none.
    pub machine: Value,
    /// Figures per second.
    pub series: Vec<SecondPoint>,
    /// The rows of `samples.ndjson`, by moment.
    pub samples: Vec<SampleRow>,
    /// The resolved scenario's text.
    pub scenario: Option<String>,
    /// Its arms, in the order of the file.
    pub arms: Vec<Beside>,
    /// What is not in the folder or could not be read, a sentence each.
    pub missing: Vec<String>,
}

impl ReportInput {
    /// Reads `folder`.
    ///
    /// # Errors
    /// [`ReportError::NotARun`] when there is nothing of a run in it.
    pub fn read(folder: &RunFolder) -> Result<Self, ReportError> {
        let signs = [folder.run_json(), folder.scenario(), folder.operations()];
        if !signs.iter().any(|path| path.exists()) {
            return Err(ReportError::NotARun(folder.root().to_owned()));
        }
        let mut missing = Vec::new();
        let mut run = run_json(folder, &mut missing);
        if run.faults.is_empty() {
            // The file is written as faults happen, run.json only at the end.
            run.faults = match folder.faults().exists() {
                true => latest(lines(&folder.faults(), "faults", &mut missing)),
                false => Vec::new(),
            };
        }
        let machine = text(&folder.machine(), "machine facts", &mut missing).map_or(Value::Null, |text| {
            serde_json::from_str(&text).unwrap_or_else(|error| {
                missing.push(format!("machine.json cannot be read ({error}): no machine facts."));
                Value::Null
            })
        });
        let mut samples: Vec<SampleRow> = lines(&folder.samples(), "lag and CPU curves", &mut missing);
        samples.sort_by_key(|sample| sample.at_ms);
        let scenario = text(&folder.scenario(), "scenario text", &mut missing);
        let series = operations(folder, &run, &mut missing);
        let arms = beside::read(&run, folder, &mut missing);
        Ok(Self { run, machine, series, samples, scenario, arms, missing })
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A file's text; a gap is named as "no `what`".
fn text(path: &Path, what: &str, missing: &mut Vec<String>) -> Option<String> {
    match std::fs::read(path) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => {
            let name = file_name(path);
            missing.push(match error.kind() {
                ErrorKind::NotFound => format!("{name} is not there: no {what}."),
                _ => format!("{name} cannot be read ({error}): no {what}."),
            });
            None
        }
    }
}

/// The rows of a file, one a line; unreadable lines are counted.
fn lines<T: DeserializeOwned>(path: &Path, what: &str, missing: &mut Vec<String>) -> Vec<T> {
    let Some(text) = text(path, what, missing) else { return Vec::new() };
    let all = text.lines().filter(|line| !line.trim().is_empty());
    let parsed: Vec<_> = all.map(|line| serde_json::from_str(line).ok()).collect();
    let torn = parsed.iter().filter(|line| line.is_none()).count();
    if torn > 0 {
        missing.push(format!("{}: {torn} of {} lines cannot be read.", file_name(path), parsed.len()));
    }
    parsed.into_iter().flatten().collect()
}

/// A fault has a line for each step it took: the last one says what became of it.
fn latest(marks: Vec<FaultRecord>) -> Vec<FaultRecord> {
    let mut faults: Vec<FaultRecord> = Vec::new();
    for mark in marks {
        match faults.iter_mut().find(|fault| fault.id == mark.id) {
            Some(fault) => *fault = mark,
            None => faults.push(mark),
        }
    }
    faults
}

fn operations(folder: &RunFolder, run: &RunJson, missing: &mut Vec<String>) -> Vec<SecondPoint> {
    let path = folder.operations();
    if !path.exists() {
        missing.push("operations.parquet is not there: no curves of latency and rate.".to_owned());
        return Vec::new();
    }
    let zero =
        run.phases.iter().find(|phase| phase.name == "measure").map(|phase| phase.start_ms.saturating_mul(1_000_000));
    let (points, error) = match bankstorm_record::parquet::read_rows(&path) {
        Ok(rows) => series::seconds(rows, zero, CutOffs::of(&run.phases)),
        Err(error) => (Vec::new(), Some(error)),
    };
    if let Some(error) = error {
        missing
            .push(format!("operations.parquet cannot be read to its end: {error}. The curves show what came before."));
    }
    points
}

/// `run.json` as far as it can be read: each part that cannot is left blank and named.
fn run_json(folder: &RunFolder, missing: &mut Vec<String>) -> RunJson {
    let mut run = blank(folder);
    let Some(text) = text(&folder.run_json(), "verdicts and figures", missing) else { return run };
    let document: serde_json::Map<String, Value> = match serde_json::from_str(&text) {
        Ok(document) => document,
        Err(error) => {
            missing.push(format!("run.json is not whole ({error}): no verdicts and figures."));
            return run;
        }
    };
    if let Ok(whole) = serde_json::from_value(Value::Object(document.clone())) {
        return whole;
    }
    // Part by part: what fits is kept, what does not is named.
    let Ok(Value::Object(mut known)) = serde_json::to_value(&run) else { unreachable!("a run is a document") };
    for (key, value) in document {
        let before = known.insert(key.clone(), value);
        match serde_json::from_value(Value::Object(known.clone())) {
            Ok(fits) => run = fits,
            Err(error) => {
                missing.push(format!("run.json: {key} cannot be read: {error}."));
                match before {
                    Some(before) => known.insert(key, before),
                    None => known.remove(&key),
                };
            }
        }
    }
    run
}

/// A run of which nothing is known. Its verdicts say so.
fn blank(folder: &RunFolder) -> RunJson {
    RunJson {
        schema: bankstorm_record::run_json::SCHEMA,
        run_id: file_name(folder.root()),
        scenario: "unknown scenario".to_owned(),
        seed: 0,
        environment: "unknown".to_owned(),
        started_at: "unknown".to_owned(),
        ended_at: None,
        exit_code: None,
        bankstorm: Build::default(),
        r#unsafe: Vec::new(),
        links: Default::default(),
        origin: Origin { monotonic_ns: 0, wall_us: 0 },
        digests: Digests::default(),
        phases: Vec::new(),
        evidence: Default::default(),
        validity: Validity { verdict: ValidityVerdict::Inconclusive, reasons: Vec::new() },
        guarantees: Guarantees { verdict: GuaranteeVerdict::Unknown, checks: Vec::new() },
        slo: Slo { verdict: SloVerdict::Unmeasured, objectives: Vec::new() },
        load: Default::default(),
        latency_us: Default::default(),
        latency_during_us: Default::default(),
        faults: Vec::new(),
        markers: Default::default(),
        recovery: Vec::new(),
        posting: Vec::new(),
        overload: None,
        spared: None,
        depth: None,
        drain: None,
        arms: Vec::new(),
        system: SystemFacts::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn folder() -> (tempfile::TempDir, RunFolder) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(dir.path());
        (dir, folder)
    }

    #[test]
    fn an_empty_folder_is_not_a_run() {
        let (_dir, folder) = folder();
        assert!(matches!(ReportInput::read(&folder), Err(ReportError::NotARun(_))));
    }

    #[test]
    fn half_a_run_json_still_reads_and_says_what_is_missing() {
        let (_dir, folder) = folder();
        std::fs::write(folder.run_json(), "{\"schema\": 1, \"run_id\": \"r").expect("written");
        let input = ReportInput::read(&folder).expect("a report is possible");
        assert_eq!(input.run.validity.verdict, ValidityVerdict::Inconclusive);
        assert!(input.missing[0].starts_with("run.json is not whole"), "{:?}", input.missing);
        assert_eq!(input.missing.len(), 5, "{:?}", input.missing);
    }

    #[test]
    fn a_part_that_does_not_fit_is_named_and_the_rest_is_kept() {
        let (_dir, folder) = folder();
        let mut document = serde_json::to_value(fixture::held()).expect("a document");
        document["slo"] = Value::from("a newer shape");
        std::fs::write(folder.run_json(), document.to_string()).expect("written");
        let input = ReportInput::read(&folder).expect("a report is possible");
        assert_eq!(input.run.guarantees.verdict, GuaranteeVerdict::Holds);
        assert_eq!(input.run.slo.verdict, SloVerdict::Unmeasured);
        assert!(input.missing[0].starts_with("run.json: slo cannot be read"), "{:?}", input.missing);
    }

    #[test]
    fn parts_that_only_faults_bring_are_kept_or_named_too() {
        let (_dir, folder) = folder();
        let mut document = serde_json::to_value(fixture::faulted()).expect("a document");
        document["slo"] = Value::from("a newer shape");
        std::fs::write(folder.run_json(), document.to_string()).expect("written");
        let input = ReportInput::read(&folder).expect("a report is possible");
        assert_eq!((input.run.latency_during_us.len(), input.run.recovery.len()), (3, 2));
        document["latency_during_us"] = Value::from(7);
        std::fs::write(folder.run_json(), document.to_string()).expect("written");
        let input = ReportInput::read(&folder).expect("a report is possible");
        assert!(input.missing[0].starts_with("run.json: latency_during_us cannot be read"), "{:?}", input.missing);
        assert_eq!(input.run.recovery.len(), 2);
    }

    #[test]
    fn of_a_run_that_broke_off_the_last_line_of_each_fault_counts() {
        let (_dir, folder) = folder();
        let faults = fixture::faulted().faults;
        let begun = FaultRecord { healed_ms: None, heal_witnessed: None, ..faults[0].clone() };
        let lines = [&begun, &faults[1], &faults[0]].map(|mark| serde_json::to_string(mark).expect("a line"));
        std::fs::write(folder.faults(), lines.join("\n")).expect("written");
        std::fs::write(folder.scenario(), "seed = 7\n").expect("written");
        let input = ReportInput::read(&folder).expect("a report is possible");
        assert_eq!(input.run.faults, faults[..2]);
    }

    #[test]
    fn a_torn_last_line_of_samples_is_counted() {
        let (_dir, folder) = folder();
        std::fs::write(folder.scenario(), "seed = 7\n").expect("written");
        std::fs::write(folder.samples(), "{\"at_ms\": 1}\n{\"at_ms\": 2}\n{\"at_").expect("written");
        let input = ReportInput::read(&folder).expect("a report is possible");
        assert_eq!((input.samples.len(), input.scenario.as_deref()), (2, Some("seed = 7\n")));
        assert!(
            input.missing.contains(&"samples.ndjson: 1 of 3 lines cannot be read.".to_owned()),
            "{:?}",
            input.missing
        );
    }
}
