//! `pg.commit_stall`: commits are written, and wait to be told so.
//!
//! In: a database. Out: a witness that a commit waits, and that commits go on. Elsewhere: how it is done (`harness/cli`).

use super::{Entry, Lasts, On, link};
use crate::nodes::{Nodes, Witness};

pub(super) const ENTRY: Entry = Entry {
    word: "pg.commit_stall",
    about: "lets commits wait for a standby that does not exist: rows are written and locked, and nobody knows yet whether they stand",
    on: On::Nodes("postgres-"),
    parameters: &[],
    lasts: Lasts::Optional,
    lasts_about: "how long commits wait; until the heal phase unless given",
    heal_about: "the standby is asked for no more, and every commit that waits goes on and stands",
    strike_limit: link::FIRST_HIT_LIMIT,
};

pub(super) async fn strike<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.stall_commits(place).await
}

pub(super) async fn heal<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.release_commits(place).await
}
