//! Frozen processes, zombies, stalled fetches.

use std::time::Duration;

use bankstorm_outside::log::{EventConsumer, LogError};
use tokio::time::{Instant, timeout};

use super::{GROUP, Member, TOPIC, at, listen_both, log, millis, numbers, produce};

#[tokio::test(start_paused = true)]
async fn a_member_frozen_past_its_session_is_a_zombie_until_it_hears() {
    for seed in 0..10 {
        let log = log(seed, 4);
        let (mut a, mut b) = (Member::join(&log.of("a")).await, Member::join(&log.of("b")).await);
        listen_both(&mut a, &mut b, 500).await;
        assert_eq!((a.owned.len(), b.owned.len()), (2, 2), "seed {seed}");
        let held = a.owned.clone();
        log.freeze("a");
        listen_both(&mut a, &mut b, 2_500).await;
        assert_eq!(b.owned.len(), 2, "seed {seed}: the session still runs");
        listen_both(&mut a, &mut b, 1_000).await;
        assert_eq!(b.owned.len(), 4, "seed {seed}: the session ran out");
        produce(&log.of("c"), 0..100).await;
        listen_both(&mut a, &mut b, 2_000).await;
        assert_eq!((a.seen.len(), b.seen.len()), (0, 100), "seed {seed}");

        let first = *held.first().expect("it had two");
        let late = a.consumer.commit(&[(at(first), 1)]);
        log.thaw("a");
        assert!(matches!(late.await, Err(LogError::NotAssigned(_))), "seed {seed}: a late commit is refused");
        assert!(log.committed(GROUP).is_empty(), "seed {seed}");
        a.consumer.pause(&[at(first)]).expect("it takes it for its own");
        listen_both(&mut a, &mut b, 3_000).await;
        assert_eq!(a.lost, held.iter().copied().collect::<Vec<_>>(), "seed {seed}");
        assert_eq!((a.owned.len(), b.owned.len()), (2, 2), "seed {seed}: it came back");
        assert!(a.owned.is_disjoint(&b.owned), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_zombie_reads_until_it_hears() {
    let mut read = 0;
    for seed in 0..20 {
        let log = log(seed, 1);
        let mut a = Member::join(&log.of("a")).await;
        a.listen(200).await;
        log.freeze("a");
        millis(5_000).await;
        produce(&log, 0..200).await;
        log.thaw("a");
        a.listen(20).await;
        read += usize::from(a.lost.is_empty() && !a.seen.is_empty());
        a.listen(3_000).await;
        assert_eq!((a.lost.len(), a.owned.len()), (1, 1), "seed {seed}: it hears, and comes back");
    }
    assert!(read > 0, "no zombie read anything");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_goes_on_within_its_session_keeps_everything() {
    let log = log(1, 2);
    produce(&log, 0..10).await;
    let mut a = Member::join(&log.of("a")).await;
    a.listen(500).await;
    let generation = log.generation(GROUP);
    log.freeze("a");
    let commit = a.commit_seen(0);
    assert!(timeout(Duration::from_secs(2), commit).await.is_err(), "a frozen process sends nothing");
    log.thaw("a");
    a.listen(100).await;
    a.commit_seen(0).await.expect("its own");
    a.commit_seen(1).await.expect("its own");
    assert_eq!((a.lost.len(), a.owned.len(), log.generation(GROUP)), (0, 2, generation));
    assert!(log.caught_up(GROUP, TOPIC));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_process_sends_nothing_more() {
    use bankstorm_outside::log::{EventLog, EventProducer};
    let log = log(1, 1);
    let producer = log.of("a").producer().await.expect("a producer can be made");
    log.freeze("a");
    let answers = super::hand_over(&producer, 0..20);
    millis(1_000).await;
    assert!(log.records(TOPIC).is_empty());
    log.thaw("a");
    for answer in answers {
        answer.await.expect("delivered");
    }
    assert_eq!(numbers(&log.records(TOPIC)), (0..20).collect::<Vec<_>>());
    producer.discard().await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_member_holds_the_rebalance_up_until_its_session_ran_out() {
    let log = log(1, 2);
    let mut a = Member::join(&log.of("a")).await;
    a.listen(200).await;
    drop(a);
    let dropped = Instant::now();
    let mut again = Member::join(&log.of("a")).await;
    while again.owned.len() < 2 {
        again.listen(10).await;
    }
    let waited = dropped.elapsed();
    assert!((2_900..3_200).contains(&waited.as_millis()), "it waited {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_fetch_gives_no_records_and_costs_no_partition() {
    let log = log(1, 2);
    let (mut a, mut b) = (Member::join(&log.of("a")).await, Member::join(&log.of("b")).await);
    listen_both(&mut a, &mut b, 500).await;
    log.stall_fetch("a", Duration::from_secs(10));
    produce(&log, 0..40).await;
    listen_both(&mut a, &mut b, 9_000).await;
    assert_eq!((a.seen.len(), a.owned.len()), (0, 1));
    assert!(!b.seen.is_empty());
    listen_both(&mut a, &mut b, 3_000).await;
    assert_eq!(a.seen.len() + b.seen.len(), 40);
    assert_eq!((a.lost.len(), b.lost.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_everybody_loses_goes_to_others() {
    for (seed, partitions) in [(1, 4), (2, 5), (3, 1)] {
        let log = log(seed, partitions);
        let (mut a, mut b) = (Member::join(&log.of("a")).await, Member::join(&log.of("b")).await);
        listen_both(&mut a, &mut b, 3_000).await;
        for round in 0..4 {
            let before = (a.owned.clone(), b.owned.clone());
            (a.lost, b.lost) = (Vec::new(), Vec::new());
            log.lose_all(GROUP);
            listen_both(&mut a, &mut b, 500).await;
            assert_eq!((a.lost.len(), b.lost.len()), (before.0.len(), before.1.len()), "seed {seed}, round {round}");
            assert_eq!((b.owned.clone(), a.owned.clone()), before, "seed {seed}, round {round}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_all_alone_gets_all_again() {
    let log = log(1, 4);
    let mut a = Member::join(&log.of("a")).await;
    a.listen(500).await;
    log.lose_all(GROUP);
    a.listen(500).await;
    assert_eq!((a.lost.len(), a.owned.len()), (4, 4));
}
