//! The load generator: a pacing thread, senders that own their connections, and what they saw.
//!
//! In: a plan (`customers`), addresses of a bank. Out: one row per planned operation, pages read, facts about the generator itself.
//! Elsewhere: what is planned (`customers`), who starts the bank (`environment`), what the figures mean for a verdict (`check`).
//!
//! | to read first | what it is |
//! |---|---|
//! | [`run`] | the load of a run from start to end |
//! | [`pacer`] | one thread, absolute sleeps |
//! | [`sender`] | connections with one request in flight each |
//! | [`lookup`] | history reads for a share of the deposits |
//! | [`resolve`] | verdicts on unknown outcomes, afterwards |
//! | [`figures`], [`series`], [`hlog`] | latencies: figures, per second, interval log |
//!
//! Nothing that was planned is missing: an operation that was shed, never started or never answered has its row too.

pub mod run;
pub mod stop;
pub mod tally;

pub use run::{DriveError, DriveInput, DriveResult};
pub use stop::Stop;
pub use tally::Tally;
