//! `node.pause`: a node stands still while its connections stay open, as a stalled machine does.
//!
//! In: a place. Out: a witness that it stood, and that it goes on. Elsewhere: how processes are frozen (`harness/environment`).

use super::{Entry, Lasts, On, STRIKE_LIMIT};
use crate::nodes::{Nodes, Witness};

pub(super) const ENTRY: Entry = Entry {
    word: "node.pause",
    about: "freezes all processes of a node while its connections stay open, as a stalled machine does",
    on: On::Nodes(""),
    parameters: &[],
    lasts: Lasts::Required,
    lasts_about: "how long the node stands still; a node that is frozen for good is better killed",
    heal_about: "the node goes on where it stood, with an outdated view of the world",
    strike_limit: STRIKE_LIMIT,
};

pub(super) async fn strike<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.pause(place).await
}

pub(super) async fn heal<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.resume(place).await
}
