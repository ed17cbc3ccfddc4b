//! What becomes of core's promises when a protection is off: each test is the story that its protection prevents.
//!
//! The safe arms are in the other files. Whether a whole run shows the damage to the checks: the ablation (`simulator`).

use std::time::Duration;

use bankstorm_contracts::core_api::{CoreRequest, Party, Transfer};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, RejectReason, TransferId, TransferState, WallMicros};
use bankstorm_core::config::{
    AccountLock, Binding, Deadline, DeadlineCheck, Fence, KeyClaim, LockOrder, Protections, Voiding,
};
use bankstorm_core::{CoreConfig, markers};
use bankstorm_outside::core_store::HoldEnd;
use futures_util::future::join;
use tokio::time::sleep;

use crate::bank::Manner;
use crate::bench::*;
use crate::store::Fate;

fn config(protections: Protections) -> CoreConfig {
    CoreConfig { protections, ..CoreConfig::default() }
}

fn bench(protections: Protections) -> Bench {
    Bench::new(Manner::Credits, config(protections))
}

fn keyed(key: KeyClaim) -> Protections {
    Protections { key, ..Protections::default() }
}

fn resolve(number: u128) -> CoreRequest {
    CoreRequest::Resolve(id(number))
}

/// How many entries an id has.
fn entries(bench: &Bench, id: TransferId) -> usize {
    bench.store.data().entries.iter().filter(|entry| entry.transfer == id).count()
}

#[tokio::test(start_paused = true)]
async fn without_a_unique_key_a_repetition_is_posted_again_p1() {
    let bench = bench(keyed(KeyClaim::None));
    let first = created(&bench.ask(deposit(1, A, 10)).await);
    for balance in [1_020, 1_030] {
        let again = created(&bench.ask(deposit(1, A, 10)).await);
        assert_eq!((again.id, again.balance_after.map(|won| won.get())), (id(1), Some(balance)));
    }
    assert_eq!((entries(&bench, id(1)), bench.store.stands()), (3, 3), "one id, three keys");
    assert_eq!(replayed(&bench.ask(resolve(1)).await), first, "the first one is found");
}

