//! The one way in which a run is judged, at its end and again from its folder.
//!
//! In: a run folder with its evidence, run.json with its figures, and `facts.json`. Out: the three verdicts in run.json, and the exit code.
//! Elsewhere: every rule (`check`); where facts come from (`run::facts`).

use std::time::Duration;

use bankstorm_check::check::{Context, Subject};
use bankstorm_check::following::{self, Following};
use bankstorm_check::objectives::Objective;
use bankstorm_check::validity::Facts;
use bankstorm_check::{exit, guarantees, objectives, validity};
use bankstorm_faults::plan::Kind;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::folder_source::FolderSource;
use bankstorm_record::run_json::{ObjectiveResult, RunJson, ValidityVerdict};
use bankstorm_record::save::verify_evidence;
use bankstorm_scenario::Scenario;
use bankstorm_scenario::protections::{Cursor, Fence, Repair};
use bankstorm_scenario::resolved::{Guard, HistorySource, Op, ReadSync, SyncMode};
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
    /// How the channels follow core; absent in runs that did not say.
    #[serde(default)]
    pub(crate) following: Option<Following>,
    /// The channels ask core in place of reading its events: no group commits anything, and T3 is not judged.
    #[serde(default)]
    pub(crate) polls: bool,
    /// Core leaves no tombstones.
    #[serde(default)]
    pub(crate) no_tombstones: bool,
    /// A fault gave the topics more partitions.
    #[serde(default)]
    pub(crate) topic_grew: bool,
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
            following: Some(following(scenario)),
            polls: scenario.system.sync != SyncMode::Events,
            no_tombstones: scenario.system.protections.fence == Fence::PlainRead,
            topic_grew: scenario.faults.iter().any(|fault| fault.kind == Kind::TopicGrow),
        }
    }
}

/// With looks of the sweep further apart than this a run does not wait for marks to be taken away (`evidence::wait_converged`).
const SWEPT_IN_TIME: Duration = Duration::from_secs(5);

/// What the channels promise their readers, and by which limits. A protection that is off takes no promise back; a run that repairs nothing
/// promises no fresh reads.
fn following(scenario: &Scenario) -> Following {
    let system = &scenario.system;
    Following {
        read_sync: match (system.protections.repair, system.read_sync) {
            (Repair::Off, _) => following::ReadSync::Off,
            (Repair::On, ReadSync::Pending) => following::ReadSync::Pending,
            (Repair::On, ReadSync::Suspect) => following::ReadSync::Suspect,
        },
        history: match system.history_source {
            HistorySource::Copy => following::History::Copy,
            HistorySource::CoreByPeriod => following::History::CoreByPeriod,
        },
        cursor: match system.protections.cursor {
            Cursor::Keyset => following::Cursor::Keyset,
            Cursor::Offset => following::Cursor::Offset,
        },
        read_budget_ms: i64::try_from(system.read_budget.as_millis()).unwrap_or(i64::MAX),
        core_pulls: system.core_pulls.into(),
        manual_every_ms: i64::try_from(system.manual_every.as_millis()).unwrap_or(i64::MAX),
        tidies: system.protections.repair == Repair::On && system.sweep_every <= SWEPT_IN_TIME,
        attempts: system.dead_letter_attempts.into(),
        databases: system.channel_databases,
        button: scenario.load.iter().any(|load| load.op == Op::Sync),
        calm: scenario.faults.is_empty(),
        // Known once the run has begun.
        origin_wall_us: None,
        commits_are_moments: true,
    }
}

/// Judges a run from what is stored of it; the objectives are those that stand in run.json.
pub(crate) fn judge(folder: &RunFolder, json: &mut RunJson, stored: &StoredFacts) -> i32 {
    let facts = Facts { evidence_mismatches: verify_evidence(folder, json), ..stored.facts.clone() };
    let Declared { transfers, outbound, validity_ms, guard, following, polls, no_tombstones, topic_grew } =
        stored.declared;
    let origin_wall_us = Some(json.origin.wall_us).filter(|_| !polls);
    let context = Context {
        incomplete: stored.incomplete,
        transfers,
        outbound,
        validity_ms,
        guard,
        following: following.map(|said| Following { origin_wall_us, ..said }),
        no_tombstones,
        topic_grew,
        ..Context::default()
    };
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
