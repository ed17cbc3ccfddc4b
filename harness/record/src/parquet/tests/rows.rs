//! Rows of every file come back as they went in.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::parquet::{ParquetRow, read_rows, write_rows};
use crate::rows::{
    ApplyJournalRow, BankNetworkRow, ChannelAccountRow, ChannelEntryRow, ChannelTransferRow, CoreAccessRow,
    CoreAccountRow, CoreEntryRow, CoreHoldRow, CoreOutboxRow, CoreTransferRow, DatabaseRow, DeadLetterRow, DltRow,
    GroupCommitRow, OperationRow, PageRow, SyncRow, TopicRow, TransferReadRow, VisibleRow,
};

fn round_trip<T: ParquetRow + Clone>(rows: &[T]) -> Vec<T> {
    let root = tempfile::tempdir().expect("a temporary folder");
    let path = root.path().join("evidence").join("rows.parquet");
    assert_eq!(write_rows(&path, rows.iter().cloned()).expect("written"), rows.len() as u64);
    read_rows::<T>(&path).expect("opened").collect::<Result<_, _>>().expect("read")
}

fn word() -> impl Strategy<Value = String> {
    "[a-z_]{0,12}"
}

/// Makes rows of arbitrary values.
macro_rules! rows_of {
    ($row:ident { $($field:ident: $strategy:expr),* $(,)? }) => {
        |runner: &mut TestRunner| $row { $($field: value(&($strategy), runner)),* }
    };
}

fn value<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).expect("a value").current()
}

/// Writes and reads files of rows made by `make`.
fn check<T: ParquetRow + Clone + PartialEq + std::fmt::Debug>(make: impl Fn(&mut TestRunner) -> T) {
    let mut runner = TestRunner::deterministic();
    for size in [0, 1, 40] {
        let rows: Vec<T> = (0..size).map(|_| make(&mut runner)).collect();
        assert_eq!(round_trip(&rows), rows, "{}", T::NAME);
    }
}

#[test]
fn rows_of_the_harness_come_back() {
    check(rows_of!(OperationRow {
        op: any::<u64>(),
        load: any::<u32>(),
        kind: word(),
        phase: word(),
        transfer: any::<u128>(),
        account: any::<i64>(),
        amount: any::<i64>(),
        params_hash: vec(any::<u8>(), 32),
        intended_ns: any::<i64>(),
        sent_ns: of(any::<i64>()),
        acked_ns: of(any::<i64>()),
        visible_ns: of(any::<i64>()),
        visible_is_upper_bound: any::<bool>(),
        outcome: of(word()),
        resolved: of(word()),
        seq: of(any::<i64>()),
        balance_after: of(any::<i64>()),
        detail: of(any::<String>()),
        http_status: of(any::<u32>()),
        user: of(any::<i64>()),
        to_bank: of(word()),
        to_account: of(word()),
        intent: of(any::<u64>()),
        attempts: of(any::<u32>()),
    }));
    check(rows_of!(VisibleRow {
        account: any::<i64>(),
        from_seq: any::<i64>(),
        to_seq: any::<i64>(),
        at_ns: any::<i64>(),
        instance: word(),
    }));
    check(rows_of!(PageRow {
        account: any::<i64>(),
        invoked_ns: any::<i64>(),
        completed_ns: any::<i64>(),
        instance: word(),
        op: of(any::<u64>()),
        cursor: of(any::<i64>()),
        outcome: word(),
        top_seq: any::<i64>(),
        bottom_seq: any::<i64>(),
        count: any::<u32>(),
        contiguous: any::<bool>(),
        rows_hash: any::<u64>(),
        as_of_seq: any::<i64>(),
        stale: any::<bool>(),
        pending: vec(any::<u8>(), 0..48),
        page_no: of(any::<u32>()),
        next_cursor: of(any::<i64>()),
    }));
}

#[test]
fn rows_of_what_was_told_and_of_other_banks_come_back() {
    check(rows_of!(TransferReadRow {
        transfer: any::<u128>(),
        invoked_ns: any::<i64>(),
        completed_ns: any::<i64>(),
        store: word(),
        instance: word(),
        via: word(),
        params_hash: of(vec(any::<u8>(), 32)),
        outcome: word(),
        stage: of(word()),
        reason: of(word()),
        seq: of(any::<i64>()),
    }));
    check(rows_of!(BankNetworkRow {
        transfer: any::<u128>(),
        state: word(),
        to_bank: of(word()),
        to_account: of(word()),
        amount: of(any::<i64>()),
        credited: any::<u32>(),
    }));
}

