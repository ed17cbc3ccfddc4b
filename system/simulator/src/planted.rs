//! Bugs that are planted on purpose: each must be found, and shrunk.
//!
//! In: the models' ports. Out: the same ports with one thing done wrong, while a plan names it. Elsewhere: the table that proves that each
//! is found (`tests`). The services themselves have no switch for any of this.

use serde::{Deserialize, Serialize};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Planted {
    /// Offsets are committed when records are taken in, not when they are applied.
    OffsetBeforeApply,
}
