//! Objectives: were latencies and recovery as short as the scenario asks?
//!
//! In: objectives as plain values, the figures in `run.json`, validity. Out: [`Slo`]. Elsewhere: how they are typed (`scenario`), how
//! figures are made (`load::figures`, `recover`), objectives on a greater load (`overload`), a backlog (`drain`), deep pages (`depth`).

use std::collections::BTreeMap;

use bankstorm_record::run_json::{
    DepthRecord, DrainRecord, Latency, ObjectiveResult, OverloadRecord, RecoveryRecord, RunJson, Slo, SloVerdict, Unit,
    ValidityVerdict,
};

use crate::depth::{self, DEEPEST_OF_FIRST};
use crate::drain::{self, DRAIN};
use crate::overload::{self, OVERLOAD};
use crate::recover::During;

/// The first word of objectives on recovery times: `recovery.first_ok`, `recovery.rate_90`, `recovery.lag_normal`.
pub const RECOVERY: &str = "recovery";

/// One objective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    /// For example `deposit.response.p99` or `recovery.first_ok`.
    pub name: String,
    /// The operation: `deposit`; or [`RECOVERY`], [`OVERLOAD`], [`DRAIN`].
    pub op: String,
    /// Which latency: `response`, `service`, `send_lag`, `sync_lag`, `visible`; or which figure of those.
    pub latency: String,
    /// Which figure of it: `mean`, `p50`, `p90`, `p99`, `p999`, `max`; empty for the others.
    pub figure: String,
    /// The most it may be, in microseconds; of a greater load in what `overload` says, of a backlog or of depth in thousandths.
    pub limit_us: u64,
    /// Which part of the run it speaks of: `steady`, `fault`, `recovery`, `all`. A recovery time is one whatever stands here.
    pub during: String,
}

impl Objective {
    /// Its result as long as nothing was held against it.
    pub(crate) fn unmeasured(&self, unit: Unit) -> ObjectiveResult {
        ObjectiveResult {
            name: self.name.clone(),
            limit_us: self.limit_us,
            during: self.during.clone(),
            measured_us: None,
            verdict: SloVerdict::Unmeasured,
            unit,
            note: None,
        }
    }
}

/// Figures by operation and latency, as in `run.json`.
pub type Latencies = BTreeMap<String, BTreeMap<String, Latency>>;

/// What objectives are held against, all of it in `run.json`.
#[derive(Clone, Copy, Debug)]
pub struct Figures<'a> {
    /// Of the whole measured phase.
    pub latency_us: &'a Latencies,
    /// Of its parts; empty unless a planned fault fired.
    pub latency_during_us: &'a BTreeMap<String, Latencies>,
    /// A row for each planned fault that fired.
    pub recovery: &'a [RecoveryRecord],
    /// What a greater load did; absent where there was none.
    pub overload: Option<&'a OverloadRecord>,
    /// How a backlog was worked off; absent where there was none.
    pub drain: Option<&'a DrainRecord>,
    /// How deep pages compare; absent where nobody scrolled.
    pub depth: Option<&'a DepthRecord>,
}

impl<'a> From<&'a RunJson> for Figures<'a> {
    fn from(run: &'a RunJson) -> Self {
        Self {
            latency_us: &run.latency_us,
            latency_during_us: &run.latency_during_us,
            recovery: &run.recovery,
            overload: run.overload.as_ref(),
            drain: run.drain.as_ref(),
            depth: run.depth.as_ref(),
        }
    }
}

/// Judges each objective. Unless the run is valid, all are unmeasured; without objectives there is nothing to miss.
pub fn judge(objectives: &[Objective], figures: Figures<'_>, validity: ValidityVerdict) -> Slo {
    let objectives: Vec<ObjectiveResult> =
        objectives.iter().map(|objective| judge_one(objective, figures, validity)).collect();
    let has = |verdict| objectives.iter().any(|objective| objective.verdict == verdict);
    let verdict = if validity != ValidityVerdict::Valid {
        SloVerdict::Unmeasured
    } else if has(SloVerdict::Missed) {
        SloVerdict::Missed
    } else if has(SloVerdict::Unmeasured) {
        SloVerdict::Unmeasured
    } else {
        SloVerdict::Met
    };
    Slo { verdict, objectives }
}

