//! Arms: the same scenario once more with something else, each in a folder of its own, all shown side by side.
//!
//! In: a finished run, the arms that were chosen. Out: `arms/<name>/` of its folder, `arms` in its run.json, its reports written again, and
//! the exit code of all. Elsewhere: what an arm changes (`scenario`), what it adds to the exit code (`check::exit`), how they are shown
//! (`report`).

use bankstorm_check::exit;
use bankstorm_environment::EnvironmentKind;
use bankstorm_record::run_json::{ArmRecord, GuaranteeVerdict};
use bankstorm_record::save::write_run_json;
use bankstorm_scenario::Scenario;
use bankstorm_scenario::resolved::{Arm, Expect};

use crate::args::RunArgs;
use crate::error::{CliError, unusable};
use crate::output::{note, say};
use crate::progress::Display;
use crate::stop::Interrupt;

use super::colour;
use super::open::{OpenRun, Place, below, known_markers};

/// The arms that are to be played, in the order of the file; each is looked at before anything starts.
pub(super) fn chosen(scenario: &Scenario, args: &RunArgs) -> Result<Vec<Arm>, CliError> {
    if let Some(unknown) = args.arms.iter().find(|name| !scenario.arms.iter().any(|arm| arm.name == **name)) {
        let names: Vec<&str> = scenario.arms.iter().map(|arm| arm.name.as_str()).collect();
        let accepted = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
        return Err(CliError::Usage(format!("--arm {unknown}: {} has no such arm; {accepted}", args.file.display())));
    }
    let is_chosen = |arm: &&Arm| !args.no_arms && (args.arms.is_empty() || args.arms.contains(&arm.name));
    let chosen: Vec<Arm> = scenario.arms.iter().filter(is_chosen).cloned().collect();
    for arm in &chosen {
        known_markers(&arm.scenario)?;
        known_checks(arm)?;
    }
    Ok(chosen)
}

/// A check that there is not would never be violated.
fn known_checks(arm: &Arm) -> Result<(), CliError> {
    let known: Vec<&str> =
        bankstorm_check::catalogue().iter().filter(|check| !check.is_validity).map(|check| check.id).collect();
    match arm.by.iter().find(|id| !known.contains(&id.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let (name, known) = (&arm.name, known.join(", "));
            Err(CliError::Usage(format!(
                "arm {name}: by: {unknown:?} is no check of a guarantee; accepted are {known}"
            )))
        }
    }
}

/// Plays them one after the other. An interrupt ends this cleanly: what was not played says so.
pub(super) async fn play(
    mut open: OpenRun,
    own: u8,
    chosen: Vec<Arm>,
    kind: EnvironmentKind,
    display: &Display,
    stop: &Interrupt,
) -> Result<u8, CliError> {
    let mut codes = vec![i32::from(own)];
    let count = chosen.len();
    for (index, arm) in chosen.into_iter().enumerate() {
        display.line(&format!("arm {} of {count}: {}", index + 1, arm.name));
        let (record, code) = one(&open, arm, kind, display, &stop.renewed()).await?;
        codes.push(code);
        open.json.arms.push(record);
        keep(&mut open, &codes)?;
    }
    let code = exit::worst(codes);
    let written = bankstorm_report::write_all(&open.folder);
    say(&bankstorm_report::side_by_side(&open.json, &open.folder, colour()));
    if let Err(error) = written {
        note(&format!("error: {}: {error}", open.folder.root().display()));
        return Ok(u8::try_from(exit::worst([code, exit::ENVIRONMENT])).expect("exit codes are small"));
    }
    Ok(u8::try_from(code).expect("exit codes are small"))
}

/// What became of one arm, and what it adds to the exit code.
async fn one(
    open: &OpenRun,
    arm: Arm,
    kind: EnvironmentKind,
    display: &Display,
    stop: &Interrupt,
) -> Result<(ArmRecord, i32), CliError> {
    let Arm { name, scenario, expect, by } = arm;
    let mut record = ArmRecord {
        folder: below(&name),
        expect: expect.as_str().to_owned(),
        by,
        exit_code: None,
        shown: false,
        problem: None,
        name,
    };
    if stop.is_asked() {
        record.problem = Some("interrupted before it began".to_owned());
        return Ok((record, exit::NOT_CONCLUSIVE));
    }
    let place = Place::of_arm(&open.json, open.folder.root(), &record.name);
    let played = Box::pin(super::play(scenario, place, kind, display, stop)).await;
    let (own, violated) = match played {
        Ok((played, own)) => (own, violated(&played)),
        Err(error @ (CliError::Environment(_) | CliError::Interrupted)) => {
            note(&format!("error: arm {}: {error}", record.name));
            record.problem = Some(error.to_string());
            (error.exit_code(), Vec::new())
        }
        Err(error) => return Err(error),
    };
    let named = exit::is_named(&record.by, violated.iter().map(String::as_str));
    let (shown, code) = exit::of_arm(expect == Expect::Violated, i32::from(own), named);
    (record.exit_code, record.shown) = (Some(i32::from(own)), shown);
    Ok((record, code))
}

/// Ids of the guarantees that a run violated.
fn violated(run: &OpenRun) -> Vec<String> {
    let violated = run.json.guarantees.checks.iter().filter(|check| check.verdict == GuaranteeVerdict::Violated);
    violated.map(|check| check.id.clone()).collect()
}

/// After each arm: should anything break from here on, what was played is kept.
fn keep(open: &mut OpenRun, codes: &[i32]) -> Result<(), CliError> {
    open.json.exit_code = Some(exit::worst(codes.iter().copied()));
    write_run_json(&open.folder, &open.json).map_err(|error| unusable(open.folder.root(), error))
}
