//! What the conductor may do to the nodes of a run, and to the links between them: the seam between plans and environments.
//!
//! In: the name of a node or a link. Out: a [`Witness`]. Elsewhere: how it is done, on processes and in containers (`harness/environment`),
//! and to what passes a link (`chaos/proxy`).

use std::future::Future;

use crate::rule::Rule;

/// What stands between the two ends of a link's name.
const ARROW: &str = "->";

/// What proves that something was done to a node, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// A sentence that names the proof: `process 4711 killed by SIGKILL`.
    pub what: String,
    /// CLOCK_MONOTONIC in nanoseconds.
    pub at_ns: i64,
}

/// What a heal came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healed {
    /// What proves that nothing is left of the fault.
    pub witness: Witness,
    /// Why it did not last until the heal though it had struck, in a sentence: then the heal found nothing of it. `None` where it lasted,
    /// had not struck, or may have been undone by a heal that was cut short.
    pub ended_early: Option<String>,
}

impl From<Witness> for Healed {
    fn from(witness: Witness) -> Self {
        Self { witness, ended_early: None }
    }
}

/// The name of a link, from who connects to who listens: `channel-0->core`.
pub fn link(from: &str, to: &str) -> String {
    format!("{from}{ARROW}{to}")
}

/// Who connects, and who listens; `None` of what is no link.
pub fn ends(place: &str) -> Option<(&str, &str)> {
    place.split_once(ARROW)
}

/// What stands on what: whatever is below is healed before what needs it to come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// What nodes reach each other by.
    Link,
    /// Databases, brokers and caches.
    Store,
    /// Everything else.
    Service,
}

impl Layer {
    /// All of them, from the lowest up.
    pub const ALL: [Self; 3] = [Self::Link, Self::Store, Self::Service];

    /// That of a node or a link.
    pub fn of(place: &str) -> Self {
        let is_store = ["postgres-", "kafka-", "redis"].iter().any(|prefix| place.starts_with(prefix));
        match (ends(place), is_store) {
            (Some(_), _) => Self::Link,
            (None, true) => Self::Store,
            (None, false) => Self::Service,
        }
    }
}

/// Hands on the nodes of a run. Every method returns once its effect was seen, or with the reason why it was not.
pub trait Nodes: Sync {
    /// Ends a node at once, as a power cut does (SIGKILL to all of its processes).
    fn kill(&self, place: &str) -> impl Future<Output = Result<Witness, String>> + Send;
    /// Freezes all processes of a node; its connections stay open.
    fn pause(&self, place: &str) -> impl Future<Output = Result<Witness, String>> + Send;
    /// Lets a frozen node go on.
    fn resume(&self, place: &str) -> impl Future<Output = Result<Witness, String>> + Send;
    /// Stops a node in order if it lives, starts it again with its own data and address, and waits until it is ready.
    fn restart(&self, place: &str) -> impl Future<Output = Result<Witness, String>> + Send;
    /// Lets a database refuse every new entry of one account as bad data.
    fn poison(&self, place: &str) -> impl Future<Output = Result<Witness, String>> + Send;
    /// Ends that; no error where nothing is refused.
    fn cure(&self, place: &str) -> impl Future<Output = Result<Witness, String>> + Send;
    /// Doubles the partitions that the topics of a broker's cluster had at the start; done again it changes nothing.
    fn grow(&self, place: &str) -> impl Future<Output = Result<Witness, String>> + Send;
    /// Lets the commits of a database wait for a standby that does not exist: until one of them does.
    fn stall_commits(&self, place: &str) -> impl Future<Output = Result<Witness, String>> + Send;
    /// Lets them go on, those that wait first; no error where none waits.
    fn release_commits(&self, place: &str) -> impl Future<Output = Result<Witness, String>> + Send;
    /// Locks the rows of all accounts of a database, in a session of its own.
    fn hold_locks(&self, place: &str) -> impl Future<Output = Result<Witness, String>> + Send;
    /// Ends that session; no error where there is none, but told where it had ended by itself.
    fn free_locks(&self, place: &str) -> impl Future<Output = Result<Healed, String>> + Send;
    /// Puts a rule in force on a link, under the id of its fault: until it was done for the first time, which is its witness.
    fn put_rule(&self, link: &str, id: &str, rule: &Rule) -> impl Future<Output = Result<Witness, String>> + Send;
    /// Takes it away again; the witness tells what it met in all. No error where it is gone already, but told where nobody took it.
    fn take_rule(&self, link: &str, id: &str) -> impl Future<Output = Result<Healed, String>> + Send;
}

#[cfg(test)]
mod tests {
    use super::{Layer, ends, link};

    #[test]
    fn a_place_is_a_node_or_a_link() {
        assert_eq!(ends(&link("channel-0", "core")), Some(("channel-0", "core")));
        assert_eq!(ends("postgres-core"), None);
        let places =
            ["core->postgres-core", "channel-0->kafka-1", "postgres-core", "kafka-1", "redis", "core", "banks"];
        let [link, store, service] = Layer::ALL;
        assert_eq!(places.map(Layer::of), [link, link, store, store, store, service, service]);
    }
}
