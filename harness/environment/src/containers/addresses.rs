//! Who reaches what under which address: pure. A service sees names of the run's network, everybody else pinned loopback ports.

use std::collections::BTreeMap;

use testcontainers_modules::redis::REDIS_PORT;

use super::services::SERVICE_PORT;
use super::stores::{POSTGRES_PORT, Stores, client_ports};
use crate::environment::{HARNESS, Link};
use crate::local::{postgres, redis};
use crate::needs::Needs;

/// All addresses of a run.
#[derive(Debug)]
pub(super) struct Addresses {
    stores: Stores,
    /// Client to the port of its listener inside.
    clients: BTreeMap<String, u16>,
    /// Service to its pinned port.
    services: BTreeMap<String, u16>,
}

impl Addresses {
    pub(super) fn new(needs: &Needs, stores: Stores, services: BTreeMap<String, u16>) -> Self {
        Self { stores, clients: client_ports(needs), services }
    }

    fn inside(&self, viewer: &str) -> bool {
        self.services.contains_key(viewer)
    }

    /// `host:port` of a node with one port.
    fn of(&self, node: &str, pinned: u16, own: u16, viewer: &str) -> String {
        if self.inside(viewer) { format!("{node}:{own}") } else { format!("127.0.0.1:{pinned}") }
    }

    fn broker(&self, node: &str, client: &str) -> Option<String> {
        match self.stores.brokers.get(node)?.get(client) {
            Some(pinned) => Some(format!("127.0.0.1:{pinned}")),
            None => self.clients.get(client).map(|port| format!("{node}:{port}")),
        }
    }

    /// Connection string of a database.
    pub(super) fn database(&self, name: &str, viewer: &str) -> String {
        let port = self.stores.databases.get(name).unwrap_or_else(|| panic!("the needs named no database {name}"));
        if self.inside(viewer) {
            let host = postgres::process_name(name);
            return format!("host={host} port={POSTGRES_PORT} user={} dbname={name}", postgres::ROLE);
        }
        postgres::address(*port, name)
    }

    /// All brokers as `client` sees them.
    pub(super) fn kafka(&self, client: &str) -> String {
        let all: Vec<String> = self.stores.brokers.keys().filter_map(|node| self.broker(node, client)).collect();
        assert!(!all.is_empty(), "the needs named no Kafka client {client}");
        all.join(",")
    }

    /// `redis://host:port`.
    pub(super) fn redis(&self, viewer: &str) -> String {
        let port = self.stores.redis.expect("the needs asked for no Redis");
        format!("redis://{}", self.of(redis::NAME, port, REDIS_PORT, viewer))
    }

    fn service(&self, name: &str, viewer: &str) -> String {
        let port = self.services.get(name).unwrap_or_else(|| panic!("the needs named no service {name}"));
        self.of(name, *port, SERVICE_PORT, viewer)
    }

    /// What the service must bind in its container.
    pub(super) fn listen(&self, service: &str) -> String {
        assert!(self.services.contains_key(service), "the needs named no service {service}");
        format!("0.0.0.0:{SERVICE_PORT}")
    }

    /// `http://host:port`.
    pub(super) fn url(&self, service: &str, viewer: &str) -> String {
        format!("http://{}", self.service(service, viewer))
    }

    /// From every service and the harness to everything that it may talk to: nobody tells us more than that.
    pub(super) fn links(&self) -> Vec<Link> {
        let viewers = self.services.keys().map(String::as_str).chain([HARNESS]);
        let mut links: Vec<Link> = viewers.flat_map(|from| self.links_of(from)).collect();
        links.sort();
        links
    }

    fn links_of(&self, from: &str) -> Vec<Link> {
        let link = |to: &str, address: String| Link { from: from.to_owned(), to: to.to_owned(), address };
        let mut links = Vec::new();
        for (name, port) in &self.stores.databases {
            let node = postgres::process_name(name);
            links.push(link(&node, self.of(&node, *port, POSTGRES_PORT, from)));
        }
        for node in self.stores.brokers.keys() {
            links.extend(self.broker(node, from).map(|address| link(node, address)));
        }
        if let Some(port) = self.stores.redis {
            links.push(link(redis::NAME, self.of(redis::NAME, port, REDIS_PORT, from)));
        }
        let others = self.services.keys().filter(|name| *name != from);
        links.extend(others.map(|name| link(name, self.service(name, from))));
        links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let mut needs = Needs::for_test("t");
        needs.kafka_clients = vec!["core".into(), HARNESS.into()];
        let stores = Stores {
            databases: BTreeMap::from([("core".into(), 15_000)]),
            brokers: BTreeMap::from([
                ("kafka-1".into(), BTreeMap::from([(HARNESS.into(), 15_001)])),
                ("kafka-2".into(), BTreeMap::from([(HARNESS.into(), 15_002)])),
            ]),
            redis: Some(15_003),
        };
        let services = BTreeMap::from([("core".into(), 15_004), ("channel-0".into(), 15_005)]);
        Addresses::new(&needs, stores, services)
    }

    #[test]
    fn the_harness_sees_loopback_and_a_service_sees_names() {
        let all = addresses();
        assert_eq!(all.database("core", HARNESS), "host=127.0.0.1 port=15000 user=bankstorm dbname=core");
        assert_eq!(all.database("core", "core"), "host=postgres-core port=5432 user=bankstorm dbname=core");
        assert_eq!(all.kafka(HARNESS), "127.0.0.1:15001,127.0.0.1:15002");
        assert_eq!(all.kafka("core"), "kafka-1:9100,kafka-2:9100");
        assert_eq!(
            (all.redis(HARNESS), all.redis("core")),
            ("redis://127.0.0.1:15003".into(), "redis://redis:6379".into())
        );
        assert_eq!(all.listen("core"), "0.0.0.0:8080");
        assert_eq!(all.url("core", HARNESS), "http://127.0.0.1:15004");
        assert_eq!(all.url("core", "channel-0"), "http://core:8080");
    }

    #[test]
    fn a_service_without_a_listener_has_no_link_to_the_brokers() {
        let links: Vec<String> =
            addresses().links().into_iter().map(|link| format!("{}>{} {}", link.from, link.to, link.address)).collect();
        assert!(links.contains(&"core>kafka-2 kafka-2:9100".to_owned()), "{links:#?}");
        assert!(links.contains(&"harness>channel-0 127.0.0.1:15005".to_owned()), "{links:#?}");
        assert!(!links.iter().any(|link| link.starts_with("channel-0>kafka")), "{links:#?}");
        assert!(!links.iter().any(|link| link.starts_with("core>core")), "{links:#?}");
    }

    #[test]
    #[should_panic(expected = "no database channel")]
    fn what_was_not_asked_for_is_a_mistake_of_the_caller() {
        let _ = addresses().database("channel", HARNESS);
    }
}
