//! The other banks' promises (D29, D39), each on fakes and virtual time.

mod world;

use std::time::Duration;

use bankstorm_contracts::Won;
use bankstorm_contracts::banks_api::CreditState::{Credited, Refused};
use bankstorm_contracts::banks_api::{BanksRequest, BanksResponse, Credit, CreditAnswer};
use bankstorm_contracts::problem::ProblemKind;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use self::world::{Fails, World, answer, ask, cancel, credit, credit_that, moody};
use crate::config::BanksConfig;
use crate::markers;
use crate::service::Banks;
use crate::temper::Manner;

/// Longer than everything that happens by itself.
const REST: Duration = Duration::from_secs(300);

fn told(credit: &Credit, state: bankstorm_contracts::banks_api::CreditState) -> CreditAnswer {
    CreditAnswer { id: credit.id, state }
}

#[tokio::test(start_paused = true)]
async fn an_id_is_credited_once_however_often_it_is_asked() {
    let (world, wanted) = (World::default(), credit(1));
    let banks = Banks::start(world.clone(), BanksConfig::default());
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let (banks, wanted) = (banks.clone(), wanted.clone());
        asking.spawn(async move { ask(&banks, &wanted).await });
    }
    let answers = asking.join_all().await;
    assert!(answers.iter().all(|found| *found == Some(answer(&wanted, Credited))), "{answers:?}");
    assert_eq!(world.lines(), [(told(&wanted, Credited), Some(wanted))]);
    assert_eq!(world.reached_times(markers::CREDITED), 1);
    assert_eq!(world.reached_times(markers::REPLAY), 49);
}

#[tokio::test(start_paused = true)]
async fn d39_a_cancel_is_a_fence_and_a_credit_that_stands_stays() {
    let world = World::default();
    let banks = Banks::start(world.clone(), BanksConfig::default());
    let (late, early) = (credit(1), credit(2));
    assert_eq!(cancel(&banks, &late).await, answer(&late, Refused));
    assert_eq!(ask(&banks, &late).await, Some(answer(&late, Refused)));
    assert_eq!(ask(&banks, &early).await, Some(answer(&early, Credited)));
    assert_eq!(cancel(&banks, &early).await, answer(&early, Credited));
    assert_eq!(cancel(&banks, &late).await, answer(&late, Refused));
    assert_eq!(world.lines(), [(told(&late, Refused), None), (told(&early, Credited), Some(early))]);
    for marker in [markers::CANCELLED, markers::CREDIT_AFTER_CANCEL, markers::CANCEL_AFTER_CREDIT] {
        assert_eq!(world.reached_times(marker), 1, "{marker}");
    }
}

