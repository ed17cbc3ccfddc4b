//! Commits that wait for a standby that does not exist, and go on when it is forgotten.
//!
//! In: a database's address. Out: the sessions that wait. Elsewhere: what a caller knows of a commit without an answer
//! (`pool::COMMIT_LIMIT`).
//!
//! A session that waits keeps its place on the server though its client gave up long ago, so in the end no new session is let in: what
//! is to be released goes through the session that stalled it.

use bankstorm_outside::StoreError;
use tokio::time::{sleep, timeout};

use super::{Connection, LOOK, Session, once_up};
use crate::postgres::pool::STEP_LIMIT;

/// Written to the data folder, so it holds over a restart. No statement of these is a commit that would wait itself.
const STALL: &str = "ALTER SYSTEM SET synchronous_standby_names = 'a_standby_that_does_not_exist'";
const RELEASE: &str = "ALTER SYSTEM RESET synchronous_standby_names";
const RELOAD: &str = "SELECT pg_reload_conf()";
/// A server's own workers commit without standbys.
const WAITING: &str = "SELECT pid, application_name FROM pg_stat_activity \
                       WHERE wait_event = 'SyncRep' AND backend_type = 'client backend' ORDER BY pid";
/// Writes to the log and commits, and changes nothing: answered only once commits go on.
const COMMIT: &str = "SELECT pg_logical_emit_message(true, 'bankstorm', 'released')";

/// Commits that wait, and the session that lets them. Dropping it releases nothing: [`release_commits`] does.
pub struct StalledCommits {
    session: Connection,
    /// The first sessions that waited.
    pub waiting: Vec<Session>,
}

/// From now on no commit is answered, though what it wrote is on disk. Returns once the first sessions wait: on a server that nobody
/// writes to, never.
pub async fn stall_commits(url: &str) -> Result<StalledCommits, StoreError> {
    let session = Connection::open(url).await?;
    session.run(STALL).await?;
    session.run(RELOAD).await?;
    loop {
        let waiting = session.sessions(WAITING).await?;
        if !waiting.is_empty() {
            return Ok(StalledCommits { session, waiting });
        }
        sleep(LOOK).await;
    }
}

/// Ends it, and returns once a commit was answered and nobody waits any more; no error where nothing was stalled. `stalled` is what the
/// stall left, which has a place on a server that has none to give; without it, or where its session was lost, a new one is opened.
pub async fn release_commits(url: &str, stalled: Option<&StalledCommits>) -> Result<(), StoreError> {
    once_up("commits did not go on", || async {
        if let Some(StalledCommits { session, .. }) = stalled
            && !session.is_closed()
            && matches!(timeout(STEP_LIMIT, release(session)).await, Ok(Ok(())))
        {
            return Ok(());
        }
        release(&Connection::open(url).await?).await
    })
    .await
}

async fn release(server: &Connection) -> Result<(), StoreError> {
    server.run(RELEASE).await?;
    server.run(RELOAD).await?;
    server.run(COMMIT).await?;
    // Woken at the same moment as that one; they need one more to say so.
    while !server.sessions(WAITING).await?.is_empty() {
        sleep(LOOK).await;
    }
    Ok(())
}
