//! The one way in which a run is judged, at its end and again from its folder.
//!
//! In: a run folder with its evidence, run.json with its figures, and `facts.json`. Out: the three verdicts in run.json, and the exit code.
//! Elsewhere: every rule (`check`); where facts come from (`run::facts`).

use bankstorm_check::check::{Context, Subject};
use bankstorm_check::objectives::Objective;
use bankstorm_check::validity::Facts;
use bankstorm_check::{exit, guarantees, objectives, validity};
use bankstorm_record::folder::RunFolder;
use bankstorm_record::folder_source::FolderSource;
use bankstorm_record::run_json::{ObjectiveResult, RunJson, ValidityVerdict};
use bankstorm_record::save::verify_evidence;
use bankstorm_scenario::Scenario;
use bankstorm_scenario::resolved::{Guard, Op};
use serde::{Deserialize, Serialize};

/// `facts.json`: what a verdict needs besides the evidence and run.json.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StoredFacts {
    /// Plain figures of the run.
    pub(crate) facts: Facts,
    /// Load was cut short before the copy had converged: entries may rightly be missing from topic and copy.
    pub(crate) incomplete: bool,
    /// What the load was of, as far as guarantees ask.
    #[serde(default)]
    pub(crate) declared: Declared,
    /// What could not be collected, or was odd in it.
    pub(crate) problems: Vec<String>,
    /// What the load generator says of itself; for people, no verdict reads it.
    #[serde(default)]
    pub(crate) generator: serde_json::Value,
}

/// What the load was of: guarantees about transfers are judged, and need evidence, where the scenario has them.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Declared {
    /// Transfers of customers, to other banks included.
    pub(crate) transfers: bool,
    /// Transfers to other banks.
    pub(crate) outbound: bool,
    /// How long core may post a transfer, in milliseconds; absent without transfers.
    pub(crate) validity_ms: Option<i64>,
    /// Of whom one transfer at a time is taken; absent in runs that did not say, and without transfers.
    #[serde(default)]
    pub(crate) guard: Option<Subject>,
}

impl Declared {
    /// What a scenario declares.
    pub(crate) fn by(scenario: &Scenario) -> Self {
        let has = |op: Op| scenario.load.iter().any(|load| load.op == op);
        let outbound = has(Op::Outbound);
        let transfers = outbound || has(Op::Transfer);
        let validity = i64::try_from(scenario.system.validity.as_millis()).ok();
        let guard = match scenario.system.guard {
            Guard::User => Subject::User,
            Guard::Account => Subject::Account,
        };
        Self {
            transfers,
            outbound,
            validity_ms: validity.filter(|_| transfers),
            guard: Some(guard).filter(|_| transfers),
        }
    }
}

/// Judges a run from what is stored of it; the objectives are those that stand in run.json.
pub(crate) fn judge(folder: &RunFolder, json: &mut RunJson, stored: &StoredFacts) -> i32 {
    let facts = Facts { evidence_mismatches: verify_evidence(folder, json), ..stored.facts.clone() };
    let Declared { transfers, outbound, validity_ms, guard } = stored.declared;
    let incomplete = stored.incomplete;
    let context = Context { incomplete, transfers, outbound, validity_ms, guard, ..Context::default() };
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
