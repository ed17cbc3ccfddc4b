//! The ports on virtual time.
//!
//! In: a seed. Out: models of the stores, the log, the process and core's address, which the services run over unchanged. Elsewhere: the
//! ports and what they promise (`outside`), the real ones (`adapters`).
//!
//! The models hold the rules that make a run repeatable: tokio's current-thread runtime with paused time, one random stream per
//! component, ordered maps only, no lock held across an await, and a drawn pause before every effect and again before its answer.

pub mod model;
