//! Stored plans, each of which once showed a bug: what was mended stays mended, what is planted stays found.
//!
//! In: `plans/*.json`, which must hold; `plans/planted/BUG.CHECK-NAME.json`, which plant a bug and must fail with that violation. Out: a
//! trial a file. Elsewhere: how a plan comes into the folder (CONTRIBUTING.md).
//!
//! A plan is run under its own stream and its neighbours: a change of the code shifts who is how slow when, and what a plan shows must not
//! hang on one of them.

use std::path::{Path, PathBuf};

use bankstorm_simulator::plan::{self, Plan};
use bankstorm_simulator::world::{self, Options, Outcome};
use libtest_mimic::{Failed, Trial};

/// Streams besides its own.
const NEIGHBOURS: u64 = 8;

pub(crate) fn trials() -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let holds = files(&folder).into_iter().map(|path| trial(path, must_hold));
    let planted = files(&folder.join("planted")).into_iter().map(|path| trial(path, must_fail));
    holds.chain(planted).collect()
}

/// The plans of a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut plans: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    plans.sort();
    plans
}

fn trial(path: PathBuf, judge: fn(&str, &Plan) -> Result<(), String>) -> Trial {
    let name = path.file_stem().expect("a file's name").to_string_lossy().into_owned();
    Trial::test(format!("plan::{name}"), move || {
        let text = std::fs::read_to_string(&path)?;
        let plan = plan::read(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        judge(&name, &plan).map_err(Failed::from)
    })
}

/// Under its own stream and its neighbours.
fn outcomes(plan: &Plan) -> impl Iterator<Item = (u64, Outcome)> {
    let chances = (0..=NEIGHBOURS).map(|beside| plan.chance.wrapping_add(beside));
    chances.map(|chance| (chance, world::run(&Plan { chance, ..plan.clone() }, &Options::default())))
}

fn must_hold(name: &str, plan: &Plan) -> Result<(), String> {
    if plan.planted.is_some() {
        return Err("a plan with a planted bug belongs into plans/planted".to_owned());
    }
    for (chance, outcome) in outcomes(plan) {
        if let Some(violation) = outcome.violations.first() {
            let command = format!("bankstorm replay system/simulator/plans/{name}.json --chance {chance}");
            return Err(format!("{violation:?}\n{command}"));
        }
    }
    Ok(())
}

/// With its bug it fails as its name says, under some stream; without, it holds under all.
fn must_fail(name: &str, plan: &Plan) -> Result<(), String> {
    if plan.planted.is_none() {
        return Err("there is no bug planted in it; a plan that must hold belongs into plans".to_owned());
    }
    let (_, said) = name.split_once('.').ok_or("its name is not BUG.CHECK-NAME.json")?;
    let (check, violated) = said.split_once('-').ok_or("its name is not BUG.CHECK-NAME.json")?;
    let mut seen = Vec::new();
    for (_, outcome) in outcomes(plan) {
        if outcome.violations.iter().any(|violation| violation.check == check && violation.name == violated) {
            return must_hold(&format!("planted/{name}"), &Plan { planted: None, ..plan.clone() });
        }
        seen.push(
            outcome.violations.first().map_or("holds".to_owned(), |first| format!("{} {}", first.check, first.name)),
        );
    }
    Err(format!("no stream violates {check} {violated}; instead: {}", seen.join(", ")))
}
