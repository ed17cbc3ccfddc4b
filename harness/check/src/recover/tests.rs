//! A bank with an operation every 10 ms, answered after 2 ms and visible 5 ms later, and faults that spoil some of it.

use bankstorm_record::rows::OperationRow;
use bankstorm_record::run_json::{FaultRecord, RecoveryRecord};

use super::{During, MS, Measured, recover, windows};
use crate::validity::Disturbed;

/// 10 s to 40 s.
const MEASURED: Measured = Measured { from_ns: 10_000 * MS, ended_ns: 40_000 * MS };

fn row(intended_ms: i64) -> OperationRow {
    let mut row = crate::bank::Bank::good().source.operations[0].clone();
    row.intended_ns = intended_ms * MS;
    row.acked_ns = Some((intended_ms + 2) * MS);
    row.visible_ns = Some((intended_ms + 7) * MS);
    row
}

fn steady() -> Vec<OperationRow> {
    let first = row(0);
    let at = |ms: i64| OperationRow {
        intended_ns: ms * MS,
        acked_ns: Some((ms + 2) * MS),
        visible_ns: Some((ms + 7) * MS),
        ..first.clone()
    };
    (1_000..4_000).map(|index| at(index * 10)).collect()
}

/// What was due from `from_ms` until before `to_ms`.
fn due(rows: &mut [OperationRow], from_ms: i64, to_ms: i64) -> impl Iterator<Item = &mut OperationRow> {
    rows.iter_mut().filter(move |row| (from_ms * MS..to_ms * MS).contains(&row.intended_ns))
}

fn fault(id: &str, started_ms: i64, healed_ms: Option<i64>) -> FaultRecord {
    FaultRecord {
        id: id.to_owned(),
        planned: true,
        fired: true,
        started_ms: Some(started_ms),
        healed_ms,
        ..FaultRecord::default()
    }
}

fn times(record: &RecoveryRecord) -> [Option<i64>; 3] {
    [record.first_ok_ms, record.rate_90_ms, record.lag_normal_ms]
}

fn after(rows: &[OperationRow], faults: &[FaultRecord]) -> Vec<[Option<i64>; 3]> {
    recover(rows, faults, MEASURED).iter().map(times).collect()
}

#[test]
fn a_bank_that_noticed_nothing_is_itself_again_at_once() {
    // The next operation is due at the heal itself and answered 2 ms later.
    assert_eq!(after(&steady(), &[fault("a", 20_000, Some(22_000))]), [[Some(2), Some(0), Some(0)]]);
}

#[test]
fn the_first_ok_is_to_an_operation_that_was_due_after_the_heal() {
    let mut rows = steady();
    // What piled up is answered right after the heal, what is due until 22.5 s is refused.
    due(&mut rows, 20_000, 22_000).for_each(|row| row.acked_ns = Some(22_001 * MS));
    due(&mut rows, 22_000, 22_500).for_each(|row| row.outcome = Some("failed".to_owned()));
    assert_eq!(after(&rows, &[fault("a", 20_000, Some(22_000))])[0][0], Some(502));
}

#[test]
fn the_rate_is_back_with_the_first_whole_second_of_nine_tenths() {
    let mut rows = steady();
    due(&mut rows, 20_000, 23_000).for_each(|row| row.outcome = Some("unknown".to_owned()));
    // 100 a second before; the second from 22.9 s on has 90 answers. The one from 22.1 s on is the first that has any.
    assert_eq!(after(&rows, &[fault("a", 20_000, Some(22_000))]), [[Some(1_002), Some(900), Some(100)]]);
}

#[test]
fn lag_is_normal_once_a_whole_second_has_none_above_what_was_usual() {
    let mut rows = steady();
    due(&mut rows, 20_000, 22_450).for_each(|row| row.visible_ns = row.visible_ns.map(|at| at + 800 * MS));
    // The last slow one was answered at 22.442 s.
    assert_eq!(after(&rows, &[fault("a", 20_000, Some(22_000))]), [[Some(2), Some(0), Some(500)]]);
}

#[test]
fn an_operation_that_never_became_visible_is_not_normal() {
    let mut rows = steady();
    due(&mut rows, 22_000, 25_000).step_by(20).for_each(|row| row.visible_ns = None);
    // One in twenty, the last answered at 24.802 s: only from 24.7 s on are 99 of a hundred normal.
    assert_eq!(after(&rows, &[fault("a", 20_000, Some(22_000))])[0][2], Some(2_700));
}

