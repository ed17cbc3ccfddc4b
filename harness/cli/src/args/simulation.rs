//! What may be typed after `simulate`, `ablate`, `replay` and `shrink`.
//!
//! In: the command line. Out: arguments within their limits. Elsewhere: what they lead to (`commands`).

use std::convert::Infallible;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use bankstorm_simulator::ablate::rows;
use bankstorm_simulator::planted::Planted;
use clap::Args;

use super::Live;

/// The most seeds of one call.
const MOST_SEEDS: u64 = 100_000_000;
/// The most threads.
const MOST_JOBS: usize = 1_024;

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// The first seed, and the one after the last
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = seeds)]
    pub(crate) seeds: Range<u64>,
    /// Threads; the default is one for each core
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub(crate) jobs: Option<usize>,
    /// Where simulate.json and the plans of failing seeds go, in place of those of an earlier batch
    #[arg(long, value_name = "DIR", default_value = "runs/simulate")]
    pub(crate) out: PathBuf,
    /// Failing seeds that are told and stored in full, the first ones; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) keep: usize,
    /// Plants a bug in every world, which must then be found; one of: acks_early, claims_anew, torn_page ... (a wrong word lists all)
    #[arg(long, value_name = "BUG", value_parser = planted)]
    pub(crate) planted: Option<Planted>,
    /// How progress is shown on standard error
    #[arg(long, value_enum, default_value_t = Live::Auto)]
    pub(crate) live: Live,
}

#[derive(Debug, Args)]
pub(crate) struct AblateArgs {
    /// Only these protections, for example P4,P25; all without it
    #[arg(long, value_name = "P,..", value_delimiter = ',', value_parser = protection)]
    pub(crate) only: Vec<String>,
    /// The first seed, and the one after the last
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = seeds)]
    pub(crate) seeds: Range<u64>,
    /// A row ends once so many seeds have shown its protection missing
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) hits: u64,
    /// Threads; the default is one for each core
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub(crate) jobs: Option<usize>,
    /// Where ablate.json and the plans of the first seeds that show it go, in place of those of an earlier call
    #[arg(long, value_name = "DIR", default_value = "runs/ablate")]
    pub(crate) out: PathBuf,
    /// How progress is shown on standard error
    #[arg(long, value_enum, default_value_t = Live::Auto)]
    pub(crate) live: Live,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A seed, or the file of a plan
    #[arg(value_name = "SEED|FILE")]
    pub(crate) target: Target,
    /// Only lines of this one, for example core, or channel for all channels
    #[arg(long, value_name = "WHO")]
    pub(crate) trace_only: Option<String>,
    /// Only the last lines
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<usize>,
    /// Only the verdict
    #[arg(long, conflicts_with_all = ["trace_only", "tail"])]
    pub(crate) quiet: bool,
    /// Another stream for the models: who is how slow when
    #[arg(long, value_name = "N")]
    pub(crate) chance: Option<u64>,
    /// Plants a bug, in place of the plan's own if it has one
    #[arg(long, value_name = "BUG", value_parser = planted)]
    pub(crate) planted: Option<Planted>,
}

#[derive(Debug, Args)]
pub(crate) struct ShrinkArgs {
    /// A seed, or the file of a plan
    #[arg(value_name = "SEED|FILE")]
    pub(crate) target: Target,
    /// The smaller plan's file; without it, seed-N.small.json, or FILE with .small before .json, in the folder of FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Another stream for the models: who is how slow when
    #[arg(long, value_name = "N")]
    pub(crate) chance: Option<u64>,
    /// Plants a bug, in place of the plan's own if it has one
    #[arg(long, value_name = "BUG", value_parser = planted)]
    pub(crate) planted: Option<Planted>,
    /// How progress is shown on standard error
    #[arg(long, value_enum, default_value_t = Live::Auto)]
    pub(crate) live: Live,
}

/// Which world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The one that is drawn from this seed.
    Seed(u64),
    /// The one of this plan.
    File(PathBuf),
}

impl FromStr for Target {
    type Err = Infallible;

