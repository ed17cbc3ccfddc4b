//! `node.restart`: a node is stopped in order and started again, as an upgrade does.
//!
//! In: a place. Out: a witness that it is back. Elsewhere: what an orderly stop is (`harness/environment`).

use super::{Entry, HEAL_LIMIT, Lasts, On};
use crate::nodes::{Nodes, Witness};

pub(super) const ENTRY: Entry = Entry {
    word: "node.restart",
    about: "stops a node in order and starts it again at once, as an upgrade does",
    on: On::Nodes(""),
    parameters: &[],
    lasts: Lasts::Refused,
    lasts_about: "not taken: the node is away for as long as its restart takes",
    heal_about: "it heals by itself: it ends when the node is ready again",
    // The strike is the whole restart, so it may take as long as any other way back.
    strike_limit: HEAL_LIMIT,
};

pub(super) async fn strike<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.restart(place).await
}

/// Needed only when the strike failed or was cut short: then the node may be down.
pub(super) async fn heal<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.restart(place).await
}
