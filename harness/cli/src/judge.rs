//! The one way in which a run is judged, at its end and again from its folder.
//!
//! In: a run folder with its evidence, run.json with its figures, and `facts.json`. Out: the three verdicts in run.json, and the exit code.
//! Elsewhere: every rule (`check`); where facts come from (`run::facts`).

use bankstorm_check::check::Context;
use bankstorm_check::objectives::Objective;
use bankstorm_check::validity::Facts;
use bankstorm_check::{exit, guarantees, objectives, validity};
use bankstorm_record::folder::RunFolder;
use bankstorm_record::folder_source::FolderSource;
use bankstorm_record::run_json::{ObjectiveResult, RunJson, ValidityVerdict};
use bankstorm_record::save::verify_evidence;
use serde::{Deserialize, Serialize};

/// `facts.json`: what a verdict needs besides the evidence and run.json.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StoredFacts {
    /// Plain figures of the run.
    pub(crate) facts: Facts,
    /// Load was cut short before the copy had converged: entries may rightly be missing from topic and copy.
    pub(crate) incomplete: bool,
    /// What could not be collected, or was odd in it.
    pub(crate) problems: Vec<String>,
    /// What the load generator says of itself; for people, no verdict reads it.
    #[serde(default)]
    pub(crate) generator: serde_json::Value,
}

/// Judges a run from what is stored of it; the objectives are those that stand in run.json.
pub(crate) fn judge(folder: &RunFolder, json: &mut RunJson, stored: &StoredFacts) -> i32 {
    let facts = Facts { evidence_mismatches: verify_evidence(folder, json), ..stored.facts.clone() };
    let context = Context { incomplete: stored.incomplete, ..Context::default() };
    json.guarantees = guarantees::run_all(&FolderSource::new(folder.clone()), &context);
    json.validity = validity::judge(&facts, &json.guarantees);
    json.validity.reasons.extend(stored.problems.iter().cloned());
    if !stored.problems.is_empty() && json.validity.verdict == ValidityVerdict::Valid {
        json.validity.verdict = ValidityVerdict::Inconclusive;
    }
    json.guarantees.checks.extend(validity::checks(&facts));
    let asked: Vec<Objective> = json.slo.objectives.iter().map(asked).collect();
    json.slo = objectives::judge(&asked, (&*json).into(), json.validity.verdict);
    let lost = facts.environment_lost.is_some();
    exit::code(json.guarantees.verdict, lost, json.validity.verdict, json.slo.verdict)
}

/// An objective as it was typed: `deposit.response.p99`.
fn asked(objective: &ObjectiveResult) -> Objective {
    let mut words = objective.name.split('.').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    let (op, latency, figure) = (word(), word(), word());
    let ObjectiveResult { name, limit_us, during, .. } = objective.clone();
    Objective { name, op, latency, figure, limit_us, during }
}
