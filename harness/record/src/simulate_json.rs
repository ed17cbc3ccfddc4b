//! `simulate.json`: what a batch of simulated worlds came to, with stable names and a committed JSON Schema.
//!
//! In: the batch's sums, real time. Out: [`SimulateJson`]. Elsewhere: the batch (`simulator::batch`), the plans of failing seeds, which
//! lie beside it as files of their own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run_json::Build;

/// The schema number that this build writes.
pub const SCHEMA: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SimulateJson {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Which Bankstorm.
    pub bankstorm: Build,
    /// What all of it came to.
    pub verdict: BatchVerdict,
    /// The process's exit code.
    pub exit_code: i32,
    /// Which seeds.
    pub seeds: Seeds,
    /// A bug that was planted on purpose in every world; absent in real simulations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted: Option<String>,
    /// SHA-256 over the digests of all seeds in their order, hexadecimal; absent when not all of them were run.
    pub digest: Option<String>,
    /// Figures of speed.
    pub speed: Speed,
    /// Operations by their outcome's word, pages as `scroll`.
    pub operations: BTreeMap<String, u64>,
    /// Operations a seed, on average.
    pub operations_per_seed: f64,
    /// Kinds of fault that struck in a seed.
    pub fault_kinds_per_seed: KindsPerSeed,
    /// Kind of fault -> how often, over all seeds.
    pub faults: BTreeMap<String, FaultCounts>,
    /// Declared marker -> how often it fired, over all seeds.
    pub markers: BTreeMap<String, u64>,
    /// What checks count and do not judge, by check and name (`O1 resent_after_end`), over all seeds.
    #[serde(default)]
    pub figures: BTreeMap<String, u64>,
    /// Declared markers that never fired: a batch with any is not green.
    pub never_fired: Vec<String>,
    /// Seeds that did not hold.
    pub failing: u64,
    /// Of them, those in which a guarantee was violated; the others could not be judged (a fault of the harness, a check that could not
    /// tell).
    pub violated: u64,
    /// What was violated first in those seeds.
    pub violations: Vec<ViolatedSeeds>,
    /// The first of them in full.
    pub kept: Vec<FailingSeed>,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchVerdict {
    /// Everything was run, everything held, every declared marker fired.
    Green,
    /// A guarantee was violated.
    Violated,
    /// No guarantee was violated, but the batch was interrupted, a seed could not be judged, or a declared marker never fired.
    Inconclusive,
}

/// Which seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
    /// How many were run.
    pub done: u64,
}

/// Figures of speed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Speed {
    /// Threads.
    pub jobs: u64,
    /// Processors that this process may use.
    pub cores: u64,
    /// Real time, in seconds.
    pub real_seconds: f64,
    /// Virtual time of all worlds together, in seconds.
    pub virtual_seconds: f64,
    /// Seeds a second of real time.
    pub seeds_per_second: f64,
    /// Operations of plans a second of real time.
    pub operations_per_second: f64,
    /// Virtual by real time.
    pub virtual_per_real: f64,
    /// The same, by the cores that were used: threads, but no more than there are cores.
    pub virtual_per_real_per_core: f64,
    /// Processor time of this process, in seconds: on a shared machine it says more than real time.
    pub cpu_seconds: f64,
    /// Seeds a second of processor time.
    pub seeds_per_cpu_second: f64,
    /// Virtual by processor time.
    pub virtual_per_cpu: f64,
}

/// Kinds of fault that struck in a seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KindsPerSeed {
    /// The fewest.
    pub min: u64,
    /// On average.
    pub mean: f64,
}

/// Faults of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultCounts {
    /// In plans.
    pub planned: u64,
    /// Of them, those whose moment came.
    pub struck: u64,
}

/// Seeds that fail the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViolatedSeeds {
    /// For example `S5`.
    pub check: String,
    /// For example `lost-copy`.
    pub name: String,
    /// How many.
    pub seeds: u64,
}

/// A failing seed in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailingSeed {
    /// The seed.
    pub seed: u64,
    /// Its plan's file, beside this one; absent where not even a plan could be drawn.
    pub file: Option<String>,
    /// What was violated.
    pub violations: Vec<Violated>,
}

/// A guarantee that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Violated {
    /// For example `S5`.
    pub check: String,
    /// For example `lost-copy`.
    pub name: String,
    /// How many counter-examples.
    pub count: u64,
    /// The first of them.
    pub first: String,
}
