//! A sweep that has begun, or goes on: its folder, its order, and sweep.json as it fills.
//!
//! In: arguments. Out: [`OpenSweep`]; in its folder the resolved scenario, machine facts, a line a cell, and at the end sweep.json and the
//! report. Elsewhere: what is measured (`cell`).

use std::path::Path;

use bankstorm_record::clock::{rfc3339, wall_us};
use bankstorm_record::folder::RunFolder;
use bankstorm_record::machine::{Machine, look};
use bankstorm_record::save::{sha256_text, write_atomically, write_json};
use bankstorm_record::sweep_cells::{CellLog, read_sweep, write_sweep};
use bankstorm_record::sweep_json::{CellKey, CellRun, Grid, SCHEMA, SweepJson, SweepState};
use bankstorm_scenario::Scenario;
use bankstorm_scenario::resolved::Sweep;
use bankstorm_sizing::order::{Job, order};
use bankstorm_sizing::predict::Sizes;
use bankstorm_sizing::summary;

use crate::args::SweepArgs;
use crate::bank::Bank;
use crate::error::{CliError, unusable};
use crate::output::{note, say};

/// A sweep on its way.
pub(crate) struct OpenSweep {
    /// The bank whose settings change.
    pub(crate) scenario: Scenario,
    /// The grid, as the scenario has it.
    pub(crate) sweep: Sweep,
    /// Where it is kept.
    pub(crate) folder: RunFolder,
    /// The document, as far as it is known.
    pub(crate) json: SweepJson,
    /// Every measurement, those that are there already too.
    pub(crate) order: Vec<Job>,
    /// What it is measured on.
    pub(crate) machine: Machine,
    log: CellLog,
}

impl OpenSweep {
    /// Makes a folder, or takes up the one of `--resume`.
    pub(crate) fn open(args: &SweepArgs) -> Result<Self, CliError> {
        match &args.resume {
            Some(root) => Self::resume(args, root),
            None => Self::create(args),
        }
    }

    fn create(args: &SweepArgs) -> Result<Self, CliError> {
        let file = args.file.as_deref().expect("clap asks for it");
        let scenario = args.options.load(file)?;
        let sweep = swept(&scenario, file)?;
        let run_id = format!("{}-{}-{}", stamp(), scenario.name, std::process::id());
        let folder = RunFolder::new(args.out.join(&run_id));
        let root = folder.root().to_owned();
        std::fs::create_dir_all(folder.logs()).map_err(|error| unusable(&root, error))?;
        write_atomically(folder.scenario(), scenario.to_toml().as_bytes()).map_err(|error| unusable(&root, error))?;
        let json = first_moment(&scenario, &sweep, run_id, args.options.env.kind().as_str());
        Self::begin(scenario, sweep, folder, json)
    }

