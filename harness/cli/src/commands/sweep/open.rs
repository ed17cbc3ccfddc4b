//! A sweep that has begun, or goes on: its folder, its order, and sweep.json as it fills.
//!
//! In: arguments. Out: [`OpenSweep`]; in its folder the resolved scenario, machine facts, a line a cell, and at the end sweep.json and the
//! report. Elsewhere: what is measured (`cell`).
//!
//! The folder is locked as long as the process lives: two sweeps in one folder would mix their cells.

use std::fs::{File, TryLockError};
use std::path::Path;

use bankstorm_record::clock::{rfc3339, wall_us};
use bankstorm_record::folder::RunFolder;
use bankstorm_record::machine::{Machine, look};
use bankstorm_record::run_json::Build;
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

/// How the commit of a build ends whose sources were not as committed.
const DIRTY: &str = "+dirty";

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
    /// Held until the process ends.
    _lock: File,
}

/// What was found.
pub(crate) enum Opened {
    /// A sweep that has cells to measure, or its end to write.
    OnTheWay(Box<OpenSweep>),
    /// A sweep that has reached its end, with its exit code. It was shown, and nothing of it was touched.
    Ended(u8),
}

/// Makes a folder, or takes up the one of `--resume`.
pub(crate) fn open(args: &SweepArgs) -> Result<Opened, CliError> {
    match &args.resume {
        Some(root) => OpenSweep::resume(args, root),
        None => OpenSweep::create(args).map(|open| Opened::OnTheWay(Box::new(open))),
    }
}

impl OpenSweep {
    fn create(args: &SweepArgs) -> Result<Self, CliError> {
        let file = args.file.as_deref().expect("clap asks for it");
        let scenario = args.options.load(file)?;
        let sweep = swept(&scenario, file)?;
        let run_id = format!("{}-{}-{}", stamp(), scenario.name, std::process::id());
        let folder = RunFolder::new(args.out.join(&run_id));
        let root = folder.root().to_owned();
        std::fs::create_dir_all(folder.logs()).map_err(|error| unusable(&root, error))?;
        let lock = lock(&root)?;
        write_atomically(folder.scenario(), scenario.to_toml().as_bytes()).map_err(|error| unusable(&root, error))?;
        let json = first_moment(&scenario, &sweep, run_id, args.options.env.kind().as_str());
        let machine = look(&folder).map_err(|error| unusable(&root, error))?;
        Self::begin(scenario, sweep, folder, json, machine, lock)
    }

    fn resume(args: &SweepArgs, root: &Path) -> Result<Opened, CliError> {
        let lock = lock(root)?;
        let folder = RunFolder::new(root);
        let json =
            read_sweep(&folder).map_err(|error| unusable(root, format!("no sweep that could be taken up: {error}")))?;
        if json.state == SweepState::Finished {
            say(&bankstorm_report::sweep::summary(&json, &folder, colour()));
            return Ok(Opened::Ended(json.exit_code.and_then(|code| u8::try_from(code).ok()).unwrap_or(3)));
        }
        let stored = folder.scenario();
        let scenario = args.options.load(args.file.as_deref().unwrap_or(&stored))?;
        let stored = std::fs::read_to_string(&stored).map_err(|error| unusable(&stored, error))?;
        let (environment, build) = (args.options.env.kind().as_str(), crate::run::open::build());
        same(&json, &stored, &scenario, environment, &build).map_err(|why| unusable(root, why))?;
        let machine = look(&folder).map_err(|error| unusable(root, error))?;
        let before = machine_of(&folder)?;
        same_machine(&before, &machine).map_err(|why| unusable(root, why))?;
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
        Self::begin(scenario, sweep, folder, json, machine, lock).map(|open| Opened::OnTheWay(Box::new(open)))
    }