#[test]
fn lag_within_the_same_millisecond_is_as_before() {
    let mut rows = steady();
    due(&mut rows, 10_000, 20_000).for_each(|row| row.visible_ns = row.acked_ns.map(|at| at + 4 * MS + 1));
    due(&mut rows, 20_000, 40_000).for_each(|row| row.visible_ns = row.acked_ns.map(|at| at + 5 * MS));
    assert_eq!(after(&rows, &[fault("a", 20_000, Some(22_000))])[0][2], Some(0));
    due(&mut rows, 20_000, 40_000).for_each(|row| row.visible_ns = row.acked_ns.map(|at| at + 5 * MS + 1));
    assert_eq!(after(&rows, &[fault("a", 20_000, Some(22_000))])[0][2], None);
}

#[test]
fn what_the_fault_itself_delayed_does_not_make_long_lag_usual() {
    let mut rows = steady();
    // The last 3 % before the fault wait for its heal to become visible, and later ones are as late.
    due(&mut rows, 19_850, 40_000).for_each(|row| row.visible_ns = row.acked_ns.map(|at| at + 2_500 * MS));
    assert_eq!(after(&rows, &[fault("a", 20_000, Some(22_000))])[0][2], None);
}

#[test]
fn times_of_other_faults_are_no_measure_of_what_was_usual() {
    let mut rows = steady();
    // From 15.5 s to 19.5 s two faults follow one another; half a second of 100 a second is left on each side of them.
    due(&mut rows, 15_500, 19_500).for_each(|row| row.outcome = Some("failed".to_owned()));
    let others = [fault("a", 15_500, Some(19_000)), fault("b", 18_000, Some(19_500))];
    let mut all = others.to_vec();
    all.push(fault("c", 20_000, Some(22_000)));
    // 80 a second afterwards is less than nine tenths of 100, and would be more than enough had the silence been counted in.
    let mut thinner = rows.clone();
    thinner.retain(|row| row.intended_ns < 22_000 * MS || row.intended_ns / (10 * MS) % 5 != 0);
    assert_eq!(after(&rows, &all)[2][1], Some(0));
    assert_eq!(after(&thinner, &all)[2][1], None);
    // What was answered while they were in force does not raise what was usual either.
    assert_eq!(after(&steady(), &all)[2][1], Some(0));
}

#[test]
fn the_warm_up_is_no_measure_of_what_was_usual() {
    // A fault one second into the measured phase; four fifths of the rate afterwards are enough only if silence before it counts.
    let mut rows = steady();
    rows.retain(|row| row.intended_ns < 12_000 * MS || row.intended_ns / (10 * MS) % 5 != 0);
    assert_eq!(after(&rows, &[fault("a", 11_000, Some(12_000))])[0][1], None);
}

#[test]
fn times_are_rounded_up() {
    let mut rows = steady();
    due(&mut rows, 22_000, 22_010).for_each(|row| row.acked_ns = row.acked_ns.map(|at| at + 1));
    assert_eq!(after(&rows, &[fault("a", 20_000, Some(22_000))])[0][0], Some(3));
}

#[test]
fn nothing_before_the_fault_or_no_second_after_it_is_not_reached() {
    let rows = steady();
    assert_eq!(after(&rows, &[fault("a", 10_000, Some(12_000))]), [[Some(2), None, None]]);
    assert_eq!(after(&rows, &[fault("a", 30_000, Some(39_100))]), [[Some(2), None, None]]);
    assert_eq!(after(&rows, &[fault("a", 30_000, Some(41_000))]), [[None, None, None]]);
    assert_eq!(after(&rows, &[fault("a", 30_000, None)]), [[None, None, None]]);
    assert_eq!(after(&[], &[fault("a", 30_000, Some(31_000))]), [[None, None, None]]);
}

#[test]
fn only_planned_faults_that_fired_have_a_row() {
    let unplanned = FaultRecord { planned: false, ..fault("u", 20_000, Some(21_000)) };
    let idle = FaultRecord { fired: false, ..fault("b", 22_000, None) };
    let found = recover(&steady(), &[unplanned.clone(), idle.clone(), fault("c", 25_000, Some(26_000))], MEASURED);
    assert_eq!(found.iter().map(|record| record.fault.as_str()).collect::<Vec<_>>(), ["c"]);
    assert!(windows(&[unplanned, idle], &[]).is_empty());
}

