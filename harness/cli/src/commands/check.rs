//! `check RUN`: a stored run, judged again from its evidence.
//!
//! In: a run folder. Out: every check's verdict on standard output, and the exit code of the run as it stands now. Elsewhere: how a run
//! is judged (`judge`). Nothing in the folder is changed.

use bankstorm_check::exit;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::run_json::{ArmRecord, CheckResult, GuaranteeVerdict};
use bankstorm_record::save::read_run_json;
use bankstorm_scenario::resolved::Expect;

use crate::args::RunFolderArgs;
use crate::error::{CliError, unusable};
use crate::judge::{StoredFacts, judge};
use crate::output::say;

/// Checks, prints, and says how it ended.
pub(crate) fn run(args: &RunFolderArgs) -> Result<u8, CliError> {
    let folder = RunFolder::new(&args.run);
    let mut json = read_run_json(&folder).map_err(|error| unusable(&args.run, error))?;
    let stored = read_facts(&folder)?;
    let code = judge(&folder, &mut json, &stored);
    for check in &json.guarantees.checks {
        print(check);
    }
    say("");
    for reason in &json.validity.reasons {
        say(&format!("reason: {reason}"));
    }
    let (validity, guarantees, slo) = (json.validity.verdict, json.guarantees.verdict, json.slo.verdict);
    say(&format!("validity {validity:?}, guarantees {guarantees:?}, objectives {slo:?}: exit code {code}"));
    let code = with_arms(code, &json.arms);
    Ok(u8::try_from(code).expect("exit codes are small"))
}

/// Arms are runs of their own: what was found of them counts as it stands, and `check` on their folders looks again.
fn with_arms(own: i32, arms: &[ArmRecord]) -> i32 {
    let mut codes = vec![own];
    for ArmRecord { name, expect, by, exit_code, shown, folder, .. } in arms {
        let told = if *shown { "shown" } else { "not shown" };
        let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(" or ")) };
        say(&format!("arm {name}: expected {expect}{by}, {told}, exit code {}; {folder}", exit_code.unwrap_or(4)));
        let expects_violation = expect == Expect::Violated.as_str();
        codes.push(exit::of_arm(expects_violation, exit_code.unwrap_or(exit::NOT_CONCLUSIVE), *shown).1);
    }
    exit::worst(codes)
}

fn read_facts(folder: &RunFolder) -> Result<StoredFacts, CliError> {
    let path = folder.facts();
    let text = std::fs::read_to_string(&path)
        .map_err(|error| unusable(&path, format!("{error}; the run did not come as far as its checks")))?;
    serde_json::from_str(&text).map_err(|error| unusable(&path, error))
}

fn print(check: &CheckResult) {
    let verdict = match check.verdict {
        GuaranteeVerdict::Holds => "holds",
        GuaranteeVerdict::Violated => "VIOLATED",
        GuaranteeVerdict::Unknown => "unknown",
    };
    let CheckResult { id, name, examined, violations, .. } = check;
    say(&format!("{id:<3} {name:<18} {verdict:<9} {examined} examined, {violations} violations"));
    for (name, figure) in &check.figures {
        say(&format!("    {name}: {figure}, told and not judged"));
    }
    if let Some(first) = &check.first {
        say(&format!("    {first}"));
    }
}
