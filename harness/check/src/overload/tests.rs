//! Runs made by hand: a quiet load of 150/s, ten times what core sustains for ten seconds, and what goes wrong in them.

use bankstorm_record::rows::OperationRow;
use bankstorm_record::run_json::{
    ObjectiveResult, OverloadRecord, PostingSpan, Slo, SloVerdict, Unit, ValidityVerdict,
};

use super::{MS, Offer, SECOND, overload};
use crate::objectives::{self, Figures, Objective};
use crate::recover::Measured;

/// 60 s measured, from 5 s on.
const MEASURED: Measured = Measured { from_ns: 5 * SECOND, ended_ns: 65 * SECOND };
/// The window, in seconds since the origin.
const WINDOW: std::ops::Range<i64> = 25..35;

const OFFERS: [Offer; 2] =
    [Offer { rate_per_s: 150.0, window_ms: None }, Offer { rate_per_s: 2_900.0, window_ms: Some((20_000, 30_000)) }];

fn deposit(due_ns: i64, took_ms: i64, outcome: &str, status: Option<u32>) -> OperationRow {
    OperationRow {
        kind: "deposit".to_owned(),
        phase: "measure".to_owned(),
        intended_ns: due_ns,
        acked_ns: Some(due_ns + took_ms * MS),
        outcome: Some(outcome.to_owned()),
        http_status: status,
        ..OperationRow::default()
    }
}

fn refused(due_ns: i64) -> OperationRow {
    deposit(due_ns, 1, "failed", Some(503))
}

/// `rate` deposits a second, every one posted within 4 ms.
fn served(seconds: std::ops::Range<i64>, rate: i64) -> Vec<OperationRow> {
    let of_second =
        |second: i64| (0..rate).map(move |n| deposit(second * SECOND + n * SECOND / rate, 4, "ok", Some(201)));
    seconds.flat_map(of_second).collect()
}

/// A bank that behaves: 300/s are posted in the window, all else is refused, and it serves as before `back` seconds after it.
fn run(back: i64) -> Vec<OperationRow> {
    let mut all = served(5..WINDOW.start, 150);
    all.extend(served(WINDOW, 300));
    all.extend(WINDOW.flat_map(|second| (0..2_750).map(move |n| refused(second * SECOND + n * SECOND / 2_750))));
    all.extend((WINDOW.end * 150..(WINDOW.end + back) * 150).map(|n| refused(n * SECOND / 150)));
    all.extend(served(WINDOW.end + back..65, 150));
    all
}

fn span(from_s: i64, to_s: i64, admitted: u64, p99_us: Option<u64>) -> PostingSpan {
    PostingSpan { from_ms: from_s * 1_000, to_ms: to_s * 1_000, admitted, p99_us, ..PostingSpan::default() }
}

fn spans(before: (u64, Option<u64>), within: (u64, Option<u64>)) -> Vec<PostingSpan> {
    let after = [span(35, 45, 1_500, Some(9_000)), span(45, 65, 3_000, Some(4_000))];
    [span(5, 25, before.0, before.1), span(25, 35, within.0, within.1)].into_iter().chain(after).collect()
}

fn healthy_spans() -> Vec<PostingSpan> {
    spans((3_000, Some(4_000)), (3_000, Some(9_000)))
}

fn record(rows: &[OperationRow], spans: &[PostingSpan]) -> OverloadRecord {
    overload(rows, spans, &OFFERS, MEASURED).expect("there is a window")
}

fn judged(name: &str, limit: u64, record: Option<&OverloadRecord>, validity: ValidityVerdict) -> Slo {
    let [op, latency] = ["overload", name].map(str::to_owned);
    let objective = Objective {
        name: format!("{op}.{latency}"),
        op,
        latency,
        figure: String::new(),
        limit_us: limit,
        during: "overload".to_owned(),
    };
    let (latency_us, latency_during_us) = Default::default();
    let figures = Figures {
        latency_us: &latency_us,
        latency_during_us: &latency_during_us,
        recovery: &[],
        overload: record,
        drain: None,
        depth: None,
    };
    objectives::judge(&[objective], figures, validity)
}

fn result(name: &str, limit: u64, record: &OverloadRecord) -> ObjectiveResult {
    judged(name, limit, Some(record), ValidityVerdict::Valid).objectives.remove(0)
}

/// (figure, verdict)
fn told(name: &str, limit: u64, record: &OverloadRecord) -> (Option<u64>, SloVerdict) {
    let result = result(name, limit, record);
    (result.measured_us, result.verdict)
}

