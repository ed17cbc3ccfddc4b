//! Figures of rows written by hand.

use bankstorm_record::latency::CutOffs;
use bankstorm_record::rows::OperationRow;
use bankstorm_scenario::resolved::LatencyKind;

use super::{counts, in_flight_max, latency};

const MS: i64 = 1_000_000;

/// Load ended and everything was given up at this moment.
pub(crate) fn all_at(ms: i64) -> CutOffs {
    CutOffs { ended_ns: ms * MS, load_ns: ms * MS, visible_ns: ms * MS }
}

/// A deposit of the measured phase, acknowledged after `response_ms` and visible 5 ms later.
pub(crate) fn ok(op: u64, intended_ms: i64, response_ms: i64) -> OperationRow {
    let acked_ns = (intended_ms + response_ms) * MS;
    OperationRow {
        op,
        load: 0,
        kind: "deposit".to_owned(),
        phase: "measure".to_owned(),
        transfer: op.into(),
        account: 1_000_000,
        amount: 1,
        params_hash: vec![0; 32],
        intended_ns: intended_ms * MS,
        sent_ns: Some(intended_ms * MS + MS / 10),
        acked_ns: Some(acked_ns),
        visible_ns: Some(acked_ns + 5 * MS),
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

fn missed(op: u64, intended_ms: i64) -> OperationRow {
    OperationRow {
        sent_ns: None,
        acked_ns: None,
        visible_ns: None,
        outcome: None,
        resolved: None,
        seq: None,
        balance_after: None,
        http_status: None,
        ..ok(op, intended_ms, 0)
    }
}

#[test]
fn each_latency_spans_its_own_clocks() {
    let rows = [ok(0, 1_000, 20)];
    let p50 = |kind| latency(&rows, kind, &all_at(10_000)).p50;
    assert_eq!(p50(LatencyKind::Response), 20_000);
    assert_eq!(p50(LatencyKind::Service), 19_900);
    assert_eq!(p50(LatencyKind::SendLag), 100);
    assert_eq!(p50(LatencyKind::SyncLag), 5_000);
    assert_eq!(p50(LatencyKind::Visible), 25_000);
    assert_eq!(latency(&rows, LatencyKind::Response, &all_at(10_000)).without_missed, None);
}

#[test]
fn misses_unknowns_and_failures_enter_at_the_cut_off() {
    let unknown = OperationRow {
        outcome: Some("unknown".to_owned()),
        resolved: Some("ok".to_owned()),
        visible_ns: Some(2_000 * MS),
        ..ok(2, 1_000, 1)
    };
    let failed = OperationRow {
        outcome: Some("failed".to_owned()),
        resolved: Some("failed".to_owned()),
        visible_ns: None,
        ..ok(3, 1_000, 1)
    };
    let rows = [ok(0, 1_000, 20), missed(1, 4_000), unknown, failed];
    let response = latency(&rows, LatencyKind::Response, &all_at(5_000));
    assert_eq!((response.count, response.upper_bound, response.p50, response.max), (4, 3, 1_000_000, 4_000_000));
    let without = response.without_missed.expect("there were misses");
    assert_eq!((without.count, without.p99, without.max), (1, 20_000, 20_000));
    // Resolved to ok and seen later: its visible time is known. Sync lag speaks of what was acknowledged.
    let visible = latency(&rows, LatencyKind::Visible, &all_at(5_000));
    assert_eq!((visible.count, visible.upper_bound, visible.without_missed.expect("misses").count), (4, 2, 2));
    assert_eq!(latency(&rows, LatencyKind::SyncLag, &all_at(5_000)).count, 1);
}

#[test]
fn a_rejected_deposit_is_answered_and_never_visible() {
    let rejected = OperationRow {
        outcome: Some("rejected".to_owned()),
        resolved: Some("rejected".to_owned()),
        visible_ns: None,
        ..ok(0, 0, 3)
    };
    let rows = [rejected];
    assert_eq!(latency(&rows, LatencyKind::Response, &all_at(1_000)).max, 3_000);
    assert_eq!(latency(&rows, LatencyKind::Visible, &all_at(1_000)).count, 0);
}

#[test]
fn visible_before_acknowledged_is_no_lag_and_warm_up_is_left_out() {
    let early = OperationRow { visible_ns: Some(1_001 * MS), ..ok(0, 1_000, 20) };
    let warm_up = OperationRow { phase: "warm_up".to_owned(), ..ok(1, 0, 900) };
    let rows = [early, warm_up];
    let lag = latency(&rows, LatencyKind::SyncLag, &all_at(5_000));
    assert_eq!((lag.count, lag.max), (1, 0));
    assert_eq!(latency(&rows, LatencyKind::Response, &all_at(5_000)).max, 20_000);
    assert_eq!((counts(&rows).planned, counts(&rows).ok), (1, 1));
}

#[test]
fn counts_put_every_planned_operation_in_one_place() {
    let unknown = |op, resolved: Option<&str>| OperationRow {
        outcome: Some("unknown".to_owned()),
        resolved: resolved.map(str::to_owned),
        ..ok(op, 0, 1)
    };
    let rows = [ok(0, 0, 1), missed(1, 0), unknown(2, Some("ok")), unknown(3, None)];
    let counts = counts(&rows);
    assert_eq!((counts.planned, counts.sent, counts.ok, counts.missed), (4, 3, 1, 1));
    assert_eq!((counts.unknown, counts.unresolved), (2, 1));
}

#[test]
fn what_was_never_due_counts_as_missed_and_has_no_latency() {
    // Load was ended after 2 s, answers were given up at 3 s, the copy at 9 s.
    let cut_offs = CutOffs { ended_ns: 2_000 * MS, load_ns: 3_000 * MS, visible_ns: 9_000 * MS };
    let rows = [ok(0, 1_000, 20), missed(1, 2_000), missed(2, 2_001), missed(3, 60_000)];
    assert_eq!((counts(&rows).planned, counts(&rows).missed), (4, 3));
    let response = latency(&rows, LatencyKind::Response, &cut_offs);
    assert_eq!((response.count, response.max), (2, 1_000_000));
    let visible = latency(&rows, LatencyKind::Visible, &cut_offs);
    assert_eq!((visible.count, visible.max), (2, 7_000_000));
}

#[test]
fn what_our_own_resolve_rejected_was_waited_for_in_vain() {
    let tombstoned = OperationRow {
        outcome: Some("unknown".to_owned()),
        resolved: Some("rejected".to_owned()),
        visible_ns: None,
        ..ok(0, 1_000, 500)
    };
    let visible = latency(&[tombstoned], LatencyKind::Visible, &all_at(5_000));
    assert_eq!((visible.count, visible.upper_bound, visible.max), (1, 1, 4_000_000));
}

#[test]
fn a_part_of_the_rows_has_figures_of_its_own() {
    let rows = [ok(0, 1_000, 20), ok(1, 2_000, 500), missed(2, 2_500), ok(3, 3_000, 30)];
    let part = |from_ms: i64, to_ms: i64| {
        let due = rows.iter().filter(move |row| (from_ms * MS..to_ms * MS).contains(&row.intended_ns));
        latency(due, LatencyKind::Response, &all_at(5_000))
    };
    assert_eq!((part(0, 2_000).count, part(0, 2_000).max), (1, 20_000));
    assert_eq!((part(2_000, 3_000).count, part(2_000, 3_000).max), (2, 2_500_000));
    assert_eq!(part(9_000, 9_999).count, 0);
}

#[test]
fn operations_are_in_flight_from_their_first_byte_to_their_answer() {
    assert_eq!(in_flight_max(&[] as &[OperationRow]), 0);
    // Each is written 0.1 ms after it was due.
    assert_eq!(in_flight_max(&[ok(0, 0, 50), ok(1, 10, 50), ok(2, 49, 1), missed(3, 20), ok(4, 100, 5)]), 3);
    let next = OperationRow { sent_ns: Some(50 * MS), ..ok(1, 10, 50) };
    assert_eq!(in_flight_max(&[ok(0, 0, 50), next]), 1, "it took the connection that the other left");
}
