//! Money for other banks: answers that come at once, late, twice, never (D29, D39).

use std::time::Duration;

use bankstorm_contracts::banks_api::{CreditAnswer, CreditState};
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, RejectReason, TransferState};
use bankstorm_core::{CoreConfig, markers};
use bankstorm_outside::core_store::HoldEnd;
use futures_util::future::{join, join_all};
use tokio::time::{Instant, sleep};

use crate::bank::Manner;
use crate::bench::*;

fn bench(manner: Manner) -> Bench {
    Bench::new(manner, CoreConfig::default())
}

fn outcome(number: u128, state: CreditState) -> CoreRequest {
    CoreRequest::BankOutcome(CreditAnswer { id: id(number), state })
}

fn state(response: &CoreResponse) -> TransferState {
    match response {
        CoreResponse::Verdict(verdict) => verdict.state,
        other => panic!("no verdict: {other:?}"),
    }
}

/// How its hold ended, once it did.
fn ended(bench: &Bench) -> Vec<HoldEnd> {
    bench.store.data().ended.iter().map(|(_, end)| *end).collect()
}

#[tokio::test(start_paused = true)]
async fn a_bank_that_credits_at_once_completes_the_transfer() {
    let bench = bench(Manner::Credits);
    let verdict = created(&bench.ask(outbound(1, A, 300)).await);
    assert_eq!((verdict.seq, verdict.balance_after.map(|won| won.get())), (Some(2), Some(700)));
    assert_eq!(bench.store.row(A), (2, 700, 0));
    assert_eq!(replayed(&bench.ask(outbound(1, A, 300)).await), verdict);
    assert_eq!((bench.bank.asked("credit"), bench.reached(markers::OUTBOUND_REPLAY)), (1, 1));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((bench.published(), ended(&bench)), (1, vec![HoldEnd::Posted]));
}

