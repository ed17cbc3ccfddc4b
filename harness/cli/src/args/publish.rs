//! What may be typed after `publish`.
//!
//! In: the command line. Out: arguments within their limits. Elsewhere: what they lead to (`commands::publish`).

use std::path::PathBuf;

use bankstorm_report::publish::LIMIT_BYTES;
use clap::Args;

/// Where published runs are kept unless another folder is named.
pub(crate) const RESULTS: &str = "results";
/// Bytes of the limit's unit.
pub(crate) const MEGABYTE: u64 = 1_000_000;

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// The folder of something that has ended: of run, sweep, simulate, ablate or calibrate
    #[arg(value_name = "RUN", required_unless_present_any = ["bench", "rebuild"])]
    pub(crate) run: Option<PathBuf>,
    /// Collects what `cargo bench` left there instead, for example target/criterion
    #[arg(long, value_name = "DIR", conflicts_with_all = ["run", "anyway"])]
    pub(crate) bench: Option<PathBuf>,
    /// Where published runs are kept, a folder each, and their index
    #[arg(long, value_name = "DIR", default_value = RESULTS)]
    pub(crate) into: PathBuf,
    /// Whose table of figures is rebuilt, above --into; without it that of README.md, where there is one, unless --into names another folder
    #[arg(long, value_name = "FILE")]
    pub(crate) readme: Option<PathBuf>,
    /// Publishes nothing, and rebuilds the table and the sample of the README from what is published
    #[arg(long, conflicts_with_all = ["run", "bench", "again", "anyway", "limit_mb"])]
    pub(crate) rebuild: bool,
    /// Takes the place of what was published of the same run
    #[arg(long)]
    pub(crate) again: bool,
    /// Publishes also what is invalid or violated, marked as such
    #[arg(long)]
    pub(crate) anyway: bool,
    /// The most that its folder may take, in megabytes
    #[arg(long, value_name = "N", default_value_t = LIMIT_BYTES / MEGABYTE, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) limit_mb: u64,
}
