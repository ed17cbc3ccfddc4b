//! The load generator: a pacing thread, senders that own their connections, and what they saw.
//!
//! In: a plan (`customers`), addresses of a bank. Out: one row per planned operation, pages read, facts about the generator itself.
//! Elsewhere: what is planned (`customers`), who starts the bank (`environment`), what the figures mean for a verdict (`check`).
//!
//! | to read first | what it is |
//! |---|---|
//! | [`run`] | the load of a run from start to end |
//! | `pacer` | one thread, absolute sleeps |
//! | `sender` | connections with one request in flight each |
//! | `scroll`, `press` | customers who read: page after page, the button |
//! | `lookup` | history reads for a share of the operations |
//! | `watch` | customers who ask where their transfer stands |
//! | [`resolve`] | verdicts on unknown outcomes, afterwards |
//! | [`figures`], [`hlog`] | latencies: figures, interval log |
//!
//! Nothing that was planned is missing: an operation that was shed, never started or never answered has its row too.

mod answer;
mod ask;
mod assemble;
pub mod figures;
pub mod hlog;
mod instance;
mod lookup;
mod meter;
mod pacer;
mod press;
mod priority;
pub mod resolve;
pub mod run;
mod scroll;
mod sender;
mod sharding;
mod states;
pub mod stop;
pub mod tally;
mod watch;
mod wire;

pub use lookup::{Heads, read_heads};
pub use resolve::{read_transfers, resolve_unknown};
pub use run::{DriveError, DriveInput, DriveResult, drive};
pub use sharding::Sharding;
pub use stop::Stop;
pub use tally::Tally;
