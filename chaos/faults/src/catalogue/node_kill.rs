//! `node.kill`: a node ends at once, as a power cut would end it.
//!
//! In: a place. Out: a witness of its death, and of its return. Elsewhere: which signal reaches which process (`harness/environment`).

use super::{Entry, Lasts, On, STRIKE_LIMIT};
use crate::nodes::{Nodes, Witness};

pub(super) const ENTRY: Entry = Entry {
    word: "node.kill",
    about: "ends all processes of a node at once (SIGKILL), as a power cut does: nothing is flushed, nobody is told",
    on: On::Nodes(""),
    parameters: &[],
    lasts: Lasts::Optional,
    lasts_about: "how long the node stays dead; until the heal phase unless given",
    heal_about: "the node is started again with its own data and address, and is ready",
    strike_limit: STRIKE_LIMIT,
};

pub(super) async fn strike<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.kill(place).await
}

pub(super) async fn heal<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.restart(place).await
}
