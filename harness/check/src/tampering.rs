//! What a tampered run folder must show: each change of evidence that a reader may try by hand, and the check that names it.

use bankstorm_record::run_json::GuaranteeVerdict;

use crate::bank::{Bank, assert_only};

#[test]
fn a_channel_rows_amount_changed_is_s1() {
    let mut bank = Bank::good();
    bank.channel_entry(1_000_001, 3).amount += 1;
    assert_only(&bank, &[("S1", "garbage: account 1000001 seq 3 ")]);
    assert!(bank.result("S1").first.expect("witness").ends_with("amount is 63 in the copy and 62 in core"));
}

#[test]
fn a_channel_row_removed_is_s3_or_s5() {
    for seq in 1..=5 {
        let mut bank = Bank::good();
        bank.source.channel_entries.retain(|row| (row.account, row.seq) != (1_000_001, seq));
        assert_only(&bank, &[("S3", "visible-gap: account 1000001"), ("S5", "lost-copy: account 1000001")]);
    }
}

#[test]
fn a_channel_row_doubled_is_s2() {
    for index in 0..Bank::good().source.channel_entries.len() {
        let mut bank = Bank::good();
        bank.source.channel_entries.insert(index, bank.source.channel_entries[index].clone());
        assert_only(&bank, &[("S2", "copy-dup: account ")]);
    }
}

#[test]
fn a_core_row_removed_is_l3() {
    for (seq, told) in [(1, "seq 2 follows seq 0"), (3, "seq 4 follows seq 2"), (5, "its row says last seq 5")] {
        let mut bank = Bank::good();
        bank.source.core_entries.retain(|row| (row.account, row.seq) != (1_000_002, Some(seq)));
        bank.assert_fires("L3", told);
        bank.assert_holds(&["L2", "S2", "S4", "T2"]);
    }
}

#[test]
fn two_topic_records_of_an_account_swapped_is_t2() {
    let mut bank = Bank::good();
    bank.swap_records(1_000_002, 4, 5);
    assert_only(
        &bank,
        &[("T2", "send-inversion: account 1000002, partition 0 offset 3: seq 4 first appears after seq 5")],
    );
}

#[test]
fn an_acknowledged_deposits_core_rows_removed_at_the_tail_is_o2() {
    let mut bank = Bank::good();
    let id = bank.core_entry(1_000_000, 5).transfer;
    bank.source.core_entries.retain(|row| row.transfer != id);
    // Only the entry and its internal leg.
    bank.assert_fires("O2", "lost-ack: op 1 ");
    assert!(bank.result("O2").first.expect("witness").ends_with("core has no entry there"));
    // The transfer too.
    bank.source.core_transfers.retain(|row| row.transfer != id);
    bank.assert_fires("O2", "core has no such transfer");
    bank.assert_fires("L3", "its row says last seq 5");
    // The account row too: core agrees with itself again, and only its answers and copies tell.
    let balance = bank.core_entry(1_000_000, 4).balance_after;
    let row = bank.core_account(1_000_000);
    (row.seq, row.balance) = (4, balance);
    let fire = [
        ("O2", "lost-ack: op 1 (transfer 01920000-"),
        ("S1", "garbage: account 1000000 seq 5"),
        ("S3", "visible-gap: account 1000000: page"),
        ("S5", "lost-copy: account 1000000"),
        ("T1", "phantom-publish: partition 0 offset 1"),
    ];
    assert_only(&bank, &fire);
}

#[test]
fn a_booked_deposits_answer_changed_to_a_refusal_is_o3() {
    for verdict in ["failed", "rejected"] {
        let mut bank = Bank::good();
        let op = bank.operation_of(1_000_002, 4);
        (op.outcome, op.resolved) = (Some(verdict.to_owned()), Some(verdict.to_owned()));
        assert_only(&bank, &[("O3", "phantom-booking: op 4 ")]);
    }
}

#[test]
fn history_of_any_shape_holds_when_it_is_good() {
    for (accounts, loaded, posted) in [(1, 1, 2), (1, 2, 3), (7, 3, 9), (20, 10, 4)] {
        Bank::of(accounts, loaded, posted).assert_all_hold();
    }
}

#[test]
fn a_deadlock_written_into_the_counters_or_the_log_is_v1_and_a_removed_look_is_no_pass() {
    for index in 0..Bank::good().source.databases.len() {
        let mut bank = Bank::good();
        bank.source.databases[index].deadlocks += 1;
        assert_only(&bank, &[("V1", "deadlock: database c")]);

        let mut bank = Bank::good();
        bank.source.databases[index].logged += 1;
        if bank.source.databases[index].at_ns == 0 {
            // More lines before the run than after it: the log is not whole.
            assert_eq!(bank.result("V1").verdict, GuaranteeVerdict::Unknown);
        } else {
            assert_only(&bank, &[("V1", "deadlock: database c")]);
        }

        let mut bank = Bank::good();
        bank.source.databases.remove(index);
        assert_eq!(bank.result("V1").verdict, GuaranteeVerdict::Unknown);
    }
}
