//! The stores of a run, all at once: which programs they need, and the parallel start.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{OptionFuture, try_join_all};

use super::kafka::Broker;
use super::launch::Launcher;
use super::{kafka, kafka_config, postgres};
use crate::needs::Needs;
use crate::{EnvironmentError, tools};

/// What was found on the machine for these needs.
pub(super) struct Programs {
    postgres: Option<tools::Postgres>,
    kafka: Option<(tools::Java, tools::KafkaJars)>,
    /// User and group that PostgreSQL runs as, when that is another than the harness's.
    pub(super) owner: Option<(u32, u32)>,
}

impl Programs {
    /// Looks for everything before anything is started, so that a missing program costs nothing.
    pub(super) fn locate(needs: &Needs) -> Result<Self, EnvironmentError> {
        let (mut postgres, mut kafka, mut owner) = (None, None, None);
        if !needs.databases.is_empty() {
            postgres = Some(tools::postgres()?);
            owner = postgres::owner(super::runs_as_root())?;
        }
        if needs.brokers > 0 {
            kafka = Some((tools::java()?, tools::kafka_jars()?));
        }
        Ok(Self { postgres, kafka, owner })
    }
}

/// Addresses of what came up.
pub(super) struct Up {
    pub(super) databases: BTreeMap<String, u16>,
    pub(super) listeners: BTreeMap<String, u16>,
    pub(super) broker: Option<u16>,
}

/// Refuses needs that contradict themselves.
pub(super) fn validate(needs: &Needs) -> Result<(), EnvironmentError> {
    let refuse = |field, value: String, accepted| Err(EnvironmentError::Needs { field, value, accepted });
    if needs.brokers > 1 {
        return refuse(
            "brokers",
            needs.brokers.to_string(),
            "0 or 1; more brokers come with the faults that need them",
        );
    }
    if needs.brokers == 0 && !(needs.topics.is_empty() && needs.kafka_clients.is_empty()) {
        return refuse("brokers", "0".into(), "1, since topics or Kafka clients are named");
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut seen = BTreeSet::new();
    for name in &needs.databases {
        if name.is_empty() || !name.chars().all(plain) || !seen.insert(name) {
            return refuse("databases", name.clone(), "distinct names of a-z, 0-9 and _");
        }
    }
    let mut listeners = BTreeSet::from([kafka_config::BROKER.to_owned(), kafka_config::CONTROLLER.to_owned()]);
    for client in &needs.kafka_clients {
        if client.is_empty() || !listeners.insert(kafka_config::listener_name(client)) {
            return refuse(
                "kafka_clients",
                client.clone(),
                "distinct names, also in capitals, other than broker and controller",
            );
        }
    }
    for topic in &needs.topics {
        if topic.partitions == 0 {
            return refuse("topics", format!("{} with 0 partitions", topic.name), "at least 1 partition");
        }
    }
    Ok(())
}

/// Starts everything in parallel; the first error ends the start.
pub(super) async fn start(launcher: &Launcher<'_>, needs: &Needs, programs: &Programs) -> Result<Up, EnvironmentError> {
    let databases = async {
        let Some(tools) = &programs.postgres else { return Ok(BTreeMap::new()) };
        let starts = needs.databases.iter().map(async |database| {
            let name = postgres::process_name(database);
            let port = launcher.telling(&name, postgres::start(launcher, database, tools, programs.owner)).await?;
            Ok::<_, EnvironmentError>((database.clone(), port))
        });
        try_join_all(starts).await.map(|up| up.into_iter().collect())
    };
    let broker = OptionFuture::from(programs.kafka.as_ref().map(|(java, jars)| {
        launcher.telling(kafka::NAME, kafka::start(launcher, java, jars, &needs.kafka_clients, &needs.topics))
    }));
    let broker = async { broker.await.transpose() };
    let (databases, broker): (BTreeMap<String, u16>, Option<Broker>) =
        futures_util::future::try_join(databases, broker).await?;
    let (listeners, broker) = broker.map_or_else(Default::default, |up| (up.listeners, Some(up.port)));
    Ok(Up { databases, listeners, broker })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::needs::Topic;

    #[test]
    fn contradictions_are_refused_with_the_value() {
        let check = |change: fn(&mut Needs), expected: &str| {
            let mut needs = Needs::for_test("t");
            needs.brokers = 1;
            change(&mut needs);
            let error = validate(&needs).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(|needs| needs.brokers = 3, "brokers = 3: 0 or 1");
        check(|needs| (needs.brokers, needs.kafka_clients) = (0, vec!["core".into()]), "brokers = 0: 1");
        check(|needs| needs.databases = vec!["a b".into()], "databases = a b");
        check(|needs| needs.databases = vec!["core".into(), "core".into()], "databases = core");
        check(|needs| needs.kafka_clients = vec!["a-b".into(), "a_b".into()], "kafka_clients = a_b");
        check(|needs| needs.kafka_clients = vec!["broker".into()], "kafka_clients = broker");
        check(|needs| needs.topics = vec![Topic { name: "t".into(), partitions: 0 }], "t with 0 partitions");
        assert!(validate(&Needs::for_test("t")).is_ok());
    }
}