#[test]
fn rows_of_core_come_back() {
    check(rows_of!(CoreAccountRow {
        account: any::<i64>(),
        kind: word(),
        seq: any::<i64>(),
        balance: of(any::<i64>()),
        loaded_seq: any::<i64>(),
        status: word(),
        held: any::<i64>(),
    }));
    check(rows_of!(CoreEntryRow {
        account: any::<i64>(),
        seq: of(any::<i64>()),
        transfer: any::<u128>(),
        amount: any::<i64>(),
        balance_after: of(any::<i64>()),
        kind: word(),
        posted_at_us: any::<i64>(),
    }));
    check(rows_of!(CoreTransferRow {
        transfer: any::<u128>(),
        kind: word(),
        state: word(),
        params_hash: vec(any::<u8>(), 32),
        account: of(any::<i64>()),
        amount: of(any::<i64>()),
        reason: of(word()),
        seq: of(any::<i64>()),
        balance_after: of(any::<i64>()),
        party_bank: of(word()),
        party_account: of(word()),
        created_at_us: of(any::<i64>()),
        posted_at_us: of(any::<i64>()),
        requested_at_us: of(any::<i64>()),
        valid_for_ms: of(any::<i64>()),
    }));
    check(rows_of!(CoreHoldRow {
        transfer: any::<u128>(),
        account: any::<i64>(),
        amount: any::<i64>(),
        state: word(),
        placed_seq: any::<i64>(),
        placed_at_us: any::<i64>(),
        ended_seq: of(any::<i64>()),
    }));
    check(rows_of!(CoreOutboxRow { account: any::<i64>(), seq: any::<i64>(), transfer: any::<u128>() }));
}

#[test]
fn rows_of_the_channel_and_the_topic_come_back() {
    check(rows_of!(ChannelEntryRow {
        account: any::<i64>(),
        seq: any::<i64>(),
        transfer: any::<u128>(),
        amount: any::<i64>(),
        balance_after: any::<i64>(),
        kind: word(),
        posted_at_us: any::<i64>(),
    }));
    check(rows_of!(ChannelAccountRow {
        account: any::<i64>(),
        last_seq: any::<i64>(),
        balance: any::<i64>(),
        dirty: any::<bool>(),
    }));
    check(rows_of!(ChannelTransferRow {
        transfer: any::<u128>(),
        user: any::<i64>(),
        account: any::<i64>(),
        to_bank: word(),
        to_account: word(),
        amount: any::<i64>(),
        params_hash: vec(any::<u8>(), 32),
        stage: word(),
        reason: of(word()),
        seq: of(any::<i64>()),
        created_at_us: any::<i64>(),
        attempts: any::<i64>(),
        settled_txid: of(any::<i64>()),
        opened_commit: of(any::<i64>()),
        settled_commit: of(any::<i64>()),
    }));
    check(rows_of!(ApplyJournalRow {
        journal_id: any::<i64>(),
        account: any::<i64>(),
        from_seq: any::<i64>(),
        to_seq: any::<i64>(),
        source: word(),
        topic: of(word()),
        partition: of(any::<i32>()),
        record_offset: of(any::<i64>()),
        generation: of(any::<i32>()),
        instance: word(),
        txid: any::<i64>(),
        commit: of(any::<i64>()),
        committed_us: of(any::<i64>()),
    }));
    check(rows_of!(TopicRow {
        partition: any::<i32>(),
        record_offset: any::<i64>(),
        key_account: of(any::<i64>()),
        account: any::<i64>(),
        seq: any::<i64>(),
        transfer: any::<u128>(),
        amount: any::<i64>(),
        balance_after: any::<i64>(),
        timestamp_us: any::<i64>(),
    }));
    check(rows_of!(DatabaseRow {
        database: word(),
        at_ns: any::<i64>(),
        deadlocks: any::<i64>(),
        logged: any::<i64>(),
    }));
}

#[test]
fn rows_of_how_the_channel_follows_core_come_back() {
    check(rows_of!(CoreAccessRow {
        begun_ns: any::<i64>(),
        ended_ns: any::<i64>(),
        caller: word(),
        call: word(),
        account: of(any::<i64>()),
        purpose: of(word()),
        status: any::<u32>(),
    }));
    check(rows_of!(SyncRow {
        account: any::<i64>(),
        invoked_ns: any::<i64>(),
        completed_ns: any::<i64>(),
        instance: word(),
        op: of(any::<u64>()),
        outcome: word(),
        result: of(word()),
        as_of_seq: any::<i64>(),
    }));
    check(rows_of!(DeadLetterRow {
        partition: any::<i32>(),
        record_offset: any::<i64>(),
        account: of(any::<i64>()),
        seq: of(any::<i64>()),
        class: word(),
        code: of(word()),
        detail: of(any::<String>()),
        attempts: any::<i64>(),
        redrives: any::<i64>(),
        parked_us: any::<i64>(),
        closed_us: of(any::<i64>()),
        closed_by: of(word()),
    }));
    check(rows_of!(DltRow {
        partition: any::<i32>(),
        record_offset: any::<i64>(),
        dlt_partition: any::<i32>(),
        dlt_offset: any::<i64>(),
        account: of(any::<i64>()),
        seq: of(any::<i64>()),
        class: word(),
        code: of(word()),
        attempts: any::<i64>(),
        timestamp_us: any::<i64>(),
    }));
    check(rows_of!(GroupCommitRow { partition: any::<i32>(), committed_offset: any::<i64>(), at_us: any::<i64>() }));
}
