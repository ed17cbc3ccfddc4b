//! The models.
//!
//! | model | of | what it keeps of the real thing |
//! |---|---|---|
//! | [`database`] | a PostgreSQL server | row locks with queues and limits, alone or shared, key waits, deadlocks, drop rolls back, commit that nobody can tell, kill, pause |
//! | [`core_store`], [`channel_store`] | the tables in it | what is committed and what a transaction has staged |
//! | [`log`] | Apache Kafka | partitions, one idempotent producer at a time failing for good, groups with generations, revocation, session time-out |
//! | [`process`] | a process | tasks that freeze and end with it, markers, counters, the visible log |
//! | [`wall`] | its machine's clock | it can be set |
//! | [`network`] | HTTP over TCP | links with delays and cuts, calls that get refused, lost, held or doubled, handlers that end with their caller |
//! | [`core_api`] | a channel's client of core | its limit, its errors |
//! | [`bank_network`] | core's client of the other banks, theirs of core, their book | the same; a book that outlives its process |
//!
//! In: a seed each. Out: implementations of the ports of `outside`. Elsewhere: who breaks what when; the models only lend the
//! [`hook::Hook`]s for it.

pub mod bank_network;
pub mod chance;
pub mod channel_store;
pub mod core_api;
pub mod core_store;
pub mod database;
pub mod hook;
mod locks;
pub mod log;
pub mod network;
pub mod outside;
pub mod process;
pub mod wall;
