//! The document of a command other than `run`: simulate.json, sweep.json, ablate.json, calibrate.json.
//!
//! In: a folder and its kind. Out: [`Found`]. Elsewhere: the documents' own schemas (`record`). They differ, so that only what all may have
//! is read here, and what is worth a figure is named by its place.

use std::path::Path;

use bankstorm_record::ablate_json::AblateJson;
use bankstorm_record::calibrate_json::CalibrateJson;
use bankstorm_record::clock::rfc3339;
use bankstorm_record::published::{Figure, IndexLine, Kind, SCHEMA};
use bankstorm_record::sweep_json::SweepJson;
use serde::Deserialize;
use serde_json::Value;

use super::{Found, again, document_of, machine, unfit};
use crate::publish::figures::{OF_RUN, figure, of_ablate, of_calibrate, of_sweep};
use crate::publish::{PublishError, io};

/// Where a figure stands in a document, what it is called, and its unit.
type Place = (&'static str, &'static str, &'static str);

const OF_SIMULATE: [Place; 5] = [
    ("/seeds/done", "seeds", ""),
    ("/failing", "failing", ""),
    ("/operations_per_seed", "operations.per_seed", ""),
    ("/speed/seeds_per_second", "seeds.rate", "/s"),
    ("/speed/virtual_per_cpu", "virtual.by_cpu", "x"),
];

/// Reads the document of `kind`.
pub(super) fn read(folder: &Path, kind: Kind) -> Result<Found, PublishError> {
    let path = document_of(folder, kind);
    let bytes = std::fs::read(&path).map_err(io(&path))?;
    let refuse = |problem: String| PublishError::Document { path: path.clone(), problem };
    let document: Value = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
    let text = |place: &str| document.pointer(place).and_then(Value::as_str).map(str::to_owned);
    let commit = text("/bankstorm/commit")
        .ok_or_else(|| refuse("has no bankstorm.commit, which tells what was measured".to_owned()))?;
    let started_at = match text("/started_at") {
        Some(at) => at,
        None => written_at(&path)?,
    };
    let exit_code = document.get("exit_code").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok());
    let run_id = text("/run_id").unwrap_or_else(|| named(kind, &started_at, &commit));
    let environment = text("/environment").unwrap_or_else(|| environment(kind).to_owned());
    let play = command(kind, &run_id, &environment, &document);
    let profile = text("/bankstorm/profile").unwrap_or_default();
    let repeat = again(&commit, &profile, &play);
    let line = IndexLine {
        schema: SCHEMA,
        kind,
        scenario: text("/scenario").unwrap_or_else(|| kind.as_str().to_owned()),
        changed: false,
        environment,
        commit,
        profile,
        started_at,
        machine: machine(folder)?,
        exit_code,
        verdicts: None,
        r#unsafe: switched_off(&document),
        anyway: None,
        figures: figures(kind, &document).map_err(refuse)?,
        arms: Vec::new(),
        run_id,
    };
    // What calibrates is written once it has measured, and has no code of its own.
    let unfit = if kind == Kind::Calibrate { None } else { unfit(exit_code) };
    Ok(Found { line, verdicts: Vec::new(), repeat, unfit })
}

/// What does not say when it began was written when it ended.
pub(in crate::publish) fn written_at(path: &Path) -> Result<String, PublishError> {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).map_err(io(path))?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(rfc3339(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
}

/// `simulate-20261122T061500Z-3f27410`.
fn named(kind: Kind, at: &str, commit: &str) -> String {
    let stamp: String = at.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    format!("{}-{stamp}-{commit}", kind.as_str())
}

const fn environment(kind: Kind) -> &'static str {
    match kind {
        Kind::Simulate | Kind::Ablate => "simulator",
        Kind::Run | Kind::Sweep | Kind::Calibrate | Kind::Bench => "none",
    }
}

/// What makes another of it, after the binary's name; a sweep's scenario lies in the published folder.
fn command(kind: Kind, run_id: &str, environment: &str, document: &Value) -> String {
    let word = kind.as_str();
    let seed = |end: &str| document.pointer(end).and_then(Value::as_u64);
    match (kind, seed("/seeds/from"), seed("/seeds/to")) {
        (Kind::Simulate, Some(from), Some(to)) => format!("{word} --seeds {from}..{to}"),
        (Kind::Ablate, Some(from), Some(to)) => {
            format!("{word}{} --seeds {from}..{to}{}", only(document), hits(document))
        }
        (Kind::Calibrate, ..) => "calibrate --proxy".to_owned(),
        (Kind::Sweep, ..) => {
            format!("sweep results/{run_id}/scenario.toml --env {environment}")
        }
        _ => word.to_owned(),
    }
}

/// The protections that `ablate` was asked for, where it was not all of them.
fn only(document: &Value) -> String {
    let asked: Vec<_> =
        document.get("only").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if asked.is_empty() { String::new() } else { format!(" --only {}", asked.join(",")) }
}

/// The hits that `ablate` was asked for.
fn hits(document: &Value) -> String {
    document.get("hits").and_then(Value::as_u64).map(|hits| format!(" --hits {hits}")).unwrap_or_default()
}

fn switched_off(document: &Value) -> Vec<String> {
    let words = document.get("unsafe").and_then(Value::as_array).into_iter().flatten();
    words.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Those that the document itself puts forward (`figures`), else those that are known of its kind.
fn figures(kind: Kind, document: &Value) -> Result<Vec<Figure>, String> {
    match kind {
        Kind::Sweep => {
            return SweepJson::deserialize(document).map(|sweep| of_sweep(&sweep)).map_err(|error| error.to_string());
        }
        Kind::Ablate => {
            return AblateJson::deserialize(document)
                .map(|ablate| of_ablate(&ablate))
                .map_err(|error| error.to_string());
        }
        Kind::Calibrate => {
            let calibrate = CalibrateJson::deserialize(document).map_err(|error| error.to_string())?;
            return Ok(of_calibrate(&calibrate));
        }
        _ => {}
    }
    let own = document.get("figures").and_then(|figures| serde_json::from_value::<Vec<Figure>>(figures.clone()).ok());
    let places: &[Place] = if kind == Kind::Simulate { &OF_SIMULATE } else { &[] };
    let known = places.iter().filter_map(|(place, name, unit)| {
        let value = document.pointer(place)?.as_f64()?;
        Some(figure(name, value, unit))
    });
    let mut figures = own.unwrap_or_else(|| known.collect());
    figures.truncate(OF_RUN);
    Ok(figures)
}
