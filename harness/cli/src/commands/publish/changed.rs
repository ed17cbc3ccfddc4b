//! Whether a run is one of a scenario as it is shipped.
//!
//! In: the folder of a run or a sweep, the folder of `scenarios/`. Out: where what ran says otherwise than the shipped file of that name.
//! Elsewhere: what a changed one is not shown as (`report::publish`).
//!
//! What counts is what files mean, not how they are written: both are resolved. What a scenario says about itself changes nothing that runs.

use std::path::Path;

use bankstorm_record::folder::RunFolder;
use bankstorm_record::sweep_cells::sweep_path;
use bankstorm_scenario::{Scenario, load};

use crate::error::{CliError, unusable};

/// The first of what the run in `folder` has otherwise than the scenario of its name in `scenarios/` of `home`. Nothing is changed that has
/// no scenario, or of which none is shipped.
pub(super) fn changed(folder: &Path, home: &Path) -> Result<Option<String>, CliError> {
    let folder = RunFolder::new(folder);
    if !folder.run_json().is_file() && !sweep_path(&folder).is_file() {
        return Ok(None);
    }
    let stored = folder.scenario();
    let ran = load(&stored, &[], None).map_err(|error| {
        unusable(
            &stored,
            format!("what ran cannot be read; accepted is what a build that this one understands wrote there: {error}"),
        )
    })?;
    let shipped = home.join("scenarios").join(format!("{}.toml", ran.name));
    if !shipped.is_file() {
        return Ok(None);
    }
    let shipped = load(&shipped, &[], None).map_err(|error| CliError::Usage(error.to_string()))?;
    let (ran, shipped) = (silent(ran), silent(shipped));
    Ok((ran != shipped).then(|| difference(&ran.to_toml(), &shipped.to_toml())))
}

/// The first lines that differ.
fn difference(ran: &str, shipped: &str) -> String {
    let mut lines = ran.lines().zip(shipped.lines());
    let first = lines.find(|(ran, shipped)| ran != shipped).map(|(ran, shipped)| format!("`{ran}` for `{shipped}`"));
    first.unwrap_or_else(|| "it is longer or shorter".to_owned())
}

/// A scenario that says nothing about itself.
fn silent(mut scenario: Scenario) -> Scenario {
    scenario.about.clear();
    for arm in &mut scenario.arms {
        arm.scenario.about.clear();
    }
    scenario
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bankstorm_record::folder::RunFolder;
    use bankstorm_scenario::load;
    use tempfile::TempDir;

    use super::changed;

    const SHIPPED: &str = "about = \"A\"\n[phases]\nwarm_up = \"1s\"\nmeasure = \"2s\"\n[[load]]\nop = \"deposit\"\nrate = \"300/s\"\n\
        [[arm]]\nname = \"more\"\nset = { \"load.0.rate\" = \"400/s\" }\n";

    /// A shipped scenario, and a run of it with `sets` and `seed`.
    fn ran(sets: &[&str], seed: Option<u64>) -> (TempDir, RunFolder) {
        let home = tempfile::tempdir().expect("a temporary folder");
        let shipped = home.path().join("scenarios/steady.toml");
        std::fs::create_dir(home.path().join("scenarios")).expect("made");
        std::fs::write(&shipped, SHIPPED).expect("written");
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let run = RunFolder::new(home.path().join("run"));
        std::fs::create_dir(run.root()).expect("made");
        std::fs::write(run.run_json(), "{}").expect("written");
        std::fs::write(run.scenario(), load(&shipped, &sets, seed).expect("accepted").to_toml()).expect("written");
        (home, run)
    }

    #[test]
    fn whatever_runs_otherwise_changed() {
        for (sets, seed, told) in [
            (&[][..], None, None),
            (&["load.0.rate=300/s"], None, None),
            (&["load.0.rate=10/s"], None, Some("`rate = \"10/s\"` for `rate = \"300/s\"`")),
            (&["phases.measure=3s"], None, Some("`measure = \"3s\"` for `measure = \"2s\"`")),
            (&["about=B"], None, None),
            (&[], Some(99), Some("`seed = 99` for `seed = 1`")),
        ] {
            let (home, run) = ran(sets, seed);
            assert_eq!(changed(run.root(), home.path()).expect("both are read").as_deref(), told, "{sets:?} {seed:?}");
        }
    }

    #[test]
    fn what_is_held_against_it_is_the_file_as_it_stands_and_no_other() {
        let (home, run) = ran(&[], None);
        let shipped = home.path().join("scenarios/steady.toml");
        std::fs::write(&shipped, format!("# A remark.\n{SHIPPED}")).expect("written");
        assert_eq!(changed(run.root(), home.path()).expect("both are read"), None);
        std::fs::write(&shipped, SHIPPED.replace("400/s", "500/s")).expect("written");
        assert!(changed(run.root(), home.path()).expect("both are read").is_some(), "an arm counts too");
        std::fs::remove_file(&shipped).expect("removed");
        assert_eq!(changed(run.root(), home.path()).expect("none is shipped"), None);
        assert_eq!(changed(run.root(), Path::new("")).expect("none is shipped"), None);
    }

    #[test]
    fn what_ran_must_be_there_where_something_ran() {
        let (home, run) = ran(&[], None);
        std::fs::write(run.scenario(), "[phases]\nwarm = 1\n").expect("written");
        let said = changed(run.root(), home.path()).expect_err("it is none").to_string();
        assert!(said.contains("scenario.toml: what ran cannot be read"), "{said}");
        std::fs::remove_file(run.scenario()).expect("removed");
        assert!(changed(run.root(), home.path()).is_err());
        // A batch of simulated banks has none.
        std::fs::remove_file(run.run_json()).expect("removed");
        assert_eq!(changed(run.root(), home.path()).expect("nothing ran"), None);
    }
}
