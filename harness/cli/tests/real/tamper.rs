//! Evidence that was tampered with: `check` must see it, exit 6, and name the check.

use std::path::Path;

use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::{ParquetRow, read_rows, write_rows};
use bankstorm_record::rows::{ChannelEntryRow, CoreEntryRow, CoreTransferRow, OperationRow, TopicRow};

use crate::support::{Case, bankstorm, code, short_run, text};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("a_changed_amount_in_the_copy_is_s1", || caught(changed_amount, &["S1"])),
        ("a_row_removed_from_the_copy_is_s3_or_s5", || caught(removed_from_copy, &["S3", "S5"])),
        ("a_doubled_row_in_the_copy_is_s2", || caught(doubled_in_copy, &["S2"])),
        ("a_row_removed_from_core_is_l3", || caught(removed_from_core, &["L3"])),
        ("two_swapped_records_of_an_account_are_t2", || caught(swapped_records, &["T2"])),
        ("an_acknowledged_deposit_removed_from_core_is_o2", || caught(removed_tail, &["O2"])),
    ]
}

/// Copies the run, lets `tamper` change it, and expects exit code 6 with one of `ids` violated.
fn caught(tamper: fn(&RunFolder), ids: &[&str]) {
    let copy = tempfile::tempdir().expect("a temporary folder");
    copy_tree(short_run().folder().root(), copy.path());
    let folder = RunFolder::new(copy.path());
    tamper(&folder);
    let check = bankstorm(&["check"]).arg(copy.path()).output().expect("the binary starts");
    let text = text(&check);
    assert_eq!(code(&check), 6, "{text}");
    let named = |id: &&&str| text.lines().any(|line| line.contains(**id) && line.to_lowercase().contains("violated"));
    assert!(ids.iter().any(|id| named(&id)), "one of {ids:?}: {text}");
    assert!(text.contains("hash"), "the changed file is named as well: {text}");
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a copy");
        }
    }
}

fn edit<T: ParquetRow>(folder: &RunFolder, name: &str, change: impl FnOnce(&mut Vec<T>)) {
    let path = folder.evidence_file(name);
    let mut rows: Vec<T> = read_rows(&path).expect(name).map(|row| row.expect("a row")).collect();
    change(&mut rows);
    write_rows(&path, rows).expect(name);
}

fn changed_amount(folder: &RunFolder) {
    edit(folder, "channel_entry", |rows: &mut Vec<ChannelEntryRow>| {
        let middle = rows.len() / 2;
        rows[middle].amount += 1;
    });
}

fn removed_from_copy(folder: &RunFolder) {
    edit(folder, "channel_entry", |rows: &mut Vec<ChannelEntryRow>| {
        rows.remove(rows.len() / 2);
    });
}

fn doubled_in_copy(folder: &RunFolder) {
    edit(folder, "channel_entry", |rows: &mut Vec<ChannelEntryRow>| {
        let middle = rows.len() / 2;
        let twice = rows[middle].clone();
        rows.insert(middle, twice);
    });
}

fn removed_from_core(folder: &RunFolder) {
    edit(folder, "core_entry", |rows: &mut Vec<CoreEntryRow>| {
        let inner = rows.iter().position(|row| row.seq == Some(5)).expect("an account with history");
        rows.remove(inner);
    });
}

fn swapped_records(folder: &RunFolder) {
    edit(folder, "topic", |rows: &mut Vec<TopicRow>| {
        let (first, second) = (0..rows.len())
            .find_map(|first| {
                let later = (first + 1..rows.len()).find(|later| rows[*later].account == rows[first].account)?;
                Some((first, later))
            })
            .expect("an account with two records");
        rows.swap(first, second);
        // Only the records change places; offsets and partitions stay where they were.
        let (offset, partition) = (rows[first].record_offset, rows[first].partition);
        rows[first].record_offset = rows[second].record_offset;
        rows[first].partition = rows[second].partition;
        rows[second].record_offset = offset;
        rows[second].partition = partition;
    });
}

fn removed_tail(folder: &RunFolder) {
    let operations: Vec<OperationRow> =
        read_rows(folder.operations()).expect("operations").map(|row| row.expect("a row")).collect();
    let mut last =
        operations.iter().filter(|row| row.seq.is_some()).max_by_key(|row| row.seq).expect("a deposit").clone();
    // The account's own last entry, so that its serials stay dense.
    for row in &operations {
        if row.account == last.account && row.seq > last.seq {
            last = row.clone();
        }
    }
    edit(folder, "core_entry", |rows: &mut Vec<CoreEntryRow>| rows.retain(|row| row.transfer != last.transfer));
    edit(folder, "core_transfer", |rows: &mut Vec<CoreTransferRow>| rows.retain(|row| row.transfer != last.transfer));
}
