//! Core assembled on real parts: what `bankstorm serve core` runs.
//!
//! In: addresses. Out: a serving process, until it is asked to stop. Elsewhere: the parts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_core::{Core, CoreConfig, markers};
use bankstorm_outside::StoreError;
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::CoreStore;
use bankstorm_outside::log::EventLog;
use bankstorm_outside::process::Scope;
use futures_util::FutureExt;
use thiserror::Error;
use tokio::net::TcpListener;

use super::registry::Registry;
use super::scope::ProcessScope;
use crate::access::AccessFile;
use crate::http::banks_client::BanksClient;
use crate::http::server::{GRACE, Ready, operations, serve};
use crate::kafka::{KafkaLog, Producer};
use crate::postgres::core::PgCoreStore;

/// How long tasks may run on after the last request was answered; with [`GRACE`] the stop stays under 10 s.
const TASKS_GRACE: Duration = Duration::from_secs(2);

/// What the broker and the other banks call this process.
const INSTANCE: &str = "core";

/// What a core process needs.
#[derive(Clone, Debug)]
pub struct CoreServe {
    /// Connection string of database `core`; its tables are there.
    pub database: String,
    /// Kafka's bootstrap address.
    pub kafka: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The other banks, as `http://host:port`; without them core begins no transfer to them.
    pub banks_url: Option<String>,
    /// Connections to the database, at most; [`CoreConfig::connections`] is what core uses.
    pub connections: usize,
    /// How the relay produces (P13).
    pub producer: Producer,
    /// The file that it appends to when it was read from; none is written without it.
    pub access_log: Option<PathBuf>,
    /// Core's limits.
    pub config: CoreConfig,
}

/// Why a service did not come up, or did not stay up.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Settings that do not fit together.
    #[error("{0}")]
    Settings(String),
    /// The database.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The socket.
    #[error("listening on {address}: {cause}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file that could not be opened.
    #[error("opening {path}: {cause}")]
    File {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The serve loop or the signals.
    #[error("serving: {0}")]
    Io(#[from] std::io::Error),
}

/// Core's ports on real parts; generic over the log alone, so that tests may do without Kafka.
#[derive(Clone)]
pub struct CoreProcess<L: EventLog> {
    /// Its database.
    pub store: PgCoreStore,
    /// Its log.
    pub log: L,
    /// The other banks.
    pub banks: BanksClient,
    /// Its tasks.
    pub scope: ProcessScope,
    /// Its markers and counters.
    pub registry: Registry,
    /// Its log of who read from it.
    pub access: AccessFile,
}

impl<L: EventLog> CoreOutside for CoreProcess<L> {
    type Store = PgCoreStore;
    type Log = L;
    type Banks = BanksClient;
    type Scope = ProcessScope;
    type Points = Registry;
    type Metrics = Registry;
    type Access = AccessFile;

    fn store(&self) -> &PgCoreStore {
        &self.store
    }

    fn log(&self) -> &L {
        &self.log
    }

    fn banks(&self) -> &BanksClient {
        &self.banks
    }

    fn scope(&self) -> &ProcessScope {
        &self.scope
    }

    fn points(&self) -> &Registry {
        &self.registry
    }

    fn metrics(&self) -> &Registry {
        &self.registry
    }

    fn access(&self) -> &AccessFile {
        &self.access
    }
}

/// Serves until SIGTERM or SIGINT.
pub async fn serve_core(options: CoreServe) -> Result<(), ServeError> {
    let scope = ProcessScope::new();
    scope.stop_on_signals()?;
    let store = PgCoreStore::connect(&options.database, options.connections).await?;
    let registry = Registry::new();
    registry.declare_markers(markers::ALL);
    let log = KafkaLog::new(&options.kafka, INSTANCE).producing(options.producer);
    let access = access(options.access_log, &registry)?;
    let banks = banks(options.banks_url.as_deref(), options.config.outbound_calls)?;
    let process = CoreProcess { store, log, banks, scope: scope.clone(), registry, access };
    let address = options.listen;
    let listener = TcpListener::bind(address).await.map_err(|cause| ServeError::Listen { address, cause })?;
    tracing::info!(%address, "core listens");
    let config = CoreConfig { other_banks: options.banks_url.is_some(), ..options.config };
    let core = Core::start(process.clone(), config);
    let router =
        crate::http::core::router(core).merge(operations(process.registry.clone(), ready(process.store.clone())));
    let stop = stopping(&scope);
    let served = serve(listener, router, stop).await;
    scope.stop();
    let running = scope.ended(TASKS_GRACE).await;
    if running > 0 {
        tracing::warn!(running, limit = ?(GRACE + TASKS_GRACE), "tasks still running at the stop are dropped");
    }
    served.map_err(ServeError::Io)
}

fn banks(url: Option<&str>, calls: usize) -> Result<BanksClient, ServeError> {
    match url {
        Some(url) => BanksClient::new(url, calls, INSTANCE).map_err(|error| ServeError::Settings(error.to_string())),
        None => {
            tracing::warn!("no other banks: transfers to them are refused, and open holds stay open");
            Ok(BanksClient::none())
        }
    }
}

fn access(path: Option<PathBuf>, registry: &Registry) -> Result<AccessFile, ServeError> {
    let Some(path) = path else { return Ok(AccessFile::none()) };
    AccessFile::create(&path, registry.clone()).map_err(|cause| ServeError::File { path, cause })
}

/// The scope's stop, as the serve loop wants it.
pub fn stopping(scope: &ProcessScope) -> impl Future<Output = ()> + Clone + Send + 'static + use<> {
    let scope = scope.clone();
    async move { scope.stopping().await }.boxed().shared()
}

/// Ready when the database answers. The log may be away: deposits are taken, and published later.
fn ready(store: PgCoreStore) -> Ready {
    Arc::new(move || {
        let store = store.clone();
        async move { store.heads(&[]).await.map(drop).map_err(|error| error.to_string()) }.boxed()
    })
}
