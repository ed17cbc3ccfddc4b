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

/// What a proxy with no fault adds to a request, beside a direct connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProxyCost {
    /// How long it was measured, without warming up.
    pub seconds: u64,
    /// Connections to each; the ways take turns, so one request is in flight at a time.
    pub connections: u32,
    /// Bytes of a request's body, and of its answer's.
    pub body_bytes: u64,
    /// Without a proxy.
    pub direct: LatencyUs,
    /// Through the least that can stand between two ends: a blocking thread each way that copies bytes. What it adds is this machine's, and no
    /// proxy adds less.
    pub bare: HopCost,
    /// Through one proxy each.
    pub hops: Vec<HopCost>,
    /// What each hop may add to the median.
    pub goal_added_p50_us: f64,
    /// Whether each stays within it.
    pub goal_reached: bool,
}

/// One kind of hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HopCost {
    /// `http` or `bytes`; `bare` for what is no proxy.
    pub protocol: String,
    /// Through it.
    pub latency: LatencyUs,
    /// Its median less the direct one.
    pub added_p50_us: f64,
    /// Its 99th percentile less the direct one.
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