    fn resume(args: &SweepArgs, root: &Path) -> Result<Self, CliError> {
        let folder = RunFolder::new(root);
        let json =
            read_sweep(&folder).map_err(|error| unusable(root, format!("no sweep that could be taken up: {error}")))?;
        let stored = folder.scenario();
        let scenario = args.options.load(args.file.as_deref().unwrap_or(&stored))?;
        let stored = std::fs::read_to_string(&stored).map_err(|error| unusable(&stored, error))?;
        same(&json, &stored, &scenario, args.options.env.kind().as_str()).map_err(|why| unusable(root, why))?;
        let sweep = swept(&scenario, &folder.scenario())?;
        // Of the bank that is gone: a new one begins with none of it.
        match std::fs::remove_dir_all(folder.visible()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(unusable(&folder.visible(), error));
            }
            _ => {}
        }
        let json = SweepJson {
            resumed: json.resumed + 1,
            state: SweepState::Unfinished,
            reasons: Vec::new(),
            ended_at: None,
            exit_code: None,
            ..json
        };
        Self::begin(scenario, sweep, folder, json)
    }

    /// Reads the cells that are there, and writes the first moment.
    fn begin(scenario: Scenario, sweep: Sweep, folder: RunFolder, mut json: SweepJson) -> Result<Self, CliError> {
        let cannot = |error: &dyn std::fmt::Display| unusable(folder.root(), error);
        let anchor = sweep.anchor.map(|(partitions, workers)| CellKey {
            worker_mode: json.grid.worker_modes[0].clone(),
            sync_cost_us: json.grid.sync_costs_us[0],
            partitions,
            workers,
        });
        let order = order(&json.grid, anchor.as_ref(), scenario.seed);
        json.grid.planned = order.len() as u64;
        let (log, runs) = CellLog::open(&folder).map_err(|error| cannot(&error))?;
        if let Some(strange) = runs.iter().find(|run| !order.iter().any(|job| job.id == run.id && job.cell == run.cell))
        {
            return Err(cannot(&format!("cells.ndjson has {:?}, which is no cell of this scenario", strange.id)));
        }
        json.runs = runs;
        let machine = look(&folder).map_err(|error| cannot(&error))?;
        write_json(folder.machine(), &machine).map_err(|error| cannot(&error))?;
        write_sweep(&folder, &json).map_err(|error| cannot(&error))?;
        Ok(Self { scenario, sweep, folder, json, order, log, machine })
    }

    /// How many events cells are given.
    pub(crate) fn sizes(&self) -> Sizes {
        let Sweep { events, free_events, lasts, .. } = self.sweep;
        Sizes { events, free_events, lasts }
    }

    /// What is known of the bank once it is up.
    pub(crate) fn bank_is_up(&mut self, bank: &Bank) -> Result<(), CliError> {
        self.machine.environment = bank.facts();
        write_json(self.folder.machine(), &self.machine).map_err(|error| unusable(self.folder.root(), error))
    }

    /// A measurement that has ended; it is on the disk when this returns.
    pub(crate) fn add(&mut self, run: CellRun) -> Result<(), CliError> {
        let added = self.log.add(&run).map_err(|error| CliError::Environment(error.to_string()));
        self.json.runs.push(run);
        added
    }

    /// Writes sweep.json and the report as far as they go, prints the table, and gives the exit code.
    pub(crate) fn end(&mut self, state: SweepState, reasons: Vec<String>) -> Result<u8, CliError> {
        let measured = summary::exit_code(&self.json.runs);
        let mut code = match (state, measured) {
            (_, 6) => 6,
            (SweepState::Lost, _) => 3,
            (SweepState::Interrupted | SweepState::Unfinished, _) => 4,
            (SweepState::Finished, code) => code,
        };
        self.json.cells = summary::summarise(&self.json.grid, &self.json.runs);
        self.json.anchor = summary::anchor(&self.json.runs);
        (self.json.state, self.json.reasons) = (state, reasons);
        self.json.ended_at = Some(rfc3339(wall_us()));
        self.json.exit_code = Some(code.into());
        let written = write_sweep(&self.folder, &self.json).map_err(|error| error.to_string());
        let reported = bankstorm_report::sweep::write(&self.folder, &self.json).map_err(|error| error.to_string());
        say(&bankstorm_report::sweep::summary(&self.json, &self.folder, colour()));
        for problem in [written.err(), reported.err()].into_iter().flatten() {
            note(&format!("error: {problem}"));
            code = if code == 6 { 6 } else { 3 };
        }
        Ok(code)
    }
}

fn colour() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdout()) && std::env::var_os("NO_COLOR").is_none()
}

/// The grid of a scenario; one without has nothing to sweep.
fn swept(scenario: &Scenario, file: &Path) -> Result<Sweep, CliError> {
    scenario.sweep.clone().ok_or_else(|| {
        unusable(file, "has no [sweep]; accepted is a scenario with one, such as scenarios/sweep-small.toml")
    })
}

