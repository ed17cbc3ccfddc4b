//! The rule, row by row.

use super::{CutOffs, Kind, nearest_rank, value};
use crate::rows::OperationRow;
use crate::run_json::PhaseSpan;

const MS: i64 = 1_000_000;
const CUT_OFFS: CutOffs = CutOffs { ended_ns: 5_000 * MS, load_ns: 6_000 * MS, visible_ns: 9_000 * MS };

/// A deposit that was due at one second, sent and answered ok.
fn ok() -> OperationRow {
    OperationRow {
        op: 0,
        load: 0,
        kind: "deposit".to_owned(),
        phase: "measure".to_owned(),
        transfer: 1,
        account: 1,
        amount: 1,
        params_hash: vec![0; 32],
        intended_ns: 1_000 * MS,
        sent_ns: Some(1_001 * MS),
        acked_ns: Some(1_020 * MS),
        visible_ns: Some(1_030 * MS),
        visible_is_upper_bound: false,
        outcome: Some("ok".to_owned()),
        resolved: Some("ok".to_owned()),
        seq: Some(1),
        balance_after: Some(1),
        detail: None,
        http_status: Some(201),
        ..OperationRow::default()
    }
}

fn ended(outcome: &str, resolved: Option<&str>) -> OperationRow {
    OperationRow { outcome: Some(outcome.to_owned()), resolved: resolved.map(str::to_owned), visible_ns: None, ..ok() }
}

fn missed(intended_ns: i64) -> OperationRow {
    OperationRow { intended_ns, sent_ns: None, acked_ns: None, visible_ns: None, outcome: None, resolved: None, ..ok() }
}

/// Milliseconds, and whether it was missed.
fn told(row: &OperationRow, kind: Kind) -> Option<(u64, bool)> {
    value(row, kind, &CUT_OFFS).map(|value| (value.ns / 1_000_000, value.missed))
}

#[test]
fn what_was_never_due_has_no_latency_and_what_was_due_enters_at_its_cut_off() {
    for kind in Kind::ALL {
        assert_eq!(told(&missed(5_000 * MS + 1), kind), None, "{kind:?}");
    }
    assert_eq!(told(&missed(5_000 * MS), Kind::Response), Some((1_000, true)));
    assert_eq!(told(&missed(5_000 * MS), Kind::SendLag), Some((1_000, true)));
    assert_eq!(told(&missed(5_000 * MS), Kind::Visible), Some((4_000, true)));
    assert_eq!(told(&missed(5_000 * MS), Kind::SyncLag), None);
}

#[test]
fn a_deposit_in_doubt_that_our_own_resolve_rejected_was_waited_for() {
    assert_eq!(told(&ended("unknown", Some("rejected")), Kind::Visible), Some((8_000, true)));
    assert_eq!(told(&ended("unknown", None), Kind::Visible), Some((8_000, true)));
    assert_eq!(told(&ended("rejected", Some("rejected")), Kind::Visible), None);
    assert_eq!(told(&ended("rejected", Some("rejected")), Kind::Response), Some((20, false)));
}

#[test]
fn an_acknowledged_deposit_spans_its_own_clocks() {
    let spans = Kind::ALL.map(|kind| told(&ok(), kind).expect("a value"));
    assert_eq!(spans, [(20, false), (19, false), (1, false), (10, false), (30, false)]);
    let unseen = ended("ok", Some("ok"));
    assert_eq!(
        (told(&unseen, Kind::SyncLag), told(&unseen, Kind::Visible)),
        (Some((7_980, true)), Some((8_000, true)))
    );
}

#[test]
fn cut_offs_come_from_the_phases() {
    let span = |name: &str, start_ms, end_ms| PhaseSpan { name: name.to_owned(), start_ms, end_ms };
    let mut phases = vec![span("warm_up", 0, 1_000), span("measure", 1_000, 3_000)];
    let ended_ns = 3_001 * MS;
    let early = CutOffs { ended_ns, load_ns: 3_000 * MS, visible_ns: 3_000 * MS };
    assert_eq!(CutOffs::of(&phases), Some(early));
    phases.extend([span("resolve", 3_400, 3_500), span("converge", 3_500, 4_200)]);
    assert_eq!(CutOffs::of(&phases), Some(CutOffs { ended_ns, load_ns: 3_400 * MS, visible_ns: 4_200 * MS }));
    assert_eq!(CutOffs::of(&phases[..1]), None);
}

#[test]
fn nearest_ranks_are_exact() {
    let hundred: Vec<u64> = (1..=100).collect();
    for (permille, expected) in [(500, 50), (900, 90), (990, 99), (999, 100), (1_000, 100)] {
        assert_eq!(nearest_rank(&hundred, permille), expected);
    }
    assert_eq!((nearest_rank(&[7], 500), nearest_rank(&[], 990)), (7, 0));
}
