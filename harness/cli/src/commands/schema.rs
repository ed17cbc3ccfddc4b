//! `schema`: the JSON Schema of the scenario file or of run.json.
//!
//! In: which. Out: JSON on standard output. Elsewhere: the types it is made from (`scenario::file`, `record::run_json`).

use crate::args::SchemaOf;
use crate::error::CliError;
use crate::output::say;

/// Prints the schema.
pub(crate) fn run(of: SchemaOf) -> Result<u8, CliError> {
    let schema = match of {
        SchemaOf::Scenario => bankstorm_scenario::schema::schema(),
        SchemaOf::Run => bankstorm_record::schema::run_json(),
    };
    say(&serde_json::to_string_pretty(&schema).expect("a schema is JSON"));
    Ok(0)
}
