//! A real run, published as its user would: files, index, README, and what is refused.

use std::path::Path;
use std::process::Output;

use bankstorm_record::published::IndexLine;
use bankstorm_record::save::sha256_file;
use bankstorm_record::schema::{index_line, manifest};

use crate::support::{Case, bankstorm, code, root, short_run, text};

pub(crate) fn cases() -> Vec<Case> {
    vec![("a_run_is_published_with_its_hashes_and_only_once", a_run_is_published)]
}

fn publish(run: &Path, home: &Path, more: &[&str]) -> Output {
    let mut command = bankstorm(&["publish"]);
    command.arg(run).arg("--into").arg(home.join("results")).arg("--readme").arg(home.join("README.md")).args(more);
    command.output().expect("the binary starts")
}

/// The document in a file, which follows its schema.
fn following(text: &str, schema: &serde_json::Value) -> serde_json::Value {
    let json: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let validator = jsonschema::validator_for(schema).expect("a valid JSON Schema");
    let wrong: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "it follows its schema: {wrong:?}");
    json
}

fn a_run_is_published() {
    let run = short_run();
    let (folder, home) = (run.folder(), tempfile::tempdir().expect("a temporary folder"));
    let read = |name: &str| std::fs::read_to_string(home.path().join(name)).unwrap_or_default();
    std::fs::write(home.path().join("README.md"), "<!-- figures: begin -->\n<!-- figures: end -->\n")
        .expect("a README");

    // On a machine that is busy the run may be invalid, and then it is refused at first.
    let fit = [0, 5].contains(&code(&run.output));
    let first = publish(folder.root(), home.path(), &[]);
    assert_eq!(code(&first), if fit { 0 } else { 2 }, "{}", text(&first));
    if !fit {
        assert!(text(&first).contains("--anyway"), "{}", text(&first));
        let anyway = publish(folder.root(), home.path(), &["--anyway"]);
        assert_eq!(code(&anyway), 0, "{}", text(&anyway));
    }
    let twice = publish(folder.root(), home.path(), &["--anyway"]);
    assert_eq!(code(&twice), 2, "{}", text(&twice));
    assert!(text(&twice).contains("is published already"), "{}", text(&twice));

    let index = read("results/index.ndjson");
    assert_eq!(index.lines().count(), 1, "{index}");
    assert!(!index.contains("changed"), "no scenario is shipped here: {index}");
    let line = following(&index, &index_line());
    let run_id = line["run_id"].as_str().expect("its name");
    assert!(read("README.md").contains(&format!("[smoke](results/{run_id}/)")), "{}", read("README.md"));

    let manifest = following(&read(&format!("results/{run_id}/manifest.json")), &manifest());
    let files = manifest["files"].as_array().expect("its files");
    for file in files {
        let path = file["path"].as_str().expect("a path");
        let copy = home.path().join("results").join(run_id).join(path);
        assert_eq!(copy.is_file(), file.get("left_out").is_none(), "{path}");
        let sha256 = sha256_file(folder.root().join(path)).expect("a hash");
        assert_eq!(file["sha256"].as_str(), Some(sha256.as_str()), "{path}");
    }
    let names: Vec<&str> = files.iter().filter_map(|file| file["path"].as_str()).collect();
    for name in ["run.json", "scenario.toml", "report.html", "operations.parquet", "evidence/core_entry.parquet"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    is_rebuilt(home.path());
    is_changed(folder.root(), home.path());
}

/// A README that lost its table has it again, and nothing else is written.
fn is_rebuilt(home: &Path) {
    let readme = home.join("README.md");
    let written = std::fs::read_to_string(&readme).expect("a README");
    std::fs::write(&readme, "<!-- figures: begin -->\n<!-- figures: end -->\n").expect("a README");
    let mut command = bankstorm(&["publish", "--rebuild"]);
    let rebuilt = command.arg("--into").arg(home.join("results")).arg("--readme").arg(&readme).output();
    let rebuilt = rebuilt.expect("the binary starts");
    assert_eq!(code(&rebuilt), 0, "{}", text(&rebuilt));
    assert_eq!(std::fs::read_to_string(&readme).expect("a README"), written);
}

/// Beside the shipped scenario, of which it is a shorter one, the same run is marked. Where no README is named, that of the checkout stays.
fn is_changed(run: &Path, home: &Path) {
    std::fs::create_dir(home.join("scenarios")).expect("made");
    std::fs::copy(root().join("scenarios/smoke.toml"), home.join("scenarios/smoke.toml")).expect("copied");
    let again = publish(run, home, &["--anyway", "--again"]);
    assert!(code(&again) == 0 && text(&again).contains("marked: changed"), "{}", text(&again));
    let index = std::fs::read_to_string(home.join("results/index.ndjson")).expect("an index");
    let line: IndexLine = serde_json::from_str(index.trim_end()).expect("a line");
    assert!(line.changed, "{index}");
    let readme = std::fs::read_to_string(home.join("README.md")).expect("a README");
    assert!(readme.contains("| [smoke, changed]("), "{readme}");

    let before = std::fs::read_to_string(root().join("README.md")).expect("a README");
    let mut command = bankstorm(&["publish", "--anyway"]);
    let elsewhere = command.arg(run).arg("--into").arg(home.join("elsewhere")).output().expect("the binary starts");
    assert!(code(&elsewhere) == 0 && text(&elsewhere).contains("no README is rebuilt"), "{}", text(&elsewhere));
    assert_eq!(std::fs::read_to_string(root().join("README.md")).expect("a README"), before);
}
