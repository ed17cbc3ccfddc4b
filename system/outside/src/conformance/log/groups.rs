//! Consuming: where a member starts, what commits hold, how partitions move.
//!
//! In: a fixture. Out: a panic that names what differed. Elsewhere: producing (`order`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::LogFixture;
use super::member::{Member, OnRevoke, acknowledged, both, numbered, outgoing, produce, shared};
use crate::log::{EventConsumer, EventLog, EventProducer, LogError, TopicPartition};

const PARTITIONS: u32 = 4;
const KEYS: usize = 32;

fn values(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

pub(super) async fn a_new_group_starts_at_the_earliest_record<F: LogFixture>(fixture: Arc<F>) {
    let (log, topic) = (fixture.log(), fixture.topic(1).await);
    let producer = log.producer().await.expect("a producer can be made");
    produce(&producer, &topic, numbered(0, 10, 1)).await;
    let mut member = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    member.until("records from before the group", |member| member.seen.len() == 10).await;
    assert_eq!(member.values(), values(0..10));
    member.consumer.close().await;
    producer.discard().await;
}

pub(super) async fn a_new_member_goes_on_at_the_committed_offset<F: LogFixture>(fixture: Arc<F>) {
    let (log, topic) = (fixture.log(), fixture.topic(1).await);
    let producer = log.producer().await.expect("a producer can be made");
    produce(&producer, &topic, numbered(0, 10, 1)).await;
    let mut first = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    first.until("all records", |member| member.seen.len() == 10).await;
    let at = TopicPartition { topic: topic.clone(), partition: 0 };
    first.consumer.commit(&[(at, 4)]).await.expect("a commit for an own partition is taken");
    first.consumer.close().await;
    let mut second = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    second.until("records above the commit", |member| member.seen.len() == 6).await;
    assert_eq!(second.values(), values(4..10));
    second.consumer.close().await;
    producer.discard().await;
}

pub(super) async fn what_was_not_committed_comes_again<F: LogFixture>(fixture: Arc<F>) {
    let (log, topic) = (fixture.log(), fixture.topic(1).await);
    let producer = log.producer().await.expect("a producer can be made");
    produce(&producer, &topic, numbered(0, 10, 1)).await;
    for _ in 0..2 {
        let mut member = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
        member.until("all records", |member| member.seen.len() == 10).await;
        assert_eq!(member.values(), values(0..10));
        member.consumer.close().await;
    }
    producer.discard().await;
}

pub(super) async fn groups_do_not_see_each_others_commits<F: LogFixture>(fixture: Arc<F>) {
    let (log, topic) = (fixture.log(), fixture.topic(1).await);
    let producer = log.producer().await.expect("a producer can be made");
    produce(&producer, &topic, numbered(0, 10, 1)).await;
    for group in ["a", "b"] {
        let mut member = Member::join(&log, &format!("{topic}-{group}"), &topic, OnRevoke::Acknowledge).await;
        member.until("all records", |member| member.seen.len() == 10).await;
        member.commit_seen().await;
        member.consumer.close().await;
    }
    producer.discard().await;
}

pub(super) async fn a_reader_that_falls_behind_gets_every_record_once_and_in_order<F: LogFixture>(fixture: Arc<F>) {
    const BEFORE: usize = 3_000;
    const MEANWHILE: usize = 1_000;
    let (log, topic) = (fixture.log(), fixture.topic(2).await);
    let producer = log.producer().await.expect("a producer can be made");
    produce(&producer, &topic, numbered(0, BEFORE, KEYS)).await;
    let mut member = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    member.until("the first record", |member| !member.seen.is_empty()).await;
    // Nobody reads meanwhile, and the log fetches as far ahead as it likes.
    produce(&producer, &topic, numbered(BEFORE, MEANWHILE, KEYS)).await;
    member.until("all records", |member| member.seen.len() == BEFORE + MEANWHILE).await;
    assert_once(member.values().into_iter(), BEFORE + MEANWHILE);
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for record in &member.seen {
        let expected = next.entry(record.at.partition).or_insert(0);
        assert_eq!(record.offset, *expected, "offset in partition {}", record.at.partition);
        *expected += 1;
    }
    member.consumer.close().await;
    producer.discard().await;
}

pub(super) async fn two_members_share_partitions_and_each_record_reaches_one<F: LogFixture>(fixture: Arc<F>) {
    const RECORDS: usize = 160;
    let (log, topic) = (fixture.log(), fixture.topic(PARTITIONS).await);
    let producer = log.producer().await.expect("a producer can be made");
    let mut first = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    first.until("all partitions", |member| member.owned.len() == PARTITIONS as usize).await;
    let mut second = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    both(&mut first, &mut second, "shared partitions", |a, b| shared(a, b, PARTITIONS as usize)).await;
    produce(&producer, &topic, numbered(0, RECORDS, KEYS)).await;
    both(&mut first, &mut second, "all records", |a, b| a.seen.len() + b.seen.len() >= RECORDS).await;
    assert!(shared(&first, &second, PARTITIONS as usize), "partitions moved although nobody came or went");
    let all: BTreeSet<_> = first.values().into_iter().chain(second.values()).collect();
    assert_eq!(all.len(), RECORDS, "each record reaches one member, once");
    assert_eq!(first.seen.len() + second.seen.len(), RECORDS);
    first.consumer.close().await;
    second.consumer.close().await;
    producer.discard().await;
}

/// D36: whoever keeps its partitions hears of the new generation too, or its advances would be taken for a former owner's.
pub(super) async fn every_rebalance_is_told_with_its_generation_to_those_who_keep_their_partitions<F: LogFixture>(
    fixture: Arc<F>,
) {
    let (log, topic) = (fixture.log(), fixture.topic(1).await);
    let mut first = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    first.until("the partition", |member| member.owned.len() == 1).await;
    let alone = first.generation().expect("the log tells generations");

    let mut second = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    let same = |a: &Member<_>, b: &Member<_>| a.generation() == b.generation() && a.owned.len() + b.owned.len() == 1;
    both(&mut first, &mut second, "one generation of both", same).await;
    let shared = first.generation().expect("the log tells generations");
    assert!(shared > alone, "generation {shared} after {alone}");

    second.consumer.close().await;
    let left = |member: &Member<_>| member.generation() > Some(shared) && member.owned.len() == 1;
    first.until("a generation without the one who left", left).await;
    first.consumer.close().await;
}

pub(super) async fn a_drain_and_commit_inside_the_revocation_holds<F: LogFixture>(fixture: Arc<F>) {
    const RECORDS: usize = 80;
    let (log, topic) = (fixture.log(), fixture.topic(PARTITIONS).await);
    let producer = log.producer().await.expect("a producer can be made");
    produce(&producer, &topic, numbered(0, RECORDS, KEYS)).await;
    let mut first = Member::join(&log, &topic, &topic, OnRevoke::Commit).await;
    first.until("all records", |member| member.seen.len() == RECORDS).await;

    let mut second = Member::join(&log, &topic, &topic, OnRevoke::Commit).await;
    both(&mut first, &mut second, "shared partitions", |a, b| shared(a, b, PARTITIONS as usize)).await;
    assert!(!first.revoked.is_empty(), "the first member was told before its partitions went");
    let moved = second.owned.clone();
    let told: BTreeSet<_> = first.revoked.iter().copied().collect();
    assert!(moved.is_subset(&told), "partitions {moved:?} moved, and {told:?} were revoked");
    produce(&producer, &topic, numbered(RECORDS, RECORDS, KEYS)).await;
    both(&mut first, &mut second, "more records", |a, b| a.seen.len() + b.seen.len() >= 2 * RECORDS).await;
    assert_once(first.values().into_iter().chain(second.values()), 2 * RECORDS);

    second.commit_seen().await;
    let second_values = second.values();
    second.consumer.close().await;
    first.until("the partitions of the one who left", |member| member.owned.len() == PARTITIONS as usize).await;
    produce(&producer, &topic, numbered(2 * RECORDS, RECORDS, KEYS)).await;
    first.until("the last records", |member| member.seen.len() + second_values.len() >= 3 * RECORDS).await;
    assert_once(first.values().into_iter().chain(second_values), 3 * RECORDS);
    first.consumer.close().await;
    producer.discard().await;
}

fn assert_once(values: impl Iterator<Item = String>, count: usize) {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for value in values {
        *times.entry(value).or_default() += 1;
    }
    let again: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "records came again although they were committed: {again:?}");
    assert_eq!(times.len(), count, "records in all");
}

