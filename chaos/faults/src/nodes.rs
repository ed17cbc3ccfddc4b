//! What the conductor may do to the nodes of a run: the seam between plans and environments.
//!
//! In: the name of a node. Out: a [`Witness`]. Elsewhere: how it is done, on processes and in containers (`harness/environment`).

use std::future::Future;

/// What proves that something was done to a node, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// A sentence that names the proof: `process 4711 killed by SIGKILL`.
    pub what: String,
    /// CLOCK_MONOTONIC in nanoseconds.
    pub at_ns: i64,
}

/// Whether other nodes stand on this one: databases, brokers and caches are healed before the services that need them to come up.
pub fn is_store(place: &str) -> bool {
    ["postgres-", "kafka-", "redis"].iter().any(|prefix| place.starts_with(prefix))
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
}
