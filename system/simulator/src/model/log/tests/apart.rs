//! Processes that run and cannot reach the broker, and clients that fail for good.

use std::time::Duration;

use bankstorm_outside::log::{EventConsumer, EventLog, EventProducer, LogError};
use tokio::time::{Instant, timeout};

use super::super::COMMIT_WAIT;
use super::{GROUP, Member, TOPIC, at, hand_over, listen_both, log, millis, numbers, produce};

#[tokio::test(start_paused = true)]
async fn a_process_that_is_cut_off_runs_on_and_hears_what_it_lost_after_the_cut() {
    for seed in 0..10 {
        let log = log(seed, 4);
        let (mut a, mut b) = (Member::join(&log.of("a")).await, Member::join(&log.of("b")).await);
        listen_both(&mut a, &mut b, 500).await;
        let held = a.owned.clone();
        let first = *held.first().expect("it has two");
        log.cut("a");
        produce(&log.of("c"), 0..100).await;
        let begun = Instant::now();
        let end = a.consumer.commit(&[(at(first), 0)]).await;
        assert!(matches!(end, Err(LogError::Other(_))), "seed {seed}: {end:?}");
        assert!(begun.elapsed() <= COMMIT_WAIT + Duration::from_millis(10), "seed {seed}");
        listen_both(&mut a, &mut b, 6_000).await;
        assert_eq!((a.seen.len(), b.seen.len(), b.owned.len()), (0, 100, 4), "seed {seed}: the session ran out");
        assert_eq!((&a.owned, a.lost.len()), (&held, 0), "seed {seed}: it does not know");
        a.consumer.pause(&[at(first)]).expect("it takes it for its own");
        log.mend("a");
        listen_both(&mut a, &mut b, 3_000).await;
        assert_eq!(a.lost, held.iter().copied().collect::<Vec<_>>(), "seed {seed}");
        assert_eq!((a.owned.len(), b.owned.len()), (2, 2), "seed {seed}: it came back");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_to_a_broker_that_is_cut_off_waits_and_a_discard_gives_it_up() {
    let log = log(1, 1);
    let (kept, given_up) = (log.of("a").producer().await, log.of("a").producer().await);
    let (kept, given_up) = (kept.expect("a producer"), given_up.expect("a producer"));
    log.cut("a");
    let (answers, never) = (hand_over(&kept, 0..20), hand_over(&given_up, 100..120));
    millis(60_000).await;
    assert!(log.records(TOPIC).is_empty());
    given_up.discard().await;
    log.mend("a");
    for answer in answers {
        answer.await.expect("delivered");
    }
    for answer in never {
        assert!(answer.await.is_err());
    }
    assert_eq!(numbers(&log.records(TOPIC)), (0..20).collect::<Vec<_>>());
    kept.discard().await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_outlasts_a_freeze_and_a_freeze_a_cut() {
    let log = log(1, 1);
    let producer = log.of("a").producer().await.expect("a producer");
    log.cut("a");
    log.freeze("a");
    let mut answers = hand_over(&producer, 0..1);
    log.thaw("a");
    millis(1_000).await;
    assert!(log.records(TOPIC).is_empty(), "it is still cut off");
    log.mend("a");
    answers.remove(0).await.expect("delivered");
    log.freeze("a");
    log.cut("a");
    let mut answers = hand_over(&producer, 1..2);
    log.mend("a");
    millis(1_000).await;
    assert_eq!(numbers(&log.records(TOPIC)), [0], "it is still frozen");
    log.thaw("a");
    answers.remove(0).await.expect("delivered");
    producer.discard().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_hears_who_leaves_or_acknowledges_while_cut_off() {
    let log = log(1, 2);
    let (mut a, mut b) = (Member::join(&log.of("a")).await, Member::join(&log.of("b")).await);
    listen_both(&mut a, &mut b, 500).await;
    log.cut("a");
    a.consumer.close().await;
    b.listen(2_500).await;
    assert_eq!(b.owned.len(), 1, "the session still runs");
    b.listen(1_000).await;
    assert_eq!(b.owned.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_client_failed_is_of_no_use_and_a_new_one_is() {
    let log = log(1, 4);
    let (mut a, mut b) = (Member::join(&log.of("a")).await, Member::join(&log.of("b")).await);
    listen_both(&mut a, &mut b, 500).await;
    let first = *a.owned.first().expect("it has two");
    let fail = async {
        millis(50).await;
        log.fail_client("a");
    };
    let waits = timeout(Duration::from_millis(200), a.consumer.next());
    let (end, ()) = tokio::join!(biased; waits, fail);
    let end = end.expect("whoever waits hears of it");
    assert!(matches!(end, Err(LogError::Other(_))), "{end:?}");
    assert!(matches!(a.consumer.next().await, Err(LogError::Other(_))));
    assert!(matches!(a.consumer.pause(&[at(first)]), Err(LogError::Other(_))));
    assert!(matches!(a.consumer.commit(&[(at(first), 0)]).await, Err(LogError::NotAssigned(_))));
    assert!(log.committed(GROUP).is_empty());
    b.listen(100).await;
    assert_eq!(b.owned.len(), 4, "it left its group");
    a.consumer.close().await;
    let mut again = Member::join(&log.of("a")).await;
    listen_both(&mut again, &mut b, 500).await;
    assert_eq!((again.owned.len(), b.owned.len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_producer_whose_client_failed_is_of_no_use_and_a_new_one_is() {
    for cut in [false, true] {
        let log = log(1, 1);
        let producer = log.of("a").producer().await.expect("a producer");
        let other = log.of("b").producer().await.expect("a producer");
        if cut {
            log.cut("a");
        }
        let answers = hand_over(&producer, 0..40);
        log.fail_client("a");
        for answer in answers.into_iter().chain(hand_over(&producer, 40..41)) {
            let end = timeout(Duration::from_secs(1), answer).await.expect("at once");
            assert!(matches!(end, Err(LogError::NotDelivered(_))), "{end:?}");
        }
        producer.discard().await;
        assert!(log.records(TOPIC).is_empty());
        log.mend("a");
        produce(&log.of("a"), 0..3).await;
        for answer in hand_over(&other, 3..4) {
            answer.await.expect("it is another's");
        }
        assert_eq!(numbers(&log.records(TOPIC)), [0, 1, 2, 3]);
        other.discard().await;
    }
}