    /// A number is a seed; a file of that name is `./7`.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::File(text.into()), Self::Seed))
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    let Some(range) = range else { return Err("accepted is a range of numbers such as 0..1000".to_owned()) };
    if range.is_empty() {
        return Err(format!(
            "that is no seed at all; the second number is the one after the last seed, so above {}",
            range.start
        ));
    }
    if range.end - range.start > MOST_SEEDS {
        return Err(format!("that is {} seeds; accepted are up to {MOST_SEEDS} in one call", range.end - range.start));
    }
    Ok(range)
}

fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=MOST_JOBS) => Ok(number),
        _ => Err(format!("accepted are whole numbers from 1 to {MOST_JOBS}")),
    }
}

fn protection(text: &str) -> Result<String, String> {
    let mut known: Vec<_> = rows().map(|row| row.protection).collect();
    known.dedup();
    if known.contains(&text) { Ok(text.to_owned()) } else { Err(format!("accepted are {}", known.join(", "))) }
}

fn planted(text: &str) -> Result<Planted, String> {
    // Words of files and of the command line are the same.
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Target;
    use crate::args::{Cli, Command};

    fn parsed(args: &[&str]) -> Result<Command, String> {
        let all = ["bankstorm"].iter().chain(args);
        Cli::try_parse_from(all).map(|cli| cli.command).map_err(|error| error.to_string())
    }

    #[test]
    fn seeds_and_threads_within_their_limits_are_taken() {
        let Ok(Command::Simulate(plain)) = parsed(&["simulate"]) else { panic!("no arguments are needed") };
        assert_eq!((plain.seeds, plain.jobs, plain.keep), (0..1000, None, 20));
        assert_eq!(plain.out.to_str(), Some("runs/simulate"));
        let Ok(Command::Simulate(all)) = parsed(&["simulate", "--seeds=5..100000005", "--jobs=3", "--keep=0"]) else {
            panic!("within the limits")
        };
        assert_eq!((all.seeds, all.jobs, all.keep), (5..100_000_005, Some(3), 0));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (option, said) in [
            ("--seeds=5..3", "above 5"),
            ("--seeds=5..5", "above 5"),
            ("--seeds=5", "0..1000"),
            ("--seeds=a..b", "0..1000"),
            ("--seeds=-1..5", "0..1000"),
            ("--seeds=0..=5", "0..1000"),
            ("--seeds=0..100000001", "up to 100000000"),
            ("--jobs=0", "from 1 to 1024"),
            ("--jobs=2000", "from 1 to 1024"),
            ("--jobs=two", "from 1 to 1024"),
            ("--keep=-1", "--keep"),
            ("--planted=gremlin", "offset_before_apply"),
        ] {
            let refused = parsed(&["simulate", option]).expect_err(option);
            assert!(refused.contains(said), "{option}: {refused}");
        }
        parsed(&["replay", "7", "--quiet", "--tail=5"]).expect_err("either nothing or the last lines");
    }

    #[test]
    fn protections_that_worlds_can_show_missing_are_taken() {
        let Ok(Command::Ablate(plain)) = parsed(&["ablate"]) else { panic!("no arguments are needed") };
        assert!(plain.only.is_empty());
        assert_eq!((plain.seeds, plain.hits), (0..1000, 1));
        let Ok(Command::Ablate(two)) = parsed(&["ablate", "--only=P4,P25"]) else { panic!("both are known") };
        assert_eq!(two.only, ["P4", "P25"]);
        for wrong in ["--only=P27", "--only=", "--hits=0"] {
            parsed(&["ablate", wrong]).expect_err(wrong);
        }
        assert!(parsed(&["ablate", "--only=P27"]).expect_err("P27 lives below the ports").contains("P1, P2, P3"));
    }

    #[test]
    fn a_number_is_a_seed_and_everything_else_a_file() {
        assert_eq!("7".parse(), Ok(Target::Seed(7)));
        for file in ["./7", "plans/7.json", "-7x", "18446744073709551616"] {
            assert_eq!(file.parse(), Ok(Target::File(file.into())));
        }
    }
}
