//! The other banks (D29, D39): they take credits, answer at once, late, twice or never, and never contradict themselves.
//!
//! In: [`BanksRequest`](bankstorm_contracts::banks_api::BanksRequest)s. Out:
//! [`BanksResponse`](bankstorm_contracts::banks_api::BanksResponse)s, callbacks to core, lines in their book. Elsewhere: HTTP and the
//! file (`adapters`), what core makes of the answers (`core::outbound`), virtual time (`simulator`).
//!
//! | module | what it is |
//! |---|---|
//! | [`temper`] | what is decided on a credit and how it is told: a pure function of seed and id |
//! | [`service`] | `handle`: one decision per id, however often and by whomever it is asked |
//! | `ledger` | what stands, as the book says it, and whose turn it is |
//! | `tell` | callbacks to core |
//! | [`config`], [`markers`] | what may be set; what the protocol passes |
//!
//! # What holds whatever is configured
//! - An id is credited at most once, and its answer never changes: the book's first line on it stands, also after a restart.
//! - A cancel is a fence: once it was answered `refused`, no credit under that id is taken.
//! - Whoever asks twice, or cancels, gets the definite answer in the end; only the first request may be left without one.

pub mod config;
mod ledger;
pub mod markers;
pub mod service;
mod tell;
pub mod temper;

pub use config::BanksConfig;
pub use service::Banks;
