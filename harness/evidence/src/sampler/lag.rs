//! Lag: how many records of the entries topic the channel's group has not committed.
//!
//! In: Kafka. Out: a number of records, or a sentence. The reader knows the group's name and never subscribes, so it is no member of it
//! and moves no partitions.

use std::time::Duration;

use bankstorm_contracts::event::ENTRIES_TOPIC;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long Kafka may take for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct LagReader {
    consumer: Result<BaseConsumer, String>,
    partitions: Vec<i32>,
}

impl LagReader {
    pub(super) fn new(bootstrap: &str, group: &str) -> Self {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .create();
        Self { consumer: consumer.map_err(|error| format!("lag: {error}")), partitions: Vec::new() }
    }

    /// The sum over partitions of end minus committed; where nothing was committed yet, end minus beginning.
    pub(super) fn read(&mut self) -> Result<u64, String> {
        let consumer = self.consumer.as_ref().map_err(Clone::clone)?;
        let problem = |error: rdkafka::error::KafkaError| format!("lag: {error}");
        if self.partitions.is_empty() {
            let metadata = consumer.fetch_metadata(Some(ENTRIES_TOPIC), ANSWER_LIMIT).map_err(problem)?;
            let found = metadata.topics().iter().filter(|topic| topic.name() == ENTRIES_TOPIC);
            self.partitions = found.flat_map(|topic| topic.partitions().iter().map(|one| one.id())).collect();
        }
        let mut asked = TopicPartitionList::with_capacity(self.partitions.len());
        for partition in &self.partitions {
            asked.add_partition(ENTRIES_TOPIC, *partition);
        }
        let committed = consumer.committed_offsets(asked, ANSWER_LIMIT).map_err(problem)?;
        let mut lag = 0;
        for element in committed.elements() {
            let watermarks = consumer.fetch_watermarks(ENTRIES_TOPIC, element.partition(), ANSWER_LIMIT);
            let (low, high) = watermarks.map_err(problem)?;
            let done = if let Offset::Offset(offset) = element.offset() { offset.max(low) } else { low };
            lag += u64::try_from(high - done).unwrap_or(0);
        }
        Ok(lag)
    }
}
