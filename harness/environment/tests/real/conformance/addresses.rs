//! Who reaches whom by which address.

use std::collections::BTreeSet;

use bankstorm_environment::{EnvironmentKind, HARNESS, NodeKind};

use super::super::probe;
use super::super::support::{ask, get, ping};
use super::rig::{PROXIED, Up};

const SERVICES: [&str; 2] = ["alpha", "beta"];

#[expect(clippy::disallowed_methods, reason = "a blocking call of the client library")]
async fn brokers(bootstrap: &str) -> Vec<String> {
    let bootstrap = bootstrap.to_owned();
    tokio::task::spawn_blocking(move || probe::brokers(&bootstrap)).await.expect("join").expect("metadata")
}

fn in_order(addresses: &str) -> Vec<String> {
    let mut all: Vec<String> = addresses.split(',').map(str::to_owned).collect();
    all.sort();
    all
}

pub(crate) async fn harness(up: &Up) {
    let environment = up.environment.as_ref();
    for database in ["core", "channel"] {
        assert_eq!(ask(&environment.database(database, HARNESS), "select current_database()").await, database);
    }
    // A client is told the addresses of its own listener, and no others.
    let own = environment.kafka(HARNESS);
    assert_eq!(brokers(&own).await, in_order(&own));
    assert_eq!(in_order(&own).len(), 3);
    assert!(ping(&environment.redis(HARNESS)).await.expect("Redis").starts_with("+PONG"));
    for service in SERVICES {
        assert_eq!(get(&format!("{}/hello", environment.url(service, HARNESS))).await.expect("an answer"), "here");
    }
}

pub(crate) async fn services(up: &Up) {
    for service in SERVICES {
        let url = up.environment.url(service, HARNESS);
        let try_it =
            async |what: &str| get(&format!("{url}/{what}")).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(try_it("database-core").await, "core");
        assert_eq!(try_it("database-channel").await, "channel");
        assert_eq!(try_it("kafka").await, in_order(&up.environment.kafka(service)).join(","));
        assert!(try_it("redis").await.starts_with("+PONG"));
        assert_eq!(try_it("peer").await, "here");
    }
}

pub(crate) async fn exchange(up: &Up) {
    for service in SERVICES {
        let path = get(&format!("{}/write", up.environment.url(service, HARNESS))).await.expect("written");
        assert_eq!(path, up.environment.exchange().join(service).display().to_string());
        assert_eq!(std::fs::read_to_string(path).expect("readable here"), "from a service");
    }
}

pub(crate) async fn complete(up: &Up) {
    let environment = up.environment.as_ref();
    let nodes: Vec<(String, NodeKind)> = environment.nodes().into_iter().map(|node| (node.name, node.kind)).collect();
    let expected = [
        ("alpha", NodeKind::Service),
        ("beta", NodeKind::Service),
        ("kafka-1", NodeKind::Broker),
        ("kafka-2", NodeKind::Broker),
        ("kafka-3", NodeKind::Broker),
        ("postgres-channel", NodeKind::Database),
        ("postgres-core", NodeKind::Database),
        ("proxy-beta-alpha", NodeKind::Service),
        ("proxy-beta-kafka-2", NodeKind::Service),
        ("proxy-beta-postgres-core", NodeKind::Service),
        ("proxy-harness-beta", NodeKind::Service),
        ("proxy-harness-kafka-1", NodeKind::Service),
        ("redis", NodeKind::Cache),
    ];
    assert_eq!(nodes, expected.map(|(name, kind)| (name.to_owned(), kind)));
    let names: BTreeSet<String> = nodes.into_iter().map(|(name, _)| name).collect();
    assert_eq!(environment.pids().into_keys().collect::<BTreeSet<_>>(), names);

    let links = environment.links();
    for from in [HARNESS, "alpha", "beta"] {
        let to: Vec<&str> = links.iter().filter(|link| link.from == from).map(|link| link.to.as_str()).collect();
        let others = names.iter().map(String::as_str).filter(|name| *name != from && !name.starts_with("proxy-"));
        assert_eq!(to, others.collect::<Vec<_>>(), "from {from}");
    }
    let proxied = links.iter().filter(|link| link.proxy.is_some());
    let proxied: Vec<(&str, &str)> = proxied.map(|link| (link.from.as_str(), link.to.as_str())).collect();
    assert_eq!(proxied, PROXIED, "all others are direct");
    assert_eq!(links.len(), 8 + 7 + 7, "{links:?}");
    let kafka: BTreeSet<String> = links
        .iter()
        .filter(|link| link.from == "alpha" && link.to.starts_with("kafka-"))
        .map(|link| link.address.clone())
        .collect();
    assert_eq!(kafka.into_iter().collect::<Vec<_>>(), in_order(&environment.kafka("alpha")));

    let facts = environment.facts();
    assert!(facts.contains_key("PostgreSQL"), "{facts:?}");
    if up.kind == EnvironmentKind::Local {
        assert_eq!(facts.keys().collect::<Vec<_>>(), ["Java", "Kafka", "PostgreSQL", "Redis"]);
    }
    for name in names {
        assert!(!environment.log(&name).await.expect("a log").is_empty(), "{name} wrote something");
        assert!(environment.logs().join(format!("{name}.log")).is_file(), "{name}.log");
    }
}
