//! What all faults on links have in common: each is a rule that a proxy has in force.
//!
//! In: a fault with its rule. Out: a witness of its first hit, and of all that it met. Elsewhere: what each does (one file each beside
//! this), the proxy (`chaos/proxy`).

use std::time::Duration;

use super::{Entry, Lasts, On, Parameter};
use crate::nodes::{Healed, Nodes, Witness};
use crate::plan::Fault;

/// A rule has struck once it was done for the first time, and that waits for a request that it picks.
pub(super) const FIRST_HIT_LIMIT: Duration = Duration::from_secs(30);

/// Which requests.
const PICKS: &[Parameter] = &[Parameter::Of, Parameter::Probability, Parameter::Every, Parameter::Nth];

/// What is the same for any link.
pub(super) const ANY: Entry = Entry {
    word: "",
    about: "",
    on: On::Links(&[]),
    parameters: &[],
    lasts: Lasts::Optional,
    lasts_about: "how long it goes on from its first hit; until the heal phase unless given",
    heal_about: "everything passes again; the witness tells how many it met",
    strike_limit: FIRST_HIT_LIMIT,
};

/// What is the same for links on which requests can be told apart.
pub(super) const HTTP: Entry = Entry { on: On::Links(&["core", "banks", "channel-"]), parameters: PICKS, ..ANY };

/// The same for what comes later.
pub(super) const HTTP_LATER: Entry = Entry {
    parameters: &[Parameter::Delay, Parameter::Of, Parameter::Probability, Parameter::Every, Parameter::Nth],
    heal_about: "what comes from then on passes at once; what is held back still comes in its time",
    ..HTTP
};

/// How connections end in which bytes vanished: to go on in the middle of a message would be worse than any fault.
pub(super) const RESET_AFTER: &str = "everything passes again; connections in which bytes vanished are reset";

pub(super) async fn strike<N: Nodes>(nodes: &N, fault: &Fault) -> Result<Witness, String> {
    match &fault.rule {
        Some(rule) => nodes.put_rule(&fault.place, &fault.id, rule).await,
        None => Err(format!("{} has no rule, which every fault on a link has", fault.id)),
    }
}

pub(super) async fn heal<N: Nodes>(nodes: &N, fault: &Fault) -> Result<Healed, String> {
    nodes.take_rule(&fault.place, &fault.id).await
}
