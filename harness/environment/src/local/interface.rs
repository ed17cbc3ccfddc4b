//! The [`Environment`] interface on processes: who is where, and what there is. All addresses are on loopback, whoever asks.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Death, Local, postgres, redis};
use crate::EnvironmentError;
use crate::environment::{Environment, EnvironmentKind, HARNESS, Link, Node, Witness};
use crate::needs::ServiceSpec;
use crate::proxies::is_proxy;

#[async_trait]
impl Environment for Local {
    fn kind(&self) -> EnvironmentKind {
        EnvironmentKind::Local
    }

    fn database(&self, name: &str, viewer: &str) -> String {
        let port = self.stores.databases.get(name).unwrap_or_else(|| panic!("the needs named no database {name}"));
        postgres::address(self.port_for(viewer, &postgres::process_name(name), *port), name)
    }

    fn kafka(&self, client: &str) -> String {
        let listeners =
            self.stores.brokers.iter().filter_map(|(node, ports)| Some((node, *ports.clients.get(client)?)));
        let addresses: Vec<String> = listeners.map(|(node, port)| local(self.port_for(client, node, port))).collect();
        assert!(!addresses.is_empty(), "the needs named no Kafka client {client}");
        addresses.join(",")
    }

    fn redis(&self, viewer: &str) -> String {
        let port = self.stores.redis.expect("the needs asked for no Redis");
        format!("redis://{}", local(self.port_for(viewer, redis::NAME, port)))
    }

    fn listen(&self, service: &str) -> String {
        local(self.port_of(service))
    }

    fn url(&self, service: &str, viewer: &str) -> String {
        format!("http://{}", local(self.port_for(viewer, service, self.port_of(service))))
    }

    fn direct(&self, service: &str) -> String {
        format!("http://{}", local(self.port_of(service)))
    }

    fn upstream(&self, from: &str, to: &str) -> String {
        let mut reached = self.reached_by(from);
        let found = reached.find(|(node, _)| node == to);
        local(found.unwrap_or_else(|| panic!("the needs know no link {from}->{to}")).1)
    }

    fn folder(&self) -> &Path {
        self.reaper.folder()
    }

    fn logs(&self) -> &Path {
        &self.logs
    }

    fn exchange(&self) -> &Path {
        &self.exchange
    }

    async fn start_services(&self, specs: Vec<ServiceSpec>) -> Result<(), EnvironmentError> {
        self.run_services(specs).await
    }

    fn deaths(&self) -> UnboundedReceiver<Death> {
        self.reaper.deaths()
    }

    fn lost(&self) -> Option<String> {
        self.reaper.lost().then(|| "the reaper ended by itself".to_owned())
    }

    fn pids(&self) -> BTreeMap<String, u32> {
        self.reaper.pids()
    }

    fn nodes(&self) -> Vec<Node> {
        let running = self.reaper.pids();
        let node = |(name, entry): (String, super::nodes::Entry)| {
            let running = running.contains_key(&name);
            Node { kind: entry.plan.kind, running, paused: running && entry.paused, name }
        };
        self.nodes.all().into_iter().map(node).collect()
    }

    fn links(&self) -> Vec<Link> {
        let services = self.services.keys().map(String::as_str).filter(|name| !is_proxy(name));
        let all = services.chain([HARNESS]).flat_map(|from| self.reached_by(from).map(move |to| (from, to)));
        let mut links: Vec<Link> = all.map(|(from, (to, port))| self.link(from, to, port)).collect();
        links.sort();
        links
    }

    fn facts(&self) -> BTreeMap<String, String> {
        self.facts.clone()
    }

    async fn kill(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.kill_node(node).await
    }

    async fn pause(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.pause_node(node).await
    }

    async fn resume(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.resume_node(node).await
    }

    async fn restart(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.restart_node(node).await
    }

    async fn disconnect(&self, node: &str) -> Result<Witness, EnvironmentError> {
        Err(no_network("disconnect", node))
    }

    async fn reconnect(&self, node: &str) -> Result<Witness, EnvironmentError> {
        Err(no_network("reconnect", node))
    }

    async fn log(&self, node: &str) -> Result<String, EnvironmentError> {
        let entry = self.nodes.get(node).ok_or_else(|| super::operations::unknown("read the log of", node))?;
        let raw = std::fs::read(&entry.plan.spawn.log).map_err(EnvironmentError::io("read", &entry.plan.spawn.log))?;
        Ok(String::from_utf8_lossy(&raw).into_owned())
    }

    async fn stop(self: Box<Self>) -> Result<(), EnvironmentError> {
        self.stop_all().await
    }
}

impl Local {
    fn port_of(&self, service: &str) -> u16 {
        *self.services.get(service).unwrap_or_else(|| panic!("the needs named no service {service}"))
    }

    /// The port at which `viewer` reaches `node`, which itself listens at `direct`.
    fn port_for(&self, viewer: &str, node: &str, direct: u16) -> u16 {
        self.proxies.on(viewer, node).map_or(direct, |proxy| proxy.port)
    }

    fn link(&self, from: &str, to: String, direct: u16) -> Link {
        let address = local(self.port_for(from, &to, direct));
        let proxy = self.proxies.on(from, &to).map(|proxy| proxy.node.clone());
        Link { from: from.to_owned(), to, address, proxy }
    }

    /// Everything that `from` may talk to, and where that listens: nobody tells us more than that it is one of ours.
    fn reached_by<'a>(&'a self, from: &'a str) -> impl Iterator<Item = (String, u16)> + 'a {
        let databases = self.stores.databases.iter().map(|(name, port)| (postgres::process_name(name), *port));
        let brokers = self.stores.brokers.iter().filter_map(move |(name, ports)| {
            // The harness has a listener of its own even when it is no client, and a service that is none has no way in.
            let own = ports.clients.get(from).copied();
            Some((name.clone(), own.or((from == HARNESS).then_some(ports.broker))?))
        });
        let redis = self.stores.redis.iter().map(|port| (redis::NAME.to_owned(), *port));
        let others = self.services.iter().filter(move |(name, _)| *name != from && !is_proxy(name));
        let others = others.map(|(name, port)| (name.clone(), *port));
        databases.chain(brokers).chain(redis).chain(others)
    }
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn no_network(doing: &'static str, node: &str) -> EnvironmentError {
    let reason = "local processes share the loopback interface; a proxy on one of its links can be cut (`net.cut`), and \
                  `--env containers` can do it to the whole node";
    EnvironmentError::Node { doing, node: node.to_owned(), reason: reason.to_owned() }
}
