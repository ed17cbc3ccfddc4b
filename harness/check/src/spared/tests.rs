//! Calls for reads, with and without a reason.

use bankstorm_record::rows::CoreAccessRow;
use bankstorm_record::run_json::GuaranteeVerdict;

use crate::bank::{Bank, DECLARED, FRESH_AT, LOST, PAYER, assert_only};
use crate::check::{Check, Context};
use crate::following::{Following, History, ReadSync};

const MS: i64 = 1_000_000;

fn verdict(bank: &Bank, change: impl FnOnce(&mut Following)) -> GuaranteeVerdict {
    let mut following = DECLARED.following.expect("declared");
    change(&mut following);
    super::Spared.run(&bank.source, &Context { following: Some(following), ..DECLARED }).verdict
}

/// The good history with one read of the payer alone, and its calls.
fn one_read() -> Bank {
    let mut bank = Bank::good();
    bank.source.pages.retain(|page| page.account != PAYER || page.invoked_ns == FRESH_AT);
    bank.source.core_access.retain(|call| call.account != Some(PAYER) || call.begun_ns < FRESH_AT + MS);
    bank.assert_holds(&["G1"]);
    bank
}

#[test]
fn g1_a_call_for_a_read_while_nothing_is_in_progress() {
    let mut bank = one_read();
    // All transfers were settled, and told so, before the read.
    for read in bank.source.transfer_reads.iter_mut().filter(|read| read.via == "submit") {
        read.stage = Some("rejected".to_owned());
    }
    assert_eq!(verdict(&bank, |_| {}), GuaranteeVerdict::Violated);
    bank.assert_fires("G1", "core-bothered: account 1000100: channel-0 called core for a read at 100200000 ns");
    assert_eq!(verdict(&bank, |following| following.read_sync = ReadSync::Suspect), GuaranteeVerdict::Holds);
    assert_eq!(verdict(&bank, |following| following.calm = false), GuaranteeVerdict::Violated, "no network does that");
    // One that was sent before the call, and that nobody had heard of.
    bank.read_of(LOST, "submit").stage = None;
    bank.operation(LOST).sent_ns = Some(FRESH_AT);
    assert_eq!(verdict(&bank, |_| {}), GuaranteeVerdict::Holds);
    bank.operation(LOST).sent_ns = Some(FRESH_AT + 10 * MS);
    assert_eq!(verdict(&bank, |_| {}), GuaranteeVerdict::Violated, "it was sent later");
}

#[test]
fn what_was_told_of_a_transfer_meanwhile_counts() {
    let mut bank = one_read();
    for read in bank.source.transfer_reads.iter_mut().filter(|read| read.via == "read") {
        (read.invoked_ns, read.completed_ns) = (FRESH_AT - 3 * MS, FRESH_AT - 2 * MS);
    }
    assert_eq!(verdict(&bank, |_| {}), GuaranteeVerdict::Violated);
    let read = bank.read_of(LOST, "read");
    read.completed_ns = FRESH_AT;
    assert_eq!(verdict(&bank, |_| {}), GuaranteeVerdict::Holds, "it came when the read had begun");
}

#[test]
fn g1_a_call_without_a_read() {
    let changes: [fn(&mut Bank); 2] =
        [|bank| bank.fresh_page().instance.push('x'), |bank| bank.fresh_page().invoked_ns = FRESH_AT + MS];
    for change in changes {
        let mut bank = one_read();
        change(&mut bank);
        assert_only(&bank, &[("G1", "account 1000100: channel-0 called core for a read")]);
    }
    // A call may outlive its read, by the budget and a second; a network may hold it for longer.
    let mut bank = one_read();
    let end = bank.fresh_page().completed_ns;
    let call = bank.source.core_access.iter_mut().find(|call| call.account == Some(PAYER)).expect("a call");
    (call.begun_ns, call.ended_ns) = (end + 1_300 * MS, end + 1_301 * MS);
    bank.sort_access();
    bank.assert_holds(&["G1"]);
    bank.source.core_access.iter_mut().for_each(|call| {
        call.begun_ns += i64::from(call.begun_ns == end + 1_300 * MS);
    });
    bank.assert_fires("G1", "called core for a read at");
    assert_eq!(verdict(&bank, |following| following.calm = false), GuaranteeVerdict::Holds);
}

#[test]
fn g1_one_look_for_each_read() {
    let mut bank = one_read();
    let at = bank.source.core_access.iter().position(|call| call.account == Some(PAYER)).expect("a call");
    let call = bank.source.core_access[at].clone();
    bank.source.core_access.insert(at, call.clone());
    assert_only(&bank, &[("G1", "account 1000100: channel-0 asked core for its head 2 times for 1 reads")]);
    assert_eq!(verdict(&bank, |following| following.calm = false), GuaranteeVerdict::Holds);
    // A head is one look, with as many pieces as it takes.
    bank.source.core_access[at].call = "entries".to_owned();
    bank.assert_holds(&["G1"]);
}

