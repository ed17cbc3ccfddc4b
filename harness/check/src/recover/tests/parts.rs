//! Which part of the run an operation belongs to.

use bankstorm_record::latency::Kind;
use bankstorm_record::rows::OperationRow;
use bankstorm_record::run_json::RecoveryRecord;

use super::{MS, due, fault, row, steady};
use crate::recover::{During, windows as windows_of};
use crate::validity::Disturbed;

#[test]
fn parts_follow_faults_and_their_recovery() {
    let faults = [fault("a", 20_000, Some(22_000)), fault("b", 24_000, Some(25_000)), fault("c", 30_000, None)];
    let record = |fault: &str, reached: Option<i64>| RecoveryRecord {
        fault: fault.to_owned(),
        first_ok_ms: Some(10),
        rate_90_ms: Some(500),
        lag_normal_ms: reached,
        baseline_ms: 5_000,
    };
    let windows = windows_of(&faults, &[record("a", Some(2_500)), record("b", Some(700)), record("c", None)]);
    assert!(!windows.is_empty());
    let at = |ms: i64| windows.of(ms * MS);
    assert_eq!([at(19_999), at(20_000), at(21_999)], [During::Steady, During::Fault, During::Fault]);
    assert_eq!([at(22_000), at(23_999), at(24_000)], [During::Recovery, During::Recovery, During::Fault]);
    assert_eq!([at(25_000), at(25_699), at(25_700)], [During::Recovery, During::Recovery, During::Steady]);
    assert_eq!([at(29_999), at(30_000), at(99_000)], [During::Steady, During::Fault, During::Fault]);
    // A recovery that was not reached lasts to the end.
    let windows = windows_of(&faults[..1], &[record("a", None)]);
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
    let disturbed = windows_of(&[fault("", 20_000, Some(22_000))], &[recovered]).disturbed(&rows);
    assert_eq!((disturbed.planned, disturbed.sent, disturbed.missed), (250, 100, 100));
    assert_eq!(disturbed.send_lag_p99_us, Some(3_000));
    assert_eq!(windows_of(&[], &[]).disturbed(&rows), Disturbed::default());
}

/// Due at 19 s; a fault is in force from 20 s to 22 s, and the bank is itself again at once.
fn part(kind: Kind, change: impl Fn(&mut OperationRow)) -> During {
    let mut row = row(19_000);
    change(&mut row);
    windows_of(&[fault("", 20_000, Some(22_000))], &[recovered()]).part_of(&row, kind)
}

fn recovered() -> RecoveryRecord {
    RecoveryRecord { first_ok_ms: Some(0), rate_90_ms: Some(0), lag_normal_ms: Some(0), ..Default::default() }
}

const ANSWER: [Kind; 3] = [Kind::Response, Kind::Service, Kind::SendLag];
const VISIBLE: [Kind; 2] = [Kind::SyncLag, Kind::Visible];

/// Acknowledged and visible at these moments.
fn ends(acked_ms: Option<i64>, visible_ms: Option<i64>) -> impl Fn(&mut OperationRow) {
    move |row| (row.acked_ns, row.visible_ns) = (acked_ms.map(|ms| ms * MS), visible_ms.map(|ms| ms * MS))
}

#[test]
fn what_was_not_answered_when_a_fault_began_belongs_to_it_with_its_answer() {
    for kind in ANSWER {
        assert_eq!(part(kind, ends(Some(19_999), Some(19_999))), During::Steady);
        assert_eq!(part(kind, ends(Some(19_002), Some(30_000))), During::Steady, "the answer had come");
        assert_eq!(part(kind, ends(Some(20_000), None)), During::Fault);
        assert_eq!(part(kind, ends(Some(30_000), Some(19_500))), During::Fault, "it waited for the whole of it");
        assert_eq!(part(kind, ends(None, Some(20_001))), During::Steady, "what never ended counts by when it was due");
    }
}

#[test]
fn what_was_not_visible_when_a_fault_began_belongs_to_it_with_its_visibility() {
    for kind in VISIBLE {
        assert_eq!(part(kind, ends(Some(19_002), Some(19_999))), During::Steady);
        assert_eq!(part(kind, ends(Some(19_002), Some(20_000))), During::Fault);
        assert_eq!(
            part(kind, ends(Some(20_001), Some(19_500))),
            During::Steady,
            "it could be seen before its answer came"
        );
        // Were these the fault's, a bank that loses entries at any time would look better than it is.
        assert_eq!(part(kind, ends(Some(19_002), None)), During::Steady);
        assert_eq!(part(kind, ends(Some(20_001), None)), During::Steady);
        assert_eq!(part(kind, ends(None, None)), During::Steady);
    }
}

#[test]
fn a_bound_on_when_it_was_visible_does_not_excuse() {
    let bounded = |acked_ms, visible_ms| {
        move |row: &mut OperationRow| {
            ends(acked_ms, visible_ms)(row);
            row.visible_is_upper_bound = true;
        }
    };
    for kind in VISIBLE {
        assert_eq!(part(kind, bounded(Some(19_002), Some(25_000))), During::Steady);
        assert_eq!(part(kind, bounded(Some(20_000), Some(25_000))), During::Fault);
        assert_eq!(part(kind, bounded(None, Some(25_000))), During::Steady);
    }
}

#[test]
fn what_was_due_after_a_fault_is_not_its_however_long_it_took() {
    for kind in Kind::ALL {
        let late = |row: &mut OperationRow| {
            row.intended_ns = 22_500 * MS;
            ends(Some(35_000), Some(36_000))(row);
        };
        assert_eq!(part(kind, late), During::Steady);
        let within = |row: &mut OperationRow| {
            row.intended_ns = 21_500 * MS;
            ends(None, None)(row);
        };
        assert_eq!(part(kind, within), During::Fault);
    }
}

#[test]
fn an_entry_that_only_became_visible_late_did_not_disturb_the_generator() {
    let mut rows = [row(19_000), row(19_000)];
    ends(Some(19_002), Some(23_000))(&mut rows[0]);
    ends(Some(20_002), Some(20_003))(&mut rows[1]);
    assert_eq!(windows_of(&[fault("", 20_000, Some(22_000))], &[recovered()]).disturbed(&rows).planned, 1);
}
