//! What was sampled each second: lag and CPU.
//!
//! In: the documents of `samples.ndjson`. Out: [`Sample`]s. Elsewhere: who samples (`environment`, `load`).
//!
//! Read from a document: `at_ms` (or `at_ns`), since the origin; `lag_records`, a number or a map whose numbers are added;
//! `cpu_percent`, of all cores of the machine; `process_cpu_percent`, a map, of one core; or `process_cpu_seconds`, a map of running totals,
//! from which the percentage is derived. Everything else is left to the file.

use std::collections::BTreeMap;

use serde_json::Value;

/// One sampled second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Milliseconds since the origin.
    pub at_ms: f64,
    /// Records behind.
    pub lag_records: Option<f64>,
    /// CPU of the whole machine, in percent of all its cores.
    pub cpu_percent: Option<f64>,
    /// CPU per process, in percent of one core.
    pub process_cpu_percent: BTreeMap<String, f64>,
}

/// Reads the documents, in order of time; those without a moment are left out.
pub fn read(documents: &[Value]) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::with_capacity(documents.len());
    let mut last_totals: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let mut ordered: Vec<(f64, &Value)> = documents.iter().filter_map(|d| Some((at_ms(d)?, d))).collect();
    ordered.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (at_ms, document) in ordered {
        let mut process_cpu_percent = numbers(document.get("process_cpu_percent"));
        for (process, total) in numbers(document.get("process_cpu_seconds")) {
            if let Some((before_ms, before)) = last_totals.insert(process.clone(), (at_ms, total))
                && at_ms > before_ms
                // A smaller total is a process that was started anew: its first second is not known.
                && total >= before
            {
                process_cpu_percent.entry(process).or_insert((total - before) / (at_ms - before_ms) * 100_000.0);
            }
        }
        samples.push(Sample {
            at_ms,
            lag_records: document.get("lag_records").and_then(total),
            cpu_percent: document.get("cpu_percent").and_then(Value::as_f64),
            process_cpu_percent,
        });
    }
    samples
}

fn at_ms(document: &Value) -> Option<f64> {
    let number = |name: &str| document.get(name).and_then(Value::as_f64);
    number("at_ms").or_else(|| number("at_ns").map(|ns| ns / 1e6))
}

fn numbers(value: Option<&Value>) -> BTreeMap<String, f64> {
    let map = value.and_then(Value::as_object).into_iter().flatten();
    map.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()
}

/// A number, or the sum of a map's numbers; nothing where there is none.
fn total(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| {
        let parts = numbers(Some(value));
        (!parts.is_empty()).then(|| parts.values().sum())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn running_totals_become_percent_and_lag_maps_are_added() {
        let samples = read(&[
            json!({"at_ms": 2000, "lag_records": {"0": 3, "1": 4}, "process_cpu_seconds": {"core": 1.5}}),
            json!({"at_ms": 1000, "lag_records": 9, "cpu_percent": 12.5, "process_cpu_seconds": {"core": 1.0}}),
            json!({"at_ms": 3000, "process_cpu_seconds": {"core": 0.1}}),
            json!({"no": "moment"}),
            json!("not a document"),
        ]);
        assert_eq!(samples.len(), 3);
        assert_eq!((samples[0].lag_records, samples[0].cpu_percent), (Some(9.0), Some(12.5)));
        assert_eq!(samples[1].lag_records, Some(7.0));
        assert_eq!(samples[1].process_cpu_percent, BTreeMap::from([("core".to_owned(), 50.0)]));
        assert!(samples[2].process_cpu_percent.is_empty() && samples[2].lag_records.is_none());
    }
}
