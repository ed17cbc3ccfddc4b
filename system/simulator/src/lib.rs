//! The ports on virtual time, and whole worlds on them.
//!
//! In: a seed or a stored plan. Out: how that world ended: verdicts, markers, a digest, on request who did what when. Elsewhere: the ports
//! and what they promise (`outside`), the real ones (`adapters`), the checkers (`check`), the command line (`cli`).
//!
//! | to read | what it is |
//! |---|---|
//! | [`plan`], [`draw`] | a world as data; drawn from a seed |
//! | [`world`] | carries a plan out: open, load with faults, heal, resolve, converge, check |
//! | [`model`] | the ports on virtual time |
//! | [`batch`], [`shrink`] | many seeds; a smaller plan that fails the same way |
//! | [`trace`] | who did what when |
//! | [`planted`] | bugs on purpose, which must be found |
//! | [`ablate`] | one protection off at a time: which check sees it missing |
//!
//! What makes a run repeatable: tokio's current-thread runtime with paused time, one random stream per component, ordered maps only, no
//! lock held across an await, and a drawn pause before every effect and again before its answer.

pub mod ablate;
pub mod batch;
pub mod draw;
pub mod model;
pub mod plan;
pub mod planted;
pub mod shrink;
pub mod trace;
pub mod world;
