//! Stamps are read as they were written, and each operation gets the earliest that covers it.

use std::path::PathBuf;

use bankstorm_record::clock::Origin;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::read_rows;
use bankstorm_record::rows::{OperationRow, VisibleRow};

use super::{HARNESS, Joined, Stamps, collect_visible};
use crate::error::EvidenceError;

const ORIGIN: Origin = Origin { monotonic_ns: 1_000, wall_us: 0 };

struct Logs {
    root: tempfile::TempDir,
    logs: Vec<(String, PathBuf)>,
}

fn logs(texts: &[(&str, &str)]) -> Logs {
    let root = tempfile::tempdir().expect("a temporary folder");
    let mut logs = Vec::new();
    for (instance, text) in texts {
        let path = root.path().join(instance);
        std::fs::write(&path, text).expect("written");
        logs.push(((*instance).to_owned(), path));
    }
    Logs { root, logs }
}

fn operation(op: u64, account: i64, seq: Option<i64>) -> OperationRow {
    OperationRow {
        op,
        load: 0,
        kind: "deposit".to_owned(),
        phase: "measure".to_owned(),
        transfer: u128::from(op),
        account,
        amount: 1,
        params_hash: vec![0; 32],
        intended_ns: 0,
        sent_ns: Some(0),
        acked_ns: Some(1),
        visible_ns: Some(99),
        visible_is_upper_bound: true,
        outcome: Some("ok".to_owned()),
        resolved: Some("ok".to_owned()),
        seq,
        balance_after: None,
        detail: None,
        http_status: None,
        ..OperationRow::default()
    }
}

fn seen(operations: &[OperationRow]) -> Vec<(Option<i64>, bool)> {
    operations.iter().map(|row| (row.visible_ns, row.visible_is_upper_bound)).collect()
}

fn first_read(account: i64, seqs: (i64, i64), at_ns: i64) -> VisibleRow {
    VisibleRow { account, from_seq: seqs.0, to_seq: seqs.1, at_ns, instance: HARNESS.to_owned() }
}

#[test]
fn the_earliest_covering_stamp_is_the_visible_time() {
    let Logs { root, logs } =
        logs(&[("channel-0", "1500 7 1 4\n1400 8 1 2\n"), ("channel-1", "1600 7 4 5\n1450 7 2 3\n")]);
    let folder = RunFolder::new(root.path());
    let mut operations = [
        operation(0, 7, Some(2)),
        operation(1, 7, Some(3)),
        operation(2, 7, Some(4)),
        operation(3, 7, Some(5)),
        operation(4, 7, Some(6)),
        operation(5, 8, Some(2)),
        operation(6, 9, Some(1)),
        operation(7, 7, None),
    ];
    let collected = collect_visible(&logs, ORIGIN, &[first_read(7, (0, 5), 700)], &mut operations, &folder);
    let collected = collected.expect("collected");
    let stamped = |at| (Some(at), false);
    let none = (None, false);
    let expected = [stamped(500), stamped(450), stamped(500), stamped(600), none, stamped(400), none, none];
    assert_eq!(seen(&operations), expected);
    assert_eq!(collected.joined, Joined { stamped: 5, upper_bound: 0, unseen: 2 });
    let rows: Vec<VisibleRow> =
        read_rows(folder.evidence_file("visible")).expect("opened").collect::<Result<_, _>>().expect("read");
    assert_eq!(collected.evidence["visible"].rows, 5);
    assert!(rows.is_sorted_by_key(|row| (row.account, row.to_seq, row.at_ns)));
    assert_eq!(rows.iter().filter(|row| row.instance == HARNESS).count(), 1);
}

#[test]
fn a_lost_stamp_is_replaced_by_the_earliest_later_proof_as_an_upper_bound() {
    let Logs { root: _root, logs } = logs(&[("channel-0", "1500 7 1 4\n1900 7 6 8\n2500 7 8 9\n")]);
    let mut stamps = Stamps::read(&logs, ORIGIN).expect("read");
    let mut operations = [operation(0, 7, Some(5)), operation(1, 7, Some(6)), operation(2, 7, Some(10))];
    let joined = stamps.join(&mut operations);
    assert_eq!(seen(&operations), [(Some(900), true), (Some(900), true), (None, false)]);
    assert_eq!(joined, Joined { stamped: 0, upper_bound: 2, unseen: 1 });
    stamps.add(&[first_read(7, (0, 5), 700), first_read(7, (4, 10), 1_700)]);
    stamps.join(&mut operations);
    assert_eq!(seen(&operations), [(Some(700), true), (Some(900), true), (Some(1_700), true)]);
}

#[test]
fn a_torn_last_line_is_counted_and_any_other_bad_line_is_an_error() {
    let torn = logs(&[("channel-0", "1500 7 1 4\n1600 7 4 1"), ("channel-1", "")]);
    let stamps = Stamps::read(&torn.logs, ORIGIN).expect("read");
    assert_eq!((stamps.stamps.len(), stamps.torn_lines), (1, 1));
    for bad in ["1500 7 1\n", "1500 7 1 4 5\n", "x 7 1 4\n", "1500 7 4 4\n", "\n", "1500 7 -1 4\n"] {
        let broken = logs(&[("channel-0", &format!("1500 7 1 4\n{bad}1600 7 4 5\n"))]);
        let error = Stamps::read(&broken.logs, ORIGIN).expect_err("a bad line");
        assert!(matches!(error, EvidenceError::VisibleLine { line: 2, .. }), "{bad:?}: {error}");
    }
    let missing = vec![("channel-0".to_owned(), torn.root.path().join("nowhere"))];
    assert!(matches!(Stamps::read(&missing, ORIGIN), Err(EvidenceError::Read { .. })));
}

#[test]
fn a_read_that_came_before_the_stamp_makes_it_visible_then() {
    let logs = logs(&[("channel-0", "2000 7 0 1\n")]);
    let mut stamps = Stamps::read(&logs.logs, ORIGIN).expect("whole lines");
    stamps.add(&[first_read(7, (0, 1), 900)]);
    let mut operations = [operation(0, 7, Some(1))];
    let joined = stamps.join(&mut operations);
    assert_eq!(seen(&operations), [(Some(900), false)]);
    assert_eq!((joined.stamped, joined.upper_bound), (1, 0));
}
