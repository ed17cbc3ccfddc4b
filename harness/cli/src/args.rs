//! What may be typed: every command with its help.
//!
//! In: the command line. Out: [`Cli`]. Elsewhere: what each command does (`commands`).

mod proxy;
mod publish;
mod serve;
mod simulation;
mod sweep;

use std::path::{Path, PathBuf};

use bankstorm_contracts::channel_api::MAX_REDRIVE;
use bankstorm_environment::EnvironmentKind;
use bankstorm_scenario::Scenario;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::error::CliError;
pub(crate) use proxy::{CalibrateArgs, ProxyArgs};
pub(crate) use publish::{MEGABYTE, PublishArgs, RESULTS};
pub(crate) use serve::{Serve, ServeBanks, ServeChannel, ServeCore};
pub(crate) use simulation::{AblateArgs, ReplayArgs, ShrinkArgs, SimulateArgs, Target};
pub(crate) use sweep::SweepArgs;

/// How the help ends.
const AFTER: &str = "\
Exit codes: 0 held · 1 a bug in Bankstorm · 2 usage or file error · 3 environment did not come up or was lost · 4 run invalid, \
inconclusive or a guarantee unknown · 5 objective missed · 6 guarantee violated (6 wins over 3, 3 over 4, 4 over 5).

First steps:
  bankstorm doctor                        what is installed, what is missing, and the command that installs it
  bankstorm run scenarios/smoke.toml      300 deposits a second through a whole bank, to a report
  bankstorm simulate                      a thousand banks on virtual time, each with faults of its own";

/// Brings up a small bank, drives it with honest load, and proves from the data whether money and history stayed right.
#[derive(Debug, Parser)]
#[command(name = "bankstorm", version, after_long_help = AFTER, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a scenario, start to verdict, and writes a run folder with a report
    Run(RunArgs),
    /// Starts the bank of a scenario, prints its addresses, and keeps it up until Ctrl-C
    Up(UpArgs),
    /// Works one backlog off for every cell of a grid of partitions, workers, worker modes and sync costs
    Sweep(SweepArgs),
    /// Runs one process of the bank (`run` and `up` start these themselves)
    Serve {
        /// Which process.
        #[command(subcommand)]
        process: Serve,
    },
    /// Runs the proxy of one link, on which faults of links act (`run` starts these itself, for links that a fault names)
    Proxy(ProxyArgs),
    /// Measures the harness itself: what a proxy with no fault adds to a request
    Calibrate(CalibrateArgs),
    /// Exit code 0 when an address answers 200 (for health checks in images)
    #[command(hide = true)]
    Health {
        /// For example http://127.0.0.1:8080/healthz
        url: String,
    },
    /// Runs whole banks on virtual time, one a seed, each with faults of its own, and checks every one
    Simulate(SimulateArgs),
    /// Takes the bank's protections off, one at a time, in simulated banks, until the check that must see each missing does
    Ablate(AblateArgs),
    /// Runs one simulated bank again and prints who did what when
    Replay(ReplayArgs),
    /// Makes a failing plan smaller: fewer faults, operations, parameters, accounts
    Shrink(ShrinkArgs),
    /// Checks a stored run again from its evidence: guarantees, evidence hashes, verdict
    Check(RunFolderArgs),
    /// Writes the reports of a stored run again and prints its summary
    Report(RunFolderArgs),
    /// Keeps a stored run in results/: manifest, scenario, summary, report, a line of the index, a row of the README
    Publish(PublishArgs),
    /// Says what is installed and where, what is missing, and the command that installs it
    Doctor(DoctorArgs),
    /// Has a channel try its dead letters again, and prints what became of them
    Redrive(RedriveArgs),
    /// Lists the scenarios of a folder with what each shows
    Scenarios(ScenariosArgs),
    /// Lists the checks with what each proves
    Checks,
    /// Lists what can be broken on purpose: where, with which keys, and how it heals
    Faults,
    /// Prints the JSON Schema of a file format
    Schema {
        /// Which format.
        #[arg(value_enum, default_value_t = SchemaOf::Scenario)]
        of: SchemaOf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ScenarioOptions {
    /// Overrides a value of the file, for example --set load.0.rate=3000/s or --set phases.measure=10m; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Overrides the scenario's seed
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Where the bank comes from
    #[arg(long, value_enum, default_value_t = EnvironmentName::Local)]
    pub(crate) env: EnvironmentName,
    /// How progress is shown on standard error
    #[arg(long, value_enum, default_value_t = Live::Auto)]
    pub(crate) live: Live,
}

impl ScenarioOptions {
    /// The scenario, checked and complete.
    pub(crate) fn load(&self, file: &Path) -> Result<Scenario, CliError> {
        bankstorm_scenario::load(file, &self.sets, self.seed).map_err(|error| CliError::Usage(error.to_string()))
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The scenario file, for example scenarios/smoke.toml
    #[arg(value_name = "SCENARIO")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) options: ScenarioOptions,
    /// The folder in which the run's own folder is made
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) out: PathBuf,
    /// After the scenario as it stands plays only this arm of it; may be repeated. Without it all are played
    #[arg(long = "arm", value_name = "NAME", conflicts_with = "no_arms")]
    pub(crate) arms: Vec<String>,
    /// Plays the scenario as it stands, and none of its arms
    #[arg(long)]
    pub(crate) no_arms: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RedriveArgs {
    /// The channel's base URL, for example http://127.0.0.1:7101; `up` prints it
    #[arg(long, value_name = "URL")]
    pub(crate) channel: String,
    /// The most letters to try
    #[arg(long, default_value_t = MAX_REDRIVE, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_REDRIVE)))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// The scenario file whose bank is started
    #[arg(value_name = "SCENARIO", default_value = "scenarios/smoke.toml")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) options: ScenarioOptions,
}

#[derive(Debug, Args)]
pub(crate) struct RunFolderArgs {
    /// The run's folder, as printed at the end of the run
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Removes what killed runs left behind: their processes, temporary folders, containers, networks and volumes
    #[arg(long)]
    pub(crate) clean: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScenariosArgs {
    /// The folder to look into
    #[arg(default_value = "scenarios")]
    pub(crate) folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EnvironmentName {
    /// Private child processes on loopback
    Local,
    /// The same set in containers, each run on a network of its own; needs a container engine
    Containers,
}

impl EnvironmentName {
    pub(crate) const fn kind(self) -> EnvironmentKind {
        match self {
            Self::Local => EnvironmentKind::Local,
            Self::Containers => EnvironmentKind::Containers,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Live {
    /// A moving display on a terminal, plain lines elsewhere
    Auto,
    /// Plain lines
    Plain,
    /// Nothing
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The scenario file
    Scenario,
    /// run.json
    Run,
    /// simulate.json
    Simulate,
    /// ablate.json
    Ablate,
    /// calibrate.json
    Calibrate,
    /// sweep.json
    Sweep,
    /// A line of results/index.ndjson
    Index,
    /// manifest.json of a published folder
    Manifest,
    /// bench.json of published estimates
    Bench,
}
