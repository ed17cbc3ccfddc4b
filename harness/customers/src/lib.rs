//! Who does what when: the schedule of a run, and the history that accounts have before it.
//!
//! In: a resolved scenario. Out: [`Plan`], the lazily generated operations with their digest, and [`opening`], the bulk-loaded entries.
//! Elsewhere: pacing and sending (`load`), virtual time (`simulator`).
//!
//! Pure: no clock, no IO, no randomness but the scenario's seed. The generator is Xoshiro256++ with a stream of its own per load and
//! purpose, so that the same seed plans the same operations for ever; tests pin the digests.

pub mod arrivals;
pub mod behaviour;
pub mod opening;
pub mod plan;
pub mod scroll;
mod seeds;
pub mod skew;
pub mod users;

pub use plan::{PageRead, Plan, PlannedOperation, Press, Request};