#[test]
fn a_bank_that_behaves_meets_all_three_a18() {
    let found = record(&run(0), &healthy_spans());
    assert_eq!((found.from_ms, found.to_ms), (25_000, 35_000));
    assert_eq!((found.quiet_per_s, found.offered_per_s, found.sustained_per_s), (150.0, 3_050.0, 300.0));
    assert_eq!((found.response_before_us, found.recovered_ms), (Some(4_000), Some(0)));
    assert_eq!((found.seconds_after, found.seconds_disturbed), (30, 0));
    assert_eq!((found.in_window.posted, found.in_window.not_started), (3_000, 27_500));
    assert_eq!((found.outside.posted, found.outside.not_started), (7_500, 0));
    assert_eq!(told("posting_p99", 3_000, &found), (Some(2_250), SloVerdict::Met));
    assert_eq!(told("recovery", 10_000_000, &found), (Some(0), SloVerdict::Met));
    assert_eq!(told("unrefused", 0, &found), (Some(0), SloVerdict::Met));
    let result = result("posting_p99", 3_000, &found);
    assert_eq!(result.unit, Unit::Permille);
    assert_eq!(
        result.note.expect("what it rests on"),
        "p99 9.0 ms of 3000 admitted in the window, p99 4.0 ms of 3000 admitted before, p99 4.0 ms of 3000 admitted after the recovery; core \
         sustained 300/s, the quiet load was 0.50x of it, the offered one 10.17x"
    );
}

#[test]
fn posting_that_slows_down_under_the_load_is_missed_a18() {
    let slow = record(&run(0), &spans((3_000, Some(4_000)), (3_000, Some(12_001))));
    assert_eq!(told("posting_p99", 3_000, &slow), (Some(3_001), SloVerdict::Missed), "rounded up");
    assert_eq!(judged("posting_p99", 3_000, Some(&slow), ValidityVerdict::Valid).verdict, SloVerdict::Missed);
    let endless = record(&run(0), &spans((3_000, Some(4_000)), (3_000, None)));
    assert_eq!(told("posting_p99", 3_000, &endless), (None, SloVerdict::Missed), "beyond the last bucket");
}

#[test]
fn a_slow_start_does_not_make_the_load_look_light() {
    // 12.001 ms are less than three times 30 ms, but more than three times the 4 ms after the recovery.
    let flattered = record(&run(0), &spans((3_000, Some(30_000)), (3_000, Some(12_001))));
    let unsteady = result("posting_p99", 3_000, &flattered);
    assert_eq!((unsteady.measured_us, unsteady.verdict), (Some(401), SloVerdict::Unmeasured));
    let note = unsteady.note.expect("why");
    assert!(
        note.ends_with("it is 3.01x: the quiet load was not steady before the window, warm up for longer"),
        "{note}"
    );
    let steady = record(&run(0), &spans((3_000, Some(30_000)), (3_000, Some(12_000))));
    assert_eq!(told("posting_p99", 3_000, &steady), (Some(400), SloVerdict::Met));
    let mut few = spans((3_000, Some(30_000)), (3_000, Some(12_001)));
    few[3].admitted = 999;
    assert_eq!(told("posting_p99", 3_000, &record(&run(0), &few)).1, SloVerdict::Met, "too few to compare with");
}

#[test]
fn too_few_admitted_requests_are_no_verdict() {
    for spans in [
        spans((999, Some(4_000)), (3_000, Some(4_000))),
        spans((3_000, Some(4_000)), (999, Some(99_000))),
        spans((3_000, None), (3_000, Some(4_000))),
        Vec::new(),
    ] {
        let found = record(&run(0), &spans);
        let result = result("posting_p99", 3_000, &found);
        assert_eq!(result.verdict, SloVerdict::Unmeasured, "{result:?}");
    }
    let found = record(&run(0), &spans((999, Some(4_000)), (3_000, Some(4_000))));
    let note = result("posting_p99", 3_000, &found).note.expect("why");
    assert!(note.ends_with("999 admitted requests before the window are too few, at least 1000 are needed"), "{note}");
}

#[test]
fn a_load_below_what_is_asked_meets_nothing_and_a_miss_under_it_stands() {
    let healthy = record(&run(0), &healthy_spans());
    // 2,999/s are less than ten times 300/s.
    let weaker = OverloadRecord { offered_per_s: 2_999.0, ..healthy };
    for (name, limit) in [("posting_p99", 3_000), ("recovery", 10_000_000), ("unrefused", 0)] {
        let result = result(name, limit, &weaker);
        assert_eq!(result.verdict, SloVerdict::Unmeasured, "{name}");
        let note = result.note.expect("why");
        assert!(note.ends_with("the offered load must be at least 10x of what core sustains: 3000/s here"), "{note}");
    }
    assert_eq!(told("posting_p99", 2_000, &weaker), (Some(2_250), SloVerdict::Missed));
    let never_back = OverloadRecord { recovered_ms: None, ..weaker };
    assert_eq!(told("recovery", 10_000_000, &never_back), (None, SloVerdict::Missed));
}