#[test]
fn g1_never_more_at_a_time_than_the_cap() {
    let mut bank = Bank::good();
    let at = bank.source.core_access.iter().position(|call| call.purpose.as_deref() == Some("manual")).expect("one");
    bank.source.core_access[at].call = "entries".to_owned();
    let call = bank.source.core_access[at].clone();
    for _ in 0..7 {
        bank.source.core_access.insert(at, call.clone());
    }
    bank.assert_all_hold();
    bank.source.core_access.insert(at, call.clone());
    assert_only(&bank, &[("G1", "core-bothered: channel-0 has 9 calls for reads and the button under way at ")]);
    assert_eq!(verdict(&bank, |following| following.core_pulls = 9), GuaranteeVerdict::Holds);
    assert_eq!(verdict(&bank, |following| following.calm = false), GuaranteeVerdict::Holds);
    // Of another purpose, or by another instance.
    bank.source.core_access[at].purpose = Some("gap_fill".to_owned());
    bank.assert_all_hold();
    bank.source.core_access[at] = call;
    bank.source.core_access[at].caller = "channel-1".to_owned();
    bank.assert_all_hold();
}

#[test]
fn g1_a_call_counts_to_its_end_though_its_reader_left() {
    let mut bank = one_read();
    let at = bank.source.core_access.iter().position(|call| call.purpose.as_deref() == Some("manual")).expect("one");
    let first = bank.source.core_access[at].clone();
    bank.source.core_access[at].ended_ns = first.begun_ns + 10_000 * MS;
    for number in 1..=8 {
        let mut call = bank.source.core_access[at].clone();
        call.call = "entries".to_owned();
        call.begun_ns = first.begun_ns + 300 * MS + number;
        bank.source.core_access.push(call);
    }
    bank.sort_access();
    bank.assert_fires("G1", "channel-0 has 9 calls for reads and the button under way at ");
    bank.source.core_access[at].ended_ns = first.begun_ns + 300 * MS;
    bank.assert_holds(&["G1"]);
    // Nobody heard the end of what was given up; core saw it a little later than its caller.
    let given_up = &mut bank.source.core_access[at];
    (given_up.ended_ns, given_up.status) = (first.begun_ns + 400 * MS, 0);
    bank.assert_holds(&["G1"]);
    bank.source.core_access[at].ended_ns += MS;
    bank.assert_fires("G1", "under way at ");
}

#[test]
fn a16_the_button_asks_about_one_account_once_in_its_time() {
    let presses = |every_ms: i64, many: i64| {
        let mut bank = Bank::good();
        let is_manual = |call: &CoreAccessRow| call.purpose.as_deref() == Some("manual");
        let call = bank.source.core_access.iter().find(|call| is_manual(call)).expect("one").clone();
        bank.source.core_access.retain(|call| !is_manual(call));
        for number in 0..many {
            let begun_ns = call.begun_ns + number * every_ms * MS;
            bank.source.core_access.push(CoreAccessRow { begun_ns, ended_ns: begun_ns + MS, ..call.clone() });
        }
        bank.sort_access();
        bank
    };
    presses(1_000, 50).assert_all_hold();
    // 10 ms too soon each time: the 141st of them is more than what a press may wait, and 100 ms, too early.
    presses(990, 141).assert_all_hold();
    assert_only(
        &presses(990, 142),
        &[("G1", "core-bothered: account 1000202: the button of channel-0 asked core 142 times from ")],
    );
    presses(100, 2).assert_all_hold();
    presses(100, 3).assert_fires("G1", "asked core 3 times from 400200000 to 600200000 ns, and may once in 1000 ms");
    let many = presses(100, 9);
    assert_eq!(verdict(&many, |following| following.manual_every_ms = 100), GuaranteeVerdict::Holds);
    assert_eq!(verdict(&many, |following| following.manual_every_ms = 0), GuaranteeVerdict::Holds, "nobody said");
    assert_eq!(verdict(&many, |following| following.calm = false), GuaranteeVerdict::Holds, "a network repeats calls");
    // A pause before them earns nothing, and other instances have times of their own.
    let mut rested = presses(100, 3);
    let mut early =
        rested.source.core_access.iter().find(|call| call.purpose.as_deref() == Some("manual")).expect("one").clone();
    (early.begun_ns, early.ended_ns) = (-9_000 * MS, -8_999 * MS);
    rested.source.core_access.push(early);
    rested.sort_access();
    rested.assert_fires("G1", "asked core 3 times from 400200000");
    for (call, number) in
        rested.source.core_access.iter_mut().filter(|call| call.purpose.as_deref() == Some("manual")).zip(0..)
    {
        call.caller = format!("channel-{}", number % 2);
    }
    rested.assert_all_hold();
}

#[test]
fn purposes_that_are_not_a_reads_are_not_judged_nor_is_the_arm_that_reads_from_core() {
    let mut bank = one_read();
    bank.fresh_page().instance.push('x');
    assert_eq!(verdict(&bank, |_| {}), GuaranteeVerdict::Violated);
    let history = |following: &mut Following| following.history = History::CoreByPeriod;
    let mut following = DECLARED.following.expect("declared");
    history(&mut following);
    assert!(!super::Spared.applies(&Context { following: Some(following), ..DECLARED }));
    for purpose in [None, Some("gap_fill"), Some("answer"), Some("sweep"), Some("redrive")] {
        for call in bank.source.core_access.iter_mut().filter(|call| call.account == Some(PAYER)) {
            call.purpose = purpose.map(str::to_owned);
        }
        assert_eq!(verdict(&bank, |_| {}), GuaranteeVerdict::Holds);
    }
}