fn judge_one(objective: &Objective, figures: Figures<'_>, validity: ValidityVerdict) -> ObjectiveResult {
    let is_valid = validity == ValidityVerdict::Valid;
    if objective.op == OVERLOAD {
        return overload::judge(objective, figures.overload.filter(|_| is_valid));
    }
    if objective.op == DRAIN {
        return drain::judge(objective, figures.drain.filter(|_| is_valid));
    }
    if objective.latency == DEEPEST_OF_FIRST {
        return depth::judge(objective, figures.depth.filter(|_| is_valid));
    }
    let found = match validity {
        ValidityVerdict::Valid if objective.op == RECOVERY => recovery_us(objective, figures.recovery),
        ValidityVerdict::Valid => latency_us(objective, figures).map_or(Found::Nothing, Found::Us),
        _ => Found::Nothing,
    };
    let (measured_us, verdict) = match found {
        Found::Nothing => (None, SloVerdict::Unmeasured),
        Found::NotReached => (None, SloVerdict::Missed),
        Found::Us(measured) if measured <= objective.limit_us => (Some(measured), SloVerdict::Met),
        Found::Us(measured) => (Some(measured), SloVerdict::Missed),
    };
    ObjectiveResult { measured_us, verdict, ..objective.unmeasured(Unit::Us) }
}

/// What there is to hold against a limit.
enum Found {
    /// Nothing was measured.
    Nothing,
    /// It did not come to pass while the run lasted.
    NotReached,
    /// This, in microseconds.
    Us(u64),
}

/// The figure of the part of the run that the objective speaks of. Without planned faults the whole measured phase is steady.
fn latency_us(objective: &Objective, figures: Figures<'_>) -> Option<u64> {
    let during = objective.during.as_str();
    let is_whole = during == "all" || (during == During::Steady.as_str() && figures.latency_during_us.is_empty());
    let latencies = if is_whole { figures.latency_us } else { figures.latency_during_us.get(during)? };
    let latency = latencies.get(&objective.op)?.get(&objective.latency)?;
    figure_us(latency, &objective.figure).filter(|_| latency.count > 0)
}

/// The worst over all planned faults that fired. A time that could not be reached for want of anything to compare with is not the bank's
/// doing: it leaves the objective unmeasured, unless another fault misses it.
fn recovery_us(objective: &Objective, recovery: &[RecoveryRecord]) -> Found {
    let (time, compares): (fn(&RecoveryRecord) -> Option<i64>, bool) = match objective.latency.as_str() {
        "first_ok" => (|record| record.first_ok_ms, false),
        "rate_90" => (|record| record.rate_90_ms, true),
        "lag_normal" => (|record| record.lag_normal_ms, true),
        _ => return Found::Nothing,
    };
    let (reached, others): (Vec<_>, Vec<_>) = recovery.iter().partition(|record| time(record).is_some());
    if others.iter().any(|record| !compares || record.baseline_ms > 0) {
        return Found::NotReached;
    }
    let worst_us = |ms: i64| u64::try_from(ms).unwrap_or(0).saturating_mul(1_000);
    match reached.into_iter().filter_map(time).max().map(worst_us) {
        Some(worst) if others.is_empty() || worst > objective.limit_us => Found::Us(worst),
        _ => Found::Nothing,
    }
}

