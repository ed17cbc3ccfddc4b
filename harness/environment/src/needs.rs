//! What a run asks of its environment: plain values, no behaviour.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A topic that exists, with leaders, before the start is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Name, such as `core.entries`.
    pub name: String,
    /// Number of partitions, at least 1.
    pub partitions: u32,
}

/// Images of the environment `containers`, as `name:tag`; `None` is the default. Other environments do not use them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    /// PostgreSQL.
    pub postgres: Option<String>,
    /// Apache Kafka.
    pub kafka: Option<String>,
    /// Redis.
    pub redis: Option<String>,
    /// Our services; by default an image that is built around the running executable.
    pub services: Option<String>,
}

/// A directed link that goes through a proxy: all bytes of `from` to `to`, and nobody else's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proxied {
    /// Who connects: [`crate::HARNESS`] or one of [`Needs::services`].
    pub from: String,
    /// To which node: another service, `postgres-core`, `kafka-1`, `redis`.
    pub to: String,
}

impl Proxied {
    /// The node that stands on it: `proxy-channel-0-core`. Whoever brings up the services starts it as one of that name, before anybody
    /// uses the link.
    #[must_use]
    pub fn node(&self) -> String {
        format!("proxy-{}-{}", self.from, self.to)
    }
}

/// Everything that [`crate::start`] brings up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Shows in the name of the temporary folder, so that a person can tell runs apart.
    pub name: String,
    /// Logs go to `run_dir/logs` and stay; without it they lie in the temporary folder and go with it.
    pub run_dir: Option<PathBuf>,
    /// One PostgreSQL cluster each, holding a database of that name.
    pub databases: Vec<String>,
    /// Kafka brokers: 0, 1 or 3.
    pub brokers: u32,
    /// One listener of the broker per client process, so that a proxy can stand before exactly one of them.
    pub kafka_clients: Vec<String>,
    /// Topics to create; needs a broker.
    pub topics: Vec<Topic>,
    /// Whether a Redis is needed.
    pub redis: bool,
    /// Names of the services that [`crate::Environment::start_services`] will start: their addresses are known from the start on.
    pub services: Vec<String>,
    /// Links that go through a proxy; all others are direct.
    pub proxied: Vec<Proxied>,
    /// Absolute path of a folder that services may write and the harness may read; made when missing. `None` is a folder of the
    /// environment's own, which goes with it.
    pub exchange: Option<PathBuf>,
    /// Which images, where there are containers.
    pub images: Images,
}

impl Needs {
    /// Needs of a test called `name`: nothing until databases or brokers are set; logs go with the temporary folder.
    #[must_use]
    pub fn for_test(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            run_dir: None,
            databases: Vec::new(),
            brokers: 0,
            kafka_clients: Vec::new(),
            topics: Vec::new(),
            redis: false,
            services: Vec::new(),
            proxied: Vec::new(),
            exchange: None,
            images: Images::default(),
        }
    }

    /// Names of all processes of our own: the services, then the proxies.
    pub(crate) fn own_nodes(&self) -> Vec<String> {
        self.services.iter().cloned().chain(self.proxied.iter().map(Proxied::node)).collect()
    }
}

/// One process of our own, started by [`crate::Environment::start_services`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// One of [`Needs::services`], or a proxy ([`Proxied::node`]): `core`, `channel-0`. Its log is `logs/<name>.log`.
    pub name: String,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Environment variables, on top of those that the environment sets.
    pub env: BTreeMap<String, String>,
    /// Path at the service's address that answers 200 once it may be used: `/readyz`.
    pub ready_path: String,
}

impl ServiceSpec {
    /// The running executable with `args`, ready when `/readyz` answers 200.
    #[must_use]
    pub fn new(name: &str, args: Vec<String>) -> Self {
        Self { name: name.to_owned(), args, env: BTreeMap::new(), ready_path: "/readyz".to_owned() }
    }
}
