//! The options of `sweep`.

use std::path::PathBuf;

use clap::Args;

use super::ScenarioOptions;

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// The scenario file with a [sweep], for example scenarios/sweep.toml; with --resume the one that the folder holds unless given
    #[arg(value_name = "SCENARIO", required_unless_present = "resume")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: ScenarioOptions,
    /// The folder in which the sweep's own folder is made
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) out: PathBuf,
    /// Goes on with a sweep that was broken off, in its own folder, by the same build of committed sources, on the same machine and with the
    /// same --env: what it measured stands, what is missing is measured. One that has ended is shown again, and nothing else
    #[arg(long, value_name = "FOLDER", conflicts_with = "out")]
    pub(crate) resume: Option<PathBuf>,
}