#[test]
fn parts_follow_faults_and_their_recovery() {
    let faults = [fault("a", 20_000, Some(22_000)), fault("b", 24_000, Some(25_000)), fault("c", 30_000, None)];
    let record = |fault: &str, reached: Option<i64>| RecoveryRecord {
        fault: fault.to_owned(),
        first_ok_ms: Some(10),
        rate_90_ms: Some(500),
        lag_normal_ms: reached,
    };
    let windows = windows(&faults, &[record("a", Some(2_500)), record("b", Some(700)), record("c", None)]);
    assert!(!windows.is_empty());
    let at = |ms: i64| windows.of(ms * MS);
    assert_eq!([at(19_999), at(20_000), at(21_999)], [During::Steady, During::Fault, During::Fault]);
    assert_eq!([at(22_000), at(23_999), at(24_000)], [During::Recovery, During::Recovery, During::Fault]);
    assert_eq!([at(25_000), at(25_699), at(25_700)], [During::Recovery, During::Recovery, During::Steady]);
    assert_eq!([at(29_999), at(30_000), at(99_000)], [During::Steady, During::Fault, During::Fault]);
    // A recovery that was not reached lasts to the end.
    let windows = super::windows(&faults[..1], &[record("a", None)]);
    assert_eq!(windows.of(99_000 * MS), During::Recovery);
}

#[test]
fn what_was_due_while_a_fault_was_in_force_or_recovered_from_is_counted_apart() {
    let mut rows = steady();
    due(&mut rows, 20_000, 40_000).for_each(|row| row.sent_ns = Some(row.intended_ns + 3 * MS));
    due(&mut rows, 20_000, 21_000).for_each(|row| (row.sent_ns, row.outcome) = (None, None));
    due(&mut rows, 20_000, 21_000).for_each(|row| (row.acked_ns, row.visible_ns) = (None, None));
    // Refused at once: not sent, and not missed either.
    due(&mut rows, 21_000, 21_500).for_each(|row| (row.sent_ns, row.outcome) = (None, Some("failed".to_owned())));
    let recovered =
        RecoveryRecord { first_ok_ms: Some(0), rate_90_ms: Some(500), lag_normal_ms: Some(0), ..Default::default() };
    let disturbed = windows(&[fault("", 20_000, Some(22_000))], &[recovered]).disturbed(&rows);
    assert_eq!((disturbed.planned, disturbed.sent, disturbed.missed), (250, 100, 100));
    assert_eq!(disturbed.send_lag_p99_us, Some(3_000));
    assert_eq!(windows(&[], &[]).disturbed(&rows), Disturbed::default());
}

#[test]
fn what_was_under_way_when_a_fault_began_belongs_to_it_and_what_had_ended_or_never_ends_does_not() {
    let recovered =
        RecoveryRecord { first_ok_ms: Some(0), rate_90_ms: Some(0), lag_normal_ms: Some(0), ..Default::default() };
    let windows = windows(&[fault("", 20_000, Some(22_000))], &[recovered]);
    let with = |acked_ms: Option<i64>, visible_ms: Option<i64>| {
        let ns = |ms: i64| ms * MS;
        OperationRow { acked_ns: acked_ms.map(ns), visible_ns: visible_ms.map(ns), ..row(19_000) }
    };
    let part = |row: &OperationRow| windows.part_of(row);
    assert_eq!(part(&with(Some(19_002), Some(19_999))), During::Steady);
    assert_eq!(part(&with(Some(19_002), Some(20_000))), During::Fault);
    assert_eq!(part(&with(Some(30_000), Some(30_005))), During::Fault, "it waited for the whole of it");
    assert_eq!(part(&with(Some(20_001), None)), During::Fault);
    // Were these the fault's, a bank that loses entries at any time would look better than it is.
    assert_eq!(part(&with(Some(19_002), None)), During::Steady);
    assert_eq!(part(&with(None, None)), During::Steady);
    // What was due after the fault is not the fault's, however long it took.
    let late = OperationRow { acked_ns: Some(25_000 * MS), ..row(22_500) };
    assert_eq!(part(&late), During::Steady);
}
