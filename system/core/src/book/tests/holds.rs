//! Money for other banks: held, then booked or given back (D39).

use bankstorm_contracts::EntryKind;
use bankstorm_contracts::banks_api::CreditState;
use bankstorm_outside::core_store::{EndedHold, Hold, HoldEnd, OpenHold};

use super::super::end;
use super::*;

fn open(number: u128, amount: i64) -> OpenHold {
    outbound(number, A, amount).open_hold(NOW).expect("a hold")
}

fn stand(rows: &[AccountRow], writes: &Writes) -> AccountRow {
    let mut row = rows[0];
    row.head = writes.heads.first().copied().unwrap_or(row.head);
    row.held = writes.held.first().map_or(row.held, |(_, held)| *held);
    row
}

#[test]
fn a_hold_keeps_the_money_and_books_nothing() {
    let plan = plan_new(&[outbound(1, A, 300)], &[holding(100, row(A, 4, 500))]);
    assert_eq!(plan.answers, [Some(Answer::Held { placed_at: NOW })]);
    let hold =
        Hold { transfer: id(1), account: AccountNo::new(A), amount: Won::new(300), placed_seq: 4, placed_at: NOW };
    assert_eq!(
        plan.writes,
        Writes { holds: vec![hold], held: vec![(AccountNo::new(A), Won::new(400))], ..Writes::default() },
        "no entry, no head, no event, no verdict: the transfer stays processing"
    );
    assert!(plan.must_commit());
}

#[test]
fn a_hold_is_refused_for_want_of_free_money_and_counts_at_once() {
    let plan =
        plan_new(&[outbound(1, A, 401), outbound(2, A, 300), outbound(3, A, 101)], &[holding(100, row(A, 4, 500))]);
    let short = Some(RejectReason::InsufficientFunds);
    assert_eq!((reason(plan.answers[0]), reason(plan.answers[2])), (short, short));
    assert_eq!(plan.writes.held, [(AccountNo::new(A), Won::new(400))]);
}

#[test]
fn a_hold_counts_from_the_serial_that_it_met() {
    let plan = plan_new(&[deposit(1, A, 10), outbound(2, A, 110), deposit(3, A, 5)], &[row(A, 4, 100)]);
    assert_eq!(plan.writes.holds[0].placed_seq, 5);
    assert_eq!(plan.writes.heads, [head(A, 6, 115)]);
}

#[test]
fn a_credited_hold_is_booked_with_its_serial_and_its_event() {
    let rows = [holding(400, row(A, 6, 500))];
    let (verdict, writes) = end(&open(1, 300), CreditState::Credited, &locked(&rows)).expect("it fits");
    assert_eq!(customers(&writes), [(A, 7, -300, 200)]);
    assert_eq!(writes.legs.iter().map(|leg| leg.amount.get()).sum::<i64>(), 0);
    assert_eq!(writes.legs[1].account, AccountNo::SETTLEMENT);
    assert_eq!((writes.outbox.len(), writes.outbox[0].kind), (1, EntryKind::Outbound));
    assert_eq!(
        (writes.heads.clone(), writes.held.clone()),
        (vec![head(A, 7, 200)], vec![(AccountNo::new(A), Won::new(100))])
    );
    assert_eq!(writes.ended, [EndedHold { transfer: id(1), end: HoldEnd::Posted, ended_seq: 7 }]);
    assert_eq!((verdict.state, verdict.seq), (TransferState::Completed, Some(7)));
    assert_eq!((verdict.balance_after, verdict.posted_at), (Some(Won::new(200)), Some(NOW)));
    assert_eq!(writes.settled, [super::super::settled(&verdict)]);
}

#[test]
fn a_refused_hold_is_given_back_and_leaves_no_entry() {
    let rows = [holding(400, row(A, 6, 500))];
    let (verdict, writes) = end(&open(1, 300), CreditState::Refused, &locked(&rows)).expect("it fits");
    assert!(writes.legs.is_empty() && writes.heads.is_empty() && writes.outbox.is_empty());
    assert_eq!(writes.held, [(AccountNo::new(A), Won::new(100))]);
    assert_eq!(writes.ended, [EndedHold { transfer: id(1), end: HoldEnd::Voided, ended_seq: 6 }]);
    assert_eq!((verdict.state, verdict.reason), (TransferState::Rejected, Some(RejectReason::RefusedByBank)));
    assert_eq!(writes.settled, [super::super::settled(&verdict)]);
}

#[test]
fn two_holds_of_one_account_end_one_after_the_other() {
    let mut rows = [row(A, 1, 500)];
    rows[0] = stand(&rows, &plan_new(&[outbound(1, A, 200), outbound(2, A, 300)], &rows).writes);
    assert_eq!((rows[0].head.balance, rows[0].held), (Won::new(500), Won::new(500)));
    let short = plan_new(&[outbound(3, A, 1)], &rows);
    assert_eq!(reason(short.answers[0]), Some(RejectReason::InsufficientFunds));
    for (number, amount, state) in [(1, 200, CreditState::Refused), (2, 300, CreditState::Credited)] {
        let (_, writes) = end(&open(number, amount), state, &locked(&rows)).expect("it fits");
        rows[0] = stand(&rows, &writes);
    }
    assert_eq!((rows[0].head, rows[0].held), (head(A, 2, 200), Won::ZERO));
}

#[test]
fn an_account_that_was_closed_meanwhile_still_pays_what_it_promised() {
    for status in AccountStatus::ALL {
        let rows = [with(status, holding(300, row(A, 1, 300)))];
        for state in [CreditState::Credited, CreditState::Refused] {
            assert!(end(&open(1, 300), state, &locked(&rows)).is_some(), "{status:?} {state:?}");
        }
    }
}

#[test]
fn what_has_ended_answers_every_further_attempt_with_its_verdict() {
    let order = outbound(1, A, 300);
    let cases = [(TransferState::Completed, None), (TransferState::Rejected, Some(RejectReason::RefusedByBank))];
    for (state, reason) in cases {
        let claimed = [record(&order, order.hash, state, reason)];
        let rows = locked(&[row(A, 9, 900)]);
        let plan = plan(std::slice::from_ref(&order), &claimed, &rows, &Terms::plain(Absent::Unknown));
        assert!(matches!(plan.answers[0], Some(Answer::Stood(verdict)) if verdict.state == state));
        assert!(!plan.must_commit());
    }
}

#[test]
fn an_end_without_its_account_is_none() {
    assert!(end(&open(1, 300), CreditState::Credited, &locked(&[row(B, 1, 900)])).is_none());
}
