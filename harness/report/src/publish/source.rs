//! What lies in a folder: a run with its arms, or the document of another command.
//!
//! In: a folder. Out: [`Found`]: its line of the index, verdicts, how to repeat it, why it should not be published. Elsewhere: figures
//! (`publish::figures`), documents of other commands (`publish::source::document`).
//!
//! A folder is what its first document of this list says: sweep.json, run.json, simulate.json, ablate.json, calibrate.json.

mod document;

use std::path::Path;

use bankstorm_record::folder::RunFolder;
use bankstorm_record::machine::Machine;
use bankstorm_record::published::{ArmLine, IndexLine, Kind, MachineBrief, NamedVerdicts, SCHEMA, Verdicts};
use bankstorm_record::run_json::{ArmRecord, GuaranteeVerdict, RunJson};
use bankstorm_record::save::{read_run_json, verify_evidence};

pub(super) use self::document::written_at;
use super::PublishError;
use super::figures::{OF_ARM, OF_RUN, of_run};
use crate::{tables, words};

/// Held, or an objective was missed: both may be believed.
const FIT: [i32; 2] = [0, 5];

/// How the commit of a build ends whose tree was changed.
pub(super) const DIRTY: &str = "+dirty";

/// What a folder holds.
pub(super) struct Found {
    /// Its line.
    pub(super) line: IndexLine,
    /// Verdicts of a run and its arms.
    pub(super) verdicts: Vec<NamedVerdicts>,
    /// Commands that make another of it.
    pub(super) repeat: Vec<String>,
    /// Why it should not be published.
    pub(super) unfit: Option<String>,
}

/// Reads a folder.
pub(super) fn read(folder: &Path) -> Result<Found, PublishError> {
    let first = [Kind::Sweep, Kind::Run, Kind::Simulate, Kind::Ablate, Kind::Calibrate]
        .into_iter()
        .find(|kind| document_of(folder, *kind).is_file());
    match first {
        None => Err(PublishError::Nothing(folder.to_owned())),
        Some(Kind::Run) => run(folder),
        Some(kind) => document::read(folder, kind),
    }
}

/// The document by which a folder is known.
fn document_of(folder: &Path, kind: Kind) -> std::path::PathBuf {
    folder.join(format!("{}.json", kind.as_str()))
}

fn run(folder: &Path) -> Result<Found, PublishError> {
    let folder = RunFolder::new(folder);
    let run = read_run_json(&folder)?;
    unchanged(&folder, &run)?;
    let mut verdicts = vec![named(&run.scenario, &run, run.exit_code)];
    let mut arms = Vec::new();
    for arm in &run.arms {
        // One that was not played to its end may have left nothing; the run's exit code has it.
        let own = RunFolder::new(folder.root().join(&arm.folder));
        let played = if own.run_json().is_file() { Some(read_run_json(&own)?) } else { None };
        if let Some(played) = &played {
            unchanged(&own, played)?;
            verdicts.push(named(&arm.name, played, arm.exit_code));
        }
        arms.push(arm_line(arm, played.as_ref()));
    }
    let line = IndexLine {
        schema: SCHEMA,
        run_id: run.run_id.clone(),
        kind: Kind::Run,
        scenario: run.scenario.clone(),
        changed: false,
        environment: run.environment.clone(),
        commit: run.bankstorm.commit.clone(),
        profile: run.bankstorm.profile.clone(),
        started_at: run.started_at.clone(),
        machine: machine(folder.root())?,
        exit_code: run.exit_code,
        verdicts: Some(of(&run)),
        r#unsafe: run.r#unsafe.clone(),
        anyway: None,
        figures: of_run(&run, OF_RUN),
        arms,
    };
    Ok(Found { verdicts, repeat: repeat(&run), unfit: unfit(run.exit_code), line })
}

/// The evidence must be what the run wrote, or its figures are nobody's.
fn unchanged(folder: &RunFolder, run: &RunJson) -> Result<(), PublishError> {
    let problems = verify_evidence(folder, run);
    if problems.is_empty() { Ok(()) } else { Err(PublishError::Changed { run: folder.root().to_owned(), problems }) }
}

/// The exit code knows all verdicts, those of arms included.
fn unfit(exit_code: Option<i32>) -> Option<String> {
    match exit_code {
        None => Some("it did not end".to_owned()),
        Some(code) if FIT.contains(&code) => None,
        Some(code) => Some(format!("it ended with exit code {code} ({})", words::exit_meaning(code))),
    }
}

const fn of(run: &RunJson) -> Verdicts {
    Verdicts { validity: run.validity.verdict, guarantees: run.guarantees.verdict, objectives: run.slo.verdict }
}

fn named(name: &str, run: &RunJson, exit_code: Option<i32>) -> NamedVerdicts {
    NamedVerdicts { name: name.to_owned(), exit_code, verdicts: of(run) }
}

fn arm_line(arm: &ArmRecord, played: Option<&RunJson>) -> ArmLine {
    let violated = |run: &RunJson| {
        let checks = tables::guarantee_checks(run).filter(|check| check.verdict == GuaranteeVerdict::Violated);
        checks.map(|check| check.id.clone()).collect()
    };
    ArmLine {
        name: arm.name.clone(),
        expect: arm.expect.clone(),
        shown: arm.shown,
        exit_code: arm.exit_code,
        violated: played.map(violated).unwrap_or_default(),
        figures: played.map(|run| of_run(run, OF_ARM)).unwrap_or_default(),
    }
}

/// From the published folder, which has the scenario with every default filled in.
fn repeat(run: &RunJson) -> Vec<String> {
    let RunJson { run_id, environment, arms, bankstorm, .. } = run;
    let arms: String = match &arms[..] {
        [] => " --no-arms".to_owned(),
        arms => arms.iter().map(|arm| format!(" --arm {}", arm.name)).collect(),
    };
    let play = format!("run results/{run_id}/scenario.toml --env {environment}{arms}");
    again(&bankstorm.commit, &bankstorm.profile, &play)
}

/// The same tree, built the same way, does the same.
fn again(commit: &str, profile: &str, play: &str) -> Vec<String> {
    let (build, binary) = if profile.starts_with("release") {
        ("make setup && cargo build --release -p bankstorm-cli", "target/release/bankstorm")
    } else {
        ("make build", "target/debug/bankstorm")
    };
    vec![checkout(commit), build.to_owned(), format!("{binary} {play}")]
}

/// The tree that it was built from.
pub(super) fn checkout(commit: &str) -> String {
    match commit.strip_suffix(DIRTY) {
        Some(commit) => format!("git checkout {commit}   # not the same: the tree was changed"),
        None => format!("git checkout {commit}"),
    }
}

/// `machine.json` in short: a figure says nothing without what it was measured on.
fn machine(folder: &Path) -> Result<MachineBrief, PublishError> {
    let path = RunFolder::new(folder).machine();
    let refuse = |problem: &dyn std::fmt::Display| PublishError::Document {
        path: path.clone(),
        problem: format!(
            "{problem}; accepted is what the command that measured wrote there, for figures say nothing without their machine"
        ),
    };
    let bytes = std::fs::read(&path).map_err(|error| refuse(&error))?;
    serde_json::from_slice::<Machine>(&bytes).as_ref().map(brief).map_err(|error| refuse(error))
}

/// A machine in short.
pub(super) fn brief(machine: &Machine) -> MachineBrief {
    MachineBrief {
        platform: machine.platform.clone(),
        cpu_model: machine.cpu_model.clone(),
        cores: machine.cores,
        memory_bytes: machine.memory_bytes,
    }
}
