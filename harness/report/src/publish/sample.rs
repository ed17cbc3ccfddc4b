//! The README's sample: how the report of a published run begins on the terminal.
//!
//! In: the lines of the index, the published folders. Out: the text between two markers, or why a published run cannot be read. Elsewhere: how
//! a report is written (`terminal`), where the block stands (`publish::readme`).
//!
//! Only a run that ended as it should is shown: valid, every guarantee held, every objective met, nothing switched off; and only what another
//! can have too: of a scenario as it is shipped, by a build of a commit.

use std::path::Path;

use bankstorm_record::folder::RunFolder;
use bankstorm_record::published::{IndexLine, Kind, Verdicts};
use bankstorm_record::run_json::{GuaranteeVerdict, SloVerdict, ValidityVerdict};
use bankstorm_record::save::read_run_json;

use super::PublishError;
use super::readme::{cell, machine};
use super::source::DIRTY;
use crate::terminal;

/// Scenarios and environments of which the newest run is shown; the first that has one.
const SHOWN: [(&str, &str); 4] =
    [("steady", "containers"), ("steady", "local"), ("smoke", "containers"), ("smoke", "local")];
/// The three verdicts that a run must have.
const FIT: Verdicts =
    Verdicts { validity: ValidityVerdict::Valid, guarantees: GuaranteeVerdict::Holds, objectives: SloVerdict::Met };
/// What is said where there is none.
const NOTHING: &str = "Nothing is published yet: `bankstorm publish RUN` shows here what a run of `steady` printed that was valid, held and met \
                       its objectives.";

/// The text between the markers, line ends around it included. `folder` holds the published folders, and `link` is the way to it.
pub(super) fn block(lines: &[IndexLine], folder: &Path, link: &str) -> Result<String, PublishError> {
    let Some(line) = shown(lines) else { return Ok(format!("\n{NOTHING}\n")) };
    let run = read_run_json(&RunFolder::new(folder.join(&line.run_id)))
        .map_err(|source| PublishError::Sample { run_id: line.run_id.clone(), source })?;
    Ok(format!("\n{}\n```\n{}```\n", lead(line, link), terminal::beginning(&run)))
}

/// The newest run that ended as it should, of the first scenario and environment that has one.
fn shown(lines: &[IndexLine]) -> Option<&IndexLine> {
    let newest = |(scenario, environment): (&str, &str)| {
        let of = lines.iter().filter(|line| line.scenario == scenario && line.environment == environment);
        of.filter(|line| is_fit(line)).max_by(|a, b| a.started_at.cmp(&b.started_at))
    };
    SHOWN.into_iter().find_map(newest)
}

/// What was published anyway is not, whatever its own verdicts: its arms may have shown something else.
fn is_fit(line: &IndexLine) -> bool {
    let ended_well = line.kind == Kind::Run && line.verdicts == Some(FIT) && line.anyway.is_none();
    ended_well && line.r#unsafe.is_empty() && !line.changed && !line.commit.ends_with(DIRTY)
}

/// The command, where it ran, where the rest is.
fn lead(line: &IndexLine, link: &str) -> String {
    let IndexLine { run_id, scenario, environment, .. } = line;
    let machine = cell(&machine(&line.machine));
    format!(
        "`bankstorm run scenarios/{scenario}.toml --env {environment}` printed this on {machine} ([the published run]({link}/{run_id}/)); \
         objectives, checks, validity and what the bank used follow there:"
    )
}
