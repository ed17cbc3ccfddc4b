//! `pg.lock`: somebody else holds the rows of all accounts.
//!
//! In: a database. Out: a witness that they are locked, and that they are free. Elsewhere: which rows, and in which order (`harness/cli`).

use super::{Entry, Lasts, On, STRIKE_LIMIT};
use crate::nodes::{Healed, Nodes, Witness};

pub(super) const ENTRY: Entry = Entry {
    word: "pg.lock",
    about: "locks the rows of all accounts in a session of its own, as a careless report does: whoever writes to one waits",
    on: On::Nodes("postgres-"),
    parameters: &[],
    lasts: Lasts::Optional,
    lasts_about: "how long they are held; until the heal phase unless given",
    heal_about: "the session ends, and whoever waits goes on in turn",
    strike_limit: STRIKE_LIMIT,
};

pub(super) async fn strike<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.hold_locks(place).await
}

pub(super) async fn heal<N: Nodes>(nodes: &N, place: &str) -> Result<Healed, String> {
    nodes.free_locks(place).await
}
