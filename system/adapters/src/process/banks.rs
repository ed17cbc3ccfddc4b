//! The other banks assembled on real parts: what `bankstorm serve banks` runs.
//!
//! In: addresses and a file. Out: a serving process, until it is asked to stop. Elsewhere: the parts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_banks::{Banks, BanksConfig, markers};
use bankstorm_outside::bundle::BanksOutside;
use futures_util::FutureExt;
use tokio::net::TcpListener;

use super::core::{ServeError, stopping};
use super::registry::Registry;
use super::scope::ProcessScope;
use crate::bank_book::FileBook;
use crate::http::banks_client::OutcomeClient;
use crate::http::server::{Ready, operations, serve};

/// How long tasks may run on after the last request was answered.
const TASKS_GRACE: Duration = Duration::from_secs(2);
/// Callbacks in flight.
const CALLBACKS: usize = 64;
/// What core calls this process.
const INSTANCE: &str = "banks";

/// What the banks' process needs.
#[derive(Clone, Debug)]
pub struct BanksServe {
    /// Their book; made where it is not there yet.
    pub book: PathBuf,
    /// Core, as `http://host:port`, for callbacks.
    pub core_url: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How they behave.
    pub config: BanksConfig,
}

/// The banks' ports on real parts.
#[derive(Clone)]
pub struct BanksProcess {
    /// Their book.
    pub book: FileBook,
    /// Core.
    pub core: OutcomeClient,
    /// Their tasks.
    pub scope: ProcessScope,
    /// Their markers and counters.
    pub registry: Registry,
}

impl BanksOutside for BanksProcess {
    type Book = FileBook;
    type Core = OutcomeClient;
    type Scope = ProcessScope;
    type Points = Registry;
    type Metrics = Registry;

    fn book(&self) -> &FileBook {
        &self.book
    }

    fn core(&self) -> &OutcomeClient {
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
}

impl BanksProcess {
    /// The ports of banks whose book is at `book` and that call back to `core_url`.
    pub fn open(book: &std::path::Path, core_url: &str, scope: ProcessScope) -> Result<Self, ServeError> {
        let registry = Registry::new();
        registry.declare_markers(markers::ALL);
        Ok(Self {
            book: FileBook::open(book)?,
            core: OutcomeClient::new(core_url, CALLBACKS, INSTANCE)
                .map_err(|error| ServeError::Settings(error.to_string()))?,
            scope,
            registry,
        })
    }
}

/// Serves until SIGTERM or SIGINT.
pub async fn serve_banks(options: BanksServe) -> Result<(), ServeError> {
    options.config.check().map_err(ServeError::Settings)?;
    let scope = ProcessScope::new();
    scope.stop_on_signals()?;
    let process = BanksProcess::open(&options.book, &options.core_url, scope.clone())?;
    let address = options.listen;
    let listener = TcpListener::bind(address).await.map_err(|cause| ServeError::Listen { address, cause })?;
    tracing::info!(%address, config = ?options.config, "the other banks listen");
    let banks = Banks::start(process.clone(), options.config);
    let router = crate::http::banks::router(banks.clone()).merge(operations(process.registry.clone(), ready(banks)));
    let served = serve(listener, router, stopping(&scope)).await;
    scope.stop();
    let running = scope.ended(TASKS_GRACE).await;
    if running > 0 {
        tracing::warn!(running, limit = ?TASKS_GRACE, "tasks still running at the stop are dropped");
    }
    served.map_err(ServeError::Io)
}

/// Ready when the book was read.
fn ready(banks: Banks<BanksProcess>) -> Ready {
    Arc::new(move || {
        let banks = banks.clone();
        async move { if banks.opened().await { Ok(()) } else { Err("the book was not read yet".to_owned()) } }.boxed()
    })
}
