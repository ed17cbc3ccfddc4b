//! The producer, idempotent unless P13 is off: hand-over in call order, one acknowledgement a record.
//!
//! In: records. Out: where they landed, or [`LogError::NotDelivered`]. Elsewhere: what follows from a record that was not delivered
//! (`core::relay`, D35).

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bankstorm_outside::log::{Delivered, EventProducer, LogError, Outgoing};
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig, ThreadedProducer};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{DISCARD_LIMIT, other};

type Acknowledgement = Result<Delivered, LogError>;

/// Passes each delivery report to the future that waits for it.
struct Reports;

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::poll::trace_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<oneshot::Sender<Acknowledgement>>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiter: Self::DeliveryOpaque) {
        let answer = match result {
            Ok(message) => Ok(Delivered { partition: message.partition(), offset: message.offset() }),
            Err((error, _)) => Err(LogError::NotDelivered(error.to_string())),
        };
        // The waiting future may have been dropped; the record is written all the same.
        let _ = waiter.send(answer);
    }
}

/// An idempotent producer with its own polling thread.
pub struct KafkaProducer {
    client: ThreadedProducer<Reports>,
    /// Why a record was refused at its hand-over. No later one may slip past it (D35): all of them are refused.
    refused: Mutex<Option<String>>,
}

impl KafkaProducer {
    pub(super) fn start(config: &ClientConfig) -> Result<Self, LogError> {
        let client = config.create_with_context(Reports).map_err(|error| other(&error))?;
        Ok(Self { client, refused: Mutex::default() })
    }

    /// Hands a record over, unless one was refused before it.
    fn hand_over(&self, record: &Outgoing, waiter: Box<oneshot::Sender<Acknowledgement>>) -> Result<(), LogError> {
        // Held to the end: the order in which records pass here is the order in which librdkafka gets them.
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &*refused {
            return Err(LogError::NotDelivered(format!("a record before it was refused: {why}")));
        }
        let message = BaseRecord::with_opaque_to(&record.topic, waiter).key(&record.key).payload(&record.value);
        self.client.send(message).map_err(|(error, _)| {
            let why = error.to_string();
            *refused = Some(why.clone());
            LogError::NotDelivered(why)
        })
    }
}

impl EventProducer for KafkaProducer {
    fn produce(&self, record: Outgoing) -> impl Future<Output = Acknowledgement> + Send + 'static {
        let (send, receive) = oneshot::channel();
        // Handed over here, before the future is polled: the order of calls is the order in the log.
        let handed = self.hand_over(&record, Box::new(send));
        async move {
            handed?;
            match receive.await {
                Ok(answer) => answer,
                Err(_) => Err(LogError::NotDelivered("the producer was dropped before the answer".to_owned())),
            }
        }
    }

    async fn discard(self) {
        #[expect(clippy::disallowed_methods, reason = "librdkafka blocks in flush, on a thread that may block")]
        let flushed = tokio::task::spawn_blocking(move || drain(&self.client)).await;
        if let Err(error) = flushed {
            tracing::error!(%error, "discarding a producer failed");
        }
    }
}

/// Drops what was not sent yet and waits for the answers to what was, again and again: a connection that breaks meanwhile puts its
/// batches back into the queue. Dropping the client then ends it for good.
///
/// Past the limit a batch may still lie in the buffers of a stalled broker and be appended later. That makes duplicates, never a new
/// order: the old producer's records arrive in their order without a gap, or not at all, and the new one starts from the first of them.
fn drain(client: &ThreadedProducer<Reports>) {
    let deadline = Instant::now() + DISCARD_LIMIT;
    loop {
        client.purge(PurgeConfig::default().queue());
        if client.flush(Duration::from_millis(50)).is_ok() {
            return;
        }
        if Instant::now() >= deadline {
            let in_flight = client.in_flight_count();
            tracing::warn!(in_flight, limit = ?DISCARD_LIMIT, "limit of discard hit: the broker did not answer for records in flight");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_outside::log::{EventConsumer, EventLog, EventProducer, LogError, Outgoing, TopicPartition};

    use futures_util::FutureExt;
    use rdkafka::producer::{Producer as _, PurgeConfig};

    use super::KafkaProducer;
    use crate::kafka::{KafkaLog, Producer};

    /// Nothing listens at port 1.
    fn nowhere() -> KafkaLog {
        KafkaLog::new("127.0.0.1:1", "unit-test")
    }

    /// Which of them loses order or records on real brokers waits for a proxy before Kafka.
    #[test]
    fn the_safe_arm_is_idempotent_and_the_weaker_one_is_not_p13() {
        let keys = [
            "enable.idempotence",
            "acks",
            "enable.gapless.guarantee",
            "max.in.flight.requests.per.connection",
            "retries",
        ];
        let set = |log: KafkaLog| keys.map(|key| log.producer_config().get(key).map(ToOwned::to_owned));
        let words = |words: [Option<&str>; 5]| words.map(|word| word.map(ToOwned::to_owned));
        let safe = words([Some("true"), Some("all"), Some("true"), None, None]);
        assert_eq!(set(nowhere()), safe, "by default");
        assert_eq!(set(nowhere().producing(Producer::Idempotent)), safe);
        let plain = words([Some("false"), Some("1"), None, Some("5"), Some("2147483647")]);
        assert_eq!(set(nowhere().producing(Producer::Plain)), plain);
    }

    #[tokio::test]
    async fn without_a_broker_a_plain_producer_starts_too_p13() {
        let producer = nowhere().producing(Producer::Plain).producer().await.expect("its settings fit together");
        producer.discard().await;
    }

    #[tokio::test]
    async fn without_a_broker_a_discard_ends_and_leaves_no_future_without_an_answer() {
        let producer = nowhere().producer().await.expect("nothing is connected yet");
        let record = Outgoing { topic: "t".to_owned(), key: b"k".to_vec(), value: b"v".to_vec() };
        let waiting = producer.produce(record);
        producer.discard().await;
        assert!(matches!(waiting.await, Err(LogError::NotDelivered(_))));
    }

    #[tokio::test]
    async fn after_a_refused_hand_over_everything_is_refused() {
        let mut config = nowhere().producer_config();
        config.set("queue.buffering.max.messages", "1");
        let producer = KafkaProducer::start(&config).expect("nothing is connected yet");
        let record = Outgoing { topic: "t".to_owned(), key: b"k".to_vec(), value: b"v".to_vec() };
        let first = producer.produce(record.clone());
        let second = producer.produce(record.clone()).now_or_never();
        assert!(matches!(second, Some(Err(LogError::NotDelivered(_)))), "there is no room: {second:?}");
        producer.client.purge(PurgeConfig::default().queue());
        assert!(matches!(first.await, Err(LogError::NotDelivered(_))));
        let third = producer.produce(record).now_or_never();
        assert!(matches!(third, Some(Err(LogError::NotDelivered(_)))), "there is room, and it is behind a refusal");
        producer.discard().await;
    }

    #[tokio::test]
    async fn without_a_broker_a_commit_is_refused_and_a_close_ends() {
        let consumer = nowhere().consumer("g", &["t"]).await.expect("nothing is connected yet");
        let at = TopicPartition { topic: "t".to_owned(), partition: 0 };
        assert!(matches!(consumer.commit(&[(at, 1)]).await, Err(LogError::NotAssigned(_))));
        consumer.close().await;
    }
}