pub(super) async fn a_dropped_member_loses_its_partitions<F: LogFixture>(fixture: Arc<F>) {
    const RECORDS: usize = 80;
    let (log, topic) = (fixture.log(), fixture.topic(PARTITIONS).await);
    let producer = log.producer().await.expect("a producer can be made");
    let mut first = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    first.until("all partitions", |member| member.owned.len() == PARTITIONS as usize).await;
    let mut second = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    both(&mut first, &mut second, "shared partitions", |a, b| shared(a, b, PARTITIONS as usize)).await;
    produce(&producer, &topic, numbered(0, RECORDS, KEYS)).await;
    both(&mut first, &mut second, "all records", |a, b| a.seen.len() + b.seen.len() >= RECORDS).await;
    drop(first);
    second.until("all partitions", |member| member.owned.len() == PARTITIONS as usize).await;
    let all = |member: &Member<_>| member.values().into_iter().collect::<BTreeSet<_>>().len() == RECORDS;
    second.until("the records that the dropped member did not commit", all).await;
    second.consumer.close().await;
    producer.discard().await;
}

pub(super) async fn a_commit_for_a_partition_of_another_is_refused<F: LogFixture>(fixture: Arc<F>) {
    let (log, topic) = (fixture.log(), fixture.topic(2).await);
    let mut first = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    first.until("both partitions", |member| member.owned.len() == 2).await;
    let mut second = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    both(&mut first, &mut second, "shared partitions", |a, b| shared(a, b, 2)).await;
    let partition = *second.owned.first().expect("the second member has one");
    let at = TopicPartition { topic: topic.clone(), partition };
    let refused = first.consumer.commit(&[(at.clone(), 0)]).await;
    assert!(matches!(refused, Err(LogError::NotAssigned(_))), "{refused:?}");
    second.consumer.commit(&[(at, 0)]).await.expect("its owner may");
    first.consumer.close().await;
    second.consumer.close().await;
}

