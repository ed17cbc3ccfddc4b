//! What each word makes of each stage, in every order (A4, A6, A7, A8, R8).

use bankstorm_contracts::channel_api::{CHECKING, ChannelResponse, SubmitTransfer, TransferStage};
use bankstorm_contracts::core_api::{Party, Verdict};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{
    AccountNo, Entry, EntryKind, ParamsHash, Problem, RejectReason, TransferId, TransferState, UserNo, WallMicros, Won,
};
use bankstorm_outside::channel_store::TransferRow;
use bankstorm_outside::core_api::{CallError, Submitted};

use super::{
    Debit, Open, Settles, Word, answered, drift, in_the_way, outcome, same_intent, settles, stand, step, told,
};
use crate::config::{Guard, NotStarted};

const FROM: AccountNo = AccountNo::new(1_000_001);
const TO: AccountNo = AccountNo::new(1_000_002);
const AMOUNT: Won = Won::new(700);

fn id(number: u32) -> TransferId {
    format!("00000000-0000-0000-0000-{number:012}").parse().expect("an id")
}

fn submit() -> SubmitTransfer {
    SubmitTransfer { id: id(1), user: UserNo(7), from: FROM, to: Party::own(TO), amount: AMOUNT }
}

fn row(stage: TransferStage) -> TransferRow {
    let submit = submit();
    TransferRow {
        id: submit.id,
        user: submit.user,
        from: submit.from,
        params_hash: submit.params_hash(),
        to: submit.to,
        amount: submit.amount,
        stage,
        reason: None,
        seq: (stage == TransferStage::Completed).then_some(4),
        created_at: WallMicros(1),
        attempts: 0,
    }
}

fn debit() -> Debit {
    Debit::of(&row(TransferStage::Sent))
}

fn verdict(state: TransferState, reason: Option<RejectReason>) -> Verdict {
    let posted = state == TransferState::Completed;
    Verdict {
        id: id(1),
        state,
        reason,
        seq: posted.then_some(4),
        balance_after: posted.then_some(Won::new(300)),
        posted_at: posted.then_some(WallMicros(99)),
        params_hash: Some(submit().params_hash()),
    }
}

fn entry() -> Entry {
    Entry {
        account: FROM,
        seq: 4,
        amount: Won::new(-700),
        balance_after: Won::new(300),
        transfer: id(1),
        kind: EntryKind::TransferOut,
        posted_at: WallMicros(99),
    }
}

#[test]
fn a4_a_completed_verdict_is_the_debits_row_as_core_booked_it() {
    let completed = verdict(TransferState::Completed, None);
    assert_eq!(told(&debit(), &completed), Word::Posted(entry()));
    let elsewhere = Party { bank: "088".to_owned(), account: "77-1".to_owned() };
    let outbound = Debit::new(id(1), FROM, &elsewhere, AMOUNT);
    let completed = Verdict { params_hash: Some(outbound.hash), ..completed };
    assert_eq!(told(&outbound, &completed), Word::Posted(Entry { kind: EntryKind::Outbound, ..entry() }));
    assert!(EntryKind::Outbound.settles() && EntryKind::TransferOut.settles());
}

#[test]
fn a_verdict_that_cannot_be_about_the_transfer_changes_nothing() {
    let completed = verdict(TransferState::Completed, None);
    for unfit in [
        Verdict { id: id(2), ..completed },
        Verdict { seq: None, ..completed },
        Verdict { seq: Some(0), ..completed },
        Verdict { balance_after: None, ..completed },
        Verdict { posted_at: None, ..completed },
        Verdict { id: id(2), ..verdict(TransferState::Rejected, Some(RejectReason::NotReceived)) },
    ] {
        assert_eq!(told(&debit(), &unfit), Word::Open(Open::Unfit), "{unfit:?}");
    }
}

#[test]
fn a2_a_verdict_on_an_id_that_stands_for_something_else_at_core_rejects_and_never_completes() {
    let deposit = ParamsHash::of_deposit(FROM, AMOUNT, "088", "77-1");
    let refused = Some(RejectReason::UnknownAccount);
    for (state, reason) in
        [(TransferState::Completed, None), (TransferState::Processing, None), (TransferState::Rejected, refused)]
    {
        let verdict = verdict(state, reason);
        let anothers = Verdict { params_hash: Some(deposit), ..verdict };
        assert_eq!(told(&debit(), &anothers), Word::Ended(TransferStage::Rejected, None), "{state:?}");
        let untold = Verdict { params_hash: None, ..verdict };
        assert_eq!(told(&debit(), &untold), told(&debit(), &verdict), "{state:?}");
    }
    let buried = verdict(TransferState::Rejected, Some(RejectReason::NotReceived));
    let buried = Verdict { params_hash: Some(ParamsHash::TOMBSTONE), ..buried };
    assert_eq!(told(&debit(), &buried), Word::Ended(TransferStage::Failed, buried.reason));
}

#[test]
fn a7_only_a_tombstone_fails_a_transfer_every_other_refusal_rejects_it() {
    for reason in RejectReason::ALL {
        let stage = match reason {
            RejectReason::NotReceived => TransferStage::Failed,
            _ => TransferStage::Rejected,
        };
        let heard = told(&debit(), &verdict(TransferState::Rejected, Some(reason)));
        assert_eq!(heard, Word::Ended(stage, Some(reason)));
    }
    assert_eq!(told(&debit(), &verdict(TransferState::Processing, None)), Word::Open(Open::Processing));
}

