//! Each reason of validity, one at a time.

use std::collections::BTreeMap;

use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict, Guarantees, ValidityVerdict};

use super::{Facts, Machine, WarmUp, checks, judge};

impl Facts {
    /// Facts of a run with nothing wrong.
    pub(crate) fn sound() -> Self {
        Self {
            planned: 6_000,
            sent: 6_000,
            send_lag_p99_us: Some(300),
            tightest_response_limit_us: Some(200_000),
            generator_cpu_share: Some(0.1),
            wall_step_us: Some(10),
            wall_drift_us: Some(500),
            stall_max_us: Some(2_000),
            warm_up: Some(WarmUp { tail_p50_us: 4_000, measure_p50_us: 3_500 }),
            lag_end_records: Some(0),
            logs_scanned: 6,
            machine: Some(Machine { cores: 2, busy_share: 0.4, steal_share: 0.0, processes: [].into() }),
            ..Self::default()
        }
    }
}

fn guarantees(verdict: GuaranteeVerdict) -> Guarantees {
    let (id, name, figures) = ("T2".to_owned(), "order".to_owned(), BTreeMap::new());
    let check = CheckResult { id, name, verdict, examined: 1, violations: 0, first: None, figures };
    Guarantees { verdict, checks: vec![check] }
}

fn judged(facts: &Facts) -> (ValidityVerdict, Vec<String>) {
    let validity = judge(facts, &guarantees(GuaranteeVerdict::Holds));
    (validity.verdict, validity.reasons)
}

#[test]
fn a_sound_run_is_valid_without_reasons() {
    assert_eq!(judged(&Facts::sound()), (ValidityVerdict::Valid, vec![]));
}

#[test]
fn facts_that_nobody_filled_in_are_not_valid() {
    assert_eq!(judged(&Facts::default()).0, ValidityVerdict::Inconclusive);
}

#[test]
fn what_the_harness_spoilt_is_invalid_and_what_was_not_seen_is_inconclusive() {
    use ValidityVerdict::{Inconclusive, Invalid};
    let cases = [
        (
            Facts { lag_end_records: Some(7), ..Facts::sound() },
            Invalid,
            "lag is not back to zero: 7 records at the end, limit 0; ",
        ),
        (Facts { lag_end_records: None, ..Facts::sound() }, Inconclusive, "the lag at the end was not measured"),
        (Facts { unresolved: 2, ..Facts::sound() }, Inconclusive, "2 of 6000 operations have no verdict"),
        (Facts { missing_visible: 3, ..Facts::sound() }, Inconclusive, "3 ok operations have no visible time"),
        (
            Facts { evidence_mismatches: vec!["evidence/topic.parquet".to_owned()], ..Facts::sound() },
            Invalid,
            "evidence is not what the run wrote (by hash): evidence/topic.parquet",
        ),
        (
            Facts { warm_up: Some(WarmUp { tail_p50_us: 50_000, measure_p50_us: 4_000 }), ..Facts::sound() },
            Invalid,
            "warm-up is not flat: median response of its last seconds is 50000 us, limit 14000 us",
        ),
        (
            Facts { warm_up_visible: Some(WarmUp { tail_p50_us: 90_000, measure_p50_us: 8_000 }), ..Facts::sound() },
            Invalid,
            "warm-up is not flat: median visible of its last seconds is 90000 us, limit 24000 us",
        ),
        (
            Facts {
                machine: Some(Machine { cores: 2, busy_share: 0.4, steal_share: 0.3, processes: [].into() }),
                ..Facts::sound()
            },
            Invalid,
            "harness-fault: the host took 30 % of the CPU, limit 5 %",
        ),
        (Facts { markers: [("gap_fill".to_owned(), 0)].into(), ..Facts::sound() }, Inconclusive, "vacuous: "),
    ];
    for (facts, verdict, told) in cases {
        let (found, reasons) = judged(&facts);
        assert_eq!((found, reasons.len()), (verdict, 1), "{reasons:?}");
        assert!(reasons[0].starts_with(told), "{reasons:?}");
    }
}

#[test]
fn a_run_that_was_cut_short_is_inconclusive_and_its_missing_part_is_no_finding() {
    let stopped = Facts { interrupted: true, sent: 10, missed: 5_990, lag_end_records: None, ..Facts::sound() };
    let (verdict, reasons) = judged(&stopped);
    assert_eq!(verdict, ValidityVerdict::Inconclusive);
    assert_eq!(reasons, ["interrupted by Ctrl-C: the run ended before it was complete"]);
    let lost = Facts { environment_lost: Some("kafka exited with signal 9".to_owned()), ..Facts::sound() };
    assert_eq!(judged(&lost).1, ["the environment was lost: kafka exited with signal 9"]);
}

#[test]
fn invalid_outweighs_inconclusive() {
    let facts = Facts { unresolved: 1, stall_max_us: Some(9_000_000), ..Facts::sound() };
    let (verdict, reasons) = judged(&facts);
    assert_eq!((verdict, reasons.len()), (ValidityVerdict::Invalid, 2));
}

#[test]
fn a_violated_guarantee_makes_the_figures_worthless() {
    let validity = judge(&Facts::sound(), &guarantees(GuaranteeVerdict::Violated));
    assert_eq!(validity.verdict, ValidityVerdict::Invalid);
    assert_eq!(validity.reasons, ["correctness failure: T2 order violated, limit 0"]);
}

#[test]
fn v2_and_v3_are_shown_as_checks() {
    let shown = checks(&Facts { stall_max_us: Some(9_000_000), ..Facts::sound() });
    let told: Vec<_> = shown.iter().map(|check| (check.id.as_str(), check.verdict, check.violations)).collect();
    assert_eq!(told, [("V2", GuaranteeVerdict::Holds, 0), ("V3", GuaranteeVerdict::Violated, 1)]);
    assert_eq!(shown[1].examined, 12);
}
