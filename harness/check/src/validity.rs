//! Validity: may the run be believed? Each reason names its figure and its limit.
//!
//! In: [`Facts`], plain figures that the cli gathers and stores with the run, and the guarantees' verdict. Out: [`Validity`]. Elsewhere:
//! the reasons of V2 (`witnessed`) and V3 (`sane_harness`), objectives (`objectives`), the exit code (`exit`).

use std::collections::BTreeMap;

use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict, Guarantees, Validity, ValidityVerdict};
use serde::{Deserialize, Serialize};

use crate::sane_harness::percent;
use crate::{sane_harness, witnessed};

mod machine;

pub use machine::{BUSY_SHARE_MAX, Machine, PROCESS_SHARE_MAX, STEAL_SHARE_MAX};

/// The median response of the last warm-up seconds as a multiple of the measured part's: above, the bank was still warming up.
pub const WARM_UP_RATIO_MAX: f64 = 3.0;
/// A difference of medians that never counts as warming up: on a few milliseconds ratios are noise.
pub const WARM_UP_SLACK_US: u64 = 10_000;
/// Records that may be unconsumed at the end.
pub const LAG_END_RECORDS_MAX: u64 = 0;

/// Plain figures of a run. Absent means "not measured".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Planned operations, warm-up included.
    pub planned: u64,
    /// Of them, written to a socket.
    pub sent: u64,
    /// Of them, never sent.
    pub missed: u64,
    /// Of them, without a verdict after the resolve phase.
    pub unresolved: u64,
    /// Ok operations without a visible time.
    pub missing_visible: u64,
    /// 99th percentile of intended -> written over the measured phase without [`Facts::disturbed`], in microseconds.
    pub send_lag_p99_us: Option<u64>,
    /// The smallest limit among response objectives, in microseconds.
    pub tightest_response_limit_us: Option<u64>,
    /// CPU of the busiest generator thread over the measured phase, as a share of one core (0 to 1).
    pub generator_cpu_share: Option<f64>,
    /// The largest jump of the wall clock against the monotonic one between two samples, in microseconds.
    pub wall_step_us: Option<u64>,
    /// Wall time minus monotonic time over the whole run, without sign, in microseconds.
    pub wall_drift_us: Option<u64>,
    /// The longest time the harness's watchdog was not scheduled, in microseconds.
    pub stall_max_us: Option<u64>,
    /// Medians of response; absent without a warm-up.
    pub warm_up: Option<WarmUp>,
    /// Medians of intent to visible; absent without a warm-up.
    pub warm_up_visible: Option<WarmUp>,
    /// Records of the topic that the group had not consumed when the converge phase ended.
    pub lag_end_records: Option<u64>,
    /// Logs that were scanned for panics.
    pub logs_scanned: u64,
    /// Those in which something was found.
    pub log_hits: Vec<LogHits>,
    /// Ended by Ctrl-C.
    pub interrupted: bool,
    /// What of the environment was lost, and how: "core's PostgreSQL exited with signal 9".
    pub environment_lost: Option<String>,
    /// Faults that the scenario planned.
    pub planned_faults: u64,
    /// Of them, those without evidence.
    pub faults_without_witness: Vec<String>,
    /// Markers that the scenario declares, with how often they fired.
    pub markers: BTreeMap<String, u64>,
    /// Evidence that is not what run.json says, a sentence each: changed, missing, or not listed.
    pub evidence_mismatches: Vec<String>,
    /// How busy the machine was in the measured phase.
    pub machine: Option<Machine>,
    /// Of the operations, those whose fate planned faults explain: the generator is judged by the others.
    pub disturbed: Disturbed,
    /// The most operations of the measured phase that were under way at once.
    pub in_flight_max: Option<u64>,
    /// Connections of all loads.
    pub connections: Option<u64>,
    /// Planned faults that could not be begun or not be healed, a sentence each.
    pub fault_problems: Vec<String>,
}

/// Operations that belong to a planned fault or to the recovery from one ([`crate::recover::Windows::part_of`]). What became of them is the
/// bank's doing: a request that waits for a dead core holds its connection, and the next one is late or never sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disturbed {
    /// How many.
    pub planned: u64,
    /// Of them, written to a socket.
    pub sent: u64,
    /// Of them, never sent.
    pub missed: u64,
    /// 99th percentile of their send lag, in microseconds. Shown beside the one that is judged.
    pub send_lag_p99_us: Option<u64>,
}

/// Medians of a latency, to tell whether the bank was warm when measuring began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmUp {
    /// Of the last warm-up seconds, in microseconds.
    pub tail_p50_us: u64,
    /// Of the measured phase, in microseconds.
    pub measure_p50_us: u64,
}

/// Lines of one process's log that tell of a panic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHits {
    /// Which log.
    pub log: String,
    /// How many lines.
    pub lines: u64,
    /// The first of them.
    pub first: String,
}

/// Why a run may not be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `Invalid` or `Inconclusive`.
    pub verdict: ValidityVerdict,
    /// One sentence, with the figure and its limit.
    pub text: String,
}

impl Reason {
    pub(crate) fn invalid(text: String) -> Self {
        Self { verdict: ValidityVerdict::Invalid, text }
    }

    pub(crate) fn inconclusive(text: String) -> Self {
        Self { verdict: ValidityVerdict::Inconclusive, text }
    }
}

