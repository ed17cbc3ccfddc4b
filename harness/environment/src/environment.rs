//! The one interface of all environments: addresses, nodes, links, logs, stop.
//!
//! In: [`Needs`] and [`ServiceSpec`]s. Out: a [`Box<dyn Environment>`](Environment) from [`start`]. Elsewhere: how it is done with
//! processes (`local`) and with containers (`containers`). Nobody outside this crate asks which one it is.
//!
//! An address depends on who uses it: the harness sees pinned loopback ports, a service in a container sees names of the run's own
//! network, and who connects through a proxy sees the proxy. So every address is asked for with its *viewer*: [`HARNESS`] or the name of a
//! service.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::containers::Containers;
use crate::local::Local;
use crate::needs::{Needs, ServiceSpec};
use crate::progress::Progress;
use crate::{Death, EnvironmentError};

/// The viewer of an address that is no service of the bank: the harness itself.
pub const HARNESS: &str = "harness";

/// Which environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvironmentKind {
    /// Private child processes on loopback.
    Local,
    /// The same set in containers.
    Containers,
}

impl EnvironmentKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Local, Self::Containers];

    /// The word on the command line and in run.json.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Containers => "containers",
        }
    }
}

/// What proves that something was done to a node, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// A sentence that names the proof: `process 4711 killed by SIGKILL`.
    pub what: String,
    /// CLOCK_MONOTONIC in nanoseconds when it was seen.
    pub at_monotonic_ns: u64,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKind {
    /// A PostgreSQL server.
    Database,
    /// A Kafka broker.
    Broker,
    /// The Redis server.
    Cache,
    /// A process of our own.
    Service,
}

/// A process or container that may be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `core`, `channel-0`, `postgres-core`, `kafka-1`, `redis`.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Whether it runs; a paused one does.
    pub running: bool,
    /// Whether it is frozen.
    pub paused: bool,
}

/// A directed connection between two parts of the run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Who connects: `harness` or a service.
    pub from: String,
    /// To which node.
    pub to: String,
    /// The address that `from` uses.
    pub address: String,
    /// The node that stands in between; `None` where the link is direct.
    pub proxy: Option<String>,
}

/// A running environment. [`Environment::stop`] takes it down in order; dropping it lets the reaper do so at once and without manners.
///
/// Operations on nodes return once their effect was seen. All of them may be called while others run, but not two at once on one node.
/// A death that one of them caused is not reported as one.
#[async_trait]
pub trait Environment: fmt::Debug + Send + Sync {
    /// Which one; for run.json alone.
    fn kind(&self) -> EnvironmentKind;

    /// Connection string of the database `name` for tokio-postgres.
    ///
    /// # Panics
    /// When the needs did not name that database.
    fn database(&self, name: &str, viewer: &str) -> String;

    /// Bootstrap addresses (all brokers, comma between) of the listener that belongs to `client`.
    ///
    /// # Panics
    /// When the needs did not name that client.
    fn kafka(&self, client: &str) -> String;

    /// `redis://host:port`.
    ///
    /// # Panics
    /// When the needs did not ask for Redis.
    fn redis(&self, viewer: &str) -> String;

    /// The address and port that `service` must bind; it may be a proxy.
    ///
    /// # Panics
    /// When the needs did not name that service.
    fn listen(&self, service: &str) -> String;

    /// `http://host:port` at which `viewer` reaches `service`.
    ///
    /// # Panics
    /// When the needs did not name that service.
    fn url(&self, service: &str, viewer: &str) -> String;

    /// `http://host:port` at which the harness reaches `service` or a proxy around all proxies: for looks that no fault may touch.
    ///
    /// # Panics
    /// When the needs did not name that service.
    fn direct(&self, service: &str) -> String;

    /// `host:port` of what stands behind the proxy on the link `from` -> `to`, as that proxy sees it.
    ///
    /// # Panics
    /// When there is no such link.
    fn upstream(&self, from: &str, to: &str) -> String;

    /// The run's temporary folder; gone after the run.
    fn folder(&self) -> &Path;

