//! The stores of a run, all at once: PostgreSQL, Kafka and Redis from their images, on pinned ports, with their databases and topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{OptionFuture, try_join, try_join_all};
use testcontainers_modules::postgres::Postgres;
use testcontainers_modules::redis::{REDIS_PORT, Redis};
use testcontainers_modules::testcontainers::core::IntoContainerPort;
use testcontainers_modules::testcontainers::{ContainerRequest, GenericImage, Image, ImageExt};

use super::images::Found;
use super::nodes::Entry;
use super::ready::Ready;
use super::run::{Refusal, Run};
use super::services::SERVICE_PORT;
use crate::environment::{HARNESS, NodeKind};
use crate::local::kafka_config::{
    self, BROKER, BrokerConfig, CLUSTER_ID, DIRECT, Listener, broker_name, listener_name,
};
use crate::local::topics::{self, Topics};
use crate::local::{postgres, redis};
use crate::needs::Needs;
use crate::ports::free_port;
use crate::proxies::Proxies;
use crate::{EnvironmentError, limits};

/// Ports are picked before the engine binds them, so another process can be faster.
const PORT_TRIES: u32 = 5;

pub(super) const POSTGRES_PORT: u16 = 5432;
const BROKER_PORT: u16 = 9092;
const CONTROLLER_PORT: u16 = 9093;
/// Of the first client's listener; the others follow.
const FIRST_CLIENT_PORT: u16 = 9100;
/// A folder that the image gives to the broker's user, and a volume: data outlives a kill.
const BROKER_DATA: &str = "/var/lib/kafka/data";
/// PostgreSQL's parallel queries need more than the 64 MiB that engines give by default.
const SHARED_MEMORY: u64 = 256 * 1024 * 1024;

/// Images of the stores that are needed.
pub(super) struct StoreImages {
    pub(super) postgres: Option<Found>,
    pub(super) kafka: Option<Found>,
    pub(super) redis: Option<Found>,
}

/// Pinned loopback ports of what came up.
#[derive(Debug, Default)]
pub(super) struct Stores {
    pub(super) databases: BTreeMap<String, u16>,
    /// Node to the ports of those clients that are no services, the harness among them.
    pub(super) brokers: BTreeMap<String, BTreeMap<String, u16>>,
    pub(super) redis: Option<u16>,
}

/// The clients of the brokers, each with its port inside: those of the needs, and the harness in any case; once more, for what it does
/// before there are proxies, where it goes through one.
pub(super) fn client_ports(needs: &Needs) -> BTreeMap<String, u16> {
    let mut clients = needs.kafka_clients.clone();
    if !clients.iter().any(|client| listener_name(client) == listener_name(HARNESS)) {
        clients.push(HARNESS.to_owned());
    }
    if needs.proxied.iter().any(|link| link.from == HARNESS && link.to.starts_with("kafka-")) {
        clients.push(DIRECT.to_owned());
    }
    clients.into_iter().zip(FIRST_CLIENT_PORT..).collect()
}

/// Starts everything in parallel; the first error ends the start. Brokers tell their clients of `proxies`, which need not be there yet.
pub(super) async fn start(
    run: &Arc<Run>,
    (needs, proxies): (&Needs, &Proxies),
    images: &StoreImages,
) -> Result<Stores, EnvironmentError> {
    let databases = async {
        let Some(image) = &images.postgres else { return Ok(BTreeMap::new()) };
        let starts = needs.databases.iter().map(async |name| Ok((name.clone(), database(run, name, image).await?)));
        try_join_all(starts).await.map(|up: Vec<(String, u16)>| up.into_iter().collect())
    };
    let brokers = async {
        let Some(image) = &images.kafka else { return Ok(BTreeMap::new()) };
        let starts =
            (1..=needs.brokers).map(async |id| Ok((broker_name(id), broker(run, id, (needs, proxies), image).await?)));
        let up: BTreeMap<String, BTreeMap<String, u16>> = try_join_all(starts).await?.into_iter().collect();
        create_topics(run, needs, &up).await?;
        Ok(up)
    };
    let cache = async { OptionFuture::from(images.redis.as_ref().map(|image| cache(run, image))).await.transpose() };
    let (databases, (brokers, redis)) = try_join(databases, try_join(brokers, cache)).await?;
    for node in run.nodes.all().into_keys() {
        run.watch(&node);
    }
    Ok(Stores { databases, brokers, redis })
}

/// Starts `node`, with other ports when one was taken, and waits until it is ready; `plan` makes its entry and image anew each time.
async fn up<I: Image>(
    run: &Arc<Run>,
    node: &str,
    mut plan: impl FnMut() -> Result<(Entry, ContainerRequest<I>), EnvironmentError>,
) -> Result<(), EnvironmentError> {
    let start = async {
        for _ in 0..PORT_TRIES {
            let (entry, image) = plan()?;
            let limit = limits::of(entry.kind).first;
            match run.create(node, entry, false, image).await {
                Ok(()) => return run.until_ready(node, 0, limit, run.progress.as_ref()).await,
                Err(Refusal::PortTaken(reason)) => tracing::info!(node, reason, "trying another port"),
                Err(Refusal::Other(error)) => return Err(error),
            }
        }
        Err(EnvironmentError::Ports { name: node.to_owned(), tries: PORT_TRIES, log: run.last_lines(node) })
    };
    crate::progress::telling(run.progress.as_ref(), node, start).await
}

