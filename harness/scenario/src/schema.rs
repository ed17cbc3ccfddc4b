//! The JSON Schema of scenario files, for editors and for whoever writes them by program.
//!
//! In: the types of `file`. Out: a schema. Elsewhere: limits that a schema does not say (`resolve`).

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::file::File;
use crate::resolved::{Figure, LatencyKind, Op};
use crate::units::DurationText;

/// The schema of a scenario file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}

/// Objectives under their dotted names, or as tables in tables (which is what unquoted dots mean in TOML).
pub(crate) fn slo(generator: &mut SchemaGenerator) -> Schema {
    let limit = generator.subschema_for::<DurationText>().to_value();
    let figures: serde_json::Map<_, _> =
        Figure::ALL.iter().map(|figure| (figure.as_str().to_owned(), limit.clone())).collect();
    let figures = serde_json::json!({ "type": "object", "properties": figures, "additionalProperties": false });
    let mut properties = serde_json::Map::new();
    let mut latencies = serde_json::Map::new();
    for latency in LatencyKind::ALL {
        latencies.insert(latency.as_str().to_owned(), figures.clone());
        for figure in Figure::ALL {
            let name = format!("{}.{}.{}", Op::Deposit.as_str(), latency.as_str(), figure.as_str());
            properties.insert(name, limit.clone());
        }
    }
    let nested = serde_json::json!({ "type": "object", "properties": latencies, "additionalProperties": false });
    properties.insert(Op::Deposit.as_str().to_owned(), nested);
    json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
}
