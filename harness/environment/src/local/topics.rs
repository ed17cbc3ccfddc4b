//! Topics: created in a fresh cluster, given more partitions in a running one, and waited for until every partition has a leader and all
//! its copies.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use super::kafka_config::{min_in_sync, replication_factor};
use crate::needs::Topic;

/// For creation and for the wait, each.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// For one request; it is asked again within `LIMIT`.
const REQUEST: Duration = Duration::from_secs(5);
/// Between two looks at partitions that were asked for.
const LOOK: Duration = Duration::from_millis(100);

/// A client of the cluster that creates topics and looks at them.
pub(crate) struct Topics {
    admin: Arc<AdminClient<DefaultClientContext>>,
    brokers: u32,
}

impl Topics {
    /// A client of `brokers` brokers at the comma-separated addresses `bootstrap`; connects later.
    pub(crate) fn new(bootstrap: &str, brokers: u32) -> Result<Self, String> {
        let admin = ClientConfig::new().set("bootstrap.servers", bootstrap).create();
        admin.map(|admin| Self { admin: Arc::new(admin), brokers }).map_err(|error| error.to_string())
    }

    /// Creates `wanted`; the error says which topic was refused and why.
    pub(crate) async fn create(&self, wanted: &[Topic]) -> Result<(), String> {
        if wanted.is_empty() {
            return Ok(());
        }
        let (copies, in_sync) = (replication_factor(self.brokers) as i32, min_in_sync(self.brokers).to_string());
        let topics: Vec<NewTopic<'_>> = wanted
            .iter()
            .map(|topic| {
                NewTopic::new(&topic.name, topic.partitions as i32, TopicReplication::Fixed(copies))
                    .set("min.insync.replicas", &in_sync)
            })
            .collect();
        let options = AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT));
        let results = self.admin.create_topics(&topics, &options).await.map_err(|error| error.to_string())?;
        for result in results {
            result.map_err(|(topic, code)| format!("topic {topic}: {code}"))?;
        }
        Ok(())
    }

    /// Takes topics away, with all that is in them; those that are not there are left so.
    pub(crate) async fn remove(&self, names: &[&str]) -> Result<(), String> {
        let options = AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT));
        let results = self.admin.delete_topics(names, &options).await.map_err(|error| error.to_string())?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((topic, code)) => return Err(format!("topic {topic}: {code}")),
            }
        }
        Ok(())
    }

    /// Returns once all of `wanted` have their leaders and copies.
    pub(crate) async fn complete(&self, wanted: &[Topic]) -> Result<(), String> {
        let until = tokio::time::Instant::now() + LIMIT;
        while !self.are_complete(wanted).await {
            if tokio::time::Instant::now() > until {
                return Err(format!("limit hit: the partitions had no leaders within {} s", LIMIT.as_secs()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Gives each of `wanted` as many partitions as it names; one that has them already is left as it is.
    pub(crate) async fn grow(&self, wanted: &[Topic]) -> Result<(), String> {
        let grown: Vec<NewPartitions<'_>> =
            wanted.iter().map(|topic| NewPartitions::new(&topic.name, topic.partitions as usize)).collect();
        let options = AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST));
        if !self.are_complete(wanted).await {
            let results = self.admin.create_partitions(&grown, &options).await.map_err(|error| error.to_string())?;
            for result in results {
                result.map_err(|(topic, code)| format!("topic {topic}: {code}"))?;
            }
        }
        self.complete(wanted).await
    }

    /// Whether all brokers are there and every partition of `wanted` has a leader and all its copies in sync.
    #[expect(clippy::disallowed_methods, reason = "harness room: librdkafka's metadata call blocks its thread")]
    pub(crate) async fn are_complete(&self, wanted: &[Topic]) -> bool {
        let (admin, brokers, wanted) = (Arc::clone(&self.admin), self.brokers, wanted.to_vec());
        tokio::task::spawn_blocking(move || complete(&admin, brokers, &wanted)).await.unwrap_or(false)
    }
}

fn complete(admin: &AdminClient<DefaultClientContext>, brokers: u32, wanted: &[Topic]) -> bool {
    let Ok(metadata) = admin.inner().fetch_metadata(None, REQUEST) else { return false };
    let copies = replication_factor(brokers) as usize;
    metadata.brokers().len() == brokers as usize
        && wanted.iter().all(|topic| {
            let known = metadata.topics().iter().find(|known| known.name() == topic.name);
            known.is_some_and(|known| {
                known.partitions().len() == topic.partitions as usize
                    && known.partitions().iter().all(|part| part.leader() >= 0 && part.isr().len() == copies)
            })
        })
}

/// Gives the topics of a running cluster of `brokers` at `bootstrap` as many partitions as `wanted` names, and returns once all of them have
/// leaders. Asked again it changes nothing.
///
/// # Errors
/// The cluster refused, or did not come to it within its limit.
pub async fn grow_topics(bootstrap: &str, brokers: u32, wanted: &[Topic]) -> Result<(), String> {
    Topics::new(bootstrap, brokers)?.grow(wanted).await
}

/// Creates topics in a running cluster of `brokers` at `bootstrap`, and returns once their partitions have leaders.
///
/// # Errors
/// The cluster refused (one of that name is there), or did not come to it within its limit.
pub async fn create_topics(bootstrap: &str, brokers: u32, wanted: &[Topic]) -> Result<(), String> {
    let topics = Topics::new(bootstrap, brokers)?;
    topics.create(wanted).await?;
    topics.complete(wanted).await
}

/// Takes topics away from a running cluster at `bootstrap`; those that are not there are left so.
///
/// # Errors
/// The cluster refused, or did not answer within its limit.
pub async fn remove_topics(bootstrap: &str, names: &[&str]) -> Result<(), String> {
    // How many brokers there are only matters to who waits for copies.
    Topics::new(bootstrap, 1)?.remove(names).await
}
