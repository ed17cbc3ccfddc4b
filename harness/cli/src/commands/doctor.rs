//! `doctor`: what is there, what is missing, and the command that installs it; `--clean` removes what killed runs left.
//!
//! In: the machine. Out: a table; exit code 3 when something that a run needs is missing. Elsewhere: the findings
//! (`environment::doctor`).

use bankstorm_environment::doctor::{Finding, Health, can_run, doctor};
use bankstorm_environment::orphans;

use crate::args::DoctorArgs;
use crate::error::CliError;
use crate::output::say;

/// Looks, or cleans.
pub(crate) fn run(args: &DoctorArgs) -> Result<u8, CliError> {
    if args.clean {
        return clean();
    }
    let findings = doctor();
    for finding in &findings {
        say(&line(finding));
    }
    if !can_run(&findings) {
        say("\nSomething is missing: `make setup` installs it.");
        return Ok(3);
    }
    say("\nA run can start.");
    Ok(0)
}

fn line(finding: &Finding) -> String {
    let mark = match finding.health {
        Health::Good => "ok      ",
        Health::Worse => "worse   ",
        Health::Missing => "MISSING ",
    };
    let found = finding.found.as_deref().unwrap_or("not found");
    let version = finding.version.as_deref().map(|version| format!(" ({version})")).unwrap_or_default();
    let remedy = finding.remedy.as_deref().map(|remedy| format!("\n            -> {remedy}")).unwrap_or_default();
    format!("{mark}{:<22} {found}{version}{remedy}", finding.what)
}

fn clean() -> Result<u8, CliError> {
    let cleaned = orphans::clean();
    for folder in &cleaned.folders {
        say(&format!("removed {}", folder.display()));
    }
    say(&format!("{} folders removed, {} processes ended", cleaned.folders.len(), cleaned.processes));
    let (containers, networks, volumes) = (cleaned.containers, cleaned.networks, cleaned.volumes);
    if containers + networks + volumes > 0 {
        say(&format!("{containers} containers, {networks} networks and {volumes} volumes removed"));
    }
    if cleaned.left.is_empty() {
        return Ok(0);
    }
    Err(CliError::Environment(format!("could not remove:\n  {}", cleaned.left.join("\n  "))))
}