#[test]
fn a_quiet_load_far_from_half_of_what_core_sustains_is_no_measure() {
    let healthy = record(&run(0), &healthy_spans());
    let with = |quiet_per_s| OverloadRecord { quiet_per_s, ..healthy.clone() };
    for (quiet, of_posting, of_recovery) in [
        (104.0, SloVerdict::Unmeasured, SloVerdict::Unmeasured),
        (105.0, SloVerdict::Met, SloVerdict::Met),
        (195.0, SloVerdict::Met, SloVerdict::Met),
        (196.0, SloVerdict::Unmeasured, SloVerdict::Unmeasured),
    ] {
        assert_eq!(told("posting_p99", 3_000, &with(quiet)).1, of_posting, "{quiet}");
        assert_eq!(told("recovery", 10_000_000, &with(quiet)).1, of_recovery, "{quiet}");
        assert_eq!(told("unrefused", 0, &with(quiet)).1, SloVerdict::Met, "{quiet}");
    }
    assert_eq!(
        told("posting_p99", 1_000, &with(104.0)).1,
        SloVerdict::Unmeasured,
        "slower than less than half is no miss"
    );
    // Who does not come back from less does not come back from half either; from more he need not.
    let lost = |quiet| OverloadRecord { recovered_ms: None, ..with(quiet) };
    assert_eq!(told("recovery", 10_000_000, &lost(104.0)).1, SloVerdict::Missed);
    assert_eq!(told("recovery", 10_000_000, &lost(196.0)).1, SloVerdict::Unmeasured);
    let note = result("posting_p99", 3_000, &with(196.0)).note.expect("why");
    assert!(note.ends_with("to stand for half of it: about 150/s here"), "{note}");
}

#[test]
fn a_bank_that_goes_on_refusing_is_missed_a18() {
    let late = record(&run(12), &healthy_spans());
    // A sliding second may begin while one of its 150 is refused still.
    let recovered_ms = late.recovered_ms.expect("in the end");
    assert!((11_900..=12_000).contains(&recovered_ms), "{recovered_ms}");
    assert_eq!(told("recovery", 10_000_000, &late).1, SloVerdict::Missed);
    assert_eq!(told("recovery", 12_000_000, &late).1, SloVerdict::Met);
    let never = record(&run(28), &healthy_spans());
    assert_eq!(never.recovered_ms, None, "two seconds as before are not enough");
    assert_eq!(told("recovery", 10_000_000, &never), (None, SloVerdict::Missed));
}

#[test]
fn slow_answers_are_not_as_before() {
    let mut slow = run(0);
    for row in slow.iter_mut().filter(|row| (35 * SECOND..40 * SECOND).contains(&row.intended_ns)) {
        row.acked_ns = Some(row.intended_ns + 13 * MS);
    }
    let recovered_ms = record(&slow, &healthy_spans()).recovered_ms.expect("in the end");
    assert!((4_900..=5_000).contains(&recovered_ms), "{recovered_ms}");
    for row in slow.iter_mut().filter(|row| (35 * SECOND..40 * SECOND).contains(&row.intended_ns)) {
        row.acked_ns = Some(row.intended_ns + 12 * MS);
    }
    assert_eq!(record(&slow, &healthy_spans()).recovered_ms, Some(0), "three times as long is as before");
}

#[test]
fn a_relapse_is_counted_and_one_refusal_of_a_second_is_not_one() {
    let mut rows = run(0);
    for row in rows
        .iter_mut()
        .filter(|row| row.intended_ns == 36 * SECOND || (45 * SECOND..46 * SECOND).contains(&row.intended_ns))
    {
        *row = refused(row.intended_ns);
    }
    let found = record(&rows, &healthy_spans());
    assert_eq!((found.recovered_ms, found.seconds_after, found.seconds_disturbed), (Some(0), 30, 1));
}

#[test]
fn without_anything_to_compare_with_recovery_is_unmeasured() {
    let mut rows = run(0);
    let refuse = |rows: &mut Vec<OperationRow>, second: i64| {
        let of_second =
            rows.iter_mut().filter(|row| (second * SECOND..(second + 1) * SECOND).contains(&row.intended_ns));
        of_second.for_each(|row| *row = refused(row.intended_ns));
    };
    refuse(&mut rows, 5);
    refuse(&mut rows, 6);
    let found = record(&rows, &healthy_spans());
    assert_eq!((found.posted_before, found.recovered_ms), (Some(0.9), Some(0)), "two of twenty were refused before");
    refuse(&mut rows, 7);
    let refused_before = record(&rows, &healthy_spans());
    assert_eq!((refused_before.response_before_us, refused_before.posted_before), (None, None), "three were");
    assert_eq!(told("recovery", 10_000_000, &refused_before), (None, SloVerdict::Unmeasured));
    rows.retain(|row| row.intended_ns >= WINDOW.start * SECOND);
    assert_eq!(record(&rows, &healthy_spans()).response_before_us, None);
}

