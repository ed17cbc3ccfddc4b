//! Objectives: were the latencies as short as the scenario asks?
//!
//! In: objectives as plain values, latency figures of the measured phase, validity. Out: [`Slo`]. Elsewhere: how they are typed
//! (`scenario`), how figures are made (`record`).

use std::collections::BTreeMap;

use bankstorm_record::run_json::{Latency, ObjectiveResult, Slo, SloVerdict, ValidityVerdict};

/// One objective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    /// For example `deposit.response.p99`.
    pub name: String,
    /// The operation: `deposit`.
    pub op: String,
    /// Which latency: `response`, `service`, `send_lag`, `sync_lag`, `visible`.
    pub latency: String,
    /// Which figure of it: `mean`, `p50`, `p90`, `p99`, `p999`, `max`.
    pub figure: String,
    /// The most it may be, in microseconds.
    pub limit_us: u64,
    /// Which part of the run it speaks of: `steady`.
    pub during: String,
}

/// Figures by operation and latency, as in `run.json`.
pub type Latencies = BTreeMap<String, BTreeMap<String, Latency>>;

/// Judges each objective. Unless the run is valid, all are unmeasured; without objectives there is nothing to miss.
pub fn judge(objectives: &[Objective], latency_us: &Latencies, validity: ValidityVerdict) -> Slo {
    let objectives: Vec<ObjectiveResult> =
        objectives.iter().map(|objective| judge_one(objective, latency_us, validity)).collect();
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

fn judge_one(objective: &Objective, latency_us: &Latencies, validity: ValidityVerdict) -> ObjectiveResult {
    let latency = latency_us.get(&objective.op).and_then(|latencies| latencies.get(&objective.latency));
    let measured_us = latency
        .filter(|latency| validity == ValidityVerdict::Valid && latency.count > 0)
        .and_then(|latency| figure_us(latency, &objective.figure));
    let verdict = match measured_us {
        None => SloVerdict::Unmeasured,
        Some(measured) if measured <= objective.limit_us => SloVerdict::Met,
        Some(_) => SloVerdict::Missed,
    };
    ObjectiveResult {
        name: objective.name.clone(),
        limit_us: objective.limit_us,
        during: objective.during.clone(),
        measured_us,
        verdict,
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
    use bankstorm_record::run_json::{Latency, SloVerdict, ValidityVerdict};

    use super::{Latencies, Objective, judge};

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
}
