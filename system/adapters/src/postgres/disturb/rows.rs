//! A session that holds the rows of all accounts, as a long report or a forgotten transaction does.
//!
//! In: a database's address, whose rows. Out: a session, which holds them until it is ended. Elsewhere: how long a service waits for a row
//! (`core`, `channel`).

use std::sync::{Mutex, PoisonError};

use bankstorm_outside::StoreError;
use tokio::time::sleep;

use super::{Connection, LOOK, Session, once_up};
use crate::postgres::error::store_error;

/// What the session calls itself, and is found by: whoever began it may be gone.
const NAME: &str = "bankstorm-lock-holder";
/// Of this database alone: others may lie on the same server.
const HOLDERS: &str = "SELECT pid, application_name FROM pg_stat_activity \
                       WHERE application_name = 'bankstorm-lock-holder' AND datname = current_database() ORDER BY pid";

/// Rows of which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Core's accounts.
    Accounts,
    /// The heads of a channel's copy.
    Heads,
}

impl Rows {
    /// In the order of accounts, in which everybody locks them: the wait for those that are in use makes no deadlock.
    const fn lock(self) -> &'static str {
        match self {
            Self::Accounts => "SELECT count(*) FROM (SELECT no FROM account ORDER BY no FOR UPDATE) AS held",
            Self::Heads => {
                "SELECT count(*) FROM (SELECT account FROM account_sync ORDER BY account FOR UPDATE) AS held"
            }
        }
    }
}

/// A session that holds rows; they are free once it is dropped and the server has noticed. [`free_rows`] waits for that.
pub struct HeldRows {
    _connection: Connection,
    /// Whose rows they are.
    pub session: Session,
    /// How many.
    pub count: i64,
}

/// Locks all rows, and returns once it has them: whoever has one now is waited for.
pub async fn hold_rows(url: &str, rows: Rows) -> Result<HeldRows, StoreError> {
    let connection = Connection::open(url).await?;
    connection.run(&format!("SET application_name = '{NAME}'")).await?;
    connection.run("BEGIN").await?;
    let locked = connection.query_one(rows.lock(), &[]).await.map_err(|error| store_error(&error))?;
    let own = connection.query_one("SELECT pg_backend_pid()", &[]).await.map_err(|error| store_error(&error))?;
    let session = Session { pid: own.get(0), name: NAME.to_owned() };
    Ok(HeldRows { _connection: connection, session, count: locked.get(0) })
}

/// Ends every such session, also one that still waits for rows, and returns those it found; none where there is none.
pub async fn free_rows(url: &str) -> Result<Vec<Session>, StoreError> {
    // Over all attempts: one may end a session and lose the server before it could say so.
    let found = Mutex::new(Vec::new());
    once_up("rows were not free", || async {
        let server = Connection::open(url).await?;
        let holders = server.sessions(HOLDERS).await?;
        for holder in holders {
            let end = format!("SELECT pg_terminate_backend({})", holder.pid);
            note(&found, holder);
            server.run(&end).await?;
        }
        while !server.sessions(HOLDERS).await?.is_empty() {
            sleep(LOOK).await;
        }
        Ok(())
    })
    .await?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Once each.
fn note(found: &Mutex<Vec<Session>>, session: Session) {
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    if !found.contains(&session) {
        found.push(session);
    }
}
