//! Who reaches what under which address: pure. A service sees names of the run's network, everybody else pinned loopback ports; who
//! connects through a proxy sees the proxy.

use std::collections::BTreeMap;

use testcontainers_modules::redis::REDIS_PORT;

use super::services::SERVICE_PORT;
use super::stores::{POSTGRES_PORT, Stores, client_ports};
use crate::environment::{HARNESS, Link};
use crate::local::{postgres, redis};
use crate::needs::Needs;
use crate::proxies::{Proxies, is_proxy};

/// All addresses of a run.
#[derive(Debug)]
pub(super) struct Addresses {
    stores: Stores,
    /// Client to the port of its listener inside.
    clients: BTreeMap<String, u16>,
    /// Service or proxy to its pinned port.
    services: BTreeMap<String, u16>,
    proxies: Proxies,
}

/// Where a node listens: at a port of this machine, and at one in its own container. A port that nobody outside has any business with is
/// not pinned.
#[derive(Clone, Copy)]
struct Listens {
    pinned: Option<u16>,
    own: u16,
}

impl Addresses {
    pub(super) fn new(needs: &Needs, stores: Stores, services: BTreeMap<String, u16>, proxies: Proxies) -> Self {
        Self { stores, clients: client_ports(needs), services, proxies }
    }

    fn inside(&self, viewer: &str) -> bool {
        self.services.contains_key(viewer)
    }

    /// Host and port of `node` as `viewer` reaches it: those of the proxy in between, where there is one.
    fn at(&self, node: &str, listens: Listens, viewer: &str) -> (String, u16) {
        match self.proxies.on(viewer, node) {
            Some(proxy) => {
                let listens = Listens { pinned: Some(proxy.port), own: SERVICE_PORT };
                self.directly_at(&proxy.node, listens, viewer)
            }
            None => self.directly_at(node, listens, viewer),
        }
    }

    fn directly_at(&self, node: &str, listens: Listens, viewer: &str) -> (String, u16) {
        match listens.pinned.filter(|_| !self.inside(viewer)) {
            Some(pinned) => ("127.0.0.1".to_owned(), pinned),
            None => (node.to_owned(), listens.own),
        }
    }

    /// Connection string of a database.
    pub(super) fn database(&self, name: &str, viewer: &str) -> String {
        let pinned = self.stores.databases.get(name).unwrap_or_else(|| panic!("the needs named no database {name}"));
        let listens = Listens { pinned: Some(*pinned), own: POSTGRES_PORT };
        let (host, port) = self.at(&postgres::process_name(name), listens, viewer);
        format!("host={host} port={port} user={} dbname={name}", postgres::ROLE)
    }

    /// Of a broker's listener for `client`, which only clients outside have pinned.
    fn listener(&self, node: &str, client: &str) -> Option<Listens> {
        let pinned = self.stores.brokers.get(node)?.get(client).copied();
        self.clients.get(client).map(|own| Listens { pinned, own: *own })
    }

    /// All brokers as `client` sees them.
    pub(super) fn kafka(&self, client: &str) -> String {
        let nodes = self.stores.brokers.keys();
        let all: Vec<String> =
            nodes.filter_map(|node| Some(written(self.at(node, self.listener(node, client)?, client)))).collect();
        assert!(!all.is_empty(), "the needs named no Kafka client {client}");
        all.join(",")
    }

    /// `redis://host:port`.
    pub(super) fn redis(&self, viewer: &str) -> String {
        let pinned = self.stores.redis.expect("the needs asked for no Redis");
        let listens = Listens { pinned: Some(pinned), own: REDIS_PORT };
        format!("redis://{}", written(self.at(redis::NAME, listens, viewer)))
    }

    fn service(&self, name: &str) -> Listens {
        let pinned = self.services.get(name).unwrap_or_else(|| panic!("the needs named no service {name}"));
        Listens { pinned: Some(*pinned), own: SERVICE_PORT }
    }

    /// What the service must bind in its container.
    pub(super) fn listen(&self, service: &str) -> String {
        assert!(self.services.contains_key(service), "the needs named no service {service}");
        format!("0.0.0.0:{SERVICE_PORT}")
    }

    /// `http://host:port`.
    pub(super) fn url(&self, service: &str, viewer: &str) -> String {
        format!("http://{}", written(self.at(service, self.service(service), viewer)))
    }

    /// `http://host:port` for the harness, whatever stands on its link.
    pub(super) fn direct_url(&self, service: &str) -> String {
        format!("http://{}", written(self.directly_at(service, self.service(service), HARNESS)))
    }

    /// What stands behind the proxy on a link, as that proxy sees it: by its name in the run's network.
    pub(super) fn upstream(&self, from: &str, to: &str) -> String {
        let found = self.reached_by(from).into_iter().find(|(node, _)| node == to);
        let (_, listens) = found.unwrap_or_else(|| panic!("the needs know no link {from}->{to}"));
        format!("{to}:{}", listens.own)
    }

    /// From every service and the harness to everything that it may talk to: nobody tells us more than that.
    pub(super) fn links(&self) -> Vec<Link> {
        let services = self.services.keys().map(String::as_str).filter(|name| !is_proxy(name));
        let mut links: Vec<Link> = services.chain([HARNESS]).flat_map(|from| self.links_of(from)).collect();
        links.sort();
        links
    }