fn port_for(node: &str) -> Result<u16, EnvironmentError> {
    free_port().map_err(EnvironmentError::io("find a free port for", node.as_ref()))
}

async fn database(run: &Arc<Run>, name: &str, image: &Found) -> Result<u16, EnvironmentError> {
    let node = postgres::process_name(name);
    let mut port = 0;
    let settings = postgres::SETTINGS.iter().flat_map(|(key, value)| ["-c".to_owned(), format!("{key}={value}")]);
    let settings: Vec<String> = settings.collect();
    up(run, &node, || {
        port = port_for(&node)?;
        let ready = Ready::Select { address: postgres::address(port, name) };
        let (image_name, tag) = image.name_and_tag();
        let request = Postgres::default()
            .with_db_name(name)
            .with_user(postgres::ROLE)
            // Whoever is in the run's network or on this machine's loopback may connect; nobody from outside can.
            .with_host_auth()
            // Durability as it comes: the module's default would switch it off.
            .with_fsync_enabled()
            .with_name(image_name)
            .with_tag(tag)
            .with_env_var("POSTGRES_INITDB_ARGS", "--locale=C --encoding=UTF8")
            .with_cmd(settings.clone())
            .with_shm_size(SHARED_MEMORY)
            .with_mapped_port(port, POSTGRES_PORT.tcp());
        Ok((Entry::new(NodeKind::Database, ready), request))
    })
    .await?;
    Ok(port)
}

async fn cache(run: &Arc<Run>, image: &Found) -> Result<u16, EnvironmentError> {
    let mut port = 0;
    up(run, redis::NAME, || {
        port = port_for(redis::NAME)?;
        let ready = Ready::Ping { address: format!("127.0.0.1:{port}") };
        let (image_name, tag) = image.name_and_tag();
        // Nothing is written to disk, so a restart begins empty, as a cache may.
        let request = Redis::default()
            .with_name(image_name)
            .with_tag(tag)
            .with_cmd(["redis-server", "--save", "", "--appendonly", "no"])
            .with_mapped_port(port, REDIS_PORT.tcp());
        Ok((Entry::new(NodeKind::Cache, ready), request))
    })
    .await?;
    Ok(port)
}

async fn broker(
    run: &Arc<Run>,
    id: u32,
    (needs, proxies): (&Needs, &Proxies),
    image: &Found,
) -> Result<BTreeMap<String, u16>, EnvironmentError> {
    let node = broker_name(id);
    let clients = client_ports(needs);
    let mut outside = BTreeMap::new();
    up(run, &node, || {
        outside.clear();
        for client in clients.keys().filter(|client| !needs.services.contains(client)) {
            outside.insert(client.clone(), port_for(&node)?);
        }
        let (image_name, tag) = image.name_and_tag();
        let mut request = GenericImage::new(image_name, tag)
            .with_env_var("CLUSTER_ID", CLUSTER_ID)
            .with_env_var("KAFKA_HEAP_OPTS", kafka_config::heap(needs.brokers).join(" "))
            // In the place of the image's own, so that a broker is tuned alike wherever it runs.
            .with_env_var("KAFKA_JVM_PERFORMANCE_OPTS", kafka_config::TUNING.join(" "));
        for (key, value) in kafka_config::properties(&config(id, needs.brokers, &clients, (&outside, proxies))) {
            request = request.with_env_var(variable(key), value);
        }
        for (client, port) in &outside {
            request = request.with_mapped_port(*port, clients[client].tcp());
        }
        Ok((Entry::new(NodeKind::Broker, Ready::Broker), request))
    })
    .await?;
    Ok(outside)
}

/// `node.id` is `KAFKA_NODE_ID`, as the image turns it back.
fn variable(key: &str) -> String {
    format!("KAFKA_{}", key.to_ascii_uppercase().replace('.', "_"))
}

