//! The rule of the copy, safe and with parts of it off.

use std::collections::BTreeSet;

use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, Seq, TransferId, WallMicros, Won};

use bankstorm_outside::channel_store::SyncRow;
use proptest::prelude::*;

use super::{Next, Rule, Step, Why, plan, plan_by};
use crate::config::{Applying, Gaps, SyncWrites};

const ACCOUNT: AccountNo = AccountNo::new(1_000_001);

/// Every entry is 10 won, so serial n carries 10 n.
fn entry(seq: Seq) -> Entry {
    Entry {
        account: ACCOUNT,
        seq,
        amount: Won::new(10),
        balance_after: Won::new(10 * seq),
        transfer: TransferId("00000000-0000-0000-0000-000000000001".parse::<TransferId>().expect("an id").0),
        kind: EntryKind::Deposit,
        posted_at: WallMicros(seq),
    }
}

fn head(seq: Seq) -> Head {
    Head { account: ACCOUNT, seq, balance: Won::new(10 * seq) }
}

/// (appended serials, duplicates, head after, what remains) for serials met at a head.
fn check(at: Seq, serials: &[Seq], appended: &[Seq], duplicates: usize, next: Next) {
    let records: Vec<Entry> = serials.iter().copied().map(entry).collect();
    let step = plan(head(at), &records);
    let got: Vec<Seq> = step.append.iter().map(|index| records[*index].seq).collect();
    assert_eq!((got.as_slice(), step.duplicates, step.next), (appended, duplicates, next), "{serials:?} at {at}");
    assert_eq!(step.head, head(appended.last().copied().unwrap_or(at)));
    assert_eq!(step.taken, appended.len() + duplicates);
}

fn gap(target: Seq) -> Next {
    Next::Pull { target, why: Why::Gap }
}

#[test]
fn next_in_line_appends_and_the_past_is_dropped() {
    check(0, &[], &[], 0, Next::Complete);
    check(0, &[1, 2, 3], &[1, 2, 3], 0, Next::Complete);
    check(3, &[1, 3], &[], 2, Next::Complete);
    check(3, &[3, 4, 4, 5, 2], &[4, 5], 3, Next::Complete);
}

#[test]
fn a_gap_ends_the_step_and_asks_up_to_the_highest() {
    check(3, &[5], &[], 0, gap(5));
    check(3, &[4, 6, 9, 5], &[4], 0, gap(9));
    check(3, &[2, 5, 4], &[], 1, gap(5));
}

#[test]
fn a_balance_that_does_not_follow_is_not_appended() {
    let mut wrong = entry(5);
    wrong.amount = Won::new(11);
    let step = plan(head(3), &[entry(4), wrong, entry(6)]);
    assert_eq!((step.append.as_slice(), step.taken), ([0].as_slice(), 1));
    assert_eq!(step.next, Next::Pull { target: 6, why: Why::ChainBreak });

    let overflow = Entry { amount: Won::new(i64::MAX), ..entry(4) };
    assert_eq!(plan(head(3), &[overflow]).next, Next::Pull { target: 4, why: Why::ChainBreak });
}

fn planned(rule: Rule, row: SyncRow, pulled: bool, serials: &[Seq]) -> (Vec<Seq>, Step) {
    let records: Vec<Entry> = serials.iter().copied().map(entry).collect();
    let step = plan_by(&rule, row, pulled, &records);
    (step.append.iter().map(|index| records[*index].seq).collect(), step)
}

