//! Who may write on behalf of a partition (D36).

use std::time::Duration;

use bankstorm_outside::log::{Assignment, ConsumerEvent, TopicPartition};
use tokio::time::sleep;

use super::{A_WHILE, entry, quiet};
use crate::config::{ChannelConfig, GenerationFence};
use crate::markers;
use crate::transfer::tests::bench::{Bench, OPENED, partition};

#[tokio::test(start_paused = true)]
async fn r15_a_consumer_that_was_replaced_writes_nothing_and_gives_its_partition_up() {
    for (generation_fence, stored) in [(GenerationFence::On, vec![]), (GenerationFence::Off, vec![OPENED + 1])] {
        let bench = Bench::open(ChannelConfig { generation_fence, ..quiet() });
        sleep(A_WHILE).await;
        bench.fake.data().owners.insert(0, 2);
        bench.event(&entry(OPENED + 1));
        sleep(A_WHILE).await;
        assert_eq!(bench.stored(), stored, "{generation_fence:?}");
        if generation_fence == GenerationFence::On {
            let counts = ["channel_fenced_total", "channel_partitions_fenced_total", "channel_consumer_restarts_total"];
            assert_eq!(counts.map(|name| bench.fake.count(name)), [1, 1, 1]);
            assert!(bench.fake.count(markers::FENCED) > 0 && bench.committed().is_none_or(|offset| offset == 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r15_a_replaced_consumer_parks_nothing() {
    let bench = Bench::open(quiet());
    bench.poison(OPENED + 1);
    bench.fake.data().log_fails = 4;
    bench.event(&entry(OPENED + 1));
    sleep(Duration::from_millis(100)).await;
    bench.fake.data().owners.insert(0, 2);
    sleep(Duration::from_secs(3)).await;
    assert_eq!((bench.letters(), bench.mark()), (vec![], None));
    assert_eq!(bench.fake.count("channel_partitions_fenced_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn d36_records_wait_until_the_store_knows_the_generation() {
    let bench = Bench::open(quiet());
    bench.fake.data().own_fails = 6;
    bench.event(&entry(OPENED + 1));
    sleep(Duration::from_millis(500)).await;
    assert_eq!((bench.stored(), bench.fake.data().claims.len()), (vec![], 0));
    sleep(Duration::from_secs(3)).await;
    assert_eq!((bench.stored(), bench.fake.data().claims.clone()), (vec![OPENED + 1], vec![(vec![0], 1)]));
    let journal = bench.fake.data().commits[0].journal[0].clone();
    assert_eq!(journal.cause.and_then(|cause| cause.generation), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_log_without_generations_is_counted_and_not_fenced() {
    let bench = Bench::open_in(quiet(), None);
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    assert_eq!((bench.stored(), bench.fake.count("channel_generation_unknown_total")), (vec![OPENED + 1], 1));
}

#[tokio::test(start_paused = true)]
async fn d36_a_member_that_was_refused_joins_anew_and_works_its_partition() {
    for fenced in [false, true] {
        let bench = Bench::open(quiet());
        if fenced {
            sleep(A_WHILE).await;
        }
        bench.fake.data().owners.insert(0, 2);
        bench.event(&entry(OPENED + 1));
        sleep(A_WHILE).await;
        assert_eq!((bench.stored(), bench.fake.count("channel_partitions_fenced_total")), (vec![], 1), "{fenced}");
        bench.joins(3);
        bench.event(&entry(OPENED + 1));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(bench.stored(), [OPENED + 1], "{fenced}: in the generation that follows");
    }
}

#[tokio::test(start_paused = true)]
async fn d36_without_a_generation_from_a_log_that_has_them_the_member_joins_anew() {
    let bench = Bench::open(quiet());
    sleep(A_WHILE).await;
    bench.reassigned(None, 0);
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    assert_eq!((bench.stored(), bench.fake.count("channel_generation_unknown_total")), (vec![], 1));
    bench.joins(2);
    bench.event(&entry(OPENED + 1));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.stored(), [OPENED + 1]);
}

#[tokio::test(start_paused = true)]
async fn d36_whoever_holds_up_one_partition_holds_up_no_other() {
    let bench = Bench::open(quiet());
    sleep(A_WHILE).await;
    bench.fake.data().own_hangs.insert(1);
    let at = |number| TopicPartition { partition: number, ..partition() };
    bench.log(ConsumerEvent::Assigned(Assignment { partitions: vec![at(1), at(2)], generation: Some(2) }));
    sleep(A_WHILE).await;
    let claims = bench.fake.data().claims.clone();
    assert_eq!(claims, [(vec![0], 1), (vec![2], 2), (vec![0], 2)], "the new ones first, each by itself");
    let names = bench.fake.data().owners_of.clone();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["channel/core.entries"], "generations are the group's");
}
