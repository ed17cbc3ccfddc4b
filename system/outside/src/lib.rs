//! The ports: everything a service may know of the world outside its own rules.
//!
//! In: values of `contracts`. Out: traits, which `adapters` implement for real and `simulator` on virtual time, and conformance
//! lists that hold each pair together. Elsewhere: what the services do between the steps (`core`, `channel`).
//!
//! Stores are ports of transaction *steps*, not of finished operations: order, comparison and what is written are production code and
//! run unchanged in the simulator; SQL only stores.
//!
//! | port | real | model |
//! |---|---|---|
//! | [`core_store`] | PostgreSQL `core` | row locks and key waits on virtual time |
//! | [`channel_store`] | PostgreSQL `channel` | the same |
//! | [`log`] | Apache Kafka | partitions and one group on virtual time |
//! | [`core_api`] | HTTP | the simulated network |
//! | [`bank_network`] | HTTP, a file | the simulated network, memory |
//! | [`process`] | tokio, Prometheus, files | per simulated process |

pub mod bank_network;
pub mod bundle;
pub mod channel_store;
pub mod conformance;
pub mod core_api;
pub mod core_store;
pub mod log;
pub mod process;
pub mod store;

pub use store::{CommitOutcome, LockMode, StoreError};
