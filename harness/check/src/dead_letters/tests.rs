//! Letters that came too early, got lost, stayed open, or moved something back.

use bankstorm_record::run_json::GuaranteeVerdict;

use crate::bank::{Bank, DECLARED, FOLLOWED, assert_only};
use crate::check::{Check, Context};
use crate::following::Following;

#[test]
fn d38_a_transient_cause_needs_all_of_its_attempts() {
    let mut bank = Bank::good();
    bank.source.dead_letters[1].attempts = 2;
    assert_only(
        &bank,
        &[(
            "T4",
            "dlt-early: the channel's row of partition 2 offset 5: put aside for a transient cause (store_error) after 2 of 3",
        )],
    );
    let mut bank = Bank::good();
    bank.source.dead_letter_topic[1].attempts = 2;
    assert_only(&bank, &[("T4", "dlt-early: the letter of partition 2 offset 5")]);
}

#[test]
fn d38_only_what_no_attempt_can_mend_is_permanent() {
    for (code, is_early) in [
        ("22003", false),
        ("23514", false),
        ("unreadable", false),
        ("unknown_to_core", false),
        ("chain_break", true),
        ("40001", true),
        ("220", true),
        ("55P03", true),
        ("", true),
    ] {
        let mut bank = Bank::good();
        bank.source.dead_letters[0].code = Some(code.to_owned()).filter(|code| !code.is_empty());
        match is_early {
            true => {
                bank.assert_fires("T4", "dlt-early: the channel's row of partition 2 offset 3: put aside as permanent")
            }
            false => bank.assert_all_hold(),
        }
    }
    let mut bank = Bank::good();
    bank.source.dead_letters[0].class = "odd".to_owned();
    assert_eq!(bank.result("T4").verdict, GuaranteeVerdict::Unknown);
}

#[test]
fn d02_each_row_has_its_letter_and_a_letter_alone_is_counted() {
    let mut bank = Bank::good();
    bank.source.dead_letter_topic.remove(1);
    assert_only(&bank, &[("T4", "dlt-lost: the channel's row of partition 2 offset 5 has no letter on the topic")]);
    let mut bank = Bank::good();
    bank.source.dead_letter_topic[0].seq = Some(8);
    assert_only(&bank, &[("T4", "dlt-lost: the channel's row of partition 2 offset 3 is about ")]);
    let mut bank = Bank::good();
    let mut alone = bank.source.dead_letter_topic[1].clone();
    alone.record_offset += 1;
    bank.source.dead_letter_topic.push(alone);
    bank.assert_all_hold();
    let figures = bank.result("T4").figures;
    assert_eq!((figures["letters"], figures["letters_on_the_topic_alone"]), (2, 1));
}

#[test]
fn d02_of_what_cannot_be_read_the_row_alone_says_which_serial_it_stands_for() {
    let mut bank = Bank::good();
    bank.source.dead_letter_topic[0].seq = None;
    bank.assert_fires("T4", "dlt-lost: the channel's row of partition 2 offset 3 is about ");
    bank.source.dead_letters[0].code = Some("unreadable".to_owned());
    bank.source.dead_letter_topic[0].code = Some("unreadable".to_owned());
    bank.assert_all_hold();
    bank.source.dead_letter_topic[0].account = None;
    bank.assert_fires("T4", "dlt-lost: the channel's row of partition 2 offset 3 is about ");
}

#[test]
fn a09_a_record_that_was_dropped_is_lost_even_where_its_successor_healed_the_account() {
    let mut bank = Bank::good();
    bank.source.dead_letters.remove(0);
    bank.source.dead_letter_topic.remove(0);
    bank.assert_fires("T4", "dlt-lost: partition 2 offset 3 (account 1000202 seq 7): passed by offset 4");
    // Merely late, by its own event: that is T3's finding alone.
    bank.journal_line(FOLLOWED, 8).source = "event".to_owned();
    assert_only(&bank, &[("T3", "commit-ahead")]);
}

#[test]
fn a09_a_record_that_was_passed_and_never_came() {
    let mut bank = Bank::good();
    bank.copy_lags_behind(FOLLOWED);
    bank.assert_holds(&["T3", "T4"]);
    let end = bank.group_commit(3);
    end.committed_offset = 7;
    bank.assert_fires("T4", "dlt-lost: partition 2 offset 6 (account 1000202 seq 10): the group's offset is 7");
    bank.assert_fires("T3", "never in the copy, and never put aside");
    // The group went back to it afterwards: it will be read again.
    let mut back = bank.group_commit(3).clone();
    back.committed_offset = 6;
    bank.source.group_commits.push(back);
    bank.assert_holds(&["T4"]);
}

