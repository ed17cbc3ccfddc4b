//! Clients that go while the server works for them.
//!
//! In: a session whose client has gone without a COMMIT. Out: its end, in time. Elsewhere: what its statement still locks (`locks`).
//!
//! Left out:
//! - a statement whose client has gone locks the rest of its rows as PostgreSQL does, but one that waits for an id, or to make a row, ends
//!   with that wait;
//! - it does not look for deadlocks: one that it is part of is found by the others, or ends with a wait's limit.

use tokio::time::{Instant, sleep_until};

use super::{ModelDatabase, in_the_background};
use crate::model::locks::Owner;

impl ModelDatabase {
    /// A client has gone without a COMMIT.
    pub(super) fn client_gone(&self, owner: Owner) {
        let until = self.server().gone(owner, Instant::now());
        if let Some(until) = until {
            self.wait_out(owner, until);
        }
    }

    /// A wait whose client has gone ends at its limit, if it was not granted before; then the next one of its statement does.
    pub(super) fn wait_out(&self, owner: Owner, until: Instant) {
        let database = self.clone();
        in_the_background(async move {
            let mut until = until;
            loop {
                sleep_until(until).await;
                let mut server = database.server();
                match server.locks.wait_of(owner).flatten() {
                    Some(later) if later > until => until = later,
                    _ => return server.end(owner, Instant::now()),
                }
            }
        });
    }
}