#[test]
fn what_was_neither_posted_nor_refused_is_listed_and_missed_a18() {
    let mut rows = run(0);
    let window = WINDOW.start * SECOND;
    rows.push(deposit(window, 5_000, "unknown", None));
    rows.push(deposit(window, 3, "unknown", Some(500)));
    rows.push(deposit(window, 3, "failed", None));
    rows.push(OperationRow { outcome: None, acked_ns: None, ..deposit(window, 0, "", None) });
    rows.push(deposit(60 * SECOND, 3, "rejected", Some(409)));
    // A verdict, whichever, was posted; and the warm-up does not count.
    rows.push(deposit(window, 3, "rejected", Some(200)));
    rows.push(OperationRow { phase: "warm_up".to_owned(), ..deposit(0, 3, "unknown", None) });
    let found = record(&rows, &healthy_spans());
    assert_eq!(found.in_window.posted, 3_001);
    let result = result("unrefused", 4, &found);
    assert_eq!((result.measured_us, result.verdict, result.unit), (Some(5), SloVerdict::Missed, Unit::Count));
    assert_eq!(
        result.note.expect("how they ended"),
        "in the window 3001 posted, 27500 refused as not-started, 1 failed, no answer, 1 never sent, 1 unknown, no answer, 1 unknown, status \
         500; outside of it 7500 posted, 0 refused as not-started, 1 rejected, status 409"
    );
    assert_eq!(told("unrefused", 5, &found).1, SloVerdict::Met);
}

#[test]
fn a_refusal_that_comes_late_is_no_refusal_a18() {
    let window = WINDOW.start * SECOND;
    let sent =
        |row: OperationRow, after_ms: i64| OperationRow { sent_ns: Some(row.intended_ns + after_ms * MS), ..row };
    let mut rows = run(0);
    // One second from being sent is in time, whenever it was due; so are three attempts with their pauses.
    rows.push(sent(deposit(window, 5_000, "failed", Some(503)), 4_000));
    rows.push(OperationRow { attempts: Some(3), ..sent(deposit(window, 3_400, "failed", Some(503)), 0) });
    let in_time = record(&rows, &healthy_spans());
    assert_eq!((in_time.in_window.not_started, in_time.in_window.other()), (27_502, 0));
    assert_eq!(told("unrefused", 0, &in_time), (Some(0), SloVerdict::Met));
    rows.push(sent(deposit(window, 1_001, "failed", Some(503)), 0));
    rows.push(sent(deposit(window, 5_000, "failed", Some(503)), 0));
    let late = record(&rows, &healthy_spans());
    assert_eq!((late.in_window.not_started, late.outside.other()), (27_502, 0));
    let result = result("unrefused", 0, &late);
    assert_eq!((result.measured_us, result.verdict), (Some(2), SloVerdict::Missed));
    let note = result.note.expect("how they ended");
    assert!(
        note.contains(
            "27502 refused as not-started, 2 refused as not-started only after more than 1 s (of all refusals the slowest after 5.00 s, p99 \
             0.00 s); outside"
        ),
        "{note}"
    );
}

#[test]
fn a_run_that_is_not_valid_or_has_no_window_is_unmeasured() {
    let healthy = record(&run(0), &healthy_spans());
    for (record, validity) in [(None, ValidityVerdict::Valid), (Some(&healthy), ValidityVerdict::Invalid)] {
        let slo = judged("unrefused", 0, record, validity);
        let result = &slo.objectives[0];
        assert_eq!((slo.verdict, result.measured_us, result.unit), (SloVerdict::Unmeasured, None, Unit::Count));
    }
    assert_eq!(told("sometime", 0, &healthy), (None, SloVerdict::Unmeasured));
    let [quiet, greater] = OFFERS;
    assert_eq!(overload(&run(0), &[], &[quiet], MEASURED), None);
    let twice = Offer { window_ms: Some((40_000, 50_000)), ..greater };
    assert_eq!(overload(&run(0), &[], &[quiet, greater, twice], MEASURED), None);
    let idle = overload(&[], &[], &OFFERS, MEASURED).expect("there is a window");
    for name in ["posting_p99", "recovery", "unrefused"] {
        assert_eq!(told(name, 10_000_000, &idle).1, SloVerdict::Unmeasured, "{name}: nothing was seen");
    }
}
