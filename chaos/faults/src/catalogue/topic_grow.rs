//! `topic.grow`: the topics get as many partitions again, while everything runs: accounts move to others.
//!
//! In: a broker. Out: a witness of the new partitions. Elsewhere: how they are made (`harness/environment`), what order is worth then (gaps,
//! which are pulled from core).

use super::{Entry, Lasts, On, STRIKE_LIMIT};
use crate::nodes::{Nodes, Witness};

pub(super) const ENTRY: Entry = Entry {
    word: "topic.grow",
    about: "doubles the partitions of the bank's topics while everything runs: what follows of an account may go to another partition, and overtake",
    on: On::Nodes("kafka-"),
    parameters: &[],
    lasts: Lasts::Refused,
    lasts_about: "not taken: partitions that are there stay",
    heal_about: "there is nothing to heal: it ends once the partitions are there",
    strike_limit: STRIKE_LIMIT,
};

pub(super) async fn strike<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.grow(place).await
}

/// Needed only when the strike failed or was cut short: partitions that are there already are enough.
pub(super) async fn heal<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.grow(place).await
}
