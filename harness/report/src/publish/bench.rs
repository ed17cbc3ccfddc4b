//! Criterion's estimates, collected into one small document.
//!
//! In: the folder that criterion leaves (`target/criterion`). Out: `results/bench-<day>-<commit>/bench.json`, a line of the index.
//! Elsewhere: the benches themselves (`benches`).
//!
//! Criterion says neither on what nor of which build it measured: both are taken from who collects, so collect on the same machine, from
//! the same tree, soon.

use std::path::{Path, PathBuf};

use bankstorm_record::folder::RunFolder;
use bankstorm_record::machine::look;
use bankstorm_record::published::{
    BenchEstimate, BenchJson, Figure, IndexLine, Kind, MachineBrief, Manifest, ManifestFile, SCHEMA,
};
use bankstorm_record::save::{sha256_file, write_json};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::figures::figure;
use super::source::{brief, written_at};
use super::{Ask, PublishError, Published, io, put};

/// The document's name.
const BENCH: &str = "bench.json";
/// The most benches in a line of the index; all are in the document.
const TOLD: usize = 6;
/// Where criterion puts the newest estimates of a bench.
const NEWEST: &str = "new";

/// Of criterion's benchmark.json.
#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
    throughput: Option<serde_json::Value>,
}

/// Of criterion's estimates.json.
#[derive(Deserialize)]
struct Estimates {
    mean: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    confidence_interval: Interval,
    point_estimate: f64,
}

#[derive(Deserialize)]
struct Interval {
    confidence_level: f64,
    lower_bound: f64,
    upper_bound: f64,
}

/// Publishes what criterion left below [`Ask::from`].
///
/// # Errors
/// [`PublishError`] where there is nothing, or it could not be written.
pub fn publish_bench(ask: &Ask<'_>) -> Result<Published, PublishError> {
    let benches = collect(ask.from)?;
    let measured_at = benches.iter().map(|bench| bench.measured_at.clone()).max();
    let measured_at = measured_at.ok_or_else(|| PublishError::NoBench(ask.from.to_owned()))?;
    let day: String = measured_at.chars().take_while(|c| *c != 'T').filter(|c| *c != '-').collect();
    let run_id = format!("bench-{day}-{}", ask.by.commit);
    let machine = brief(&look(&RunFolder::new(ask.from))?);
    let line = line(ask, &run_id, &measured_at, &machine, &benches);
    let document =
        BenchJson { schema: SCHEMA, run_id: run_id.clone(), measured_at, bankstorm: ask.by.clone(), machine, benches };
    let manifest = Manifest {
        schema: SCHEMA,
        run_id,
        kind: Kind::Bench,
        published_at: ask.at.clone(),
        published_by: ask.by.clone(),
        anyway: None,
        verdicts: Vec::new(),
        repeat: vec![
            super::source::checkout(&ask.by.commit),
            "cargo bench -p bankstorm-benches".to_owned(),
            "target/debug/bankstorm publish --bench target/criterion".to_owned(),
        ],
        files: sources(ask.from)?,
    };
    put(ask, line, &manifest, |folder| Ok(write_json(folder.join(BENCH), &document)?))
}

fn line(ask: &Ask<'_>, run_id: &str, at: &str, machine: &MachineBrief, benches: &[BenchEstimate]) -> IndexLine {
    let mut figures: Vec<Figure> = vec![figure("benches", benches.len() as f64, "")];
    figures.extend(benches.iter().take(TOLD).map(|bench| figure(&bench.id, bench.mean_ns / 1_000.0, "us")));
    IndexLine {
        schema: SCHEMA,
        run_id: run_id.to_owned(),
        kind: Kind::Bench,
        scenario: Kind::Bench.as_str().to_owned(),
        changed: false,
        environment: "none".to_owned(),
        commit: ask.by.commit.clone(),
        // Cargo has one profile for benches.
        profile: "bench".to_owned(),
        started_at: at.to_owned(),
        machine: machine.clone(),
        exit_code: None,
        verdicts: None,
        r#unsafe: Vec::new(),
        anyway: None,
        figures,
        arms: Vec::new(),
    }
}

/// Every bench with both of its documents, by id.
fn collect(root: &Path) -> Result<Vec<BenchEstimate>, PublishError> {
    let mut benches = Vec::new();
    for folder in newest(root)? {
        benches.push(bench(&folder)?);
    }
    benches.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(benches)
}

fn bench(folder: &Path) -> Result<BenchEstimate, PublishError> {
    let [about, found] = documents(folder);
    let Benchmark { full_id, throughput } = parsed(&about)?;
    let Estimates { mean } = parsed(&found)?;
    Ok(BenchEstimate {
        id: full_id,
        mean_ns: mean.point_estimate,
        lower_ns: mean.confidence_interval.lower_bound,
        upper_ns: mean.confidence_interval.upper_bound,
        confidence: mean.confidence_interval.confidence_level,
        elements: throughput.and_then(|throughput| throughput.get("Elements")?.as_u64()),
        measured_at: written_at(&found)?,
    })
}

fn documents(folder: &Path) -> [PathBuf; 2] {
    ["benchmark.json", "estimates.json"].map(|name| folder.join(name))
}

fn parsed<T: DeserializeOwned>(path: &Path) -> Result<T, PublishError> {
    let bytes = std::fs::read(path).map_err(io(path))?;
    let refuse =
        |problem: serde_json::Error| PublishError::Document { path: path.to_owned(), problem: problem.to_string() };
    serde_json::from_slice(&bytes).map_err(refuse)
}

/// The folders of the newest estimates below `root`, in order.
fn newest(root: &Path) -> Result<Vec<PathBuf>, PublishError> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(io(&folder))? {
            let path = entry.map_err(io(&folder))?.path();
            if !path.is_dir() {
                continue;
            }
            let is_newest = path.file_name().is_some_and(|name| name == NEWEST);
            if is_newest && documents(&path).iter().all(|document| document.is_file()) {
                found.push(path);
            } else {
                open.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What the estimates were read from, none of which is copied.
fn sources(root: &Path) -> Result<Vec<ManifestFile>, PublishError> {
    let mut files = Vec::new();
    for path in newest(root)?.iter().flat_map(|folder| documents(folder)) {
        files.push(ManifestFile {
            path: path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned(),
            bytes: std::fs::metadata(&path).map_err(io(&path))?.len(),
            sha256: sha256_file(&path)?,
            left_out: Some("what matters of it is in bench.json".to_owned()),
        });
    }
    Ok(files)
}
