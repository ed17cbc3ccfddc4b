//! A small pool: connections with their statements prepared, lent one at a time.
//!
//! In: a connection string. Out: [`Lease`]s. Elsewhere: what is asked on them.
//!
//! A connection comes back only by [`Lease::give_back`], which its holder calls after an answered statement, commit or rollback; a lease
//! that is merely dropped closes its connection, because a dropped future says nothing of what the server does (a dropped `commit()`
//! sends no ROLLBACK). Every wait has a limit here, and the error names it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_outside::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

use super::error::{chain, store_error};

/// How long a connection may take to come about, its statements included.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection that others use.
pub const LEASE_LIMIT: Duration = Duration::from_secs(5);
/// How long a step may go unanswered; lock waits inside it have smaller limits of their own.
pub const STEP_LIMIT: Duration = Duration::from_secs(10);
/// How long a commit may go unanswered before its outcome is called unknown.
pub const COMMIT_LIMIT: Duration = Duration::from_secs(10);
/// How long a rollback may go unanswered before the connection is closed instead.
pub const ROLLBACK_LIMIT: Duration = Duration::from_secs(5);

/// The statements of a kind of connection.
pub trait Prepared: Sized + Send + Sync + 'static {
    /// Prepares them all; called once per connection.
    fn prepare(client: &Client) -> impl Future<Output = Result<Self, tokio_postgres::Error>> + Send;
}

/// The pool. Clones share it.
pub struct Pool<S: Prepared>(Arc<Shared<S>>);

struct Shared<S> {
    config: Config,
    idle: Mutex<Vec<Connection<S>>>,
    places: Arc<Semaphore>,
}

struct Connection<S> {
    client: Client,
    statements: S,
    driver: JoinHandle<()>,
}

/// A connection on loan.
pub struct Lease<S: Prepared> {
    connection: Option<Connection<S>>,
    pool: Arc<Shared<S>>,
    place: Option<OwnedSemaphorePermit>,
}

impl<S: Prepared> Clone for Pool<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Prepared> Pool<S> {
    /// A pool of at most `size` connections to `url`; `name` is what the server calls them. Opens the first one at once, so that a wrong
    /// address shows here.
    pub async fn connect(url: &str, size: usize, name: &str) -> Result<Self, StoreError> {
        let mut config = session(url, name)?;
        config.connect_timeout(CONNECT_LIMIT);
        let pool =
            Self(Arc::new(Shared { config, idle: Mutex::default(), places: Arc::new(Semaphore::new(size.max(1))) }));
        pool.lease().await?.give_back();
        Ok(pool)
    }

    /// Lends a connection; waits for one up to [`LEASE_LIMIT`].
    pub async fn lease(&self) -> Result<Lease<S>, StoreError> {
        let place = timeout(LEASE_LIMIT, Arc::clone(&self.0.places).acquire_owned())
            .await
            .map_err(|_| StoreError::Unavailable(format!("no free connection within {LEASE_LIMIT:?}")))?
            .map_err(|closed| StoreError::Unavailable(closed.to_string()))?;
        let connection = match self.0.idle_connection() {
            Some(connection) => connection,
            None => timeout(CONNECT_LIMIT, open(&self.0.config))
                .await
                .map_err(|_| StoreError::Unavailable(format!("no connection within {CONNECT_LIMIT:?}")))??,
        };
        Ok(Lease { connection: Some(connection), pool: Arc::clone(&self.0), place: Some(place) })
    }
}

impl<S> Shared<S> {
    fn idle_connection(&self) -> Option<Connection<S>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Connections that the server ended meanwhile are thrown away here.
        std::iter::from_fn(|| idle.pop()).find(|connection| !connection.client.is_closed())
    }
}

impl<S: Prepared> Lease<S> {
    /// The client. Futures polled together on it are pipelined.
    pub fn client(&self) -> &Client {
        &self.connection().client
    }

    /// The statements.
    pub fn statements(&self) -> &S {
        &self.connection().statements
    }

    /// Gives the connection back: nothing is open on it, and the last answer has come.
    pub fn give_back(mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !connection.client.is_closed() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        // Only now may the next caller look for it.
        drop(self.place.take());
    }

    /// Runs one plain read: on success the connection goes back, otherwise it is closed. `what` names it in errors.
    pub async fn read<T>(
        self,
        what: &str,
        ask: impl AsyncFnOnce(&Client, &S) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let asked = timeout(STEP_LIMIT, ask(self.client(), self.statements())).await;
        match asked {
            Ok(Ok(value)) => {
                self.give_back();
                Ok(value)
            }
            Ok(Err(error)) => Err(store_error(&error)),
            Err(_) => Err(StoreError::Unavailable(format!("{what} was not answered within {STEP_LIMIT:?}"))),
        }
    }

    fn connection(&self) -> &Connection<S> {
        self.connection.as_ref().expect("a lease has its connection until it is given back")
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        // Ends the socket now. Merely dropping the client would wait for answers that are still due.
        self.driver.abort();
    }
}

/// How every session of a service is set up.
pub fn session(url: &str, name: &str) -> Result<Config, StoreError> {
    let mut config: Config = url
        .parse()
        .map_err(|error: tokio_postgres::Error| StoreError::Other(format!("connection string: {}", chain(&error))))?;
    config.application_name(name).options(
        // Generic plans that never scan a table: planned once per connection, also while the tables are still empty, when a hash or merge
        // join through a whole table looks as cheap as the index. A session that sits in a transaction (a stopped process) must not keep
        // its row locks for ever. Claims tell by `lock_timeout` whether they are in a transaction, so outside one it is 0.
        "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off \
         -c idle_in_transaction_session_timeout=10000 -c lock_timeout=0",
    );
    Ok(config)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an adapter's connection is driven by a task of its own; it ends with its client"
)]
async fn open<S: Prepared>(config: &Config) -> Result<Connection<S>, StoreError> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| {
        // Refused, unknown host, wrong password: in any case nothing can be asked.
        StoreError::Unavailable(format!("no connection: {}", chain(&error)))
    })?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = chain(&error), "a connection ended");
        }
    });
    let statements = match S::prepare(&client).await {
        Ok(statements) => statements,
        Err(error) => {
            driver.abort();
            return Err(store_error(&error));
        }
    };
    Ok(Connection { client, statements, driver })
}
