//! Apache Kafka behind the log port, by librdkafka.
//!
//! In: a bootstrap address and a client id. Out: [`KafkaLog`], an `outside::log::EventLog`. Elsewhere: what is sent when
//! (`core::relay`), what is committed when (`channel`), the broker itself (`harness/environment`).
//!
//! | module | what it is |
//! |---|---|
//! | `producer` | hand-over in call order, acknowledgements, discarding |
//! | `consumer` | the member's handle: next, commit, pause, close |
//! | `poll` | the thread that polls librdkafka, and its rebalance callbacks |
//! | `queue` | what lies between that thread and the handle |
//! | `blocking` | waiting for a future on a plain thread, with a limit |

mod blocking;
mod consumer;
mod poll;
mod producer;
mod queue;

use std::time::Duration;

use bankstorm_outside::log::{EventLog, LogError};
use rdkafka::ClientConfig;

pub use consumer::KafkaConsumer;
pub use producer::KafkaProducer;

/// How long a rebalance waits for the acknowledgement of `Revoked`. Below [`SESSION_TIMEOUT`], so that a slow drain costs this member
/// its hand-over and not its membership.
pub const REVOKE_LIMIT: Duration = Duration::from_secs(2);
/// How long a commit waits for the broker's answer; then nobody can tell, and the same offset may be committed again.
pub const COMMIT_LIMIT: Duration = Duration::from_secs(10);
/// A request of a consumer that has no answer after this long is given up with its connection: a synchronous commit blocks a thread,
/// and must not do so for librdkafka's own minute.
pub const CONSUMER_SOCKET_TIMEOUT: Duration = Duration::from_secs(3);
/// How long `discard` waits for the broker's answers to what is in flight.
pub const DISCARD_LIMIT: Duration = Duration::from_secs(15);
/// How long `close` waits for the group to be left.
pub const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// After this long without a heartbeat the group goes on without a member (D36).
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a client asks which partitions a topic has: partitions that are added under load are read this soon (A17). librdkafka's own
/// five minutes would leave their records lying for so long.
pub const METADATA_REFRESH: Duration = Duration::from_secs(5);

/// A Kafka cluster, as one client process sees it.
#[derive(Clone, Debug)]
pub struct KafkaLog {
    bootstrap: String,
    client_id: String,
    producer: Producer,
}

/// P13: what keeps a record that is sent again from coming twice, or after its successors. Decided in `KafkaLog::producer_config`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Producer {
    /// The producer numbers its batches, and the broker takes each once and in order; every replica has a record before it is acknowledged.
    #[default]
    Idempotent,
    /// P13 off: batches have no numbers, several requests are in flight, what fails is sent again behind its successors, and the leader alone
    /// acknowledges.
    Plain,
}

impl KafkaLog {
    /// The cluster at `bootstrap` (`host:port`, several by comma). `client_id` is what the broker's logs call us. Nothing is connected
    /// yet.
    pub fn new(bootstrap: &str, client_id: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), client_id: client_id.to_owned(), producer: Producer::default() }
    }

    /// The same cluster, produced to in this way.
    #[must_use]
    pub fn producing(self, producer: Producer) -> Self {
        Self { producer, ..self }
    }

    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", &self.client_id)
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", METADATA_REFRESH.as_millis().to_string())
            .set("socket.nagle.disable", "true");
        config
    }

    fn producer_config(&self) -> ClientConfig {
        let mut config = self.common();
        match self.producer {
            Producer::Idempotent => config
                .set("enable.idempotence", "true")
                .set("acks", "all")
                // A record that fails for good ends the producer, so that no later one slips past it (D35).
                .set("enable.gapless.guarantee", "true"),
            Producer::Plain => config
                .set("enable.idempotence", "false")
                .set("acks", "1")
                .set("max.in.flight.requests.per.connection", "5")
                .set("retries", "2147483647"),
        };
        config
            .set("linger.ms", "0")
            // Never: librdkafka would skip the record that timed out and send the later ones (D35).
            .set("message.timeout.ms", "0")
            // An answer that does not come for this long drops the connection, and the batch is sent again under its sequence number.
            .set("socket.timeout.ms", "10000")
            // Java's default. librdkafka's own is CRC32: two languages on one topic would split an account's order.
            .set("partitioner", "murmur2_random");
        config
    }

    fn consumer_config(&self, group: &str) -> ClientConfig {
        let mut config = self.common();
        config
            .set("group.id", group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "false")
            .set("session.timeout.ms", SESSION_TIMEOUT.as_millis().to_string())
            .set("heartbeat.interval.ms", "500")
            .set("socket.timeout.ms", CONSUMER_SOCKET_TIMEOUT.as_millis().to_string())
            .set("fetch.wait.max.ms", "20")
            .set("fetch.error.backoff.ms", "10")
            .set("fetch.queue.backoff.ms", "10")
            // Some hundred records of each partition at a time: a backlog is worked off on all of them at once.
            .set("max.partition.fetch.bytes", "131072")
            .set("queued.min.messages", "2000");
        config
    }
}

impl EventLog for KafkaLog {
    type Producer = KafkaProducer;
    type Consumer = KafkaConsumer;

    async fn producer(&self) -> Result<KafkaProducer, LogError> {
        KafkaProducer::start(&self.producer_config())
    }

    async fn consumer(&self, group: &str, topics: &[&str]) -> Result<KafkaConsumer, LogError> {
        KafkaConsumer::start(&self.consumer_config(group), topics)
    }
}

/// An error of librdkafka that is no delivery error.
fn other(error: &rdkafka::error::KafkaError) -> LogError {
    LogError::Other(error.to_string())
}
