//! Producing: order, partitions, offsets, acknowledgements, discarding.
//!
//! In: a fixture. Out: a panic that names what differed. Elsewhere: groups and commits (`groups`).

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::timeout;

use super::member::{Member, OnRevoke, acknowledged, numbered, outgoing, produce, text};
use super::{LIMIT, LogFixture};
use crate::log::{EventConsumer, EventLog, EventProducer, Record};

const KEYS: usize = 16;
const RECORDS: usize = 240;
const PARTITIONS: u32 = 4;

/// Reads `count` records of a topic in a group of its own.
async fn read<L: EventLog>(log: &L, topic: &str, count: usize) -> Vec<Record> {
    let mut member = Member::join(log, &format!("{topic}-reader"), topic, OnRevoke::Acknowledge).await;
    member.until("all records", |member| member.seen.len() >= count).await;
    assert_eq!(member.seen.len(), count, "records of {topic}");
    let Member { consumer, seen, .. } = member;
    consumer.close().await;
    seen
}

pub(super) async fn records_of_a_key_keep_the_order_of_calls<F: LogFixture>(fixture: Arc<F>) {
    let (log, topic) = (fixture.log(), fixture.topic(PARTITIONS).await);
    let producer = log.producer().await.expect("a producer can be made");
    produce(&producer, &topic, numbered(0, RECORDS, KEYS)).await;
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for record in read(&log, &topic, RECORDS).await {
        let number = text(&record.value).parse().expect("a number");
        by_key.entry(text(&record.key)).or_default().push(number);
    }
    for index in 0..KEYS {
        let expected: Vec<_> = (index..RECORDS).step_by(KEYS).collect();
        assert_eq!(by_key[&format!("key-{index}")], expected, "order of key-{index}");
    }
    producer.discard().await;
}

pub(super) async fn equal_keys_share_a_partition_and_offsets_rise_from_zero_without_holes<F: LogFixture>(
    fixture: Arc<F>,
) {
    let (log, topic) = (fixture.log(), fixture.topic(PARTITIONS).await);
    let producer = log.producer().await.expect("a producer can be made");
    produce(&producer, &topic, numbered(0, RECORDS, KEYS)).await;
    let mut partition_of: BTreeMap<Vec<u8>, i32> = BTreeMap::new();
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for record in read(&log, &topic, RECORDS).await {
        let partition = record.at.partition;
        assert_eq!(*partition_of.entry(record.key.clone()).or_insert(partition), partition, "{}", text(&record.key));
        let expected = next.entry(partition).or_insert(0);
        assert_eq!(record.offset, *expected, "offset in partition {partition}");
        *expected += 1;
    }
    assert!(next.len() > 1, "{KEYS} keys all went to one of {PARTITIONS} partitions");
    producer.discard().await;
}

pub(super) async fn acknowledgements_name_partition_and_offset<F: LogFixture>(fixture: Arc<F>) {
    let (log, topic) = (fixture.log(), fixture.topic(PARTITIONS).await);
    let producer = log.producer().await.expect("a producer can be made");
    let delivered = produce(&producer, &topic, numbered(0, RECORDS, KEYS)).await;
    for record in read(&log, &topic, RECORDS).await {
        let number: usize = text(&record.value).parse().expect("a number");
        let at = &delivered[number];
        assert_eq!((at.partition, at.offset), (record.at.partition, record.offset), "record {number}");
    }
    producer.discard().await;
}

pub(super) async fn a_record_is_handed_over_even_when_its_future_is_dropped<F: LogFixture>(fixture: Arc<F>) {
    let (log, topic) = (fixture.log(), fixture.topic(1).await);
    let producer = log.producer().await.expect("a producer can be made");
    drop(producer.produce(outgoing(&topic, "key", "first")));
    let second = acknowledged(producer.produce(outgoing(&topic, "key", "second"))).await;
    assert_eq!(second.offset, 1, "the record whose future was dropped lies before it");
    let values: Vec<_> = read(&log, &topic, 2).await.iter().map(|record| text(&record.value)).collect();
    assert_eq!(values, ["first", "second"]);
    producer.discard().await;
}

pub(super) async fn after_a_discard_a_new_producer_goes_on_behind_the_old_one<F: LogFixture>(fixture: Arc<F>) {
    const OLD: usize = 50;
    const NEW: usize = 5;
    let (log, topic) = (fixture.log(), fixture.topic(1).await);
    let old = log.producer().await.expect("a producer can be made");
    acknowledged(old.produce(outgoing(&topic, "key", 0))).await;
    let waiting: Vec<_> = (1..OLD).map(|number| old.produce(outgoing(&topic, "key", number))).collect();
    timeout(LIMIT, old.discard()).await.unwrap_or_else(|_| panic!("limit of {LIMIT:?} hit while discarding"));
    let mut acknowledged_last = 0;
    for (index, answer) in waiting.into_iter().enumerate() {
        let answer = timeout(LIMIT, answer).await;
        if answer.expect("a discarded producer leaves no future without an answer").is_ok() {
            acknowledged_last = index + 1;
        }
    }
    let new = log.producer().await.expect("a new producer can be made");
    let last = produce(&new, &topic, numbered(OLD, NEW, 1)).await.pop().expect("some were produced");
    let count = usize::try_from(last.offset + 1).expect("offsets are not negative");
    let values: Vec<usize> =
        read(&log, &topic, count).await.iter().map(|record| text(&record.value).parse().expect("a number")).collect();
    let (head, tail) = values.split_at(count - NEW);
    let prefix: Vec<_> = (0..head.len()).collect();
    assert_eq!(head, prefix, "the old producer's records are a prefix of what it was given");
    assert!(acknowledged_last < head.len(), "{acknowledged_last} was acknowledged and is not in the log");
    let newest: Vec<_> = (OLD..OLD + NEW).collect();
    assert_eq!(tail, newest, "the new producer's records come last, each once");
    new.discard().await;
}
