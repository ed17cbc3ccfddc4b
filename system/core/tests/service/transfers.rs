//! Transfers between own accounts, validity, tombstones, admission.

use std::time::Duration;

use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Party, Transfer};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, AccountStatus, ParamsHash, RejectReason, TransferState, WallMicros, Won};
use bankstorm_core::config::Deadline;
use bankstorm_core::{CoreConfig, markers};
use futures_util::future::{join, join_all};
use tokio::time::{Instant, sleep, timeout};

use crate::bank::Manner;
use crate::bench::*;
use crate::store::Fate;

fn bench() -> Bench {
    Bench::new(Manner::Credits, CoreConfig::default())
}

#[tokio::test(start_paused = true)]
async fn a_transfer_is_posted_once_however_often_it_comes_a4() {
    let bench = bench();
    let first = created(&bench.ask(transfer(1, A, B, 300)).await);
    assert_eq!((first.seq, first.balance_after.map(|won| won.get())), (Some(2), Some(700)));
    assert!(first.posted_at.is_some());
    assert_eq!(replayed(&bench.ask(transfer(1, A, B, 300)).await), first);
    let drift = bench.ask(transfer(1, A, B, 301)).await;
    assert_eq!(problem(&drift), ProblemKind::ParamDrift);
    assert_eq!((bench.store.row(A), bench.store.row(B)), ((2, 700, 0), (2, 800, 0)));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.published(), 2, "both entries, once");
    assert_eq!(bench.postings().len(), 1, "replays and drift post nothing");
}

#[tokio::test(start_paused = true)]
async fn two_attempts_at_once_are_one_posting_a4() {
    let bench = bench();
    let (one, two) = join(bench.ask(transfer(1, A, B, 300)), bench.ask(transfer(1, A, B, 300))).await;
    assert_eq!(created(&one), replayed(&two));
    assert_eq!(bench.store.row(A), (2, 700, 0));
}

