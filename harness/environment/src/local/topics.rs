//! Topics of a fresh broker: created, and waited for until every partition has a leader.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;

use super::kafka::NAME;
use super::launch::Launcher;
use crate::EnvironmentError;
use crate::needs::Topic;

const LIMIT: Duration = Duration::from_secs(30);
/// For one request; it is asked again within `LIMIT`.
const REQUEST: Duration = Duration::from_secs(5);

/// Creates `wanted` and waits for the leaders; with nothing wanted it still waits until the broker answers.
pub(super) async fn create(launcher: &Launcher<'_>, port: u16, wanted: &[Topic]) -> Result<(), EnvironmentError> {
    let refused = |asked: &str, reason: String| EnvironmentError::Refused {
        name: NAME.into(),
        asked: asked.into(),
        reason,
        log: launcher.last_lines(NAME),
    };
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", format!("127.0.0.1:{port}"))
        .create()
        .map_err(|error: KafkaError| refused("an admin client", error.to_string()))?;
    if !wanted.is_empty() {
        let topics: Vec<NewTopic<'_>> = wanted
            .iter()
            .map(|topic| NewTopic::new(&topic.name, topic.partitions as i32, TopicReplication::Fixed(1)))
            .collect();
        let options = AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT));
        let results = launcher
            .until(NAME, "topics", LIMIT, async || Some(admin.create_topics(&topics, &options).await))
            .await?
            .map_err(|error| refused("topics", error.to_string()))?;
        for result in results {
            result.map_err(|(topic, code)| refused(&format!("topic {topic}"), code.to_string()))?;
        }
    }
    let admin = std::sync::Arc::new(admin);
    let led = async || {
        let admin = std::sync::Arc::clone(&admin);
        let wanted = wanted.to_vec();
        in_background(move || all_led(&admin, &wanted)).await.then_some(())
    };
    launcher.until(NAME, "a leader for every partition", LIMIT, led).await
}

fn all_led(admin: &AdminClient<DefaultClientContext>, wanted: &[Topic]) -> bool {
    let Ok(metadata) = admin.inner().fetch_metadata(None, REQUEST) else { return false };
    wanted.iter().all(|topic| {
        let known = metadata.topics().iter().find(|known| known.name() == topic.name);
        known.is_some_and(|known| {
            known.partitions().len() == topic.partitions as usize
                && known.partitions().iter().all(|partition| partition.leader() >= 0)
        })
    })
}

#[expect(clippy::disallowed_methods, reason = "harness room: librdkafka's metadata call blocks its thread")]
async fn in_background(look: impl FnOnce() -> bool + Send + 'static) -> bool {
    tokio::task::spawn_blocking(look).await.unwrap_or(false)
}
