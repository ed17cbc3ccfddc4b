//! `calibrate.json`: what the harness itself costs, with stable names and a committed JSON Schema.
//!
//! In: figures that were measured. Out: [`CalibrateJson`]. Elsewhere: how they are measured (`bankstorm calibrate`), the machine
//! (`machine.json`, beside it).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run_json::Build;

/// The schema number that this build writes.
pub const SCHEMA: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CalibrateJson {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Which Bankstorm.
    pub bankstorm: Build,
    /// What a proxy costs.
    pub proxy: ProxyCost,
}

/// What a proxy with no fault adds, beside the same exchange without it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProxyCost {
    /// How long it was measured, without warming up.
    pub seconds: u64,
    /// Connections to each; the ways take turns, so one request is in flight at a time.
    pub connections: u32,
    /// Through one proxy each; hops of one exchange stand together.
    pub hops: Vec<HopCost>,
    /// What each hop may add to the median.
    pub goal_added_p50_us: f64,
    /// Whether each stays within it.
    pub goal_reached: bool,
}

/// One kind of proxy, and what it is compared with: the same exchange on other ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HopCost {
    /// What is exchanged: `http`, a POST and its answer, or `postgres`, a statement (Parse, Bind, Execute and Sync in one piece) and its row.
    pub exchange: String,
    /// Bytes of a request as its caller sends it.
    pub request_bytes: u64,
    /// Bytes of an answer as the server sends it.
    pub answer_bytes: u64,
    /// What the proxy understands: `http`, `bytes` or `postgres`.
    pub protocol: String,
    /// Without anything in between. It is measured once for each exchange, so hops of one exchange repeat it.
    pub direct: LatencyUs,
    /// Through the least that can stand between two ends: a blocking thread each way that copies bytes. What it adds is this machine's, and no
    /// proxy adds less. Measured once for each exchange, too.
    pub bare: LatencyUs,
    /// Through the proxy.
    pub latency: LatencyUs,
    /// The median of `latency` less that of `direct`.
    pub added_p50_us: f64,
    /// The 99th percentile of `latency` less that of `direct`.
    pub added_p99_us: f64,
}

/// Latencies of one way, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyUs {
    /// Requests.
    pub count: u64,
    /// The shortest.
    pub min_us: f64,
    /// Median.
    pub p50_us: f64,
    /// 90th percentile.
    pub p90_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl LatencyUs {
    /// What this way adds to another one: the medians' difference, and that of the 99th percentiles.
    pub fn added_to(&self, other: &Self) -> [f64; 2] {
        [self.p50_us - other.p50_us, self.p99_us - other.p99_us]
    }
}
