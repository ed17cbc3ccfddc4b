//! The JSON Schema of scenario files, for editors and for whoever writes them by program.
//!
//! In: the types of `file`. Out: a schema, committed as `scenario.schema.json` beside this crate, so that editors need not build it.
//! Elsewhere: limits that a schema does not say (`resolve`).

use bankstorm_faults::plan::Kind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::file::{Drain, File, Limit, Overload};
use crate::resolve::{STORM, STORM_ABOUT};
use crate::resolved::{Figure, Op, RecoveryFigure};
use crate::units::{DurationText, FactorText};

const DEEPEST_OF_FIRST: &str =
    "The response p99 of the deepest tenth of the pages of a session, to that of the first tenth";

/// The schema of a scenario file.
pub fn schema() -> Value {
    schemars::schema_for!(File).to_value()
}

/// What an arm changes: any value by its path.
pub(crate) fn arm_set(_: &mut SchemaGenerator) -> Schema {
    let parts = r"^[a-z0-9_]+(\.[a-z0-9_]+)*$";
    json_schema!({ "type": "object", "propertyNames": { "pattern": parts } })
}

/// The words of the catalogue.
pub(crate) fn fault_kind(_: &mut SchemaGenerator) -> Schema {
    let kind = |word: &str, about: &str| json!({ "const": word, "description": about });
    let storm = kind(STORM, STORM_ABOUT);
    let kinds: Vec<Value> = Kind::ALL.iter().map(|one| kind(one.word(), one.entry().about)).chain([storm]).collect();
    json_schema!({ "type": "string", "oneOf": kinds })
}

/// Objectives under their dotted names, or as tables in tables (which is what unquoted dots mean in TOML).
pub(crate) fn slo(generator: &mut SchemaGenerator) -> Schema {
    let mut properties = Map::new();
    let limits = limits(generator);
    for op in Op::ALL {
        let mut latencies = Map::new();
        for latency in op.latencies() {
            let prefix = format!("{}.{}", op.as_str(), latency.as_str());
            let figures = words(Figure::ALL.map(Figure::as_str), &limits, &prefix, &mut properties);
            latencies.insert(latency.as_str().to_owned(), figures);
        }
        if op == Op::Scroll {
            let mut factor = subschema::<FactorText>(generator);
            factor["description"] = json!(DEEPEST_OF_FIRST);
            properties.insert("scroll.deepest_of_first".to_owned(), factor.clone());
            latencies.insert("deepest_of_first".to_owned(), factor);
        }
        properties.insert(op.as_str().to_owned(), table(latencies));
    }
    let limit = subschema::<DurationText>(generator);
    let recovery = words(RecoveryFigure::ALL.map(RecoveryFigure::as_str), &limit, "recovery", &mut properties);
    properties.insert("recovery".to_owned(), recovery);
    let (overload, drain) = (Overload::json_schema(generator), Drain::json_schema(generator));
    for (name, asked) in [("overload", overload.to_value()), ("drain", drain.to_value())] {
        for (word, limit) in asked["properties"].as_object().into_iter().flatten() {
            properties.insert(format!("{name}.{word}"), limit.clone());
        }
        properties.insert(name.to_owned(), asked);
    }
    Schema::try_from(table(properties)).expect("a table is a schema")
}

/// A duration, one table, or a list of tables.
fn limits(generator: &mut SchemaGenerator) -> Value {
    let (plain, one) = (subschema::<DurationText>(generator), subschema::<Limit>(generator));
    json!({ "anyOf": [plain, one, { "type": "array", "items": one, "minItems": 1 }] })
}

/// A table of `words`, each of which is entered under its dotted name as well.
fn words<const N: usize>(words: [&str; N], schema: &Value, prefix: &str, dotted: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for word in words {
        dotted.insert(format!("{prefix}.{word}"), schema.clone());
        properties.insert(word.to_owned(), schema.clone());
    }
    table(properties)
}

fn table(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn subschema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

#[cfg(test)]
mod tests {
    /// With `BANKSTORM_BLESS=1` the file is written anew instead.
    #[test]
    fn the_committed_schema_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenario.schema.json");
        let mut now = serde_json::to_string_pretty(&super::schema()).expect("a schema is JSON");
        now.push('\n');
        if std::env::var_os("BANKSTORM_BLESS").is_some() {
            std::fs::write(path, &now).expect("written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == now, "{path} differs from the types; BANKSTORM_BLESS=1 writes it anew");
    }
}
