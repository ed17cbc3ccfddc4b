//! What faults do to a server through its own means: commits that wait, rows that somebody holds.
//!
//! In: a database's address. Out: the sessions that were seen, as proof. Elsewhere: who asks for it and when (`harness/cli`, the faults
//! `pg.commit_stall` and `pg.lock`), what is done on the way to a server (`chaos/proxy`), what a service does about it (D41, R2, R3).
//!
//! What heals does so whatever came of the strike: it was cut short, or the server was restarted since.

mod commits;
mod rows;

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use bankstorm_outside::StoreError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use super::core::connect_plain;
use super::error::store_error;

pub use commits::{StalledCommits, release_commits, stall_commits};
pub use rows::{HeldRows, Rows, free_rows, hold_rows};

/// Between two looks at a server.
const LOOK: Duration = Duration::from_millis(20);
/// A heal waits so long for a server that is down, and for what it asked of one that is up.
pub const HEAL_LIMIT: Duration = Duration::from_secs(45);

/// A session of somebody, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Process id of its backend, as the server numbers it.
    pub pid: i32,
    /// What it calls itself.
    pub name: String,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "{}", self.pid),
            name => write!(f, "{name} {}", self.pid),
        }
    }
}

/// A connection that ends as soon as nobody has it any more, whatever it waits for.
struct Connection {
    client: Client,
    driver: JoinHandle<()>,
}

impl Connection {
    async fn open(url: &str) -> Result<Self, StoreError> {
        connect_plain(url).await.map(|(client, driver)| Self { client, driver })
    }

    /// Runs one statement outside a transaction.
    async fn run(&self, statement: &str) -> Result<(), StoreError> {
        self.client.batch_execute(statement).await.map_err(|error| store_error(&error))
    }

    /// What a query of process ids and names finds.
    async fn sessions(&self, query: &str) -> Result<Vec<Session>, StoreError> {
        let rows = self.client.query(query, &[]).await.map_err(|error| store_error(&error))?;
        Ok(rows.iter().map(|row| Session { pid: row.get(0), name: row.get(1) }).collect())
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Asks again while the server is down, at most [`HEAL_LIMIT`].
async fn once_up<T, F>(what: &str, ask: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let until = Instant::now() + HEAL_LIMIT;
    loop {
        let trouble = match tokio::time::timeout_at(until, ask()).await {
            Ok(Err(StoreError::Unavailable(trouble))) => trouble,
            Ok(answered) => return answered,
            Err(_) => "the server did not answer".to_owned(),
        };
        if Instant::now() + LOOK >= until {
            return Err(StoreError::Unavailable(format!("{what} within {HEAL_LIMIT:?}: {trouble}")));
        }
        sleep(LOOK).await;
    }
}
