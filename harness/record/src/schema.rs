//! The JSON Schemas of `run.json`, of the documents of other commands and of what is published of them, committed beside this crate so that
//! readers elsewhere need not build it.
//!
//! In: [`RunJson`], [`SimulateJson`], [`AblateJson`], [`CalibrateJson`], [`SweepJson`], [`IndexLine`], [`Manifest`], [`BenchJson`]. Out:
//! `run.schema.json` and so on, a file each. Elsewhere: the schema of scenario files (`scenario`).

use crate::ablate_json::AblateJson;
use crate::calibrate_json::CalibrateJson;
use crate::published::{BenchJson, IndexLine, Manifest};
use crate::run_json::RunJson;
use crate::simulate_json::SimulateJson;
use crate::sweep_json::SweepJson;

/// The schema of `run.json`.
///
/// # Panics
/// Never: a schema is JSON already.
pub fn run_json() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(RunJson)).expect("a schema is JSON")
}

/// The schema of `calibrate.json`.
///
/// # Panics
/// Never: a schema is JSON already.
pub fn calibrate_json() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(CalibrateJson)).expect("a schema is JSON")
}

/// The schema of `simulate.json`.
///
/// # Panics
/// Never: a schema is JSON already.
pub fn simulate_json() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(SimulateJson)).expect("a schema is JSON")
}

/// The schema of `ablate.json`.
///
/// # Panics
/// Never: a schema is JSON already.
pub fn ablate_json() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(AblateJson)).expect("a schema is JSON")
}

/// The schema of `sweep.json`.
///
/// # Panics
/// Never: a schema is JSON already.
pub fn sweep_json() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(SweepJson)).expect("a schema is JSON")
}

/// The schema of a line of `results/index.ndjson`.
///
/// # Panics
/// Never: a schema is JSON already.
pub fn index_line() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(IndexLine)).expect("a schema is JSON")
}

/// The schema of a published folder's `manifest.json`.
///
/// # Panics
/// Never: a schema is JSON already.
pub fn manifest() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(Manifest)).expect("a schema is JSON")
}

/// The schema of `bench.json`.
///
/// # Panics
/// Never: a schema is JSON already.
pub fn bench_json() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(BenchJson)).expect("a schema is JSON")
}

#[cfg(test)]
mod tests {
    /// With `BANKSTORM_BLESS=1` the files are written anew instead.
    #[test]
    fn the_committed_schemas_are_up_to_date() {
        for (file, schema) in [
            ("run.schema.json", super::run_json()),
            ("simulate.schema.json", super::simulate_json()),
            ("ablate.schema.json", super::ablate_json()),
            ("calibrate.schema.json", super::calibrate_json()),
            ("sweep.schema.json", super::sweep_json()),
            ("index.schema.json", super::index_line()),
            ("manifest.schema.json", super::manifest()),
            ("bench.schema.json", super::bench_json()),
        ] {
            let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
            let mut now = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
            now.push('\n');
            if std::env::var_os("BANKSTORM_BLESS").is_some() {
                std::fs::write(&path, &now).expect("written");
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == now, "{path} differs from its type; BANKSTORM_BLESS=1 writes it anew");
        }
    }
}
