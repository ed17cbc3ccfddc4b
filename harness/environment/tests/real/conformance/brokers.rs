//! One broker of three goes away while records are produced: none of those that were acknowledged is lost.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use bankstorm_environment::HARNESS;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::rig::{PARTITIONS, TOPIC, Up};

/// For one record, over a change of leaders: a limit of the test, not of the cluster.
const ACKED: Duration = Duration::from_secs(60);
/// Rounds of records that begin once the broker is dead.
const AFTER_THE_KILL: u32 = 3;
const READ: Duration = Duration::from_secs(30);

fn producer(bootstrap: &str) -> FutureProducer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // A frozen broker keeps its connections open: the client has to give the request up by itself.
        .set("socket.timeout.ms", "3000")
        .set("message.timeout.ms", ACKED.as_millis().to_string())
        .create()
        .expect("a producer")
}

/// One record into each partition, acknowledged by all copies in sync.
async fn produce(producer: &FutureProducer, word: &str) -> Vec<String> {
    let sends = (0..PARTITIONS).map(async |partition| {
        let payload = format!("{word} {partition}");
        let record = FutureRecord::<(), _>::to(TOPIC).partition(partition as i32).payload(&payload);
        producer.send(record, ACKED).await.unwrap_or_else(|(error, _)| panic!("{payload}: {error}"));
        payload
    });
    futures_util::future::join_all(sends).await
}

/// Everything that is in the topic by now.
#[expect(clippy::disallowed_methods, reason = "the client library polls on its caller's thread")]
async fn read(bootstrap: &str) -> BTreeSet<String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "cases")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(TOPIC, partition as i32, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&all).expect("assigned");
    let drain = move || {
        let (mut words, mut ends) = (BTreeSet::new(), BTreeSet::new());
        while ends.len() < PARTITIONS as usize {
            match consumer.poll(READ).expect("a record or an end in time") {
                Ok(record) => {
                    words.insert(String::from_utf8_lossy(record.payload().unwrap_or_default()).into_owned());
                }
                Err(rdkafka::error::KafkaError::PartitionEOF(partition)) => {
                    ends.insert(partition);
                }
                Err(error) => panic!("{error}"),
            }
        }
        words
    };
    tokio::task::spawn_blocking(drain).await.expect("join")
}

async fn all_are_there(up: &Up, acked: &[String]) {
    let there = read(&up.environment.kafka(HARNESS)).await;
    let lost: Vec<&String> = acked.iter().filter(|word| !there.contains(*word)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

pub(crate) async fn killed(up: &Up) {
    let producer = producer(&up.environment.kafka(HARNESS));
    let mut acked = produce(&producer, "before a kill").await;
    let dead = Cell::new(false);
    let during = async {
        let (mut acked, mut after) = (Vec::new(), 0);
        // Some are under way when it happens, and some begin once it is dead.
        for n in 0.. {
            after += u32::from(dead.get());
            acked.extend(produce(&producer, &format!("while it is killed {n}")).await);
            if after == AFTER_THE_KILL {
                break;
            }
        }
        acked
    };
    let kill = async {
        up.kill("kafka-2").await;
        dead.set(true);
    };
    let (during, ()) = tokio::join!(during, kill);
    acked.extend(during);
    acked.extend(produce(&producer, "without it").await);
    up.restart("kafka-2").await;
    acked.extend(produce(&producer, "after a kill").await);
    all_are_there(up, &acked).await;
}

pub(crate) async fn frozen(up: &Up) {
    let producer = producer(&up.environment.kafka(HARNESS));
    let mut acked = produce(&producer, "before a pause").await;
    up.pause("kafka-3").await;
    acked.extend(produce(&producer, "while it is frozen").await);
    up.resume("kafka-3").await;
    acked.extend(produce(&producer, "after a pause").await);
    all_are_there(up, &acked).await;
}

pub(crate) async fn restarted(up: &Up) {
    let producer = producer(&up.environment.kafka(HARNESS));
    let mut acked = produce(&producer, "before a restart").await;
    up.restart("kafka-1").await;
    acked.extend(produce(&producer, "after a restart").await);
    all_are_there(up, &acked).await;
    let log = up.environment.log("kafka-1").await.expect("a log");
    assert_eq!(log.matches("Kafka Server started").count(), 2, "both lives are in one log");
}
