//! What a load that came and went did to core (A18).
//!
//! In: operations and core's histogram. Out: [`OverloadRecord`]. Elsewhere: how it is reckoned and judged (`check::overload`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PostingSpan;

/// A part of the measured phase in which more deposits were offered than before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OverloadRecord {
    /// When the greater load began, in milliseconds since the origin.
    pub from_ms: i64,
    /// When it ended.
    pub to_ms: i64,
    /// What was planned before and after it, a second.
    pub quiet_per_s: f64,
    /// What was planned in it, a second, the quiet load included.
    pub offered_per_s: f64,
    /// What core sustains, a second: what it posted in the best five seconds of the window; 0 where it posted nothing, or the window is
    /// shorter.
    pub sustained_per_s: f64,
    /// Core's posting from the start of the measured phase until the greater load began; absent where nothing was seen.
    pub before: Option<PostingSpan>,
    /// Core's posting while it lasted.
    pub within: Option<PostingSpan>,
    /// Core's posting from ten seconds after it to the end of load; absent where nothing was seen.
    #[serde(default)]
    pub after: Option<PostingSpan>,
    /// 99th percentile of the response to deposits that were due before and were posted, in microseconds; absent where they were too few.
    pub response_before_us: Option<u64>,
    /// The share of the deposits due before that were posted, 0 to 1; absent likewise.
    #[serde(default)]
    pub posted_before: Option<f64>,
    /// From the end of the greater load until the bank served as before, in milliseconds; absent where that was not seen.
    pub recovered_ms: Option<i64>,
    /// Whole seconds from then to the end of load.
    pub seconds_after: u64,
    /// Those of them that were not as before.
    pub seconds_disturbed: u64,
    /// Deposits that were due in the window.
    pub in_window: DepositEndings,
    /// Deposits of the measured phase that were due outside of it.
    pub outside: DepositEndings,
}

/// How deposits ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DepositEndings {
    /// With a verdict: core had taken them on.
    pub posted: u64,
    /// Refused as `not-started`: nothing was begun.
    pub not_started: u64,
    /// In any other way, by outcome and status.
    pub others: BTreeMap<String, u64>,
}

impl DepositEndings {
    /// How many ended in any other way.
    pub fn other(&self) -> u64 {
        self.others.values().sum()
    }
}
