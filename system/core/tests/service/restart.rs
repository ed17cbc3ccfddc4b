//! Core that ends at bad moments, and commits that nobody answers: open holds are found again, and end once.

use std::time::Duration;

use bankstorm_contracts::RejectReason;
use bankstorm_contracts::banks_api::{CreditAnswer, CreditState};
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_core::{CoreConfig, markers};
use tokio::time::{sleep, timeout};

use crate::bank::Manner;
use crate::bench::*;
use crate::store::Fate;

#[tokio::test(start_paused = true)]
async fn open_holds_are_found_again_after_a_restart_d29() {
    let bench = Bench::new(Manner::CreditsInSilence, CoreConfig::default());
    let cut = timeout(Duration::from_millis(500), bench.ask(outbound(1, A, 300))).await;
    assert!(cut.is_err(), "nobody answers yet");
    let bench = bench.crash().await;
    assert_eq!(bench.store.row(A), (1, 1_000, 300));
    bench.bank.book().manner = Manner::Credits;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((bench.store.row(A), bench.bank.asked("credit")), ((2, 700, 0), 2));
    assert_eq!(bench.reached(markers::HOLD_FOUND), 1);
    assert_eq!(replayed(&bench.ask(outbound(1, A, 300)).await).seq, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_holds_age_outlives_the_process_that_placed_it_d39() {
    let mut bench = Bench::new(Manner::Deaf, CoreConfig::default());
    drop(bench.ask(outbound(1, A, 300)).await);
    for _ in 0..3 {
        sleep(Duration::from_secs(18)).await;
        bench = bench.crash().await;
    }
    assert_eq!(bench.bank.asked("cancel"), 0);
    sleep(Duration::from_secs(10)).await;
    assert_eq!((bench.bank.asked("cancel"), bench.store.row(A)), (1, (1, 1_000, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_hold_whose_commit_nobody_answered_is_found_if_it_is_there() {
    let bench = Bench::new(Manner::Credits, CoreConfig::default());
    bench.store.data().fates.extend([Fate::DoneUnanswered, Fate::UndoneUnanswered]);
    assert_eq!(problem(&bench.ask(outbound(1, A, 300)).await), ProblemKind::Unknown);
    assert_eq!(problem(&bench.ask(outbound(2, A, 300)).await), ProblemKind::Unknown);
    assert_eq!(bench.bank.asked("credit"), 0, "nobody is asked for what may not be held");
    sleep(Duration::from_secs(11)).await;
    assert_eq!((bench.store.row(A), bench.bank.asked("credit")), ((2, 700, 0), 1));
    assert_eq!(replayed(&bench.ask(CoreRequest::Resolve(id(1))).await).seq, Some(2));
    assert_eq!(rejected(&bench.ask(CoreRequest::Resolve(id(2))).await), RejectReason::NotReceived);
}

#[tokio::test(start_paused = true)]
async fn a_hold_ends_once_though_nobody_answered_the_commit_that_ended_it_d39() {
    for fate in [Fate::DoneUnanswered, Fate::UndoneUnanswered] {
        let bench = Bench::new(Manner::TakesOn, CoreConfig::default());
        drop(bench.ask(outbound(1, A, 300)).await);
        bench.store.data().fates.push_back(fate);
        let told = CoreRequest::BankOutcome(CreditAnswer { id: id(1), state: CreditState::Credited });
        assert_eq!(problem(&bench.ask(told.clone()).await), ProblemKind::Unknown);
        sleep(Duration::from_secs(6)).await;
        assert_eq!(bench.store.row(A), (2, 700, 0), "{fate:?}");
        assert!(matches!(bench.ask(told).await, CoreResponse::Verdict(verdict) if verdict.seq == Some(2)));
        assert_eq!(bench.store.data().ended.len(), 1);
        assert_eq!(bench.published(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_stop_who_waits_is_told_that_it_is_in_work() {
    let bench = Bench::new(Manner::Deaf, CoreConfig::default());
    let (answer, ()) = futures_util::future::join(bench.ask(outbound(1, A, 300)), async {
        sleep(Duration::from_millis(500)).await;
        bench.stop();
    })
    .await;
    assert_eq!(problem(&answer), ProblemKind::Processing);
    assert_eq!(problem(&bench.ask(outbound(2, A, 1)).await), ProblemKind::NotStarted);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(bench.running(), 0, "every task ended by itself");
    assert_eq!(bench.store.row(A), (1, 1_000, 300), "what is open is in the database");
}

#[tokio::test(start_paused = true)]
async fn core_without_other_banks_refuses_new_transfers_to_them_and_keeps_what_stands() {
    let bench = Bench::new(Manner::Deaf, CoreConfig::default());
    drop(bench.ask(outbound(1, A, 300)).await);
    let bench = bench.crash_into(CoreConfig { other_banks: false, ..CoreConfig::default() }).await;
    assert_eq!(problem(&bench.ask(outbound(2, A, 1)).await), ProblemKind::BadRequest);
    assert_eq!((bench.store.stands(), bench.store.row(A)), (1, (1, 1_000, 300)));
    assert_eq!(problem(&bench.ask(outbound(1, A, 300)).await), ProblemKind::Processing);
}