#[tokio::test(start_paused = true)]
async fn deposits_transfers_and_holds_share_a_batch() {
    let bench = bench();
    let requests = [deposit(1, B, 50), transfer(2, B, A, 550), outbound(3, A, 1_550), transfer(4, A, B, 1)];
    let answers = join_all(requests.map(|request| bench.ask(request))).await;
    assert!(bench.reached(markers::BATCH_GATHERED) > 0);
    for answer in &answers[..3] {
        created(answer);
    }
    assert_eq!(rejected(&answers[3]), RejectReason::InsufficientFunds);
    assert_eq!((bench.store.row(A), bench.store.row(B)), ((3, 0, 0), (3, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn every_refusal_is_stored_and_stands() {
    let bench = bench();
    let status = |number, status| {
        bench.store.data().accounts.get_mut(&AccountNo::new(number)).expect("a customer").status = status;
    };
    let refuse = async |request: CoreRequest, reason| {
        assert_eq!(rejected(&bench.ask(request.clone()).await), reason);
        status(A, AccountStatus::Open);
        status(B, AccountStatus::Open);
        assert_eq!(rejected(&bench.ask(request).await), reason, "it stands");
    };
    refuse(transfer(1, A, B, 1_001), RejectReason::InsufficientFunds).await;
    refuse(transfer(2, A, 1_999_999, 1), RejectReason::UnknownAccount).await;
    status(A, AccountStatus::WithdrawalStopped);
    refuse(transfer(3, A, B, 1), RejectReason::WithdrawalStopped).await;
    status(A, AccountStatus::Closed);
    refuse(outbound(4, A, 1), RejectReason::AccountClosed).await;
    status(B, AccountStatus::DepositStopped);
    refuse(transfer(5, A, B, 1), RejectReason::DepositStopped).await;
    status(B, AccountStatus::Closed);
    refuse(deposit(6, B, 1), RejectReason::AccountClosed).await;
    assert_eq!((bench.store.row(A), bench.store.row(B)), ((1, 1_000, 0), (1, 500, 0)));
    assert_eq!(bench.postings().len(), 6, "a stored refusal is a posting too");
    assert_eq!(bench.reached(markers::STATUS_REFUSED), 4);
}

#[tokio::test(start_paused = true)]
async fn bad_requests_name_their_field_and_leave_nothing() {
    let bench = bench();
    let good = || transfer_to(1, A, Party::own(AccountNo::new(B)), 1);
    let own = |account: &str| Party { bank: "900".to_owned(), account: account.to_owned() };
    let bad = [
        ("amount", Transfer { amount: Won::new(0), ..good() }),
        ("from", Transfer { from: AccountNo::SETTLEMENT, ..good() }),
        ("to.account", Transfer { to: own("01000001"), ..good() }),
        ("to.account", Transfer { to: own("1000001"), ..good() }),
        ("valid_for_ms", Transfer { valid_for_ms: 0, ..good() }),
        ("requested_at", Transfer { requested_at: WallMicros(-1), ..good() }),
        ("requested_at", Transfer { requested_at: WallMicros(i64::MAX), ..good() }),
    ];
    for (field, request) in bad {
        match bench.ask(CoreRequest::Transfer(request)).await {
            CoreResponse::Problem(problem) => {
                assert_eq!((problem.kind, problem.field.as_deref()), (ProblemKind::BadRequest, Some(field)));
            }
            other => panic!("{field}: {other:?}"),
        }
    }
    assert_eq!((bench.store.stands(), bench.store.data().commits), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn validity_is_judged_once_the_row_is_locked_a8() {
    for (wait, expected) in [(4_900, None), (5_100, Some(RejectReason::Expired))] {
        let config = CoreConfig {
            lock_timeout: Duration::from_secs(30),
            queue_wait: Duration::from_secs(30),
            ..CoreConfig::default()
        };
        let bench = Bench::new(Manner::Credits, config);
        bench.store.data().strangers.insert(AccountNo::new(B));
        let (answer, ()) = join(bench.ask(transfer(1, A, B, 1)), async {
            sleep(Duration::from_millis(wait)).await;
            bench.store.data().strangers.clear();
        })
        .await;
        match expected {
            None => drop(created(&answer)),
            Some(reason) => {
                assert_eq!(rejected(&answer), reason);
                assert_eq!(rejected(&bench.ask(transfer(1, A, B, 1)).await), reason, "it stands");
                assert_eq!(bench.store.row(A), (1, 1_000, 0));
                assert!(bench.reached(markers::EXPIRED) > 0);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_relative_deadline_does_not_look_at_the_callers_clock_and_the_absolute_one_does_a8() {
    for (deadline, expected) in [(Deadline::Relative, None), (Deadline::Absolute, Some(RejectReason::Expired))] {
        let bench = Bench::new(Manner::Credits, CoreConfig { deadline, ..CoreConfig::default() });
        // The database's clock shows 1,000 s and a bit; the caller's is eleven seconds behind it.
        let late =
            Transfer { requested_at: WallMicros(989_000_000), ..transfer_to(1, A, Party::own(AccountNo::new(B)), 1) };
        let answer = bench.ask(CoreRequest::Transfer(late)).await;
        match expected {
            None => drop(created(&answer)),
            Some(reason) => assert_eq!(rejected(&answer), reason),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_request_meets_the_tombstone_a8() {
    let bench = bench();
    for (number, late) in [(1, transfer(1, A, B, 5)), (2, outbound(2, A, 5)), (3, deposit(3, A, 5))] {
        assert_eq!(rejected(&bench.ask(CoreRequest::Resolve(id(number))).await), RejectReason::NotReceived);
        assert_eq!(rejected(&bench.ask(late).await), RejectReason::NotReceived);
    }
    assert_eq!((bench.reached(markers::TOMBSTONE), bench.reached(markers::LATE)), (3, 3));
    assert_eq!((bench.store.row(A), bench.bank.asked("credit")), ((1, 1_000, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn a_transfer_whose_commit_nobody_answered_is_unknown_until_resolved_a4() {
    let bench = bench();
    bench.store.data().fates.extend([Fate::DoneUnanswered, Fate::UndoneUnanswered]);
    assert_eq!(problem(&bench.ask(transfer(1, A, B, 1)).await), ProblemKind::Unknown);
    assert_eq!(problem(&bench.ask(transfer(2, A, B, 1)).await), ProblemKind::Unknown);
    assert_eq!(replayed(&bench.ask(CoreRequest::Resolve(id(1))).await).seq, Some(2));
    assert_eq!(rejected(&bench.ask(CoreRequest::Resolve(id(2))).await), RejectReason::NotReceived);
}

#[tokio::test(start_paused = true)]
async fn a_held_row_holds_up_only_those_who_need_it_d37() {
    let bench = bench();
    bench.store.data().strangers.insert(AccountNo::new(B));
    let started = Instant::now();
    let both = join(bench.ask(transfer(1, A, B, 1)), async {
        created(&bench.ask(outbound(2, A, 1)).await);
        assert!(started.elapsed() < Duration::from_millis(100));
    });
    let (held, ()) = both.await;
    assert_eq!(problem(&held), ProblemKind::NotStarted);
    assert!(!bench.store.data().transfers.contains_key(&id(1)), "nothing was done");
}

#[tokio::test(start_paused = true)]
async fn many_who_need_one_held_row_take_one_slot_d37() {
    let config = CoreConfig { alone_slots: 2, ..CoreConfig::default() };
    let others: Vec<(i64, i64)> = (10..20).map(|place| (1_000_000 + place, 100)).collect();
    let bench = Bench::with(&[&[(A, 1_000), (B, 500)], others.as_slice()].concat(), Manner::Credits, config);
    bench.store.data().strangers.extend([A, B].map(AccountNo::new));
    let to_b = others.iter().zip(1..).map(|((payer, _), number)| bench.ask(transfer(number, *payer, B, 1)));
    let to_a = async {
        sleep(Duration::from_millis(10)).await;
        let answer = join(bench.ask(deposit(99, A, 1)), async {
            sleep(Duration::from_millis(100)).await;
            bench.store.data().strangers.remove(&AccountNo::new(A));
        });
        created(&answer.await.0);
    };
    let (answers, ()) = join(join_all(to_b), to_a).await;
    assert!(answers.iter().all(|answer| problem(answer) == ProblemKind::NotStarted));
    let took = bench.postings();
    assert!(took[0] < Duration::from_millis(110), "the deposit waited for its own row alone: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn opposite_transfers_whose_rows_are_held_in_turn_are_both_posted_d37() {
    let bench = bench();
    bench.store.data().strangers.insert(AccountNo::new(A));
    let rows = async {
        // A is free when B is held: they wait for A first, then for both.
        sleep(Duration::from_millis(100)).await;
        bench.store.data().strangers = [AccountNo::new(B)].into();
        sleep(Duration::from_millis(200)).await;
        bench.store.data().strangers.clear();
    };
    let both = join(bench.ask(transfer(1, A, B, 30)), bench.ask(transfer(2, B, A, 50)));
    let ((one, two), ()) = join(both, rows).await;
    assert_eq!((created(&one).state, created(&two).state), (TransferState::Completed, TransferState::Completed));
    assert_eq!((bench.store.row(A), bench.store.row(B)), ((3, 1_020, 0), (3, 480, 0)));
    assert!(bench.postings().iter().all(|took| *took >= Duration::from_millis(300)));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_not_there_is_unknown_beside_one_that_is_held() {
    let bench = bench();
    bench.store.data().strangers.insert(AccountNo::new(A));
    let (answer, ()) = join(bench.ask(transfer(1, A, 1_999_999, 1)), async {
        sleep(Duration::from_millis(100)).await;
        bench.store.data().strangers.clear();
    })
    .await;
    assert_eq!(rejected(&answer), RejectReason::UnknownAccount);
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_too_much_in_work_is_not_started_and_others_are_a18() {
    let config = CoreConfig { caller_max: 2, admitted_max: 3, ..CoreConfig::default() };
    let bench = Bench::new(Manner::Credits, config);
    bench.store.data().strangers.insert(AccountNo::new(B));
    let greedy = join_all((1..=3).map(|number| bench.core.handle("greedy", deposit(number, B, 1))));
    let others = async {
        sleep(Duration::from_millis(1)).await;
        created(&bench.core.handle("modest", deposit(9, A, 1)).await);
        bench.store.data().strangers.clear();
    };
    let (answers, ()) = join(greedy, others).await;
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, CoreResponse::Problem(problem) if problem.kind == ProblemKind::NotStarted));
    assert_eq!(refused.count(), 1);
    assert_eq!(bench.reached(markers::CALLER_FULL), 1);
    created(&bench.core.handle("greedy", deposit(10, A, 1)).await);
}

#[tokio::test(start_paused = true)]
async fn posting_time_runs_from_admission_to_commit_a18() {
    let bench = bench();
    bench.store.data().strangers.insert(AccountNo::new(B));
    let (answer, ()) = join(bench.ask(deposit(1, B, 1)), async {
        sleep(Duration::from_millis(300)).await;
        bench.store.data().strangers.clear();
    })
    .await;
    assert_eq!(created(&answer).state, TransferState::Completed);
    let took = bench.postings();
    assert_eq!(took.len(), 1);
    assert!((Duration::from_millis(300)..Duration::from_millis(310)).contains(&took[0]), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_resolve_waits_for_its_slot_no_longer_than_its_limit_and_then_says_that_nothing_was_asked() {
    let config = CoreConfig { resolve_slots: 1, ..CoreConfig::default() };
    let limit = config.resolve_slot_wait;
    let bench = Bench::new(Manner::Credits, config);
    bench.store.data().burials_take = limit * 2;
    let begun = Instant::now();
    let second = async {
        let answer = bench.ask(CoreRequest::Resolve(id(2))).await;
        assert_eq!(begun.elapsed(), limit);
        answer
    };
    let (first, second) = join(bench.ask(CoreRequest::Resolve(id(1))), second).await;
    assert_eq!(rejected(&first), RejectReason::NotReceived);
    let CoreResponse::Problem(problem) = second else { panic!("no problem: {second:?}") };
    assert_eq!(problem.kind, ProblemKind::NotStarted);
    assert_eq!(bench.store.stands(), 1, "nothing was buried");
}

#[tokio::test(start_paused = true)]
async fn a_resolve_whose_asker_has_gone_is_not_worked_on() {
    let config = CoreConfig { resolve_slots: 1, ..CoreConfig::default() };
    let bench = Bench::new(Manner::Credits, config);
    bench.store.data().burials_take = Duration::from_secs(1);
    let gone = async {
        for _ in 0..5 {
            let asked = bench.ask(CoreRequest::Resolve(id(1)));
            assert!(timeout(Duration::from_millis(50), asked).await.is_err(), "he hung up");
        }
    };
    let (first, ()) = join(bench.ask(CoreRequest::Resolve(id(9))), gone).await;
    assert_eq!(rejected(&first), RejectReason::NotReceived);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.store.data().burials, 1);
}

#[tokio::test(start_paused = true)]
async fn every_verdict_says_what_its_id_is_bound_to_p3() {
    let bench = Bench::new(Manner::Credits, CoreConfig::default());
    let requests = [
        deposit(1, A, 5),
        transfer(2, A, B, 5),
        outbound(3, A, 5),
        transfer(4, A, B, 99_999),
        deposit(5, 1_000_009, 5),
    ];
    for (number, request) in (1..).zip(requests) {
        let hash = match &request {
            CoreRequest::Deposit(deposit) => deposit.params_hash(),
            CoreRequest::Transfer(transfer) => transfer.params_hash(),
            _ => unreachable!(),
        };
        for asked in [request.clone(), request, CoreRequest::Resolve(id(number))] {
            let (CoreResponse::Created(verdict) | CoreResponse::Verdict(verdict)) = bench.ask(asked).await else {
                panic!("no verdict on {number}")
            };
            assert_eq!(verdict.params_hash, Some(hash), "{number}");
        }
    }
    for _ in 0..2 {
        let CoreResponse::Verdict(verdict) = bench.ask(CoreRequest::Resolve(id(6))).await else { panic!("a verdict") };
        assert_eq!(verdict.params_hash, Some(ParamsHash::TOMBSTONE));
    }
}
