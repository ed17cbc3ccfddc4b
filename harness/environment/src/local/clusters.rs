//! The stores of a run, all at once: which programs they need, and the parallel start.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{OptionFuture, try_join_all};

use super::kafka::Ports;
use super::launch::Launcher;
use super::nodes::Nodes;
use super::{kafka, kafka_config, postgres, redis};
use crate::environment::HARNESS;
use crate::needs::Needs;
use crate::proxies::{self, Proxies};
use crate::{EnvironmentError, tools};

/// What was found on the machine for these needs.
pub(super) struct Programs {
    postgres: Option<tools::Postgres>,
    kafka: Option<(tools::Java, tools::KafkaJars)>,
    redis: Option<tools::Tool>,
    /// User and group that PostgreSQL runs as, when that is another than the harness's.
    pub(super) owner: Option<(u32, u32)>,
}

impl Programs {
    /// Looks for everything before anything is started, so that a missing program costs nothing.
    pub(super) fn locate(needs: &Needs) -> Result<Self, EnvironmentError> {
        let (mut postgres, mut kafka, mut redis, mut owner) = (None, None, None, None);
        if !needs.databases.is_empty() {
            postgres = Some(tools::postgres()?);
            owner = postgres::owner(super::runs_as_root())?;
        }
        if needs.brokers > 0 {
            kafka = Some((tools::java()?, tools::kafka_jars()?));
        }
        if needs.redis {
            redis = Some(tools::redis()?);
        }
        Ok(Self { postgres, kafka, redis, owner })
    }

    /// Versions of what is used.
    pub(super) fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        let mut note = |what: &str, version: &str| {
            facts.insert(what.to_owned(), version.to_owned());
        };
        if let Some(postgres) = &self.postgres {
            note("PostgreSQL", &postgres.version);
        }
        if let Some((java, jars)) = &self.kafka {
            note("Java", &java.version);
            note("Kafka", &jars.version);
        }
        if let Some(redis) = &self.redis {
            note("Redis", &redis.version);
        }
        facts
    }
}

/// Ports of the stores.
#[derive(Debug, Default)]
pub(super) struct Stores {
    /// Database name to port.
    pub(super) databases: BTreeMap<String, u16>,
    /// Broker name to its ports.
    pub(super) brokers: BTreeMap<String, Ports>,
    pub(super) redis: Option<u16>,
}

/// What came up.
pub(super) struct Up {
    pub(super) stores: Stores,
    pub(super) nodes: Nodes,
}

