//! `docs/metrics.md` and the alert rules against the source: every metric that a service counts has its line, and every line its metric.
//!
//! In: the services' source, the table, the rules. Out: what one has and the other lacks. Elsewhere: the registry.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where metrics are counted.
const ROOMS: [&str; 4] = ["core", "channel", "banks", "adapters"];
/// What their names begin with.
const PREFIXES: [&str; 4] = ["core_", "channel_", "banks_", "visible_"];
/// What the exporter puts before them.
const EXPORTED: &str = "bankstorm_";

fn system() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let read = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in read.map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        let is_test =
            path.file_stem().is_some_and(|stem| stem == "documented" || stem.to_string_lossy().ends_with("tests"));
        if path.is_dir() && !is_test {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            found.push(path);
        }
    }
}

/// Whether it looks like a metric's name: words that are a service's, an underscore between them.
fn is_metric(word: &str) -> bool {
    PREFIXES.iter().any(|prefix| word.starts_with(prefix))
        && !word.ends_with('_')
        && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

/// Names in string literals of code; what stands behind `mod tests` is none of it.
fn counted() -> BTreeSet<String> {
    let mut files = Vec::new();
    for room in ROOMS {
        sources(&system().join(room).join("src"), &mut files);
    }
    assert!(files.len() > 50, "the services' source is not where it was: {} files", files.len());
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("readable source");
        let code = text.split("mod tests {").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        names.extend(
            code.flat_map(|line| line.split('"').skip(1).step_by(2)).filter(|word| is_metric(word)).map(str::to_owned),
        );
    }
    names.extend(of_postings());
    names
}

/// The counters that posting puts together: one for each event of each kind.
fn of_postings() -> impl Iterator<Item = String> {
    let text = fs::read_to_string(system().join("core/src/posting/counters.rs")).expect("posting's counters");
    let words: Vec<_> =
        text.split('"').filter(|word| word.starts_with('_') && word.ends_with("_total")).map(str::to_owned).collect();
    assert!(words.len() > 5, "posting's counters are put together otherwise now");
    ["deposits", "transfers", "outbounds"]
        .into_iter()
        .flat_map(move |kind| words.clone().into_iter().map(move |word| format!("core_{kind}{word}")))
}

/// A name with its alternatives, `a_{b,c}_d`, as names.
fn alternatives(name: &str) -> Vec<String> {
    let Some((before, rest)) = name.split_once('{') else { return vec![name.to_owned()] };
    let (all, after) = rest.split_once('}').expect("a closing brace");
    all.split(',').map(|one| format!("{before}{one}{after}")).collect()
}

/// Names in the first cells of the table.
fn documented(text: &str) -> BTreeSet<String> {
    let first_cells =
        text.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|rest| rest.split('`').next());
    first_cells.filter_map(|name| name.strip_prefix(EXPORTED)).flat_map(alternatives).collect()
}

fn read(path: &str) -> String {
    let path = system().join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_metric_of_the_services_has_its_line_and_every_line_its_metric() {
    let (counted, documented) = (counted(), documented(&read("docs/metrics.md")));
    let missing: Vec<_> = counted.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks {missing:?}");
    let gone: Vec<_> = documented.difference(&counted).collect();
    assert!(gone.is_empty(), "docs/metrics.md has what nobody counts: {gone:?}");
}

#[test]
fn alerts_speak_of_metrics_that_there_are() {
    let (documented, rules) = (documented(&read("docs/metrics.md")), read("deploy/alerts.yml"));
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let named: BTreeSet<_> =
        rules.split(|letter| !is_word(letter)).filter_map(|word| word.strip_prefix(EXPORTED)).collect();
    assert!(!named.is_empty(), "deploy/alerts.yml names no metric");
    let plain = |name: &str| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let unknown: Vec<_> =
        named.into_iter().filter(|name| *name != "marker_total" && !documented.contains(&plain(name))).collect();
    assert!(unknown.is_empty(), "deploy/alerts.yml speaks of {unknown:?}");
}
