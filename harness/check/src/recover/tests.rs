//! A bank with an operation every 10 ms, answered after 2 ms and visible 5 ms later, and faults that spoil some of it.

use bankstorm_record::rows::OperationRow;
use bankstorm_record::run_json::{FaultRecord, RecoveryRecord};

use super::{MS, Measured, recover, windows};

mod parts;

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

fn baselines(rows: &[OperationRow], faults: &[FaultRecord]) -> Vec<i64> {
    recover(rows, faults, MEASURED).iter().map(|record| record.baseline_ms).collect()
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
fn reads_that_a_copy_answers_say_nothing_of_a_bank_that_posts() {
    let mut rows = steady();
    due(&mut rows, 20_000, 22_500).for_each(|row| row.outcome = Some("failed".to_owned()));
    let reads: Vec<_> =
        steady().into_iter().map(|row| OperationRow { kind: "scroll".to_owned(), visible_ns: None, ..row }).collect();
    let killed = [fault("a", 20_000, Some(22_000))];
    let posts = after(&rows, &killed);
    rows.extend(reads.clone());
    assert_eq!((after(&rows, &killed), posts[0][0]), (posts.clone(), Some(502)));
    // Where nothing is posted, reads are all there is.
    assert_eq!(after(&reads, &killed)[0][..2], [Some(2), Some(0)]);
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

/// Four fifths of what is due from `from_ms` on.
fn thinned(mut rows: Vec<OperationRow>, from_ms: i64) -> Vec<OperationRow> {
    rows.retain(|row| row.intended_ns < from_ms * MS || row.intended_ns / (10 * MS) % 5 != 0);
    rows
}

#[test]
fn the_flood_of_what_had_piled_up_is_no_rate() {
    // What was due while the fault was in force is answered within 200 ms of the heal; after that one in two is.
    let mut rows = steady();
    due(&mut rows, 20_000, 22_000).for_each(|row| row.acked_ns = Some(22_000 * MS + row.intended_ns % (200 * MS)));
    rows.retain(|row| row.intended_ns < 22_000 * MS || row.intended_ns / (10 * MS) % 2 == 0);
    assert_eq!(after(&rows, &[fault("a", 20_000, Some(22_000))]), [[Some(2), None, Some(0)]]);
}

#[test]
fn times_of_other_faults_are_no_measure_of_what_was_usual() {
    let mut rows = steady();
    // From 15.5 s to 18.5 s two faults follow one another, and the bank is itself again as soon as the second is healed.
    due(&mut rows, 15_500, 18_500).for_each(|row| row.outcome = Some("failed".to_owned()));
    let mut all = vec![fault("a", 15_500, Some(18_000)), fault("b", 17_000, Some(18_500))];
    all.push(fault("c", 20_000, Some(22_000)));
    // 80 a second afterwards is less than nine tenths of 100, and would be more than enough had the silence been counted in.
    assert_eq!(after(&rows, &all)[2][1], Some(0));
    assert_eq!(after(&thinned(rows.clone(), 22_000), &all)[2][1], None);
    // What was answered while they were in force does not raise what was usual either.
    assert_eq!(after(&steady(), &all)[2][1], Some(0));
    // It is looked for further back, until there are five seconds of it, and whatever the order in which faults are told.
    assert_eq!(baselines(&rows, &all), [5_000, 5_000, 5_000]);
    all.rotate_right(1);
    assert_eq!(baselines(&rows, &all), [5_000, 5_000, 5_000]);
    assert_eq!(after(&thinned(rows.clone(), 22_000), &all)[0][1], None);
    // The last five seconds of it: not from before 12 s, where the bank answered half as much.
    rows.retain(|row| row.intended_ns >= 12_000 * MS || row.intended_ns / (10 * MS) % 2 == 0);
    assert_eq!(after(&thinned(rows, 22_000), &all)[0][1], None);
}

#[test]
fn recovery_from_an_earlier_fault_is_no_measure_of_what_was_usual() {
    // Healed at 14 s, but half of the answers until 17 s and long lag until 18 s: itself again at 18 s, and that for two seconds.
    let mut rows = steady();
    rows.retain(|row| !(12_000 * MS..17_000 * MS).contains(&row.intended_ns) || row.intended_ns / (10 * MS) % 2 == 0);
    due(&mut rows, 14_000, 18_000).for_each(|row| row.visible_ns = row.visible_ns.map(|at| at + 300 * MS));
    let all = [fault("a", 12_000, Some(14_000)), fault("b", 20_000, Some(22_000))];
    assert_eq!(after(&rows, &all)[0], [Some(2), Some(2_800), Some(4_000)]);
    // Two seconds from 10 s on, and two from 18 s on.
    assert_eq!(baselines(&rows, &all), [2_000, 4_000]);
    assert_eq!(
        after(&thinned(rows.clone(), 22_000), &all)[1][1],
        None,
        "100 a second were usual, not what recovery had"
    );
    due(&mut rows, 20_000, 40_000).for_each(|row| row.visible_ns = row.visible_ns.map(|at| at + 200 * MS));
    assert_eq!(after(&rows, &all)[1][2], None, "nor was its lag");
}

#[test]
fn what_was_never_recovered_from_is_never_quiet_again() {
    let mut rows = steady();
    due(&mut rows, 14_000, 40_000).for_each(|row| row.visible_ns = row.visible_ns.map(|at| at + 300 * MS));
    let later = fault("b", 30_000, Some(32_000));
    // What was usual is still looked for before it.
    assert_eq!(baselines(&rows, &[fault("a", 14_000, Some(15_000)), later.clone()]), [4_000, 4_000]);
    assert_eq!(after(&rows, &[fault("a", 14_000, Some(15_000)), later.clone()])[1], [Some(2), Some(0), None]);
    assert_eq!(baselines(&rows, &[fault("a", 14_000, None), later.clone()]), [4_000, 4_000]);
    assert_eq!(baselines(&rows, &[fault("a", 10_900, Some(11_000)), later]), [0, 0]);
}

#[test]
fn less_than_a_second_is_nothing_to_compare_with() {
    let rows = steady();
    let with = |started_ms| {
        let faults = [fault("a", started_ms, Some(20_000))];
        (baselines(&rows, &faults)[0], after(&rows, &faults)[0])
    };
    assert_eq!(with(10_999), (0, [Some(2), None, None]));
    assert_eq!(with(11_000), (1_000, [Some(2), Some(0), Some(0)]));
    // Quiet time in which the bank answered nothing is none either.
    let silent: Vec<OperationRow> = rows.iter().filter(|row| row.intended_ns >= 15_000 * MS).cloned().collect();
    assert_eq!(baselines(&silent, &[fault("a", 15_000, Some(20_000))]), [0]);
    // What was never healed was compared with nothing yet, but could have been.
    assert_eq!(baselines(&rows, &[fault("a", 15_000, None)]), [5_000]);
}

#[test]
fn an_unplanned_death_disturbs_for_ten_seconds() {
    let rows = steady();
    let later = fault("a", 24_000, Some(25_000));
    let death = |id: &str, started_ms, healed_ms| FaultRecord { planned: false, ..fault(id, started_ms, healed_ms) };
    assert_eq!(baselines(&rows, &[death("u", 12_000, None), later.clone()]), [4_000]);
    assert_eq!(baselines(&rows, &[death("u", 14_500, None), later.clone()]), [4_500]);
    assert_eq!(baselines(&rows, &[death("u", 12_000, Some(13_000)), later.clone()]), [5_000]);
    assert_eq!(baselines(&rows, &[death("u", 10_000, None), death("v", 10_000, None), later.clone()]), [4_000]);
    let within = [death("u", 12_000, None), death("v", 13_000, Some(14_000)), later];
    assert_eq!(baselines(&rows, &within), [4_000], "the shorter one does not end the longer one");
    // An answer before it whose entry became visible after it is no usual lag.
    let mut rows = steady();
    due(&mut rows, 17_900, 18_000).for_each(|row| row.visible_ns = row.visible_ns.map(|at| at + 300 * MS));
    due(&mut rows, 24_000, 40_000).for_each(|row| row.visible_ns = row.visible_ns.map(|at| at + 300 * MS));
    let with = [death("u", 18_000, Some(18_200)), fault("a", 22_000, Some(23_000))];
    assert_eq!(after(&rows, &with)[0], [Some(2), Some(0), Some(0)]);
    let late = [death("u", 18_000, Some(18_200)), fault("a", 22_000, Some(24_000))];
    assert_eq!(after(&rows, &late)[0][2], None);
}

#[test]
fn the_warm_up_is_no_measure_of_what_was_usual() {
    // A fault one second into the measured phase; four fifths of the rate afterwards are enough only if silence before it counts.
    let faults = [fault("a", 11_000, Some(12_000))];
    assert_eq!(after(&thinned(steady(), 12_000), &faults)[0][1], None);
    assert_eq!(baselines(&steady(), &faults), [1_000]);
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