#[tokio::test(start_paused = true)]
async fn a_slow_look_for_open_holds_stops_no_question() {
    let bench = bench(Manner::Credits);
    bench.store.data().scans_take = Duration::from_secs(3_600);
    let begun = Instant::now();
    created(&bench.ask(outbound(1, A, 300)).await);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_had_no_place_is_looked_for_as_soon_as_one_is_free() {
    let scan = Duration::from_secs(600);
    let config = CoreConfig { outbound_known_max: 1, outbound_scan: scan, ..CoreConfig::default() };
    let bench = Bench::new(Manner::TakesOn, config);
    let _ = join(bench.ask(outbound(1, A, 300)), bench.ask(outbound(2, B, 100))).await;
    let asked = |number| bench.bank.book().asked.iter().any(|(_, asked)| *asked == id(number));
    assert_eq!([asked(1), asked(2)], [true, false]);
    assert_eq!(state(&bench.ask(outcome(1, CreditState::Credited)).await), TransferState::Completed);
    sleep(Duration::from_secs(1)).await;
    assert!(asked(2), "long before the next look of every {scan:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bank_that_refuses_gives_the_money_back() {
    let bench = bench(Manner::Refuses);
    assert_eq!(rejected(&bench.ask(outbound(1, A, 300)).await), RejectReason::RefusedByBank);
    assert_eq!(bench.store.row(A), (1, 1_000, 0));
    assert_eq!(rejected(&bench.ask(outbound(1, A, 300)).await), RejectReason::RefusedByBank, "it stands");
    assert_eq!(ended(&bench), [HoldEnd::Voided]);
}

#[tokio::test(start_paused = true)]
async fn while_the_bank_is_silent_the_money_is_held_and_the_transfer_processing_d29() {
    let bench = bench(Manner::Deaf);
    let asked = Instant::now();
    assert_eq!(problem(&bench.ask(outbound(1, A, 900)).await), ProblemKind::Processing);
    assert!((Duration::from_secs(2)..Duration::from_millis(2_010)).contains(&asked.elapsed()));
    assert_eq!(bench.store.row(A), (1, 1_000, 900));
    assert_eq!(state(&bench.ask(CoreRequest::Resolve(id(1))).await), TransferState::Processing);
    assert_eq!(problem(&bench.ask(outbound(1, A, 900)).await), ProblemKind::Processing);
    assert_eq!(problem(&bench.ask(outbound(1, A, 901)).await), ProblemKind::ParamDrift);
    assert_eq!(rejected(&bench.ask(transfer(2, A, B, 101)).await), RejectReason::InsufficientFunds);
    created(&bench.ask(transfer(3, A, B, 100)).await);
    assert_eq!(bench.reached(markers::OUTBOUND_UNANSWERED), 1);
}

#[tokio::test(start_paused = true)]
async fn silent_banks_take_no_place_at_the_door_a18() {
    let config = CoreConfig { admitted_max: 4, caller_max: 4, ..CoreConfig::default() };
    let wait = config.outbound_answer_wait;
    let bench = Bench::new(Manner::Deaf, config);
    // Two of them are doubles: they wait with the first, and without a place either.
    let numbers = [1, 1, 2, 2];
    let waiting = join_all(numbers.map(|number| bench.ask(outbound(number, A, 10))));
    let others = async {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(bench.bank.asked("credit"), 2, "they wait for their bank");
        let begun = Instant::now();
        for number in 10..14 {
            created(&bench.ask(deposit(number, B, 1)).await);
        }
        assert!(begun.elapsed() < wait / 2, "{:?}", begun.elapsed());
    };
    let (answers, ()) = join(waiting, others).await;
    answers.iter().for_each(|answer| assert_eq!(problem(answer), ProblemKind::Processing));
}

#[tokio::test(start_paused = true)]
async fn no_more_askers_wait_for_banks_than_holds_are_kept_in_mind() {
    let config = CoreConfig { outbound_known_max: 2, ..CoreConfig::default() };
    let wait = config.outbound_answer_wait;
    let bench = Bench::new(Manner::Deaf, config);
    let timed = async |number, amount| {
        let begun = Instant::now();
        assert_eq!(problem(&bench.ask(outbound(number, A, amount)).await), ProblemKind::Processing);
        begun.elapsed()
    };
    // Three for one hold: more than may wait.
    let took = join_all([timed(1, 10), timed(1, 10), timed(1, 10)]).await;
    assert!(took.iter().all(|took| *took < wait / 2), "{took:?}");
    let took = timed(2, 10).await;
    assert!(took >= wait, "there is a seat: {took:?}");
    let took = join(timed(3, 10), timed(3, 10)).await;
    assert!(took.0 < wait / 2, "no place in mind: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_expired_hold_is_cancelled_and_only_a_definite_no_gives_the_money_back_d39() {
    for (manner, end, balance, marker) in [
        (Manner::Deaf, HoldEnd::Voided, 1_000, markers::CANCEL_WON),
        (Manner::CreditsInSilence, HoldEnd::Posted, 700, markers::CANCEL_MET_CREDIT),
        (Manner::TakesOn, HoldEnd::Voided, 1_000, markers::CANCEL_WON),
        (Manner::Away, HoldEnd::Voided, 1_000, markers::CANCEL_WON),
    ] {
        let bench = bench(manner);
        assert_eq!(problem(&bench.ask(outbound(1, A, 300)).await), ProblemKind::Processing);
        sleep(Duration::from_secs(57)).await;
        assert_eq!((bench.store.row(A), bench.bank.asked("cancel")), ((1, 1_000, 300), 0));
        assert!(bench.bank.asked("credit") > 3, "it is asked again and again");
        sleep(Duration::from_secs(8)).await;
        assert_eq!((bench.bank.asked("cancel"), ended(&bench)), (1, vec![end]), "{manner:?}");
        let (_, left, held) = bench.store.row(A);
        assert_eq!((left, held), (balance, 0), "{manner:?}");
        assert_eq!((bench.reached(markers::CANCEL_SENT), bench.reached(marker)), (1, 1), "{manner:?}");
        let asked = bench.bank.asked("credit");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(bench.bank.asked("credit"), asked, "what has ended is not asked about");
    }
}

#[tokio::test(start_paused = true)]
async fn banks_silent_for_an_hour_lose_and_double_nothing_d39() {
    for (manner, balance) in [(Manner::Deaf, 1_000), (Manner::CreditsInSilence, 700)] {
        // The relay has nothing to do; its polls would only cost time.
        let bench = Bench::new(manner, CoreConfig { relay_poll: Duration::from_secs(60), ..CoreConfig::default() });
        bench.bank.book().hears_cancels = false;
        drop(bench.ask(outbound(1, A, 300)).await);
        for _ in 0..60 {
            sleep(Duration::from_secs(60)).await;
            assert_eq!(bench.store.row(A), (1, 1_000, 300), "held, whoever is silent");
        }
        bench.bank.book().hears_cancels = true;
        sleep(Duration::from_secs(9)).await;
        let (_, left, held) = bench.store.row(A);
        assert_eq!((left, held), (balance, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_told_ends_the_hold_at_once_and_again_meets_the_verdict_d29() {
    for (told, end) in [(CreditState::Credited, HoldEnd::Posted), (CreditState::Refused, HoldEnd::Voided)] {
        let bench = bench(Manner::TakesOn);
        let (first, answers) = join(bench.ask(outbound(1, A, 300)), async {
            sleep(Duration::from_millis(50)).await;
            let (one, two) = join(bench.ask(outcome(1, told)), bench.ask(outcome(1, told))).await;
            (one, two, bench.ask(outcome(1, told)).await)
        })
        .await;
        assert!(answers.0 == answers.1 && answers.1 == answers.2, "{answers:?}");
        let verdict = match first {
            CoreResponse::Created(verdict) | CoreResponse::Verdict(verdict) => verdict,
            other => panic!("who waits is told: {other:?}"),
        };
        assert_eq!(answers.0, CoreResponse::Verdict(verdict));
        assert_eq!((ended(&bench), bench.reached(markers::OUTCOME_AGAIN)), (vec![end], 2));
        let opposite = match told {
            CreditState::Credited => CreditState::Refused,
            CreditState::Refused => CreditState::Credited,
        };
        assert_eq!(bench.ask(outcome(1, opposite)).await, CoreResponse::Verdict(verdict), "the first answer stands");
        assert_eq!(bench.bank.asked("credit"), 1, "what was told is not asked");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_of_no_transfer_to_another_bank_changes_nothing() {
    let bench = bench(Manner::Credits);
    created(&bench.ask(transfer(1, A, B, 1)).await);
    for number in [1, 2] {
        let answer = bench.ask(outcome(number, CreditState::Credited)).await;
        assert_eq!(problem(&answer), ProblemKind::NotFound);
    }
    assert_eq!((bench.store.stands(), bench.store.row(A)), (1, (2, 999, 0)));
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_meets_a_held_row_is_kept_and_used_without_asking_again() {
    let bench = bench(Manner::TakesOn);
    let (_, ()) = join(bench.ask(outbound(1, A, 300)), async {
        sleep(Duration::from_millis(100)).await;
        bench.store.data().strangers.insert(AccountNo::new(A));
        let answer = bench.ask(outcome(1, CreditState::Refused)).await;
        assert_eq!(problem(&answer), ProblemKind::Unknown, "it is used later");
        bench.store.data().strangers.clear();
    })
    .await;
    let asked = bench.bank.asked("credit");
    sleep(Duration::from_secs(3)).await;
    assert_eq!((ended(&bench), bench.bank.asked("credit")), (vec![HoldEnd::Voided], asked));
}

#[tokio::test(start_paused = true)]
async fn more_open_holds_than_core_keeps_in_mind_end_all_the_same() {
    let config = CoreConfig { outbound_known_max: 2, outbound_calls: 1, ..CoreConfig::default() };
    let bench = Bench::new(Manner::Deaf, config);
    for number in 1..=5 {
        drop(bench.ask(outbound(number, A, 10)).await);
    }
    assert_eq!(bench.store.row(A), (1, 1_000, 50));
    bench.bank.book().manner = Manner::Credits;
    sleep(Duration::from_secs(40)).await;
    assert_eq!((bench.store.row(A), bench.bank.book().book.len()), ((6, 950, 0), 5));
}
