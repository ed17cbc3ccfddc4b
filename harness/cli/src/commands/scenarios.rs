//! `scenarios`: what a folder offers, each with its own words.
//!
//! In: a folder. Out: a list; exit code 2 when a file in it does not load. Elsewhere: the files' form (`scenario`).

use std::path::{Path, PathBuf};

use crate::args::ScenariosArgs;
use crate::error::{CliError, unusable};
use crate::output::say;

/// Prints the list.
pub(crate) fn run(args: &ScenariosArgs) -> Result<u8, CliError> {
    for path in files(&args.folder)? {
        let scenario =
            bankstorm_scenario::load(&path, &[], None).map_err(|error| CliError::Usage(error.to_string()))?;
        say(&format!("{}\n    {}", path.display(), scenario.about));
    }
    Ok(0)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let read = |error| unusable(folder, format!("{error}; give a folder that holds scenario files"));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() { Err(unusable(folder, "holds no .toml files")) } else { Ok(paths) }
}