#[test]
fn a4_no_answer_is_never_a_failure() {
    let lost = || Err(CallError::Unavailable("lost".to_owned()));
    let refused = Problem::new(ProblemKind::ParamDrift, "no");
    let not_started = || Err(CallError::NotStarted("full".to_owned()));
    let open = |why: &str| Word::Open(Open::NoAnswer(why.to_owned()));
    let cases = [
        (lost(), NotStarted::Final, open("lost")),
        (lost(), NotStarted::Fenced, open("lost")),
        (Ok(Submitted::Processing), NotStarted::Final, Word::Open(Open::Processing)),
        (Ok(Submitted::Refused(refused)), NotStarted::Final, Word::Ended(TransferStage::Rejected, None)),
        (Err(CallError::NotSent("down".to_owned())), NotStarted::Fenced, Word::NotBegun("down".to_owned())),
        (not_started(), NotStarted::Final, Word::NotBegun("full".to_owned())),
        (not_started(), NotStarted::Fenced, open("full")),
    ];
    for (answer, arm, word) in cases {
        let told = format!("{answer:?} {arm:?}");
        assert_eq!(answered(&debit(), answer, arm), word, "{told}");
    }
}

#[test]
fn a6_a_debit_that_stands_completes_every_open_transfer_and_no_other() {
    for stage in TransferStage::ALL {
        let settled = settles(&row(stage), &entry());
        match stage {
            TransferStage::Pending | TransferStage::Sent | TransferStage::Unknown => {
                let Settles::Completes(moved) = settled else { panic!("{stage:?}: {settled:?}") };
                assert_eq!((moved.id, moved.stage, moved.seq), (id(1), TransferStage::Completed, Some(4)));
            }
            TransferStage::Completed => assert_eq!(settled, Settles::Stood),
            TransferStage::Rejected | TransferStage::Failed => assert_eq!(settled, Settles::Contradicts),
        }
    }
}

#[test]
fn a_debit_of_another_account_or_amount_settles_nothing() {
    let others = [Entry { account: TO, ..entry() }, Entry { amount: Won::new(-701), ..entry() }];
    let credit = Entry { amount: AMOUNT, ..entry() };
    for other in others.into_iter().chain([credit, Entry { transfer: id(2), ..entry() }]) {
        assert_eq!(settles(&row(TransferStage::Unknown), &other), Settles::Contradicts, "{other:?}");
    }
}

/// R8: whatever is heard in whatever order, a stage moves forward only and an end is kept.
#[test]
fn a8_stages_only_move_forward_whatever_is_heard_in_whatever_order() {
    let rank = |stage: TransferStage| TransferStage::ALL.iter().position(|other| *other == stage);
    for from in TransferStage::ALL {
        for to in TransferStage::ALL.into_iter().filter(|stage| *stage != TransferStage::Completed) {
            let moved = step(&row(from), to, None);
            assert_eq!(moved.is_some(), !from.is_terminal() && rank(to) > rank(from), "{from:?} to {to:?}");
            assert!(moved.is_none_or(|moved| moved.stage == to && moved.seq.is_none()));
        }
    }
}

#[test]
fn a5_an_id_means_its_parameters_and_its_sender() {
    let row = row(TransferStage::Sent);
    assert!(same_intent(&row, &submit()));
    for other in [
        SubmitTransfer { amount: Won::new(701), ..submit() },
        SubmitTransfer { from: AccountNo::new(1_000_003), ..submit() },
        SubmitTransfer { to: Party::own(AccountNo::new(1_000_003)), ..submit() },
        SubmitTransfer { user: UserNo(8), ..submit() },
    ] {
        assert!(!same_intent(&row, &other), "{other:?}");
    }
    let ChannelResponse::Problem(problem) = drift(id(1)) else { panic!("a problem") };
    assert_eq!((problem.status, problem.field.as_deref()), (422, Some("id")));
}

#[test]
fn a5_the_guard_is_the_customer_or_the_account_and_names_what_is_in_the_way() {
    assert_eq!((Guard::User.key(&submit()), Guard::Account.key(&submit())), (Some(7), Some(1_000_001)));
    let ChannelResponse::Problem(problem) = in_the_way(id(9)) else { panic!("a problem") };
    assert_eq!((problem.kind, problem.status, problem.pending), (ProblemKind::TransferPending, 409, Some(id(9))));
}

#[test]
fn a4_the_customer_reads_being_checked_until_it_is_settled() {
    for stage in TransferStage::ALL {
        let message = (!stage.is_terminal()).then_some(CHECKING);
        match (stage, outcome(stand(&row(stage)))) {
            (TransferStage::Completed, ChannelResponse::Created(view)) => {
                assert_eq!((view.seq, view.message), (Some(4), None));
            }
            (TransferStage::Rejected | TransferStage::Failed, ChannelResponse::Transfer(view))
            | (
                TransferStage::Pending | TransferStage::Sent | TransferStage::Unknown,
                ChannelResponse::Accepted(view),
            ) => {
                assert_eq!((view.state, view.message.as_deref()), (stage, message));
            }
            (stage, other) => panic!("{stage:?}: {other:?}"),
        }
    }
}
