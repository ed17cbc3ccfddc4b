//! The model log, behaviour by behaviour.
//!
//! In: seeds. Out: panics that name what differed. Elsewhere: what every log must do (`outside::conformance::log`).

mod apart;
mod broker;
mod faults;
mod members;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use bankstorm_outside::log::{
    ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, LogError, Outgoing, Record, TopicPartition,
};
use tokio::time::{Instant, timeout};

use super::{ModelConsumer, ModelLog};

const TOPIC: &str = "t";
const GROUP: &str = "g";

fn log(seed: u64, partitions: u32) -> ModelLog {
    let log = ModelLog::new(seed);
    log.create_topic(TOPIC, partitions);
    log
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: TOPIC.to_owned(), partition }
}

fn outgoing(number: usize) -> Outgoing {
    let key = format!("key-{}", number % 7).into_bytes();
    Outgoing { topic: TOPIC.to_owned(), key, value: number.to_string().into_bytes() }
}

fn numbers(records: &[Record]) -> Vec<usize> {
    let number = |record: &Record| String::from_utf8_lossy(&record.value).parse().expect("values are numbers");
    records.iter().map(number).collect()
}

/// An acknowledgement to come. The box forgets the borrow of the producer, which the port's own future does not keep.
type Answer = Pin<Box<dyn Future<Output = Result<Delivered, LogError>> + Send>>;

/// Hands `range` over at once; the acknowledgements to come.
fn hand_over(producer: &impl EventProducer, range: std::ops::Range<usize>) -> Vec<Answer> {
    range.map(|number| Box::pin(producer.produce(outgoing(number))) as Answer).collect()
}

async fn produce(log: &ModelLog, range: std::ops::Range<usize>) {
    let producer = log.producer().await.expect("a producer can be made");
    for answer in hand_over(&producer, range) {
        answer.await.expect("delivered");
    }
    producer.discard().await;
}

async fn millis(count: u64) {
    tokio::time::sleep(Duration::from_millis(count)).await;
}

/// A member that keeps account of what it was told, and acknowledges revocations at once.
struct Member {
    consumer: ModelConsumer,
    owned: BTreeSet<i32>,
    lost: Vec<i32>,
    revoked: Vec<i32>,
    seen: Vec<Record>,
    /// The generation that it was told last.
    generation: i32,
}

impl Member {
    async fn join(log: &ModelLog) -> Self {
        let consumer = log.consumer(GROUP, &[TOPIC]).await.expect("a member can be made");
        let (lost, revoked, seen) = (Vec::new(), Vec::new(), Vec::new());
        Self { consumer, owned: BTreeSet::new(), lost, revoked, seen, generation: 0 }
    }

    fn take(&mut self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Assigned(assignment) => {
                let generation = assignment.generation.expect("each rebalance says its generation");
                assert!(generation >= self.generation, "{generation} after {}", self.generation);
                self.generation = generation;
                for at in assignment.partitions {
                    assert!(self.owned.insert(at.partition), "partition {} was assigned twice", at.partition);
                }
            }
            ConsumerEvent::Revoked { partitions, done } => {
                for at in partitions {
                    assert!(self.owned.remove(&at.partition), "partition {} was not assigned", at.partition);
                    self.revoked.push(at.partition);
                }
                // The group may wait no longer.
                let _ = done.send(());
            }
            ConsumerEvent::Lost(partitions) => {
                for at in partitions {
                    assert!(self.owned.remove(&at.partition), "partition {} was not assigned", at.partition);
                    self.lost.push(at.partition);
                }
            }
            ConsumerEvent::Record(record) => {
                assert!(self.owned.contains(&record.at.partition), "a record of {}", record.at.partition);
                self.seen.push(record);
            }
        }
    }

    /// Takes what comes for so long; what `next` waited for when it was cut short is not lost.
    async fn listen(&mut self, lasts: u64) {
        let end = Instant::now() + Duration::from_millis(lasts);
        while Instant::now() < end {
            if let Ok(event) = timeout(Duration::from_millis(3), self.consumer.next()).await {
                self.take(event.expect("the consumer is of use"));
            }
        }
    }

    async fn commit_seen(&self, partition: i32) -> Result<(), LogError> {
        let last = self.seen.iter().rfind(|record| record.at.partition == partition);
        let offset = last.map_or(0, |record| record.offset + 1);
        self.consumer.commit(&[(at(partition), offset)]).await
    }
}

/// Both listen, in turns.
async fn listen_both(first: &mut Member, second: &mut Member, lasts: u64) {
    let end = Instant::now() + Duration::from_millis(lasts);
    while Instant::now() < end {
        first.listen(12).await;
        second.listen(12).await;
    }
}
