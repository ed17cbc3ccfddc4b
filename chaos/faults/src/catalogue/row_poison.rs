//! `row.poison`: what comes for one account cannot be stored, as if it broke a rule of the table.
//!
//! In: the database of the channels. Out: a witness that its rows are refused, and that they are taken again. Elsewhere: which account, and
//! how it is done (`harness/cli`, `adapters::postgres`); what becomes of such a record (dead letters).

use super::{Entry, Lasts, On, STRIKE_LIMIT};
use crate::nodes::{Nodes, Witness};

pub(super) const ENTRY: Entry = Entry {
    word: "row.poison",
    about: "lets the channels' database refuse every new entry of the first account as bad data, as a poison record does: no attempt can pass",
    on: On::Nodes("postgres-channel"),
    parameters: &[],
    lasts: Lasts::Optional,
    lasts_about: "how long the entries are refused; until the heal phase unless given",
    heal_about: "the database takes them again; what was put aside meanwhile has to be driven again",
    strike_limit: STRIKE_LIMIT,
};

pub(super) async fn strike<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.poison(place).await
}

pub(super) async fn heal<N: Nodes>(nodes: &N, place: &str) -> Result<Witness, String> {
    nodes.cure(place).await
}