/// Services are told the node's name in the run's network, everybody else a pinned port; of the node or of the proxy before it.
fn config(
    id: u32,
    brokers: u32,
    clients: &BTreeMap<String, u16>,
    (outside, proxies): (&BTreeMap<String, u16>, &Proxies),
) -> BrokerConfig {
    let inside = |port: u16| format!("{}:{port}", broker_name(id));
    let any = |port: u16| format!("0.0.0.0:{port}");
    let listener = |name: String, port: u16, advertised: String| Listener { name, bind: any(port), advertised };
    let mut listeners = vec![listener(BROKER.to_owned(), BROKER_PORT, inside(BROKER_PORT))];
    listeners.extend(clients.iter().map(|(client, port)| {
        let advertised = match (proxies.on(client, &broker_name(id)), outside.get(client)) {
            (None, None) => inside(*port),
            (Some(proxy), None) => format!("{}:{SERVICE_PORT}", proxy.node),
            (None, Some(pinned)) => format!("127.0.0.1:{pinned}"),
            (Some(proxy), Some(_)) => format!("127.0.0.1:{}", proxy.port),
        };
        listener(listener_name(client), *port, advertised)
    }));
    BrokerConfig {
        node_id: id,
        voters: (1..=brokers).map(|id| (id, format!("{}:{CONTROLLER_PORT}", broker_name(id)))).collect(),
        controller_bind: any(CONTROLLER_PORT),
        listeners,
        data: BROKER_DATA.to_owned(),
    }
}

/// Creates the topics and waits for their leaders and copies.
async fn create_topics(
    run: &Run,
    needs: &Needs,
    brokers: &BTreeMap<String, BTreeMap<String, u16>>,
) -> Result<(), EnvironmentError> {
    let own = brokers.values().filter_map(|ports| ports.get(DIRECT).or_else(|| ports.get(HARNESS)));
    let addresses: Vec<String> = own.map(|port| format!("127.0.0.1:{port}")).collect();
    let node = broker_name(1);
    let refused = |reason| EnvironmentError::Refused {
        name: node.clone(),
        asked: "topics".into(),
        reason,
        log: run.last_lines(&node),
    };
    let topics = Topics::new(&addresses.join(","), needs.brokers).map_err(refused)?;
    let create = || async { Some(topics.create(&needs.topics).await) };
    run.until(&node, "topics", topics::LIMIT, create).await?.map_err(refused)?;
    let complete = || async { topics.are_complete(&needs.topics).await.then_some(()) };
    run.until(&node, "a leader and all copies of every partition", topics::LIMIT, complete).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::needs::Proxied;

    #[test]
    fn services_see_names_and_the_harness_sees_pinned_ports() {
        let mut needs = Needs::for_test("t");
        (needs.brokers, needs.kafka_clients) = (3, vec!["core".into(), "channel-0".into()]);
        needs.services.clone_from(&needs.kafka_clients);
        let clients = client_ports(&needs);
        let outside = BTreeMap::from([(HARNESS.to_owned(), 15_001)]);
        let direct = Proxies::default();
        let all = kafka_config::properties(&config(2, 3, &clients, (&outside, &direct)));
        let value = |key: &str| all.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone()).expect("set");
        assert_eq!(
            value("advertised.listeners"),
            "BROKER://kafka-2:9092,CHANNEL_0://kafka-2:9101,CORE://kafka-2:9100,HARNESS://127.0.0.1:15001"
        );
        assert_eq!(value("controller.quorum.voters"), "1@kafka-1:9093,2@kafka-2:9093,3@kafka-3:9093");
        assert!(value("listeners").contains("HARNESS://0.0.0.0:9102"), "{}", value("listeners"));
        assert_eq!(variable("controller.quorum.voters"), "KAFKA_CONTROLLER_QUORUM_VOTERS");
        assert!(all.iter().all(|(key, _)| !key.contains(['_', '-'])), "keys that the image would turn into others");
    }

    #[test]
    fn clients_behind_a_proxy_are_told_of_the_proxy() {
        let mut needs = Needs::for_test("t");
        (needs.brokers, needs.kafka_clients) = (2, vec!["core".into(), HARNESS.into()]);
        needs.services = vec!["core".into()];
        let link = |from: &str, to: &str| Proxied { from: from.into(), to: to.into() };
        needs.proxied = vec![link("core", "kafka-2"), link(HARNESS, "kafka-2")];
        let proxies = Proxies::new(&needs, &BTreeMap::from([("proxy-harness-kafka-2".to_owned(), 15_009)]));
        let clients = client_ports(&needs);
        let outside = BTreeMap::from([(HARNESS.to_owned(), 15_001), (DIRECT.to_owned(), 15_002)]);
        let told = |id| {
            let all = kafka_config::properties(&config(id, 2, &clients, (&outside, &proxies)));
            all.into_iter().find(|(name, _)| *name == "advertised.listeners").expect("set").1
        };
        assert_eq!(
            told(2),
            "BROKER://kafka-2:9092,DIRECT://127.0.0.1:15002,CORE://proxy-core-kafka-2:8080,HARNESS://127.0.0.1:15009"
        );
        assert!(told(1).ends_with("CORE://kafka-1:9100,HARNESS://127.0.0.1:15001"), "{}", told(1));
    }

    #[test]
    fn a_client_called_harness_has_one_listener() {
        let mut needs = Needs::for_test("t");
        needs.kafka_clients = vec!["core".into(), HARNESS.into()];
        assert_eq!(client_ports(&needs).len(), 2);
    }
}