/// A figure by its name; the mean is rounded up, so that rounding never meets an objective. `None` for a name that does not exist.
fn figure_us(latency: &Latency, figure: &str) -> Option<u64> {
    Some(match figure {
        "mean" => latency.mean.ceil() as u64,
        "p50" => latency.p50,
        "p90" => latency.p90,
        "p99" => latency.p99,
        "p999" => latency.p999,
        "max" => latency.max,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bankstorm_record::run_json::{Latency, RecoveryRecord, Slo, SloVerdict, ValidityVerdict};

    use super::{Figures, Latencies, Objective};

    /// A run without faults.
    fn judge(objectives: &[Objective], latency_us: &Latencies, validity: ValidityVerdict) -> Slo {
        let figures = Figures {
            latency_us,
            latency_during_us: &BTreeMap::new(),
            recovery: &[],
            overload: None,
            drain: None,
            depth: None,
        };
        super::judge(objectives, figures, validity)
    }

    fn objective(figure: &str, limit_us: u64) -> Objective {
        let [op, latency] = ["deposit", "response"].map(str::to_owned);
        let name = format!("{op}.{latency}.{figure}");
        Objective { name, op, latency, figure: figure.to_owned(), limit_us, during: "steady".to_owned() }
    }

    fn measured() -> Latencies {
        let latency = Latency { count: 6_000, mean: 999.2, p50: 900, p99: 5_000, max: 7_000, ..Latency::default() };
        [("deposit".to_owned(), [("response".to_owned(), latency)].into())].into()
    }

    #[test]
    fn the_limit_itself_is_met_and_one_more_is_missed() {
        let slo = judge(&[objective("p99", 5_000), objective("mean", 1_000)], &measured(), ValidityVerdict::Valid);
        assert_eq!(slo.verdict, SloVerdict::Met);
        assert_eq!(slo.objectives[0].measured_us, Some(5_000));
        let slo = judge(&[objective("p99", 4_999), objective("p50", 5_000)], &measured(), ValidityVerdict::Valid);
        let verdicts: Vec<SloVerdict> = slo.objectives.iter().map(|objective| objective.verdict).collect();
        assert_eq!((slo.verdict, verdicts), (SloVerdict::Missed, vec![SloVerdict::Missed, SloVerdict::Met]));
        let slo = judge(&[objective("mean", 999)], &measured(), ValidityVerdict::Valid);
        assert_eq!(slo.verdict, SloVerdict::Missed, "999.2 us are more than 999");
    }

    #[test]
    fn nothing_is_claimed_of_a_run_that_is_not_valid() {
        for validity in [ValidityVerdict::Invalid, ValidityVerdict::Inconclusive] {
            let slo = judge(&[objective("p99", 1)], &measured(), validity);
            assert_eq!((slo.verdict, slo.objectives[0].measured_us), (SloVerdict::Unmeasured, None));
            assert_eq!(judge(&[], &measured(), validity).verdict, SloVerdict::Unmeasured);
        }
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        assert_eq!(
            judge(&[objective("p99", 1)], &Latencies::new(), ValidityVerdict::Valid).verdict,
            SloVerdict::Unmeasured
        );
        assert_eq!(judge(&[objective("p42", 1)], &measured(), ValidityVerdict::Valid).verdict, SloVerdict::Unmeasured);
        assert_eq!(judge(&[], &measured(), ValidityVerdict::Valid).verdict, SloVerdict::Met);
    }

    #[test]
    fn each_part_of_the_run_is_judged_by_its_own_figures() {
        let part = |p99| -> Latencies {
            let latency = Latency { count: 50, p99, ..Latency::default() };
            [("deposit".to_owned(), [("response".to_owned(), latency)].into())].into()
        };
        let parts = |steady| [("steady".to_owned(), steady), ("fault".to_owned(), part(900_000))].into();
        let measured_during = |during: &str, parts: &BTreeMap<String, Latencies>| {
            let figures = Figures {
                latency_us: &measured(),
                latency_during_us: parts,
                recovery: &[],
                overload: None,
                drain: None,
                depth: None,
            };
            let objective = Objective { during: during.to_owned(), ..objective("p99", 5_000) };
            let slo = super::judge(&[objective], figures, ValidityVerdict::Valid);
            (slo.objectives[0].measured_us, slo.verdict)
        };
        let faulted = parts(part(3_000));
        assert_eq!(measured_during("steady", &faulted), (Some(3_000), SloVerdict::Met));
        assert_eq!(measured_during("fault", &faulted), (Some(900_000), SloVerdict::Missed));
        assert_eq!(measured_during("all", &faulted), (Some(5_000), SloVerdict::Met));
        assert_eq!(measured_during("recovery", &faulted), (None, SloVerdict::Unmeasured));
        assert_eq!(measured_during("sometimes", &faulted), (None, SloVerdict::Unmeasured));
        // Where faults left no steady operation, the others do not stand in for it.
        assert_eq!(measured_during("steady", &parts(Latencies::new())), (None, SloVerdict::Unmeasured));
        assert_eq!(measured_during("steady", &BTreeMap::new()), (Some(5_000), SloVerdict::Met));
        assert_eq!(measured_during("fault", &BTreeMap::new()), (None, SloVerdict::Unmeasured));
    }

    #[test]
    fn recovery_is_judged_by_its_worst_fault_and_missed_when_not_reached() {
        let record = |first_ok_ms, rate_90_ms| RecoveryRecord {
            first_ok_ms,
            rate_90_ms,
            baseline_ms: 5_000,
            ..RecoveryRecord::default()
        };
        let judged = |time: &str, recovery: &[RecoveryRecord], validity| {
            let [op, latency] = ["recovery", time].map(str::to_owned);
            let name = format!("{op}.{latency}");
            let objective = Objective {
                name,
                op,
                latency,
                figure: String::new(),
                limit_us: 700_000,
                during: "recovery".to_owned(),
            };
            let figures = Figures {
                latency_us: &measured(),
                latency_during_us: &BTreeMap::new(),
                recovery,
                overload: None,
                drain: None,
                depth: None,
            };
            let slo = super::judge(&[objective], figures, validity);
            (slo.objectives[0].measured_us, slo.verdict)
        };
        let two = [record(Some(20), Some(100)), record(Some(701), None)];
        let valid = ValidityVerdict::Valid;
        assert_eq!(judged("first_ok", &two, valid), (Some(701_000), SloVerdict::Missed));
        assert_eq!(judged("first_ok", &two[..1], valid), (Some(20_000), SloVerdict::Met));
        assert_eq!(judged("rate_90", &two, valid), (None, SloVerdict::Missed));
        assert_eq!(judged("first_ok", &[], valid), (None, SloVerdict::Unmeasured), "no fault fired");
        assert_eq!(judged("sometime", &two, valid), (None, SloVerdict::Unmeasured));
        assert_eq!(judged("rate_90", &two, ValidityVerdict::Inconclusive), (None, SloVerdict::Unmeasured));
        // Nothing to compare with is neither met nor missed; what was missed elsewhere, or needs no comparison, is.
        let bare = RecoveryRecord { baseline_ms: 0, ..record(None, None) };
        let with_bare = |other| [other, bare.clone()];
        assert_eq!(judged("rate_90", &with_bare(record(None, Some(100))), valid), (None, SloVerdict::Unmeasured));
        assert_eq!(judged("lag_normal", std::slice::from_ref(&bare), valid), (None, SloVerdict::Unmeasured));
        assert_eq!(judged("rate_90", &with_bare(record(None, Some(701))), valid), (Some(701_000), SloVerdict::Missed));
        assert_eq!(judged("rate_90", &with_bare(record(None, None)), valid), (None, SloVerdict::Missed));
        assert_eq!(judged("lag_normal", &with_bare(record(None, None)), valid), (None, SloVerdict::Missed));
        assert_eq!(judged("first_ok", &with_bare(record(Some(20), None)), valid), (None, SloVerdict::Missed));
    }
}
