//! The JSON Schema of `run.json`, committed beside this crate so that readers elsewhere need not build it.
//!
//! In: [`RunJson`]. Out: `run.schema.json`. Elsewhere: the schema of scenario files (`scenario`).

use crate::run_json::RunJson;

/// The schema.
///
/// # Panics
/// Never: a schema is JSON already.
pub fn run_json() -> serde_json::Value {
    serde_json::to_value(schemars::schema_for!(RunJson)).expect("a schema is JSON")
}

#[cfg(test)]
mod tests {
    /// With `BANKSTORM_BLESS=1` the file is written anew instead.
    #[test]
    fn the_committed_schema_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/run.schema.json");
        let mut now = serde_json::to_string_pretty(&super::run_json()).expect("a schema is JSON");
        now.push('\n');
        if std::env::var_os("BANKSTORM_BLESS").is_some() {
            std::fs::write(path, &now).expect("written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == now, "{path} differs from RunJson; BANKSTORM_BLESS=1 writes it anew");
    }
}
