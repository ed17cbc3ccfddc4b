//! `publish RUN`: a stored run becomes a small folder of `results/`, a line of its index and a row of the README.
//!
//! In: a run folder, or criterion's. Out: what was written, on standard output; 0, or 2 when it may not be published. Elsewhere: what is
//! published and what is refused (`report::publish`).

use std::path::Path;

use bankstorm_record::clock::{rfc3339, wall_us};
use bankstorm_report::count;
use bankstorm_report::publish::{Ask, Published, publish, publish_bench};

use crate::args::{MEGABYTE, PublishArgs};
use crate::error::CliError;
use crate::output::say;
use crate::run::open::build;

/// The README whose table is rebuilt unless another is named.
const README: &str = "README.md";

/// Publishes, and says what and where.
pub(crate) fn run(args: &PublishArgs) -> Result<u8, CliError> {
    let (from, how): (&Path, fn(&Ask<'_>) -> _) = match (&args.run, &args.bench) {
        (_, Some(criterion)) => (criterion, publish_bench),
        (Some(run), None) => (run, publish),
        (None, None) => return Err(CliError::Bug("neither a run nor benches, which clap lets nobody ask".to_owned())),
    };
    let readme = args.readme.as_deref().or_else(|| Some(Path::new(README)).filter(|path| path.is_file()));
    let ask = Ask {
        from,
        into: &args.into,
        readme,
        again: args.again,
        anyway: args.anyway,
        limit_bytes: args.limit_mb * MEGABYTE,
        by: build(),
        at: rfc3339(wall_us()),
    };
    let published = how(&ask).map_err(|error| CliError::Usage(error.to_string()))?;
    tell(&published, readme);
    Ok(0)
}

fn tell(published: &Published, readme: Option<&Path>) {
    let Published { folder, line, copied, left_out } = published;
    let sized = |(files, bytes): (u64, u64)| format!("{} files, {} bytes", count(files), count(bytes));
    let (copied, left_out) = (sized(*copied), sized(*left_out));
    say(&format!("published: {} ({copied}; left out, with their hashes: {left_out})", folder.display()));
    if let Some(why) = &line.anyway {
        say(&format!("marked: {why}"));
    }
    for figure in &line.figures {
        say(format!("  {} {:.3} {}", figure.name, figure.value, figure.unit).trim_end());
    }
    if let Some(readme) = readme {
        say(&format!("figures of {} are rebuilt from the index", readme.display()));
    }
}
