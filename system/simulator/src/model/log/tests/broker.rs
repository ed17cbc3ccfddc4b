//! A broker that is killed or stopped, and comes again.

use std::time::Duration;

use bankstorm_outside::log::{EventConsumer, EventLog, EventProducer, LogError};
use tokio::time::{Instant, timeout};

use super::{GROUP, Member, TOPIC, at, hand_over, listen_both, log, millis, numbers, produce};

#[tokio::test(start_paused = true)]
async fn a_producer_outlives_a_kill_of_its_broker_without_doubles_and_in_order() {
    for seed in 0..40 {
        let log = log(seed, 1);
        let producer = log.producer().await.expect("a producer can be made");
        let answers = hand_over(&producer, 0..100);
        millis(seed % 20).await;
        log.kill_broker();
        let before = log.records(TOPIC);
        millis(4_000).await;
        assert_eq!(log.records(TOPIC), before, "seed {seed}: nothing is appended while it is down");
        log.start_broker();
        for (offset, answer) in (0..).zip(answers) {
            assert_eq!(answer.await.expect("delivered").offset, offset, "seed {seed}");
        }
        assert_eq!(numbers(&log.records(TOPIC)), (0..100).collect::<Vec<_>>(), "seed {seed}");
        producer.discard().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_discard_without_a_broker_ends_and_what_was_under_way_is_a_prefix() {
    let mut appended_unanswered = 0;
    for seed in 0..60 {
        let log = log(seed, 1);
        let producer = log.producer().await.expect("a producer can be made");
        let answers = hand_over(&producer, 0..60);
        millis(seed % 20).await;
        log.kill_broker();
        let begun = Instant::now();
        producer.discard().await;
        assert!(begun.elapsed() < Duration::from_secs(1), "seed {seed}: the connection broke");
        let left = log.records(TOPIC);
        assert_eq!(numbers(&left), (0..left.len()).collect::<Vec<_>>(), "seed {seed}");
        let mut acknowledged = 0;
        for answer in answers {
            acknowledged += usize::from(answer.await.is_ok());
        }
        assert!(acknowledged <= left.len(), "seed {seed}: acknowledged records stay");
        appended_unanswered += usize::from(acknowledged < left.len());
        log.start_broker();
        millis(5_000).await;
        assert_eq!(log.records(TOPIC), left, "seed {seed}: nothing comes after the discard");
    }
    assert!(appended_unanswered > 0, "no record was appended and not acknowledged");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_broker_takes_what_was_sent_when_it_goes_on_unless_the_producer_gave_up() {
    for (pause, appended) in [(4_000, 5), (20_000, 0)] {
        let log = log(3, 1);
        let producer = log.producer().await.expect("a producer can be made");
        log.pause_broker();
        let answers = hand_over(&producer, 0..5);
        millis(50).await;
        let resumed = async {
            millis(pause).await;
            log.resume_broker();
            millis(1_000).await;
        };
        tokio::join!(biased; producer.discard(), resumed);
        for answer in answers {
            assert_eq!(answer.await.is_ok(), appended > 0);
        }
        assert_eq!(log.records(TOPIC).len(), appended, "after a pause of {pause} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_absence_of_the_broker_costs_no_partition() {
    for seed in 0..20 {
        let log = log(seed, 2);
        let mut a = Member::join(&log.of("a")).await;
        a.listen(200).await;
        if seed % 2 == 0 {
            log.kill_broker()
        } else {
            log.pause_broker()
        }
        a.listen(1_500).await;
        if seed % 2 == 0 {
            log.start_broker()
        } else {
            log.resume_broker()
        }
        produce(&log, 0..10).await;
        a.listen(3_000).await;
        assert_eq!((a.lost.len(), a.owned.len(), a.seen.len()), (0, 2, 10), "seed {seed}");
        a.commit_seen(0).await.expect("its own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_absence_of_the_broker_costs_every_partition_and_no_commit() {
    for seed in 0..20 {
        let log = log(seed, 4);
        produce(&log, 0..40).await;
        let (mut a, mut b) = (Member::join(&log.of("a")).await, Member::join(&log.of("b")).await);
        listen_both(&mut a, &mut b, 1_000).await;
        let own = *a.owned.first().expect("it has two");
        a.commit_seen(own).await.expect("its own");
        let committed = log.committed(GROUP);
        if seed % 2 == 0 {
            log.kill_broker()
        } else {
            log.pause_broker()
        }
        let seen = a.seen.len() + b.seen.len();
        listen_both(&mut a, &mut b, 6_000).await;
        assert_eq!((a.owned.len(), a.lost.len(), b.owned.len()), (0, 2, 0), "seed {seed}: each gave up by itself");
        assert_eq!(a.seen.len() + b.seen.len(), seen, "seed {seed}: nothing to read");
        let refused = a.consumer.commit(&[(at(own), 0)]).await;
        assert!(matches!(refused, Err(LogError::NotAssigned(_))), "seed {seed}: {refused:?}");
        if seed % 2 == 0 {
            log.start_broker()
        } else {
            log.resume_broker()
        }
        assert_eq!(log.committed(GROUP), committed, "seed {seed}");
        listen_both(&mut a, &mut b, 8_000).await;
        assert_eq!((a.owned.len(), b.owned.len()), (2, 2), "seed {seed}: they come again");
        assert!(a.owned.is_disjoint(&b.owned), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_without_a_broker_fails_within_its_limit() {
    let log = log(1, 1);
    let mut a = Member::join(&log.of("a")).await;
    a.listen(200).await;
    log.kill_broker();
    let commit = timeout(super::super::COMMIT_WAIT + Duration::from_millis(10), a.consumer.commit(&[(at(0), 0)]));
    assert!(matches!(commit.await, Ok(Err(LogError::Other(_)))));
    assert!(log.committed(GROUP).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_commit_under_way_when_the_broker_is_killed_fails_and_may_have_happened() {
    let (mut happened, mut not) = (0, 0);
    for seed in 0..60 {
        let log = log(seed, 1);
        let mut a = Member::join(&log.of("a")).await;
        a.listen(200).await;
        let killed = async {
            millis(seed % 7).await;
            log.kill_broker();
        };
        let (result, ()) = tokio::join!(biased; a.consumer.commit(&[(at(0), 0)]), killed);
        match (result, log.committed(GROUP).is_empty()) {
            (Ok(()), empty) => assert!(!empty, "seed {seed}: a commit that was answered holds"),
            (Err(_), true) => not += 1,
            (Err(_), false) => happened += 1,
        }
    }
    assert!(happened > 0 && not > 0, "{happened} happened, {not} did not");
}

#[tokio::test(start_paused = true)]
async fn who_joins_without_a_broker_joins_when_it_is_there() {
    let log = log(1, 2);
    log.kill_broker();
    let mut a = Member::join(&log.of("a")).await;
    a.listen(5_000).await;
    assert!(a.owned.is_empty());
    log.start_broker();
    a.listen(1_500).await;
    assert_eq!(a.owned.len(), 2);
    log.kill_broker();
    a.consumer.close().await;
    log.start_broker();
    let mut b = Member::join(&log.of("b")).await;
    b.listen(4_000).await;
    assert_eq!(b.owned.len(), 2, "the session of the one that could not say goodbye ran out");
}
