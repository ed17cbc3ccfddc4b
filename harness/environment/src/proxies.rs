//! Which links go through a proxy, and at which port of this machine each proxy is reached: pure, and the same wherever they run.
//!
//! In: [`Needs::proxied`], ports. Out: the proxy on a link. Elsewhere: what that means for addresses (`local/interface`,
//! `containers/addresses`, the brokers' advertised listeners), what a proxy does (`chaos/proxy`), how it is started (`harness/cli`).

use std::collections::{BTreeMap, BTreeSet};

use crate::EnvironmentError;
use crate::environment::HARNESS;
use crate::local::kafka_config::broker_name;
use crate::local::{postgres, redis};
use crate::needs::{Needs, Proxied};

/// How the names of proxies begin; services have others.
const PREFIX: &str = "proxy-";

/// A proxy on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Its name.
    pub(crate) node: String,
    /// Its port on this machine.
    pub(crate) port: u16,
}

/// All proxies of a run, by their links.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    on: BTreeMap<(String, String), Proxy>,
}

impl Proxies {
    /// Those of `needs`, which were validated; `ports` has one for each node of our own.
    pub(crate) fn new(needs: &Needs, ports: &BTreeMap<String, u16>) -> Self {
        let on = needs.proxied.iter().map(|link| {
            let node = link.node();
            let port = ports.get(&node).copied().unwrap_or_default();
            ((link.from.clone(), link.to.clone()), Proxy { node, port })
        });
        Self { on: on.collect() }
    }

    /// The proxy on the link `from` -> `to`; a direct link has none.
    pub(crate) fn on(&self, from: &str, to: &str) -> Option<&Proxy> {
        self.on.get(&(from.to_owned(), to.to_owned()))
    }
}

/// Whether a node of our own is a proxy.
pub(crate) fn is_proxy(node: &str) -> bool {
    node.starts_with(PREFIX)
}

/// Refuses links that are not there or stand there twice.
pub(crate) fn validate(needs: &Needs) -> Result<(), EnvironmentError> {
    let mut nodes = BTreeSet::new();
    for link in &needs.proxied {
        if !exists(needs, link) || !nodes.insert(link.node()) {
            return Err(EnvironmentError::Needs {
                field: "proxied",
                value: format!("{}->{}", link.from, link.to),
                accepted: "distinct links from harness or a service to another service, a postgres-*, redis, or a kafka-* that it is a \
                           client of",
            });
        }
    }
    Ok(())
}

fn exists(needs: &Needs, Proxied { from, to }: &Proxied) -> bool {
    let database = || needs.databases.iter().any(|name| postgres::process_name(name) == *to);
    let broker = || needs.kafka_clients.contains(from) && (1..=needs.brokers).any(|id| broker_name(id) == *to);
    let cache = || needs.redis && to == redis::NAME;
    let other = || from != to && needs.services.contains(to);
    (from == HARNESS || needs.services.contains(from)) && (database() || broker() || cache() || other())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(links: &[(&str, &str)]) -> Needs {
        let mut needs = Needs::for_test("t");
        (needs.databases, needs.brokers) = (vec!["core".into()], 1);
        needs.services = vec!["core".into(), "channel-0".into()];
        needs.kafka_clients.clone_from(&needs.services);
        let link = |(from, to): &(&str, &str)| Proxied { from: (*from).into(), to: (*to).into() };
        needs.proxied = links.iter().map(link).collect();
        needs
    }

    #[test]
    fn links_between_what_is_there_may_have_a_proxy() {
        let all = [
            ("channel-0", "core"),
            ("core", "channel-0"),
            (HARNESS, "core"),
            ("core", "postgres-core"),
            ("channel-0", "kafka-1"),
        ];
        let needs = needs(&all);
        assert!(validate(&needs).is_ok());
        assert_eq!(needs.own_nodes()[1..3], ["channel-0", "proxy-channel-0-core"]);
        let ports = BTreeMap::from([("proxy-harness-core".to_owned(), 15_001)]);
        let proxies = Proxies::new(&needs, &ports);
        let expected = Proxy { node: "proxy-harness-core".into(), port: 15_001 };
        assert_eq!(proxies.on(HARNESS, "core"), Some(&expected));
        assert_eq!(proxies.on("core", HARNESS), None);
    }

    #[test]
    fn links_that_are_not_there_or_twice_there_are_refused_by_name() {
        let refused = [
            ("core", "core"),
            ("core", "postgres-channel"),
            ("core", "kafka-2"),
            ("core", "redis"),
            ("postgres-core", "core"),
            ("proxy-core-postgres-core", "core"),
            (HARNESS, "kafka-1"),
        ];
        for (from, to) in refused {
            let error = validate(&needs(&[(from, to)])).expect_err("no such link").to_string();
            assert!(error.starts_with(&format!("proxied = {from}->{to}: distinct links")), "{error}");
        }
        assert!(validate(&needs(&[("channel-0", "core"), ("channel-0", "core")])).is_err());
    }
}
