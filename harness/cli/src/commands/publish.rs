//! `publish RUN`: a stored run becomes a small folder of `results/`, a line of its index and a row of the README.
//!
//! In: a run folder, or criterion's. Out: what was written, on standard output; 0, or 2 when it may not be published. Elsewhere: what is
//! published and what is refused (`report::publish`). What only other rooms can tell of a run is asked here: whether its scenario is the shipped
//! one (`changed`), whether a sweep is what its cells come to (`swept`).

mod changed;
mod swept;

use std::path::Path;

use bankstorm_record::clock::{rfc3339, wall_us};
use bankstorm_report::count;
use bankstorm_report::publish::{Ask, PublishError, Published, publish, publish_bench, rebuild};

use self::changed::changed;
use crate::args::{MEGABYTE, PublishArgs, RESULTS};
use crate::error::{CliError, unusable};
use crate::output::say;
use crate::run::open::build;

/// The README whose table is rebuilt unless another is named.
const README: &str = "README.md";

/// Publishes, and says what and where.
pub(crate) fn run(args: &PublishArgs) -> Result<u8, CliError> {
    let readme = readme(args);
    if args.rebuild {
        return again(args, readme);
    }
    let ask = |from, changed| Ask {
        from,
        into: &args.into,
        readme,
        changed,
        again: args.again,
        anyway: args.anyway,
        limit_bytes: args.limit_mb * MEGABYTE,
        by: build(),
        at: rfc3339(wall_us()),
    };
    let (published, changed) = match (&args.run, &args.bench) {
        (_, Some(criterion)) => (publish_bench(&ask(criterion, false)), None),
        (Some(run), None) => {
            swept::check(run)?;
            let changed = changed(run, home(readme))?;
            (publish(&ask(run, changed.is_some())), changed)
        }
        (None, None) => return Err(CliError::Bug("neither a run nor benches, which clap lets nobody ask".to_owned())),
    };
    tell(&published.map_err(refused)?, changed.as_deref());
    say(&told(args, readme));
    Ok(0)
}

/// The README that is named; else that of this checkout, with the folder that it links to.
fn readme(args: &PublishArgs) -> Option<&Path> {
    let own = Some(Path::new(README)).filter(|path| is_own(&args.into) && path.is_file());
    args.readme.as_deref().or(own)
}

/// Whether published runs are kept where those of a checkout are.
fn is_own(into: &Path) -> bool {
    matches!((std::path::absolute(into), std::path::absolute(RESULTS)), (Ok(into), Ok(own)) if into == own)
}

/// The folder of the README; of none, this one.
fn home(readme: Option<&Path>) -> &Path {
    readme.and_then(Path::parent).unwrap_or(Path::new(""))
}

fn again(args: &PublishArgs, readme: Option<&Path>) -> Result<u8, CliError> {
    let readme = readme.ok_or_else(|| {
        unusable(
            &args.into,
            format!("--rebuild has no README to write; accepted is --readme FILE, or {README} with --into {RESULTS}"),
        )
    })?;
    let lines = rebuild(&args.into, readme).map_err(refused)?;
    say(&format!("{} is rebuilt from the index: lines {}", readme.display(), count(lines as u64)));
    Ok(0)
}

fn refused(error: PublishError) -> CliError {
    CliError::Usage(error.to_string())
}

fn tell(published: &Published, changed: Option<&str>) {
    let Published { folder, line, copied, left_out } = published;
    let sized = |(files, bytes): (u64, u64)| format!("{} files, {} bytes", count(files), count(bytes));
    let (copied, left_out) = (sized(*copied), sized(*left_out));
    say(&format!("published: {} ({copied}; left out, with their hashes: {left_out})", folder.display()));
    if let Some(why) = &line.anyway {
        say(&format!("marked: {why}"));
    }
    if let Some(first) = changed {
        say(&format!("marked: changed, for it ran otherwise than scenarios/{}.toml says: {first}", line.scenario));
    }
    for figure in &line.figures {
        say(format!("  {} {:.3} {}", figure.name, figure.value, figure.unit).trim_end());
    }
}

fn told(args: &PublishArgs, readme: Option<&Path>) -> String {
    match readme {
        Some(readme) => format!("figures of {} are rebuilt from the index", readme.display()),
        None if is_own(&args.into) => {
            format!("no README is rebuilt: there is no {README} here, and none is named (--readme FILE)")
        }
        None => {
            format!("no README is rebuilt: {README} shows what lies in {RESULTS}, and none is named (--readme FILE)")
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Path, README, readme};
    use crate::args::{Cli, Command};

    fn chosen(more: &[&str]) -> Option<String> {
        let args = ["bankstorm", "publish", "runs/a"].iter().chain(more);
        let Command::Publish(args) = Cli::try_parse_from(args).expect("accepted").command else { panic!("publish") };
        readme(&args).map(|path| path.to_string_lossy().into_owned())
    }

    #[test]
    fn the_readme_of_a_checkout_shows_its_own_results_alone() {
        // Tests run where this crate lies, which has none.
        let own = Path::new(README).is_file().then(|| README.to_owned());
        assert_eq!(chosen(&[]), own);
        assert_eq!(chosen(&["--into", "./results"]), own);
        assert_eq!(chosen(&["--into", "elsewhere"]), None);
        assert_eq!(chosen(&["--into", "elsewhere", "--readme", "a.md"]).as_deref(), Some("a.md"));
    }

    #[test]
    fn to_rebuild_is_to_publish_nothing() {
        let parse = |args: &[&str]| Cli::try_parse_from(["bankstorm", "publish"].iter().chain(args)).map(drop);
        parse(&["--rebuild"]).expect("accepted");
        parse(&["--rebuild", "--into", "a", "--readme", "b"]).expect("accepted");
        for refused in [&["runs/a", "--rebuild"][..], &["--bench", "a", "--rebuild"], &["--rebuild", "--again"], &[]] {
            assert!(parse(refused).is_err(), "{refused:?}");
        }
    }
}