#[tokio::test(start_paused = true)]
async fn d29_a_late_credit_is_taken_on_decided_once_and_told() {
    let world = World::default();
    let banks = Banks::start(world.clone(), moody());
    let wanted = credit_that(Credited, |manner| matches!(manner, Manner::Late(_)));
    for _ in 0..3 {
        assert_eq!(ask(&banks, &wanted).await, Some(BanksResponse::Accepted(wanted.id)));
    }
    assert_eq!(world.lines(), []);
    world.deafen(2);
    sleep(REST).await;
    assert_eq!(world.told(), [told(&wanted, Credited)], "told until core has heard it");
    assert_eq!(ask(&banks, &wanted).await, Some(answer(&wanted, Credited)));
    assert_eq!((world.lines().len(), world.reached_times(markers::LATE)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_has_its_answer_is_not_remembered_as_open_even_if_its_append_failed() {
    for cancelled in [false, true] {
        let (world, wanted) = (World::default(), credit(1));
        let banks = Banks::start(world.clone(), BanksConfig::default());
        world.fail(Fails::After);
        assert!(matches!(ask(&banks, &wanted).await, Some(BanksResponse::Problem(_))));
        assert_eq!(banks.0.met().len(), 1);
        let found = if cancelled { Some(cancel(&banks, &wanted).await) } else { ask(&banks, &wanted).await };
        assert_eq!((found, banks.0.met().len()), (Some(answer(&wanted, Credited)), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn d39_a_late_credit_that_was_cancelled_is_refused_when_it_becomes_due() {
    let world = World::default();
    let banks = Banks::start(world.clone(), moody());
    let wanted = credit_that(Credited, |manner| matches!(manner, Manner::Late(_)));
    assert_eq!(ask(&banks, &wanted).await, Some(BanksResponse::Accepted(wanted.id)));
    assert_eq!(cancel(&banks, &wanted).await, answer(&wanted, Refused));
    sleep(REST).await;
    assert_eq!(world.told(), [told(&wanted, Refused)]);
    assert_eq!(world.lines(), [(told(&wanted, Refused), None)]);
    assert_eq!(world.reached_times(markers::CREDIT_AFTER_CANCEL), 1);
}

#[tokio::test(start_paused = true)]
async fn d29_never_means_no_word_until_somebody_asks_again() {
    for (decided, answered) in [(false, false), (false, true), (true, false), (true, true)] {
        let world = World::default();
        let banks = Banks::start(world.clone(), moody());
        let wanted = credit_that(Credited, |manner| manner == Manner::Never { decided, answered });
        let first = ask(&banks, &wanted).await;
        assert_eq!(first, answered.then_some(BanksResponse::Accepted(wanted.id)));
        sleep(REST).await;
        assert_eq!((world.told(), world.lines().len()), (Vec::new(), usize::from(decided)));
        assert_eq!(ask(&banks, &wanted).await, Some(answer(&wanted, Credited)));
        assert_eq!((world.lines().len(), world.reached_times(markers::NEVER)), (1, 1));

        let cancelled = Banks::start(World::default(), moody());
        let _ = ask(&cancelled, &wanted).await;
        let state = if decided { Credited } else { Refused };
        assert_eq!(cancel(&cancelled, &wanted).await, answer(&wanted, state));
        assert_eq!(ask(&cancelled, &wanted).await, Some(answer(&wanted, state)));
    }
}

#[tokio::test(start_paused = true)]
async fn d29_twice_means_two_callbacks_and_one_credit() {
    for expected in [true, false] {
        let world = World::default();
        let banks = Banks::start(world.clone(), moody());
        let wanted =
            credit_that(Credited, |manner| matches!(manner, Manner::Twice { answered, .. } if answered == expected));
        let definite = answer(&wanted, Credited);
        let first = if expected { definite } else { BanksResponse::Accepted(wanted.id) };
        assert_eq!(ask(&banks, &wanted).await, Some(first));
        sleep(REST).await;
        assert_eq!(world.told(), [told(&wanted, Credited); 2]);
        assert_eq!((world.lines().len(), world.reached_times(markers::TWICE)), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_for_good() {
    let world = World::default();
    let banks = Banks::start(world.clone(), moody());
    let wanted = credit_that(Refused, |manner| manner == Manner::Prompt);
    for _ in 0..2 {
        assert_eq!(ask(&banks, &wanted).await, Some(answer(&wanted, Refused)));
    }
    assert_eq!(cancel(&banks, &wanted).await, answer(&wanted, Refused));
    assert_eq!(world.lines(), [(told(&wanted, Refused), Some(wanted))]);
    assert_eq!(world.reached_times(markers::REFUSED), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restart_remembers_what_the_book_says_and_nothing_else() {
    let before = World::default();
    let banks = Banks::start(before.clone(), moody());
    let prompt = credit_that(Credited, |manner| manner == Manner::Prompt);
    let late = credit_that(Credited, |manner| matches!(manner, Manner::Late(_)));
    let gone = credit(777_777);
    let _ = (ask(&banks, &prompt).await, cancel(&banks, &gone).await, ask(&banks, &late).await);

    let after = World::with_book_of(&before);
    let banks = Banks::start(after.clone(), moody());
    assert_eq!(cancel(&banks, &prompt).await, answer(&prompt, Credited));
    assert_eq!(ask(&banks, &gone).await, Some(answer(&gone, Refused)));
    assert_eq!(ask(&banks, &late).await, Some(BanksResponse::Accepted(late.id)), "its decision died with the process");
    sleep(REST).await;
    assert_eq!(after.told(), [told(&late, Credited)]);
    assert_eq!(after.lines().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_append_whose_end_is_unknown_is_looked_up_before_anything_is_said() {
    for (fails, after_cancel) in [(Fails::Before, Refused), (Fails::After, Credited)] {
        for cancels in [false, true] {
            let world = World::default();
            let banks = Banks::start(world.clone(), BanksConfig::default());
            let wanted = credit(1);
            world.fail(fails);
            match ask(&banks, &wanted).await {
                Some(BanksResponse::Problem(problem)) => assert_eq!(problem.kind, ProblemKind::Unknown),
                other => panic!("{other:?}"),
            }
            let state = if cancels {
                assert_eq!(cancel(&banks, &wanted).await, answer(&wanted, after_cancel));
                after_cancel
            } else {
                Credited
            };
            assert_eq!(ask(&banks, &wanted).await, Some(answer(&wanted, state)), "{fails:?} {cancels}");
            assert_eq!(world.lines().len(), 1, "{fails:?} {cancels}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_changes_nothing() {
    let world = World::default();
    let banks = Banks::start(world.clone(), BanksConfig::default());
    assert_eq!(cancel(&banks, &credit(2)).await, answer(&credit(2), Refused));
    let wanted = credit(1);
    {
        let mut asked = std::pin::pin!(banks.handle("test", BanksRequest::Credit(wanted.clone())));
        tokio::select! {
            biased;
            _ = asked.as_mut() => panic!("the book takes longer than that"),
            () = yield_now() => {}
        }
    }
    sleep(REST).await;
    assert_eq!(world.lines().len(), 2);
    assert_eq!(ask(&banks, &wanted).await, Some(answer(&wanted, Credited)));
}

#[tokio::test(start_paused = true)]
async fn bad_credits_and_other_parameters_name_the_field_and_change_nothing() {
    let world = World::default();
    let banks = Banks::start(world.clone(), moody());
    let late = credit_that(Credited, |manner| matches!(manner, Manner::Late(_)));
    let prompt = credit_that(Credited, |manner| manner == Manner::Prompt);
    let _ = (ask(&banks, &late).await, ask(&banks, &prompt).await);
    let mut own = credit(5);
    own.to.bank = "900".to_owned();
    let mut empty = credit(5);
    empty.to.account = String::new();
    for (bad, status, field) in [
        (Credit { amount: Won::ZERO, ..credit(5) }, 400, "amount"),
        (own, 400, "to.bank"),
        (empty, 400, "to.account"),
        (Credit { amount: Won::new(1), ..late }, 422, "id"),
        (Credit { amount: Won::new(1), ..prompt }, 422, "id"),
    ] {
        match ask(&banks, &bad).await {
            Some(BanksResponse::Problem(problem)) => {
                assert_eq!((problem.status, problem.field.as_deref()), (status, Some(field)), "{bad:?}");
            }
            other => panic!("{bad:?}: {other:?}"),
        }
    }
    assert_eq!(world.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stopping_and_full_banks_begin_nothing() {
    let world = World::default();
    let banks = Banks::start(world.clone(), BanksConfig { in_work_max: 1, ..BanksConfig::default() });
    let (one, two) = (credit(1), credit(2));
    let (first, second) = tokio::join!(ask(&banks, &one), ask(&banks, &two));
    assert_eq!(first, Some(answer(&one, Credited)));
    world.stop();
    for refused in [second, ask(&banks, &two).await] {
        match refused {
            Some(BanksResponse::Problem(problem)) => assert_eq!(problem.kind, ProblemKind::NotStarted),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.lines().len(), 1);
}

/// Credits and cancels of many ids, all at once, under every temper: whatever was said definitely was said by all, and stands.
#[tokio::test(start_paused = true)]
async fn d39_nobody_is_ever_told_two_different_things() {
    let world = World::default();
    let banks = Banks::start(world.clone(), moody());
    let mut asking = JoinSet::new();
    for number in 0..600_u64 {
        let (banks, wanted) = (banks.clone(), credit(u128::from(number % 200)));
        asking.spawn(async move {
            sleep(Duration::from_millis(number * 7919 % 2_500)).await;
            if number % 3 == 1 { Some(cancel(&banks, &wanted).await) } else { ask(&banks, &wanted).await }
        });
    }
    let mut said = asking.join_all().await;
    sleep(REST).await;
    for number in 0..200 {
        let last = ask(&banks, &credit(number)).await;
        assert!(matches!(last, Some(BanksResponse::Answer(_))), "{number}: {last:?}");
        said.push(last);
    }
    let lines = world.lines();
    assert_eq!(lines.len(), 200, "one line an id");
    let definite = said.into_iter().filter_map(|response| match response {
        Some(BanksResponse::Answer(answer)) => Some(answer),
        _ => None,
    });
    for answer in definite.chain(world.told()) {
        assert!(lines.iter().any(|(line, _)| *line == answer), "{answer:?} does not stand");
    }
    for marker in markers::ALL {
        assert!(world.reached_times(marker) > 0, "{marker}");
    }
}
