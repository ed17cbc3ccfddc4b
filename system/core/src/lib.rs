//! Core: the one service that owns the money.
//!
//! In: [`CoreRequest`](bankstorm_contracts::core_api::CoreRequest)s. Out:
//! [`CoreResponse`](bankstorm_contracts::core_api::CoreResponse)s, rows in its store, records on the log, questions to the other banks.
//! Elsewhere: HTTP, SQL and Kafka
//! (`adapters`), virtual time (`simulator`).
//!
//! | module | what it is |
//! |---|---|
//! | [`book`] | the posting rules, pure |
//! | `admission` | how much core takes on at all, and from one caller |
//! | `queue`, `posting` | requests gathered into batches, and the steps of a posting transaction |
//! | `outbound` | money for other banks: who is asked when, and how holds end |
//! | `fence` | `resolve`: the verdict on an id, by a tombstone where there is none |
//! | `publishing` | where the records of a booking wait for the log, and which go next |
//! | `relay` | from there to the log |
//! | [`service`] | `handle` |
//! | [`config`], [`markers`] | what may be set; what the protocol passes |

mod admission;
pub mod book;
mod busy;
pub mod config;
mod fence;
pub mod markers;
mod outbound;
mod posting;
mod publishing;
mod queue;
mod relay;
pub mod service;

pub use config::CoreConfig;
pub use service::Core;