pub(super) async fn pause_stops_a_partition_and_resume_continues_it<F: LogFixture>(fixture: Arc<F>) {
    const ROUNDS: usize = 10;
    let (log, topic) = (fixture.log(), fixture.topic(2).await);
    let producer = log.producer().await.expect("a producer can be made");
    let mut key_of: BTreeMap<i32, String> = BTreeMap::new();
    for index in 0..KEYS {
        let key = format!("key-{index}");
        let partition = acknowledged(producer.produce(outgoing(&topic, &key, "first"))).await.partition;
        key_of.entry(partition).or_insert(key);
    }
    let mut member = Member::join(&log, &topic, &topic, OnRevoke::Acknowledge).await;
    member.until("the first records", |member| member.seen.len() == KEYS).await;
    member.seen.clear();
    let paused = TopicPartition { topic: topic.clone(), partition: 0 };
    member.consumer.pause(std::slice::from_ref(&paused)).expect("an own partition can be paused");
    for round in 0..ROUNDS {
        for partition in [0, 1] {
            acknowledged(producer.produce(outgoing(&topic, &key_of[&partition], round))).await;
        }
        // Each record of the other partition was produced after one of the paused partition.
        member.until("a record beside the pause", |member| member.seen.len() > round).await;
    }
    assert!(member.seen.iter().all(|record| record.at.partition == 1), "a paused partition gave records");
    member.consumer.resume(&[paused]).expect("an own partition can be resumed");
    member.until("records after the pause", |member| member.seen.len() == 2 * ROUNDS).await;
    let values: Vec<_> = member.values().split_off(ROUNDS);
    assert_eq!(values, self::values(0..ROUNDS), "the paused partition goes on where it stopped");
    member.consumer.close().await;
    producer.discard().await;
}

pub(super) async fn a_paused_partition_that_goes_and_comes_back_is_fetched_again<F: LogFixture>(fixture: Arc<F>) {
    let (log, topic) = (fixture.log(), fixture.topic(2).await);
    let producer = log.producer().await.expect("a producer can be made");
    let mut key_of: BTreeMap<i32, String> = BTreeMap::new();
    for index in 0..KEYS {
        let key = format!("key-{index}");
        let partition = acknowledged(producer.produce(outgoing(&topic, &key, "before"))).await.partition;
        key_of.entry(partition).or_insert(key);
    }
    let mut first = Member::join(&log, &topic, &topic, OnRevoke::Commit).await;
    first.until("the first records", |member| member.seen.len() == KEYS).await;
    let paused = [0, 1].map(|partition| TopicPartition { topic: topic.clone(), partition });
    first.consumer.pause(&paused).expect("own partitions can be paused");

    let mut second = Member::join(&log, &topic, &topic, OnRevoke::Commit).await;
    both(&mut first, &mut second, "shared partitions", |a, b| shared(a, b, 2)).await;
    let moved = *second.owned.first().expect("the second member has one");
    second.consumer.close().await;
    first.until("the partition that went", |member| member.owned.contains(&moved)).await;
    acknowledged(producer.produce(outgoing(&topic, &key_of[&moved], "after"))).await;
    let came = |member: &Member<_>| member.seen.iter().any(|record| record.value == b"after");
    first.until("a record of the partition that was paused before it went", came).await;
    first.consumer.close().await;
    producer.discard().await;
}
