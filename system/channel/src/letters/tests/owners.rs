//! Who may write on behalf of a partition (D36).

use std::time::Duration;

use tokio::time::sleep;

use super::{A_WHILE, entry, quiet};
use crate::config::{ChannelConfig, GenerationFence};
use crate::markers;
use crate::transfer::tests::bench::{Bench, OPENED};

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
            bench.event(&entry(OPENED + 2));
            sleep(A_WHILE).await;
            let counts = ["channel_fenced_total", "channel_partitions_fenced_total", "channel_stray_records_total"];
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
    let bench = Bench::open(quiet());
    bench.reassigned(None, 0);
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    assert_eq!((bench.stored(), bench.fake.count("channel_generation_unknown_total")), (vec![OPENED + 1], 1));
}