/// Refuses needs that contradict themselves.
pub(crate) fn validate(needs: &Needs) -> Result<(), EnvironmentError> {
    let refuse = |field, value: String, accepted| Err(EnvironmentError::Needs { field, value, accepted });
    if ![0, 1, 3].contains(&needs.brokers) {
        return refuse("brokers", needs.brokers.to_string(), "0, 1 or 3");
    }
    if needs.brokers == 0 && !(needs.topics.is_empty() && needs.kafka_clients.is_empty()) {
        return refuse("brokers", "0".into(), "1 or 3, since topics or Kafka clients are named");
    }
    if let Some(exchange) = needs.exchange.as_ref().filter(|exchange| !exchange.is_absolute()) {
        return refuse("exchange", exchange.display().to_string(), "an absolute path");
    }
    let taken = |name: &str| {
        let of_stores = name == redis::NAME || name.starts_with("postgres-") || name.starts_with("kafka-");
        of_stores || name == HARNESS || proxies::is_proxy(name)
    };
    let mut services = BTreeSet::new();
    for name in &needs.services {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(plain) || taken(name) || !services.insert(name) {
            return refuse(
                "services",
                name.clone(),
                "distinct names of a-z, 0-9 and -, other than harness, redis, postgres-*, kafka-* and proxy-*",
            );
        }
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut seen = BTreeSet::new();
    for name in &needs.databases {
        if name.is_empty() || !name.chars().all(plain) || !seen.insert(name) {
            return refuse("databases", name.clone(), "distinct names of a-z, 0-9 and _");
        }
    }
    let own = [kafka_config::BROKER, kafka_config::CONTROLLER, kafka_config::DIRECT];
    let mut listeners = BTreeSet::from(own.map(str::to_owned));
    for client in &needs.kafka_clients {
        if client.is_empty() || !listeners.insert(kafka_config::listener_name(client)) {
            return refuse(
                "kafka_clients",
                client.clone(),
                "distinct names, also in capitals, other than broker, controller and direct",
            );
        }
    }
    for topic in &needs.topics {
        if topic.partitions == 0 {
            return refuse("topics", format!("{} with 0 partitions", topic.name), "at least 1 partition");
        }
    }
    proxies::validate(needs)
}

/// Starts everything in parallel; the first error ends the start. Brokers tell their clients of `proxies`, which need not be there yet.
pub(super) async fn start(
    launcher: &Launcher<'_>,
    needs: &Needs,
    programs: &Programs,
    proxies: &Proxies,
) -> Result<Up, EnvironmentError> {
    let nodes = Nodes::default();
    let databases = async {
        let Some(tools) = &programs.postgres else { return Ok(BTreeMap::new()) };
        let starts = needs.databases.iter().map(async |database| {
            let name = postgres::process_name(database);
            let start = postgres::start(launcher, &nodes, database, tools, programs.owner);
            Ok::<_, EnvironmentError>((database.clone(), launcher.telling(&name, start).await?))
        });
        try_join_all(starts).await.map(|up| up.into_iter().collect())
    };
    let brokers = async {
        let programs = programs.kafka.as_ref();
        let start = programs.map(|(java, jars)| kafka::start(launcher, &nodes, (java, jars), (needs, proxies)));
        OptionFuture::from(start).await.transpose()
    };
    let redis = async {
        let start = programs.redis.as_ref().map(|program| redis::start(launcher, &nodes, program));
        OptionFuture::from(start.map(|start| launcher.telling(redis::NAME, start))).await.transpose()
    };
    let (databases, brokers, redis) = futures_util::future::try_join3(databases, brokers, redis).await?;
    Ok(Up { stores: Stores { databases, brokers: brokers.unwrap_or_default(), redis }, nodes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::needs::{Proxied, Topic};

    #[test]
    fn contradictions_are_refused_with_the_value() {
        let check = |change: fn(&mut Needs), expected: &str| {
            let mut needs = Needs::for_test("t");
            needs.brokers = 1;
            change(&mut needs);
            let error = validate(&needs).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(|needs| needs.brokers = 2, "brokers = 2: 0, 1 or 3");
        check(|needs| (needs.brokers, needs.kafka_clients) = (0, vec!["core".into()]), "brokers = 0: 1");
        check(|needs| needs.databases = vec!["a b".into()], "databases = a b");
        check(|needs| needs.databases = vec!["core".into(), "core".into()], "databases = core");
        check(|needs| needs.kafka_clients = vec!["a-b".into(), "a_b".into()], "kafka_clients = a_b");
        check(|needs| needs.kafka_clients = vec!["broker".into()], "kafka_clients = broker");
        check(|needs| needs.services = vec!["core".into(), "core".into()], "services = core");
        check(|needs| needs.services = vec!["a/b".into()], "services = a/b");
        check(|needs| needs.services = vec!["postgres-core".into()], "services = postgres-core");
        check(|needs| needs.services = vec!["proxy-a-b".into()], "services = proxy-a-b");
        check(|needs| needs.proxied = vec![Proxied { from: "a".into(), to: "b".into() }], "proxied = a->b");
        check(|needs| needs.exchange = Some("here".into()), "exchange = here: an absolute path");
        check(|needs| needs.topics = vec![Topic { name: "t".into(), partitions: 0 }], "t with 0 partitions");
        assert!(validate(&Needs::for_test("t")).is_ok());
    }
}
