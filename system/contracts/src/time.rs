//! Wall time as it travels: microseconds since the Unix epoch. Never used for durations.
//!
//! In: a database's or a host's clock. Out: [`WallMicros`]. Elsewhere: durations (monotonic clocks only).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01 00:00 UTC, by the clock of whoever stamped it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct WallMicros(pub i64);
