//! The server's end of a COMMIT.
//!
//! In: a session whose COMMIT was sent, what happens to it. Out: its answer, if anybody still waits; what became of it, for the trace.
//! Elsewhere: the client's end (`session`).

use bankstorm_outside::StoreError;
use tokio::time::{Instant, sleep};

use super::{CommitFault, ModelDatabase};
use crate::model::locks::Owner;
use crate::trace;

/// Notes what becomes of a transaction, in the name of whoever began it.
pub(super) fn note_transaction(database: &ModelDatabase, who: &'static str, id: Owner, what: impl FnOnce() -> String) {
    trace::note_of(who, || format!("{} transaction {id} {}", database.inner.name, what()));
}

/// What the server makes of a COMMIT, whoever still waits for it.
pub(super) async fn serve_commit(
    database: &ModelDatabase,
    id: Owner,
    fault: Option<CommitFault>,
    apply: impl FnOnce(Owner),
    note: impl Fn(&str),
) {
    if let Some(CommitFault::Stalled(lasts)) = fault {
        note("stalls in its commit: ");
        sleep(lasts).await;
    }
    database.travel().await;
    // Killed meanwhile, the server has forgotten the session.
    let _ = database.after_pause().await;
    let mut server = database.server();
    let Some(answer) = server.take_commit(id) else { return };
    let outcome = if fault == Some(CommitFault::Failed) {
        Err(StoreError::Other("the database refused the commit".to_owned()))
    } else {
        apply(id);
        Ok(())
    };
    server.end(id, Instant::now());
    drop(server);
    note(match fault {
        Some(CommitFault::Failed) => "is refused its commit: ",
        Some(CommitFault::UnknownAfter) => "is committed, and its connection broke before the answer: ",
        _ => "",
    });
    if fault != Some(CommitFault::UnknownAfter) {
        // Its client may have given up.
        let _ = answer.send(outcome);
    }
}
