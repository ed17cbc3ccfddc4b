//! The JSON Schemas of `run.json` and `simulate.json`, committed beside this crate so that readers elsewhere need not build it.
//!
//! In: [`RunJson`], [`SimulateJson`]. Out: `run.schema.json`, `simulate.schema.json`. Elsewhere: the schema of scenario files
//! (`scenario`).

use crate::run_json::RunJson;
use crate::simulate_json::SimulateJson;

/// The schema of `run.json`.
///
/// # Panics
/// Never: a schema is JSON already.
pub fn run_json() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(RunJson)).expect("a schema is JSON")
}

/// The schema of `simulate.json`.
///
/// # Panics
/// Never: a schema is JSON already.
pub fn simulate_json() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(SimulateJson)).expect("a schema is JSON")
}

#[cfg(test)]
mod tests {
    /// With `BANKSTORM_BLESS=1` the files are written anew instead.
    #[test]
    fn the_committed_schemas_are_up_to_date() {
        for (file, schema) in [("run.schema.json", super::run_json()), ("simulate.schema.json", super::simulate_json())]
        {
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