/// Whether a sweep may go on: measurements of two banks, two places or two builds are not one sweep.
fn same(json: &SweepJson, stored: &str, scenario: &Scenario, environment: &str) -> Result<(), String> {
    let now = scenario.to_toml();
    if sha256_text(&now) != json.scenario_sha256 {
        let lines = stored.lines().zip(now.lines());
        let mut first =
            lines.filter(|(before, now)| before != now).map(|(before, now)| format!("`{before}` is now `{now}`"));
        let first = first.next().unwrap_or_else(|| "it is longer or shorter".to_owned());
        return Err(format!("was measured with another scenario: {first}; accepted is the same, or a new sweep"));
    }
    if json.environment != environment {
        return Err(format!("was begun with --env {}; it goes on there alone", json.environment));
    }
    let build = crate::run::open::build();
    if json.bankstorm != build {
        let (before, now) = (&json.bankstorm.commit, &build.commit);
        return Err(format!("was begun by a build of {before}, and this is one of {now}; accepted is the same build"));
    }
    Ok(())
}

fn stamp() -> String {
    rfc3339(wall_us()).chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

fn first_moment(scenario: &Scenario, sweep: &Sweep, run_id: String, environment: &str) -> SweepJson {
    let us = |cost: &std::time::Duration| u64::try_from(cost.as_micros()).unwrap_or(u64::MAX);
    SweepJson {
        schema: SCHEMA,
        run_id,
        scenario: scenario.name.clone(),
        about: scenario.about.clone(),
        seed: scenario.seed,
        environment: environment.to_owned(),
        started_at: rfc3339(wall_us()),
        ended_at: None,
        resumed: 0,
        exit_code: None,
        state: SweepState::Unfinished,
        reasons: vec!["the sweep did not reach its end".to_owned()],
        bankstorm: crate::run::open::build(),
        r#unsafe: scenario.system.protections.weaker().iter().map(ToString::to_string).collect(),
        scenario_sha256: sha256_text(&scenario.to_toml()),
        grid: Grid {
            mode: "drain".to_owned(),
            partitions: sweep.partitions.clone(),
            workers: sweep.workers.clone(),
            worker_modes: sweep.worker_modes.iter().map(|mode| mode.as_str().to_owned()).collect(),
            sync_costs_us: sweep.sync_costs.iter().map(us).collect(),
            repeats: sweep.repeats,
            planned: 0,
            channel_instances: scenario.system.channel_instances,
            accounts: scenario.accounts.count,
            history_depth: scenario.accounts.history_depth,
            backlog: None,
        },
        cells: Vec::new(),
        anchor: None,
        runs: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_scenario::parse;

    use super::{first_moment, same, swept};

    const SWEPT: &str = "[phases]\nwarm_up = \"0s\"\nmeasure = \"1s\"\n[accounts]\nskew = \"each\"\n\
        [[load]]\nop = \"deposit\"\nrate = \"500/s\"\n[sweep]\npartitions = [1, 2]\nworkers = [1]\n";

    #[test]
    fn a_sweep_goes_on_with_the_same_scenario_in_the_same_place_only() {
        let scenario = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            parse("test.toml", SWEPT, &sets, None).expect("accepted")
        };
        let begun = scenario(&[]);
        let sweep = swept(&begun, "test.toml".as_ref()).expect("a sweep");
        let json = first_moment(&begun, &sweep, "x".to_owned(), "local");
        let stored = begun.to_toml();
        assert_eq!(same(&json, &stored, &scenario(&[]), "local"), Ok(()));
        let other = same(&json, &stored, &scenario(&["accounts.history_depth=3"]), "local").expect_err("another");
        assert!(other.contains("`history_depth = 10` is now `history_depth = 3`"), "{other}");
        let elsewhere = same(&json, &stored, &scenario(&[]), "containers").expect_err("elsewhere");
        assert!(elsewhere.contains("begun with --env local"), "{elsewhere}");
        let mut older = json;
        older.bankstorm.commit = "0000".to_owned();
        assert!(same(&older, &stored, &scenario(&[]), "local").is_err_and(|why| why.contains("a build of 0000")));
        let plain = parse("test.toml", SWEPT.split("[sweep]").next().expect("text"), &[], None).expect("accepted");
        assert!(swept(&plain, "test.toml".as_ref()).is_err_and(|error| error.to_string().contains("has no [sweep]")));
    }
}