#[tokio::test(start_paused = true)]
async fn without_a_unique_key_drift_tombstones_and_other_banks_are_as_before_p1() {
    let bench = bench(keyed(KeyClaim::None));
    created(&bench.ask(deposit(1, A, 10)).await);
    assert_eq!(problem(&bench.ask(deposit(1, A, 11)).await), ProblemKind::ParamDrift);
    assert_eq!(rejected(&bench.ask(resolve(2)).await), RejectReason::NotReceived);
    assert_eq!(rejected(&bench.ask(deposit(2, A, 10)).await), RejectReason::NotReceived);
    created(&bench.ask(outbound(3, A, 10)).await);
    replayed(&bench.ask(outbound(3, A, 10)).await);
    assert_eq!((bench.store.row(A), bench.bank.asked("credit")), ((3, 1_000, 0), 1));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_committed_first_stands_for_a_posting_that_is_not_there_p2() {
    let bench = bench(keyed(KeyClaim::BeforeTheBooking));
    bench.store.data().fates.extend([Fate::Done, Fate::UndoneUnanswered]);
    assert_eq!(problem(&bench.ask(deposit(1, A, 10)).await), ProblemKind::Unknown);
    assert_eq!(replayed(&bench.ask(deposit(1, A, 10)).await).seq, Some(2), "it is told as done");
    assert_eq!((bench.store.row(A), entries(&bench, id(1))), ((1, 1_000, 0), 0));
    created(&bench.ask(transfer(2, A, B, 10)).await);
    assert_eq!(bench.store.row(A), (2, 990, 0), "without a failure it posts like the other");
}

#[tokio::test(start_paused = true)]
async fn a_posting_that_is_committed_first_is_there_without_its_key_p2() {
    let bench = bench(keyed(KeyClaim::AfterTheBooking));
    bench.store.data().fates.extend([Fate::Done, Fate::UndoneUnanswered]);
    assert_eq!(problem(&bench.ask(deposit(1, A, 10)).await), ProblemKind::Unknown);
    assert_eq!(bench.store.row(A), (2, 1_010, 0));
    created(&bench.ask(deposit(1, A, 10)).await);
    assert_eq!((bench.store.row(A), entries(&bench, id(1))), ((3, 1_020, 0), 2));
    replayed(&bench.ask(deposit(1, A, 10)).await);
}

#[tokio::test(start_paused = true)]
async fn ids_aside_of_the_booking_are_given_back_and_answered_like_others_p2() {
    for key in [KeyClaim::BeforeTheBooking, KeyClaim::AfterTheBooking] {
        let bench = bench(keyed(key));
        bench.store.data().strangers.insert(AccountNo::new(B));
        let (answer, ()) = join(bench.ask(transfer(1, A, B, 300)), async {
            sleep(Duration::from_millis(100)).await;
            bench.store.data().strangers.clear();
        })
        .await;
        created(&answer);
        assert_eq!(rejected(&bench.ask(transfer(2, A, B, 9_999)).await), RejectReason::InsufficientFunds);
        assert_eq!((bench.store.row(A), bench.store.row(B)), ((2, 700, 0), (2, 800, 0)), "{key:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_bound_to_nothing_answers_for_other_parameters_p3() {
    let bench = bench(Protections { binding: Binding::IdAlone, ..Protections::default() });
    let first = created(&bench.ask(transfer(1, A, B, 7)).await);
    assert_eq!(replayed(&bench.ask(transfer(1, A, B, 700)).await), first);
    assert_eq!(bench.store.row(A), (2, 993, 0));
}

/// A transfer that waits for its account's row until its validity is over.
async fn held_up(deadline_check: DeadlineCheck) -> Bench {
    let protections = Protections { deadline_check, ..Protections::default() };
    let bench = Bench::new(Manner::Credits, CoreConfig { lock_timeout: Duration::from_secs(9), ..config(protections) });
    bench.store.data().strangers.insert(AccountNo::new(A));
    let (answer, ()) = join(bench.ask(transfer(1, A, B, 1)), async {
        sleep(Duration::from_secs(6)).await;
        bench.store.data().strangers.clear();
    })
    .await;
    match deadline_check {
        DeadlineCheck::UnderTheLock => assert_eq!(rejected(&answer), RejectReason::Expired),
        DeadlineCheck::AtArrival | DeadlineCheck::Never => assert_eq!(created(&answer).seq, Some(2)),
    }
    bench
}

#[tokio::test(start_paused = true)]
async fn judged_at_its_arrival_or_never_a_transfer_is_posted_after_its_end_p4_p5() {
    let checks = [(DeadlineCheck::UnderTheLock, 1), (DeadlineCheck::AtArrival, 2), (DeadlineCheck::Never, 2)];
    for (check, seq) in checks {
        assert_eq!(held_up(check).await.store.row(A).0, seq, "{check:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_over_when_it_arrives_is_refused_unless_nobody_looks_p4_p5() {
    for (deadline_check, refused) in
        [(DeadlineCheck::UnderTheLock, true), (DeadlineCheck::AtArrival, true), (DeadlineCheck::Never, false)]
    {
        let protections = Protections { deadline_check, ..Protections::default() };
        let bench = Bench::new(Manner::Credits, CoreConfig { deadline: Deadline::Absolute, ..config(protections) });
        let own = Party::own(AccountNo::new(B));
        let late = Transfer { requested_at: WallMicros(900_000_000), ..transfer_to(1, A, own, 1) };
        let answer = bench.ask(CoreRequest::Transfer(late)).await;
        if refused {
            assert_eq!(rejected(&answer), RejectReason::Expired, "{deadline_check:?}");
        } else {
            created(&answer);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_plain_read_the_late_request_is_posted_p6() {
    let bench = bench(Protections { fence: Fence::PlainRead, ..Protections::default() });
    assert_eq!(rejected(&bench.ask(resolve(1)).await), RejectReason::NotReceived);
    created(&bench.ask(transfer(1, A, B, 5)).await);
    assert_eq!(replayed(&bench.ask(resolve(1)).await).state, TransferState::Completed);
    assert_eq!((bench.store.row(A), bench.reached(markers::TOMBSTONE)), ((2, 995, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn without_the_accounts_lock_nobody_waits_for_whoever_holds_it_p25() {
    let bench = bench(Protections { account_lock: AccountLock::None, ..Protections::default() });
    bench.store.data().strangers.extend([A, B].map(AccountNo::new));
    created(&bench.ask(transfer(1, A, B, 5)).await);
    created(&bench.ask(outbound(2, A, 5)).await);
    assert_eq!(bench.store.row(A), (3, 990, 0));
    assert_eq!(rejected(&bench.ask(deposit(3, 1_999_999, 5)).await), RejectReason::UnknownAccount);
}

#[tokio::test(start_paused = true)]
async fn without_an_order_each_waits_for_its_payer_first_p26() {
    let both = |lock_order| async move {
        let bench = bench(Protections { lock_order, ..Protections::default() });
        bench.store.data().strangers.extend([A, B].map(AccountNo::new));
        let (answers, ()) = join(join(bench.ask(transfer(1, A, B, 5)), bench.ask(transfer(2, B, A, 7))), async {
            sleep(Duration::from_millis(100)).await;
            bench.store.data().strangers.clear();
        })
        .await;
        created(&answers.0);
        created(&answers.1);
        assert_eq!(bench.store.row(A), (3, 1_002, 0));
        let data = bench.store.data();
        data.waited.iter().map(|rows| rows.iter().map(|row| row.get()).collect()).collect::<Vec<Vec<i64>>>()
    };
    let safe = both(LockOrder::ByAccount).await;
    assert!(safe.iter().all(|rows| rows.is_sorted()), "{safe:?}");
    let weaker = both(LockOrder::PayerFirst).await;
    assert!(weaker.len() == 4 && weaker.iter().all(|rows| rows.len() == 1), "each row by itself: {weaker:?}");
    assert_eq!(&weaker[..2], [[A], [B]], "both have begun with their payers");
}

#[tokio::test(start_paused = true)]
async fn voided_for_its_age_the_money_is_there_twice_p32() {
    let bench = Bench::new(
        Manner::CreditsInSilence,
        config(Protections { voiding: Voiding::OnExpiry, ..Protections::default() }),
    );
    drop(bench.ask(outbound(1, A, 300)).await);
    // The asker waited for two seconds.
    sleep(Duration::from_secs(57)).await;
    assert_eq!(bench.store.row(A), (1, 1_000, 300));
    sleep(Duration::from_secs(4)).await;
    assert_eq!((bench.store.row(A), bench.bank.asked("cancel")), ((1, 1_000, 0), 0));
    assert_eq!(bench.store.data().ended, [(id(1), HoldEnd::Voided)]);
    assert!(bench.bank.book().book.contains_key(&id(1)), "and the other bank has credited it");
}
