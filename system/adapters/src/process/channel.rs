//! A channel assembled on real parts: what `bankstorm serve channel` runs.
//!
//! In: addresses. Out: a serving process, until it is asked to stop. Elsewhere: the parts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_channel::{Channel, ChannelConfig, markers};
use bankstorm_contracts::AccountNo;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::ChannelStore;
use bankstorm_outside::log::EventLog;
use futures_util::FutureExt;
use tokio::net::TcpListener;

use super::core::{ServeError, stopping};
use super::registry::Registry;
use super::scope::ProcessScope;
use super::wall::MachineWall;
use crate::http::core_client::{CoreCalls, CoreClient};
use crate::http::server::{Ready, operations, serve};
use crate::kafka::KafkaLog;
use crate::postgres::channel::PgChannelStore;
use crate::visible::VisibleFile;

/// How long tasks may run on after the stop: the consumer drains, commits and leaves its group meanwhile.
const STOP_LIMIT: Duration = Duration::from_secs(9);

/// What a channel process needs.
#[derive(Clone, Debug)]
pub struct ChannelServe {
    /// Connection string of database `channel`; its tables are there.
    pub database: String,
    /// Kafka's bootstrap address, as this process sees it.
    pub kafka: String,
    /// Core, as `http://host:port`.
    pub core_url: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// What journals, the database and the broker call this process, such as `channel-0`.
    pub instance: String,
    /// The file of the visible log; appended to.
    pub visible_log: PathBuf,
    /// Connections to the database, at most: more than [`ChannelConfig::transactions`] and [`ChannelConfig::transfer_transactions`], which
    /// may be open; the rest is for pages and for looking up transfers.
    pub connections: usize,
    /// The channel's settings.
    pub config: ChannelConfig,
}

/// A channel's ports on real parts; generic over the log alone, so that tests may do without Kafka.
#[derive(Clone)]
pub struct ChannelProcess<L: EventLog> {
    /// Its database.
    pub store: PgChannelStore,
    /// Its log.
    pub log: L,
    /// Core.
    pub core: CoreClient,
    /// Its tasks.
    pub scope: ProcessScope,
    /// Its markers and counters.
    pub registry: Registry,
    /// Its visible log.
    pub visible: VisibleFile,
    /// Its machine's clock.
    pub wall: MachineWall,
}

impl<L: EventLog> ChannelOutside for ChannelProcess<L> {
    type Store = PgChannelStore;
    type Log = L;
    type Core = CoreClient;
    type Scope = ProcessScope;
    type Points = Registry;
    type Metrics = Registry;
    type Visible = VisibleFile;
    type Wall = MachineWall;

    fn store(&self) -> &PgChannelStore {
        &self.store
    }

    fn log(&self) -> &L {
        &self.log
    }

    fn core(&self) -> &CoreClient {
        &self.core
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

    fn visible(&self) -> &VisibleFile {
        &self.visible
    }

    fn wall(&self) -> &MachineWall {
        &self.wall
    }
}

/// Serves until SIGTERM or SIGINT.
pub async fn serve_channel(options: ChannelServe) -> Result<(), ServeError> {
    let pages = pages_at_once(options.connections, transactions(&options.config))?;
    let scope = ProcessScope::new();
    scope.stop_on_signals()?;
    let registry = Registry::new();
    registry.declare_markers(markers::ALL);
    let process = ChannelProcess {
        store: PgChannelStore::connect(&options.database, options.connections, &options.instance)
            .await?
            .reading_at_most(pages),
        log: KafkaLog::new(&options.kafka, &options.instance),
        core: CoreClient::new(&options.core_url, CoreCalls::default(), &options.instance)
            .map_err(|error| ServeError::Settings(error.to_string()))?,
        scope: scope.clone(),
        visible: VisibleFile::counting_in(&options.visible_log, registry.clone())?,
        wall: MachineWall,
        registry,
    };
    let address = options.listen;
    let listener = TcpListener::bind(address).await.map_err(|cause| ServeError::Listen { address, cause })?;
    tracing::info!(%address, instance = options.instance, config = ?options.config, "a channel listens");
    let config = options.config.of_instance(&options.instance);
    let channel = Channel::start(process.clone(), config);
    let router =
        crate::http::channel::router(channel).merge(operations(process.registry.clone(), ready(process.store.clone())));
    let stop = stopping(&scope);
    let serving = async {
        let served = serve(listener, router, stop.clone()).await;
        scope.stop();
        served
    };
    let ending = async {
        stop.clone().await;
        scope.ended(STOP_LIMIT).await
    };
    let (served, running) = futures_util::join!(serving, ending);
    if running > 0 {
        tracing::warn!(running, limit = ?STOP_LIMIT, "tasks still running at the stop are dropped");
    }
    served.map_err(ServeError::Io)
}

/// Transactions open at once, at most.
const fn transactions(config: &ChannelConfig) -> usize {
    config.transactions + config.transfer_transactions
}

/// What transactions leave of the connections.
fn pages_at_once(connections: usize, transactions: usize) -> Result<usize, ServeError> {
    connections.checked_sub(transactions.max(1)).filter(|rest| *rest > 0).ok_or_else(|| {
        ServeError::Settings(format!(
            "{connections} connections, of which transactions take up to {transactions}, leave none for pages; accepted are {} and more",
            transactions.max(1) + 1
        ))
    })
}

/// Ready when the database answers: pages can be read, and records will be applied as they come.
fn ready(store: PgChannelStore) -> Ready {
    Arc::new(move || {
        let store = store.clone();
        async move {
            let page = store.page(AccountNo::new(0), None, 1).await;
            page.map(drop).map_err(|error| error.to_string())
        }
        .boxed()
    })
}

#[cfg(test)]
mod tests {
    use super::pages_at_once;

    #[test]
    fn connections_that_leave_none_for_pages_are_refused() {
        assert_eq!(pages_at_once(6, 4).ok(), Some(2));
        for connections in [0, 1, 4] {
            let refused = pages_at_once(connections, 4).expect_err("too few").to_string();
            assert!(refused.contains("accepted are 5 and more"), "{refused}");
        }
    }
}
