//! Commits that wait for a standby that does not exist, and go on when it is forgotten.
//!
//! In: a database's address. Out: the sessions that wait. Elsewhere: what a caller knows of a commit without an answer
//! (`pool::COMMIT_LIMIT`).

use bankstorm_outside::StoreError;
use tokio::time::sleep;

use super::{Connection, LOOK, Session, once_up};

/// Written to the data folder, so it holds over a restart. No statement of these is a commit that would wait itself.
const STALL: &str = "ALTER SYSTEM SET synchronous_standby_names = 'a_standby_that_does_not_exist'";
const RELEASE: &str = "ALTER SYSTEM RESET synchronous_standby_names";
const RELOAD: &str = "SELECT pg_reload_conf()";
/// A server's own workers commit without standbys.
const WAITING: &str = "SELECT pid, application_name FROM pg_stat_activity \
                       WHERE wait_event = 'SyncRep' AND backend_type = 'client backend' ORDER BY pid";
/// Writes to the log and commits, and changes nothing: answered only once commits go on.
const COMMIT: &str = "SELECT pg_logical_emit_message(true, 'bankstorm', 'released')";

/// From now on no commit is answered, though what it wrote is on disk. Returns the first sessions that wait, once there are some: on a
/// server that nobody writes to, never.
pub async fn stall_commits(url: &str) -> Result<Vec<Session>, StoreError> {
    let server = Connection::open(url).await?;
    server.run(STALL).await?;
    server.run(RELOAD).await?;
    loop {
        let waiting = server.sessions(WAITING).await?;
        if !waiting.is_empty() {
            return Ok(waiting);
        }
        sleep(LOOK).await;
    }
}

/// Ends it, and returns once a commit was answered and nobody waits any more; no error where nothing was stalled.
pub async fn release_commits(url: &str) -> Result<(), StoreError> {
    once_up("commits did not go on", || async {
        let server = Connection::open(url).await?;
        server.run(RELEASE).await?;
        server.run(RELOAD).await?;
        server.run(COMMIT).await?;
        // Woken at the same moment as that one; they need one more to say so.
        while !server.sessions(WAITING).await?.is_empty() {
            sleep(LOOK).await;
        }
        Ok(())
    })
    .await
}