    /// Reads the cells that are there, and writes the first moment.
    fn begin(
        scenario: Scenario,
        sweep: Sweep,
        folder: RunFolder,
        mut json: SweepJson,
        machine: Machine,
        lock: File,
    ) -> Result<Self, CliError> {
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
        write_json(folder.machine(), &machine).map_err(|error| cannot(&error))?;
        write_sweep(&folder, &json).map_err(|error| cannot(&error))?;
        Ok(Self { scenario, sweep, folder, json, order, log, machine, _lock: lock })
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

/// Locks a sweep's folder until the file is dropped, or the process is killed.
fn lock(root: &Path) -> Result<File, CliError> {
    let folder = File::open(root).map_err(|error| unusable(root, error))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(unusable(
            root,
            "is being written by another sweep; accepted is a folder that nobody has, or wait for its end",
        )),
        Err(TryLockError::Error(error)) => Err(unusable(root, format!("cannot be locked: {error}"))),
    }
}

/// The machine on which a sweep was begun.
fn machine_of(folder: &RunFolder) -> Result<Machine, CliError> {
    let path = folder.machine();
    let text = std::fs::read(&path).map_err(|error| unusable(&path, error))?;
    serde_json::from_slice(&text).map_err(|error| unusable(&path, error))
}

/// Whether both are one machine, as far as it bears on figures.
fn same_machine(before: &Machine, now: &Machine) -> Result<(), String> {
    let facts = |machine: &Machine| {
        let Machine { platform, cpu_model, cores, memory_bytes, .. } = machine;
        let model = cpu_model.as_deref().unwrap_or("unknown").to_owned();
        let memory = memory_bytes.map_or("unknown".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
        [("platform", platform.clone()), ("processor", model), ("cores", cores.to_string()), ("memory", memory)]
    };
    match facts(before).into_iter().zip(facts(now)).find(|(before, now)| before != now) {
        None => Ok(()),
        Some(((what, before), (_, now))) => Err(format!(
            "was begun on another machine: {what} was {before:?} and is {now:?}; accepted is the same, or a new sweep"
        )),
    }
}

/// Whether both are one build: of sources that were not committed nobody can say.
fn same_build(before: &Build, now: &Build) -> Result<(), String> {
    if before != now {
        let (before, now) = (&before.commit, &now.commit);
        return Err(format!("was begun by a build of {before}, and this is one of {now}; accepted is the same build"));
    }
    if now.commit.ends_with(DIRTY) {
        let commit = &now.commit;
        return Err(format!(
            "was begun by a build of {commit}, and whether this one has the same sources is not known; accepted is a build of committed sources"
        ));
    }
    Ok(())
}

/// Whether a sweep may go on: measurements of two banks, two places or two builds are not one sweep.
fn same(json: &SweepJson, stored: &str, scenario: &Scenario, environment: &str, build: &Build) -> Result<(), String> {
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
    same_build(&json.bankstorm, build)
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
    use std::collections::BTreeMap;

    use bankstorm_record::machine::Machine;
    use bankstorm_record::run_json::Build;
    use bankstorm_record::sweep_json::SweepJson;
    use bankstorm_scenario::{Scenario, parse};

    use super::{first_moment, lock, same, same_build, same_machine, swept};

    const SWEPT: &str = "[phases]\nwarm_up = \"0s\"\nmeasure = \"1s\"\n[accounts]\nskew = \"each\"\n[system]\nsweep_every = \"1h\"\n\
        [[load]]\nop = \"deposit\"\nrate = \"500/s\"\n[sweep]\npartitions = [1, 2]\nworkers = [1]\n";

    fn build(commit: &str) -> Build {
        Build { version: "0.1.0".to_owned(), commit: commit.to_owned(), profile: "dev".to_owned() }
    }

    #[test]
    fn builds_are_the_same_where_their_sources_are_known_to_be() {
        assert_eq!(same_build(&build("abcdef"), &build("abcdef")), Ok(()));
        let other = same_build(&build("000000"), &build("abcdef"));
        assert!(other.is_err_and(|why| why.contains("a build of 000000")));
        let changed = same_build(&build("abcdef+dirty"), &build("abcdef+dirty")).expect_err("who knows");
        assert!(changed.contains("a build of abcdef+dirty") && changed.contains("committed sources"), "{changed}");
    }

    #[test]
    fn a_sweep_goes_on_on_its_own_machine() {
        let here = Machine {
            platform: "linux x86_64".to_owned(),
            kernel: None,
            cpu_model: Some("a processor".to_owned()),
            cores: 2,
            memory_bytes: Some(8 << 30),
            memory_available_bytes: Some(1),
            load_average: Some([0.1; 3]),
            steal_since_boot: None,
            fdatasync: None,
            priority: None,
            environment: BTreeMap::new(),
        };
        let later = Machine { memory_available_bytes: Some(2), load_average: None, ..here.clone() };
        assert_eq!(same_machine(&here, &later), Ok(()), "what changes from hour to hour is no other machine");
        for (other, told) in [
            (Machine { platform: "linux aarch64".to_owned(), ..here.clone() }, "platform was"),
            (Machine { cpu_model: None, ..here.clone() }, "processor was \"a processor\" and is \"unknown\""),
            (Machine { cores: 4, ..here.clone() }, "cores was \"2\" and is \"4\""),
            (Machine { memory_bytes: Some(4 << 30), ..here.clone() }, "memory was \"8192 MiB\""),
        ] {
            let why = same_machine(&here, &other).expect_err(told);
            assert!(why.contains(told) && why.contains("another machine"), "{why}");
        }
    }

    #[test]
    fn a_folder_that_somebody_has_is_refused_and_free_once_he_is_gone() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let first = lock(root.path()).expect("free");
        let refused = lock(root.path()).expect_err("taken");
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("is being written by another sweep"), "{refused}");
        drop(first);
        assert!(lock(root.path()).is_ok());
    }

    #[test]
    fn a_sweep_goes_on_with_the_same_scenario_in_the_same_place_only() {
        let scenario = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            parse("test.toml", SWEPT, &sets, None).expect("accepted")
        };
        let begun = scenario(&[]);
        let sweep = swept(&begun, "test.toml".as_ref()).expect("a sweep");
        let bankstorm = build("abcdef");
        let json = SweepJson { bankstorm, ..first_moment(&begun, &sweep, "x".to_owned(), "local") };
        let stored = begun.to_toml();
        let same = |now: &Scenario, environment: &str| same(&json, &stored, now, environment, &json.bankstorm);
        assert_eq!(same(&scenario(&[]), "local"), Ok(()));
        let other = same(&scenario(&["accounts.history_depth=3"]), "local").expect_err("another");
        assert!(other.contains("`history_depth = 10` is now `history_depth = 3`"), "{other}");
        let elsewhere = same(&scenario(&[]), "containers").expect_err("elsewhere");
        assert!(elsewhere.contains("begun with --env local"), "{elsewhere}");
        let plain = parse("test.toml", SWEPT.split("[sweep]").next().expect("text"), &[], None).expect("accepted");
        assert!(swept(&plain, "test.toml".as_ref()).is_err_and(|error| error.to_string().contains("has no [sweep]")));
    }
}
