//! Faults call by call.

use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, EntryKind, TransferId, WallMicros, Won, event};
use bankstorm_outside::log::{EventConsumer, EventLog, EventProducer, LogError, Outgoing};
use tokio::time::Instant;

use super::super::{COMMIT_WAIT, DISCARD_LIMIT, Damage, OffsetCommitFault, ProduceFault, RecordFault};
use super::{GROUP, Member, TOPIC, at, hand_over, log, millis, numbers, produce};

#[tokio::test(start_paused = true)]
async fn a_lost_record_is_in_the_log_and_seen_by_nobody() {
    let log = log(1, 1);
    log.appends().plan(4, RecordFault::Lost);
    log.appends().plan(10, RecordFault::Lost);
    produce(&log, 0..10).await;
    assert_eq!(numbers(&log.records(TOPIC)), (0..10).collect::<Vec<_>>());
    assert_eq!(numbers(&log.lost()), [3, 9]);
    assert!(!log.caught_up(GROUP, TOPIC));
    let mut a = Member::join(&log).await;
    a.listen(1_000).await;
    assert_eq!(numbers(&a.seen), [0, 1, 2, 4, 5, 6, 7, 8]);
    a.consumer.commit(&[(at(0), 8)]).await.expect("its own");
    assert!(!log.caught_up(GROUP, TOPIC));
    a.commit_seen(0).await.expect("its own");
    assert!(log.caught_up(GROUP, TOPIC), "nobody waits for a record that nobody sees");
    assert_eq!(log.appends().fired(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_is_whole_in_the_log() {
    let log = log(1, 1);
    log.appends().plan(1, RecordFault::Damaged(Damage::Unreadable));
    log.appends().plan(2, RecordFault::Damaged(Damage::WrongBalance));
    let entry = Entry {
        account: AccountNo::new(1_000_001),
        seq: 4,
        amount: Won::new(500),
        balance_after: Won::new(1_500),
        transfer: TransferId(uuid::Uuid::from_u128(7)),
        kind: EntryKind::Deposit,
        posted_at: WallMicros(1_700_000_000_000_000),
    };
    let producer = log.producer().await.expect("a producer can be made");
    for _ in 0..3 {
        let (key, value) = (event::key(entry.account), event::encode(&entry));
        producer.produce(Outgoing { topic: TOPIC.to_owned(), key, value }).await.expect("delivered");
    }
    let mut a = Member::join(&log).await;
    a.listen(500).await;
    assert!(event::decode(&a.seen[0].value).is_err());
    let wrong = event::decode(&a.seen[1].value).expect("it can be read");
    assert_ne!(wrong.balance_after, entry.balance_after);
    assert_eq!(Entry { balance_after: entry.balance_after, ..wrong }, entry);
    assert_eq!(event::decode(&a.seen[2].value).expect("it is whole"), entry);
    for record in log.records(TOPIC) {
        assert_eq!(event::decode(&record.value).expect("it is whole there"), entry);
    }
    assert!(log.lost().is_empty());
    producer.discard().await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_record_holds_up_what_follows_it() {
    let log = log(1, 1);
    log.produces().plan(3, ProduceFault::Stalled(Duration::from_secs(2)));
    let producer = log.producer().await.expect("a producer can be made");
    let answers = hand_over(&producer, 0..40);
    millis(1_000).await;
    assert_eq!(numbers(&log.records(TOPIC)), [0, 1]);
    for answer in answers {
        answer.await.expect("delivered");
    }
    assert_eq!(numbers(&log.records(TOPIC)), (0..40).collect::<Vec<_>>());
    producer.discard().await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_record_is_appended_before_the_discard_ends_or_never() {
    for (stall, appended) in [(5, 16), (30, 2)] {
        let log = log(1, 1);
        log.produces().plan(3, ProduceFault::Stalled(Duration::from_secs(stall)));
        let producer = log.producer().await.expect("a producer can be made");
        let answers = hand_over(&producer, 0..40);
        millis(100).await;
        let begun = Instant::now();
        producer.discard().await;
        assert!(begun.elapsed() < DISCARD_LIMIT + Duration::from_millis(50));
        let left = log.records(TOPIC);
        assert_eq!(numbers(&left), (0..appended).collect::<Vec<_>>());
        for answer in answers.into_iter().skip(appended) {
            assert!(answer.await.is_err());
        }
        millis(60_000).await;
        assert_eq!(log.records(TOPIC), left, "nothing comes after the discard");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_drops_a_producer_does_not_take_back_what_was_sent() {
    let log = log(1, 1);
    log.produces().plan(3, ProduceFault::Stalled(Duration::from_secs(2)));
    let producer = log.producer().await.expect("a producer can be made");
    drop(hand_over(&producer, 0..40));
    millis(100).await;
    drop(producer);
    millis(5_000).await;
    assert_eq!(numbers(&log.records(TOPIC)), (0..16).collect::<Vec<_>>(), "one trip was under way");
}

#[tokio::test(start_paused = true)]
async fn offset_commits_are_refused_or_late() {
    let log = log(1, 1);
    produce(&log, 0..10).await;
    let mut a = Member::join(&log).await;
    a.listen(500).await;
    log.offset_commits().plan(1, OffsetCommitFault::Refused);
    log.offset_commits().plan(2, OffsetCommitFault::Late(Duration::from_secs(2)));
    log.offset_commits().plan(3, OffsetCommitFault::Late(Duration::from_secs(20)));
    let commit = async |offset| a.consumer.commit(&[(at(0), offset)]).await;
    assert!(matches!(commit(1).await, Err(LogError::Other(_))));
    assert!(log.committed(GROUP).is_empty());

    let begun = Instant::now();
    let half_way = async {
        millis(1_000).await;
        log.committed(GROUP)[&at(0)]
    };
    let (late, seen) = tokio::join!(biased; commit(2), half_way);
    assert_eq!((late, seen), (Ok(()), 2), "it happens at once");
    assert!(begun.elapsed() >= Duration::from_secs(2));

    let begun = Instant::now();
    assert!(matches!(commit(3).await, Err(LogError::Other(_))), "nobody waits that long");
    assert!(begun.elapsed() < COMMIT_WAIT + Duration::from_millis(10));
    assert_eq!(log.committed(GROUP)[&at(0)], 3);
    commit(4).await.expect("nothing more is planned");
    assert_eq!(log.offset_commits().fired(), 3);
}