#[test]
fn d02_driving_a_letter_again_moves_no_account_back() {
    let mut bank = Bank::good();
    let line = bank.journal_line(FOLLOWED, 9);
    (line.from_seq, line.to_seq) = (6, 7);
    bank.assert_fires("T4", "dlt-regress: account 1000202 journal ");
    bank.assert_fires("T4", "driven again from seq 6 to seq 7, where the copy stood at seq 8");
}

#[test]
fn d38_what_passes_by_itself_is_no_attempt_and_never_a_letter() {
    for (code, is_early) in [
        ("store_unavailable", true),
        ("no_answer_from_core", true),
        ("commit_unknown", true),
        ("lock_timeout", true),
        ("deadlock", true),
        ("held", true),
        ("letter", true),
        ("pull_ended", true),
        ("fenced", true),
        ("08006", true),
        ("53300", true),
        ("57P01", true),
        ("55P03", true),
        ("40P01", true),
        ("40001", false),
        ("55000", false),
        ("0800", false),
        ("not_in_core", false),
        ("out_of_line", false),
        ("chain_break", false),
        ("gap", false),
        ("store_error", false),
    ] {
        let told = format!("put aside after 3 attempts for what passes by itself ({code})");
        let mut bank = Bank::good();
        bank.source.dead_letters[1].code = Some(code.to_owned());
        let mut letter = Bank::good();
        letter.source.dead_letter_topic[1].code = Some(code.to_owned());
        for (bank, place) in [(bank, "the channel's row"), (letter, "the letter")] {
            match is_early {
                true => {
                    assert_only(&bank, &[("T4", &format!("dlt-early: {place} of partition 2 offset 5: {told}"))]);
                }
                false => bank.assert_all_hold(),
            }
        }
    }
}

/// Nothing left is promised.
fn untidy() -> Context {
    let following = Following { tidies: false, ..DECLARED.following.expect("declared") };
    Context { following: Some(following), ..DECLARED }
}

#[test]
fn r16_a_letter_that_its_account_has_overtaken_is_closed() {
    let mut bank = Bank::good();
    bank.source.dead_letters[1].closed_us = None;
    let told =
        "dlt-open: the letter of partition 2 offset 5 (account 1000202 seq 9) is open, and the copy stands at seq 10";
    assert_only(&bank, &[("T4", told)]);
    assert_eq!(bank.result("T4").figures["letters_open"], 1);
    assert_eq!(super::DeadLetters.run(&bank.source, &untidy()).verdict, GuaranteeVerdict::Holds);
    let cut = Context { incomplete: true, ..DECLARED };
    assert_eq!(super::DeadLetters.run(&bank.source, &cut).verdict, GuaranteeVerdict::Unknown);
    // Two of one account, and one whose account nobody knows.
    bank.source.dead_letters[0].closed_us = None;
    assert_eq!(bank.result("T4").violations, 2);
    for index in [0, 1] {
        bank.source.dead_letters[index].account = None;
        bank.source.dead_letter_topic[index].account = None;
    }
    bank.assert_all_hold();
    assert_eq!(bank.result("T4").figures["letters_open"], 2);
}

#[test]
fn d02_a_letter_above_its_copy_stays_open() {
    let mut bank = Bank::good();
    bank.copy_lags_behind(FOLLOWED);
    for row in [9, 10] {
        bank.source.dead_letters[1].seq = Some(row);
        bank.source.dead_letter_topic[1].seq = Some(row);
        bank.source.dead_letters[1].closed_us = None;
        let found = bank.result("T4").verdict;
        assert_eq!(found == GuaranteeVerdict::Holds, row == 10, "seq {row}: {found:?}");
    }
}

#[test]
fn d43_an_account_whose_copy_equals_core_is_not_marked() {
    let mut bank = Bank::good();
    bank.source.channel_accounts.iter_mut().find(|row| row.account == FOLLOWED).expect("it").dirty = true;
    assert_only(&bank, &[("T4", "mark-left: account 1000202: marked dirty, and the copy equals core at seq 10")]);
    assert_eq!(bank.result("T4").figures["marks_left"], 1);
    // A letter that nobody has driven yet stands for the next serial.
    let mut waiting = bank.clone();
    for (row, letter) in waiting.source.dead_letters.iter_mut().zip(&mut waiting.source.dead_letter_topic).skip(1) {
        (row.seq, letter.seq, row.closed_us) = (Some(11), Some(11), None);
    }
    waiting.assert_all_hold();
    assert_eq!(super::DeadLetters.run(&bank.source, &untidy()).verdict, GuaranteeVerdict::Holds);
    bank.copy_lags_behind(FOLLOWED);
    bank.assert_holds(&["T4"]);
}