    fn links_of(&self, from: &str) -> Vec<Link> {
        let link = |(to, listens): (String, Listens)| Link {
            from: from.to_owned(),
            address: written(self.at(&to, listens, from)),
            proxy: self.proxies.on(from, &to).map(|proxy| proxy.node.clone()),
            to,
        };
        self.reached_by(from).into_iter().map(link).collect()
    }

    fn reached_by(&self, from: &str) -> Vec<(String, Listens)> {
        let pinned = |pinned: u16, own: u16| Listens { pinned: Some(pinned), own };
        let databases = self.stores.databases.iter();
        let databases = databases.map(|(name, port)| (postgres::process_name(name), pinned(*port, POSTGRES_PORT)));
        let brokers = self.stores.brokers.keys();
        let brokers = brokers.filter_map(|node| Some((node.clone(), self.listener(node, from)?)));
        let redis = self.stores.redis.map(|port| (redis::NAME.to_owned(), pinned(port, REDIS_PORT)));
        let others = self.services.keys().filter(|name| *name != from && !is_proxy(name));
        let others = others.map(|name| (name.clone(), self.service(name)));
        databases.chain(brokers).chain(redis).chain(others).collect()
    }
}

fn written((host, port): (String, u16)) -> String {
    format!("{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::needs::Proxied;

    fn addresses(proxied: &[(&str, &str)]) -> Addresses {
        let mut needs = Needs::for_test("t");
        needs.kafka_clients = vec!["core".into(), HARNESS.into()];
        let link = |(from, to): &(&str, &str)| Proxied { from: (*from).into(), to: (*to).into() };
        needs.proxied = proxied.iter().map(link).collect();
        let stores = Stores {
            databases: BTreeMap::from([("core".into(), 15_000)]),
            brokers: BTreeMap::from([
                ("kafka-1".into(), BTreeMap::from([(HARNESS.into(), 15_001)])),
                ("kafka-2".into(), BTreeMap::from([(HARNESS.into(), 15_002)])),
            ]),
            redis: Some(15_003),
        };
        let mut services = BTreeMap::from([("core".into(), 15_004), ("channel-0".into(), 15_005)]);
        services.extend(needs.proxied.iter().map(Proxied::node).zip(15_006..));
        let proxies = Proxies::new(&needs, &services);
        Addresses::new(&needs, stores, services, proxies)
    }

    #[test]
    fn the_harness_sees_loopback_and_a_service_sees_names() {
        let all = addresses(&[]);
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
    fn who_goes_through_a_proxy_sees_the_proxy_and_the_proxy_sees_what_is_behind_it() {
        let links = [
            ("channel-0", "core"),
            (HARNESS, "core"),
            ("core", "postgres-core"),
            ("core", "kafka-2"),
            (HARNESS, "kafka-1"),
        ];
        let all = addresses(&links);
        assert_eq!(all.url("core", "channel-0"), "http://proxy-channel-0-core:8080");
        assert_eq!(all.url("core", HARNESS), "http://127.0.0.1:15007");
        assert_eq!(all.direct_url("core"), "http://127.0.0.1:15004");
        assert_eq!(all.url("proxy-channel-0-core", HARNESS), "http://127.0.0.1:15006", "for its rules");
        assert_eq!(all.url("channel-0", HARNESS), "http://127.0.0.1:15005", "no link of its own is touched");
        let database = "host=proxy-core-postgres-core port=8080 user=bankstorm dbname=core";
        assert_eq!(all.database("core", "core"), database);
        assert_eq!(all.kafka("core"), "kafka-1:9100,proxy-core-kafka-2:8080");
        assert_eq!(all.kafka(HARNESS), "127.0.0.1:15010,127.0.0.1:15002");
        let upstream = links.map(|(from, to)| all.upstream(from, to));
        assert_eq!(upstream, ["core:8080", "core:8080", "postgres-core:5432", "kafka-2:9100", "kafka-1:9101"]);
        let proxied: Vec<Link> = all.links().into_iter().filter(|link| link.proxy.is_some()).collect();
        assert_eq!(proxied.len(), 5, "{proxied:#?}");
        assert!(!all.links().iter().any(|link| is_proxy(&link.from) || is_proxy(&link.to)));
    }

    #[test]
    fn a_service_without_a_listener_has_no_link_to_the_brokers() {
        let links = addresses(&[]).links();
        let links: Vec<String> =
            links.into_iter().map(|link| format!("{}>{} {}", link.from, link.to, link.address)).collect();
        assert!(links.contains(&"core>kafka-2 kafka-2:9100".to_owned()), "{links:#?}");
        assert!(links.contains(&"harness>channel-0 127.0.0.1:15005".to_owned()), "{links:#?}");
        assert!(!links.iter().any(|link| link.starts_with("channel-0>kafka")), "{links:#?}");
        assert!(!links.iter().any(|link| link.starts_with("core>core")), "{links:#?}");
    }

    #[test]
    #[should_panic(expected = "no database channel")]
    fn what_was_not_asked_for_is_a_mistake_of_the_caller() {
        let _ = addresses(&[]).database("channel", HARNESS);
    }
}
