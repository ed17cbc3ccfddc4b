//! `schema`: the JSON Schema of the scenario file, of run.json or of another document.
//!
//! In: which. Out: JSON on standard output. Elsewhere: the types it is made from (`scenario::file`, `record`).

use crate::args::SchemaOf;
use crate::error::CliError;
use crate::output::say;

/// Prints the schema.
pub(crate) fn run(of: SchemaOf) -> Result<u8, CliError> {
    let schema = match of {
        SchemaOf::Scenario => bankstorm_scenario::schema::schema(),
        SchemaOf::Run => bankstorm_record::schema::run_json(),
        SchemaOf::Simulate => bankstorm_record::schema::simulate_json(),
        SchemaOf::Ablate => bankstorm_record::schema::ablate_json(),
        SchemaOf::Calibrate => bankstorm_record::schema::calibrate_json(),
        SchemaOf::Sweep => bankstorm_record::schema::sweep_json(),
        SchemaOf::Index => bankstorm_record::schema::index_line(),
        SchemaOf::Manifest => bankstorm_record::schema::manifest(),
        SchemaOf::Bench => bankstorm_record::schema::bench_json(),
    };
    say(&serde_json::to_string_pretty(&schema).expect("a schema is JSON"));
    Ok(0)
}
