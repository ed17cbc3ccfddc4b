//! `report RUN`: the reports of a stored run, written again, and its summary.
//!
//! In: a run folder. Out: report files and a summary; the run's own exit code is not repeated (0 when the reports were written).
//! Elsewhere: the reports (`report`).

use bankstorm_record::folder::RunFolder;

use crate::args::RunFolderArgs;
use crate::error::{CliError, unusable};
use crate::output::say;

/// Writes and prints.
pub(crate) fn run(args: &RunFolderArgs) -> Result<u8, CliError> {
    let folder = RunFolder::new(&args.run);
    let run = bankstorm_record::save::read_run_json(&folder).map_err(|error| unusable(&args.run, error))?;
    let written = bankstorm_report::write_all(&folder).map_err(|error| unusable(&args.run, error))?;
    say(&bankstorm_report::terminal::summary(&run, &folder, false));
    if !run.arms.is_empty() {
        say(&bankstorm_report::side_by_side(&run, &folder, false));
    }
    for path in written {
        say(&format!("written: {}", path.display()));
    }
    Ok(0)
}
