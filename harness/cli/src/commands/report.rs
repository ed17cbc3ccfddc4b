//! `report RUN`: the reports of a stored run or sweep, written again, and its summary.
//!
//! In: a run folder, or a sweep's. Out: report files and a summary; the run's own exit code is not repeated (0 when the reports were written).
//! Elsewhere: the reports (`report`).

use bankstorm_record::folder::RunFolder;
use bankstorm_record::sweep_cells::{read_sweep, sweep_path};

use crate::args::RunFolderArgs;
use crate::error::{CliError, unusable};
use crate::output::say;

/// Writes and prints.
pub(crate) fn run(args: &RunFolderArgs) -> Result<u8, CliError> {
    let folder = RunFolder::new(&args.run);
    if sweep_path(&folder).is_file() {
        return of_sweep(&folder);
    }
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

fn of_sweep(folder: &RunFolder) -> Result<u8, CliError> {
    let sweep = read_sweep(folder).map_err(|error| unusable(folder.root(), error))?;
    let written = bankstorm_report::sweep::write(folder, &sweep).map_err(|error| unusable(folder.root(), error))?;
    say(&bankstorm_report::sweep::summary(&sweep, folder, false));
    say(&format!("written: {}", written.display()));
    Ok(0)
}