impl Facts {
    /// Whether the run ended before its plan did: what is missing then is a consequence, and no finding of its own.
    pub fn was_cut_short(&self) -> bool {
        self.interrupted || self.environment_lost.is_some()
    }

    /// What the machine was short of, in words.
    pub fn bound_resource(&self) -> String {
        let generator = self.generator_cpu_share.filter(|share| *share > sane_harness::GENERATOR_CPU_SHARE_MAX);
        let machine = self.machine.as_ref().map(Machine::bound_resource);
        match (machine, generator) {
            (Some(machine), _) => machine,
            (None, Some(share)) => format!("bound by the generator: {} of a core", percent(share)),
            (None, None) => "what it was bound by was not measured".to_owned(),
        }
    }
}

/// The verdict. A run that was cut short is inconclusive whatever else is wrong with it.
pub fn judge(facts: &Facts, guarantees: &Guarantees) -> Validity {
    let mut reasons = cut_short(facts);
    reasons.extend(witnessed::reasons(facts));
    reasons.extend(sane_harness::reasons(facts));
    if !facts.was_cut_short() {
        reasons.extend(ending(facts));
        reasons.extend(warm_up("response", facts.warm_up));
        reasons.extend(warm_up("visible", facts.warm_up_visible));
    }
    reasons.extend(evidence(facts, guarantees));
    let verdict = if facts.was_cut_short() {
        ValidityVerdict::Inconclusive
    } else if reasons.iter().any(|reason| reason.verdict == ValidityVerdict::Invalid) {
        ValidityVerdict::Invalid
    } else if reasons.is_empty() {
        ValidityVerdict::Valid
    } else {
        ValidityVerdict::Inconclusive
    };
    Validity { verdict, reasons: reasons.into_iter().map(|reason| reason.text).collect() }
}

/// V2 and V3 in the form of checks, for reports. They are reasons of validity: never put them among the guarantees.
pub fn checks(facts: &Facts) -> Vec<CheckResult> {
    let check = |id: &str, name: &str, examined: u64, reasons: &[Reason]| CheckResult {
        id: id.to_owned(),
        name: name.to_owned(),
        verdict: if reasons.is_empty() { GuaranteeVerdict::Holds } else { GuaranteeVerdict::Violated },
        examined,
        violations: u64::try_from(reasons.len()).unwrap_or(u64::MAX),
        first: reasons.first().map(|reason| reason.text.clone()),
        figures: BTreeMap::new(),
    };
    vec![
        check(witnessed::ID, witnessed::NAME, witnessed::examined(facts), &witnessed::reasons(facts)),
        check(sane_harness::ID, sane_harness::NAME, sane_harness::examined(facts), &sane_harness::reasons(facts)),
    ]
}

fn cut_short(facts: &Facts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if facts.interrupted {
        reasons.push(Reason::inconclusive("interrupted by Ctrl-C: the run ended before it was complete".to_owned()));
    }
    if let Some(lost) = &facts.environment_lost {
        reasons.push(Reason::inconclusive(format!("the environment was lost: {lost}")));
    }
    reasons
}

/// How the run ended.
fn ending(facts: &Facts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if facts.unresolved > 0 {
        let text = format!(
            "{} of {} operations have no verdict after the resolve phase, limit 0",
            facts.unresolved, facts.planned
        );
        reasons.push(Reason::inconclusive(text));
    }
    if facts.missing_visible > 0 {
        let text = format!("{} ok operations have no visible time, limit 0", facts.missing_visible);
        reasons.push(Reason::inconclusive(text));
    }
    match facts.lag_end_records {
        Some(lag) if lag > LAG_END_RECORDS_MAX => reasons.push(Reason::invalid(format!(
            "lag is not back to zero: {lag} records at the end, limit {LAG_END_RECORDS_MAX}; {}",
            facts.bound_resource()
        ))),
        Some(_) => {}
        None => reasons.push(Reason::inconclusive("the lag at the end was not measured".to_owned())),
    }
    reasons
}

fn warm_up(latency: &str, medians: Option<WarmUp>) -> Option<Reason> {
    let WarmUp { tail_p50_us, measure_p50_us } = medians?;
    let limit_us =
        ((measure_p50_us as f64 * WARM_UP_RATIO_MAX) as u64).max(measure_p50_us.saturating_add(WARM_UP_SLACK_US));
    (tail_p50_us > limit_us).then(|| {
        Reason::invalid(format!(
            "warm-up is not flat: median {latency} of its last seconds is {tail_p50_us} us, limit {limit_us} us (measured part: \
             {measure_p50_us} us)"
        ))
    })
}

fn evidence(facts: &Facts, guarantees: &Guarantees) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for file in &facts.evidence_mismatches {
        reasons.push(Reason::invalid(format!("evidence is not what the run wrote (by hash): {file}")));
    }
    if guarantees.verdict == GuaranteeVerdict::Violated {
        let violated = guarantees.checks.iter().filter(|check| check.verdict == GuaranteeVerdict::Violated);
        let names: Vec<String> = violated.map(|check| format!("{} {}", check.id, check.name)).collect();
        reasons.push(Reason::invalid(format!("correctness failure: {} violated, limit 0", names.join(", "))));
    }
    reasons
}

#[cfg(test)]
mod tests;