#[test]
fn p15_off_appends_over_a_gap_and_p19_stops_it_at_a_hole() {
    let rule = Rule { gaps: Gaps::Ignore, ..Rule::default() };
    let (over, step) = planned(rule, SyncRow::clean(head(3)), false, &[5, 6, 4]);
    assert_eq!((over.as_slice(), step.next, step.head), ([5, 6].as_slice(), Next::Complete, head(6)));
    let holed = SyncRow { dirty: true, hole: Some(4), ..SyncRow::clean(head(3)) };
    let (stopped, step) = planned(rule, holed, false, &[5, 6]);
    assert_eq!((stopped.as_slice(), step.next), ([].as_slice(), gap(6)));
    let (healed, step) = planned(rule, holed, false, &[4, 5, 8]);
    assert_eq!((healed.as_slice(), step.head), ([4, 5, 8].as_slice(), head(8)), "past the hole it is as before");
    let far = SyncRow { hole: Some(9), ..holed };
    assert_eq!(planned(rule, far, false, &[4, 6]).0, [4], "contiguous to the hole");
    assert_eq!(planned(Rule { gaps: Gaps::Wait, ..rule }, SyncRow::clean(head(3)), false, &[5]).1.next, gap(5));
}

#[test]
fn p14_off_appends_whatever_comes_and_moves_the_head_back() {
    let rule = Rule { applying: Applying::Unconditional, ..Rule::default() };
    let (appended, step) = planned(rule, SyncRow::clean(head(3)), false, &[4, 2, 3]);
    assert_eq!((appended.as_slice(), step.head, step.duplicates), ([4, 2, 3].as_slice(), head(3), 0));
    assert_eq!(planned(rule, SyncRow::clean(head(3)), false, &[5]).1.next, gap(5), "gaps are another matter");
}

#[test]
fn p24_off_lets_an_old_answer_of_core_move_the_head_back() {
    let rule = Rule { sync_writes: SyncWrites::Overwrite, ..Rule::default() };
    let (appended, step) = planned(rule, SyncRow::clean(head(9)), true, &[4, 5]);
    assert_eq!((appended.as_slice(), step.head, step.taken), ([].as_slice(), head(5), 2));
    assert_eq!(planned(rule, SyncRow::clean(head(4)), true, &[4, 5]).0, [5]);
    assert_eq!(planned(rule, SyncRow::clean(head(9)), false, &[4, 5]).1.head, head(9), "an event is no sync");
    assert_eq!(planned(Rule::default(), SyncRow::clean(head(9)), true, &[4, 5]).1.head, head(9));
}

proptest! {
    /// With everything on, whatever comes and whatever is marked: what is appended follows the head without a hole, and nothing twice.
    #[test]
    fn the_safe_rule_appends_the_next_in_line_only(
        at in 0i64..6, hole in proptest::option::of(1i64..12), serials in proptest::collection::vec(1i64..12, 0..12), pulled: bool,
    ) {
        let row = SyncRow { dirty: hole.is_some(), hole, ..SyncRow::clean(head(at)) };
        let (appended, step) = planned(Rule::default(), row, pulled, &serials);
        let expected: Vec<Seq> = (at + 1..).take(appended.len()).collect();
        prop_assert_eq!(&appended, &expected);
        prop_assert_eq!(step.head, head(at + i64::try_from(appended.len()).expect("few")));
        prop_assert_eq!(step.taken, appended.len() + step.duplicates);
        prop_assert_eq!(step.next == Next::Complete, step.taken == serials.len());
    }

    /// With gap detection off, nothing is appended past an open hole but what reaches it without a gap (P19).
    #[test]
    fn nothing_is_appended_past_a_hole(
        at in 0i64..6, ahead in 1i64..6, serials in proptest::collection::vec(1i64..14, 0..14),
    ) {
        let hole = at + ahead;
        let row = SyncRow { dirty: true, hole: Some(hole), ..SyncRow::clean(head(at)) };
        let (appended, _) = planned(Rule { gaps: Gaps::Ignore, ..Rule::default() }, row, false, &serials);
        let through: BTreeSet<Seq> = appended.iter().copied().collect();
        let passes = appended.iter().any(|seq| *seq > hole);
        prop_assert!(!passes || (at + 1..=hole).all(|seq| through.contains(&seq)), "{appended:?} past {hole} from {at}");
    }
}