    /// Where the logs of all nodes lie, one file each, written as they happen; those of a node's restarts follow one another.
    fn logs(&self) -> &Path;

    /// A folder that services may write and the harness may read, under the same absolute path for both.
    fn exchange(&self) -> &Path;

    /// Starts processes of our own, in parallel, and returns when all of them say that they are ready.
    ///
    /// # Errors
    /// The first that died or was not ready within its limit. Those that came up go on until [`Environment::stop`].
    async fn start_services(&self, specs: Vec<ServiceSpec>) -> Result<(), EnvironmentError>;

    /// Unplanned exits, also those since the start. The receiver ends when the environment itself is lost or another one is asked for.
    fn deaths(&self) -> UnboundedReceiver<Death>;

    /// Why the environment itself is lost, once [`Environment::deaths`] has ended: which of the reaper and the engine's events ended, and how.
    fn lost(&self) -> Option<String>;

    /// Process ids on this machine of all running nodes, for sampling; the processes below each belong to it.
    fn pids(&self) -> BTreeMap<String, u32>;

    /// Every node that was started, by name.
    fn nodes(&self) -> Vec<Node>;

    /// Every directed link of the run: from each service and the harness to what it may talk to. Proxies stand on links and have none of
    /// their own.
    fn links(&self) -> Vec<Link>;

    /// Versions and images, for the report: `PostgreSQL` -> `15.14`, `image kafka` -> `apache/kafka:4.3.0 sha256:... (stand-in: ...)`.
    fn facts(&self) -> BTreeMap<String, String>;

    /// SIGKILL to all processes of a node.
    ///
    /// # Errors
    /// It does not run, or its end was not seen within the limit.
    async fn kill(&self, node: &str) -> Result<Witness, EnvironmentError>;

    /// Freezes all processes of a node; its connections stay open.
    ///
    /// # Errors
    /// It does not run, or was not seen to stand still within the limit.
    async fn pause(&self, node: &str) -> Result<Witness, EnvironmentError>;

    /// Lets a frozen node go on; one that is not frozen is left as it is.
    ///
    /// # Errors
    /// It does not run, or was not seen to go on within the limit.
    async fn resume(&self, node: &str) -> Result<Witness, EnvironmentError>;

    /// Stops a node in order if it runs (a frozen one goes on first), starts it again with its own data and addresses, and waits until
    /// it is ready.
    ///
    /// # Errors
    /// It never ran, or did not become ready.
    async fn restart(&self, node: &str) -> Result<Witness, EnvironmentError>;

    /// Takes a node off the network; its processes go on. The harness does not reach it either: a pinned port goes with it and comes back.
    ///
    /// # Errors
    /// The environment cannot (then the message says why), or it was not done.
    async fn disconnect(&self, node: &str) -> Result<Witness, EnvironmentError>;

    /// Puts a node back on the network.
    ///
    /// # Errors
    /// As [`Environment::disconnect`].
    async fn reconnect(&self, node: &str) -> Result<Witness, EnvironmentError>;

    /// Everything that a node wrote so far.
    ///
    /// # Errors
    /// No such node, or its log cannot be read.
    async fn log(&self, node: &str) -> Result<String, EnvironmentError>;

    /// Stops the services (SIGTERM, 10 s; frozen ones go on first), then the proxies, then the stores; afterwards nothing of the run is
    /// left.
    ///
    /// # Errors
    /// A service overran its limit (it was killed), or something is still there.
    async fn stop(self: Box<Self>) -> Result<(), EnvironmentError>;
}

/// Starts everything that `needs` names, in parallel, and returns when all of it answers.
///
/// # Errors
/// Something is not installed, did not come up within its limit, or died; nothing is left behind then.
pub async fn start(
    kind: EnvironmentKind,
    needs: Needs,
    progress: Arc<dyn Progress>,
) -> Result<Box<dyn Environment>, EnvironmentError> {
    Ok(match kind {
        EnvironmentKind::Local => Box::new(Local::start(needs, progress).await?),
        EnvironmentKind::Containers => Box::new(Containers::start(needs, progress).await?),
    })
}
