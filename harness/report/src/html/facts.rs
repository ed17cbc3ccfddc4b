//! Facts as name and value: of the system under test, and of the machine, whose document may have any shape.
//!
//! In: `run.json`, `machine.json`. Out: rows. Elsewhere: what they look like (`templates/report.html`).

use bankstorm_record::run_json::RunJson;
use serde_json::Value;

use crate::words::{clean, count};

/// The system under test.
pub(super) fn system(run: &RunJson) -> Vec<(&'static str, String)> {
    let system = &run.system;
    let mut facts = vec![
        ("Accounts", count(system.accounts)),
        ("Channel instances", system.channel_instances.to_string()),
        ("Partitions of the entries topic", system.partitions.to_string()),
        ("Workers per assigned partition", system.workers.to_string()),
        ("Workers in all", system.workers_total.to_string()),
    ];
    if let Some(lag) = system.lag_max_records {
        facts.push(("Highest lag, records", count(lag)));
    }
    facts
}

/// Any document as rows: `cpu.cores` and a text.
pub(super) fn facts(rows: &mut Vec<(String, String)>, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Object(parts) => {
            for (part, value) in parts {
                let name = if name.is_empty() { part.clone() } else { format!("{name}.{part}") };
                facts(rows, &name, value);
            }
        }
        Value::Array(parts) if parts.iter().any(|part| part.is_object() || part.is_array()) => {
            for (i, part) in parts.iter().enumerate() {
                facts(rows, &format!("{name}.{i}"), part);
            }
        }
        Value::Array(parts) => rows.push((name.to_owned(), parts.iter().map(fact).collect::<Vec<_>>().join(", "))),
        simple => rows.push((name.to_owned(), fact(simple))),
    }
}

fn fact(value: &Value) -> String {
    match value {
        Value::String(text) => clean(text),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.as_u64().filter(|n| *n >= 10_000).map_or_else(|| number.to_string(), count),
        other => other.to_string(),
    }
}
