//! `scenarios`: what a folder offers, each with its own words.
//!
//! In: a folder. Out: a list; exit code 2 when it holds none, or one that does not load. Elsewhere: the files' form (`scenario`).

use bankstorm_scenario::builtin;

use crate::args::ScenariosArgs;
use crate::error::{CliError, unusable};
use crate::output::say;

/// Prints the list.
pub(crate) fn run(args: &ScenariosArgs) -> Result<u8, CliError> {
    let listed = builtin::list(&args.folder).map_err(|error| CliError::Usage(error.to_string()))?;
    if listed.is_empty() {
        return Err(unusable(&args.folder, "holds no .toml files; give a folder with scenarios"));
    }
    for scenario in listed {
        say(&format!("{}\n    {}", scenario.path.display(), scenario.about));
    }
    Ok(0)
}
