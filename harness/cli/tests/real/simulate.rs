//! Whole banks on virtual time as their users meet them: batches, one world again, a smaller plan. None of these starts a process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bankstorm_record::ablate_json::{AblateJson, AblateVerdict, Repair, RowVerdict};
use bankstorm_record::published::IndexLine;
use bankstorm_record::schema::{ablate_json, simulate_json};
use bankstorm_record::simulate_json::{BatchVerdict, SimulateJson};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

use crate::support::{Case, Running, bankstorm, code, output, text};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("twenty_seeds_hold_and_come_to_the_same_on_any_number_of_threads", twenty_seeds_hold),
        ("ctrl_c_ends_a_batch_and_says_how_far_it_came", ctrl_c_ends_a_batch),
        ("one_seed_is_replayed_with_who_did_what_when", one_seed_is_replayed),
        ("a_planted_bug_is_found_stored_replayed_and_shrunk", a_planted_bug_is_found),
        ("a_protection_that_is_off_is_seen_missing_and_its_plan_replayed", a_protection_that_is_off_is_seen_missing),
        ("ctrl_c_ends_an_ablation_and_stores_what_came_of_it_until_then", ctrl_c_ends_an_ablation),
        ("a_mistake_in_a_plan_is_exit_2_with_its_place", a_mistake_in_a_plan_is_exit_2),
    ]
}

/// `simulate.json` of a folder.
fn document(folder: &Path) -> SimulateJson {
    following(&folder.join("simulate.json"), &simulate_json())
}

/// `ablate.json` of a folder.
fn ablation(folder: &Path) -> AblateJson {
    following(&folder.join("ablate.json"), &ablate_json())
}

/// A document, which follows its schema.
fn following<T: DeserializeOwned>(path: &Path, schema: &serde_json::Value) -> T {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let json: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let validator = jsonschema::validator_for(schema).expect("a valid JSON Schema");
    let wrong: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{} follows its schema: {wrong:?}", path.display());
    serde_json::from_value(json).expect("the same as its type")
}

fn twenty_seeds_hold() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let documents = ["1", "2"].map(|jobs| {
        let out = folder.path().join(jobs);
        let ended =
            bankstorm(&["simulate", "--seeds=0..20", "--live=off", "--jobs", jobs]).arg("--out").arg(&out).output();
        let ended = ended.expect("the binary starts");
        let document = document(&out);
        assert_eq!(document.failing, 0, "{}", text(&ended));
        // So few seeds need not come by every marker.
        let expected = if document.never_fired.is_empty() { 0 } else { 4 };
        assert_eq!((code(&ended), document.exit_code), (expected, expected), "{}", text(&ended));
        assert!(out.join("machine.json").is_file());
        let told = text(&ended);
        for said in [
            "seeds a second",
            "processor time",
            "virtual by real",
            "operations a seed",
            "fault kinds a seed",
            "digest",
            "node.kill",
        ] {
            assert!(told.contains(said), "{said}: {told}");
        }
        assert!(document.never_fired.iter().all(|marker| told.contains(marker)), "{told}");
        document
    });
    let [one, two] = documents;
    assert!(one.digest.is_some());
    assert_eq!(one.digest, two.digest);
    assert_eq!((&one.operations, &one.faults, &one.markers), (&two.operations, &two.faults, &two.markers));
    assert!(one.operations_per_seed >= 500.0 && one.fault_kinds_per_seed.mean > 0.0, "{one:?}");
}

fn ctrl_c_ends_a_batch() {
    let mut run = Running::start(&["simulate", "--seeds=0..1000000", "--live=plain"]);
    let before = run.log_until("a second", Duration::from_secs(60));
    kill(Pid::from_raw(i32::try_from(run.child.id()).expect("a process id")), Signal::SIGINT).expect("our child");
    let code = run.end_within(Duration::from_secs(10));
    assert_eq!(code, 4, "{before}\n{}", run.log());
    let document = document(run.home());
    assert_eq!((document.verdict, document.failing, document.digest), (BatchVerdict::Inconclusive, 0, None));
    assert!((1..1_000_000).contains(&document.seeds.done), "{:?}", document.seeds);
    assert!(run.log().contains("INTERRUPTED after"), "{}", run.log());
}

fn one_seed_is_replayed() {
    let whole = output(&["replay", "3"]);
    assert_eq!(code(&whole), 0, "{}", text(&whole));
    let shown = String::from_utf8_lossy(&whole.stdout).into_owned();
    for said in ["seed 3, chance ", " accounts of ", "fault 0: ", "HOLDS", "digest "] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let lines = |shown: &str| shown.lines().filter(|line| line.contains(" s  ")).count();
    assert!(lines(&shown) > 500, "every operation leaves a line: {}", lines(&shown));
    assert_eq!(shown, String::from_utf8_lossy(&output(&["replay", "3"]).stdout), "the same again, in another process");

    let tail = String::from_utf8_lossy(&output(&["replay", "3", "--tail=7"]).stdout).into_owned();
    assert_eq!(lines(&tail), 7, "{tail}");
    let core = String::from_utf8_lossy(&output(&["replay", "3", "--trace-only=core"]).stdout).into_owned();
    assert!((1..lines(&shown)).contains(&lines(&core)), "{core}");
    let quiet = String::from_utf8_lossy(&output(&["replay", "3", "--quiet"]).stdout).into_owned();
    assert!(quiet.lines().count() < 10 && quiet.contains("HOLDS"), "{quiet}");
}

fn a_planted_bug_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // What an earlier batch left, and what is none of its plans.
    for file in ["simulate.json", "seed-999.json", "seed-999.small.json"] {
        std::fs::write(folder.path().join(file), "").expect("a file");
    }
    let search = ["simulate", "--seeds=0..20", "--keep=1", "--live=off", "--planted=claims_anew"];
    let found = bankstorm(&search).arg("--out").arg(folder.path()).output().expect("the binary starts");
    assert_eq!(code(&found), 6, "{}", text(&found));
    let document = document(folder.path());
    assert_eq!((document.verdict, document.kept.len()), (BatchVerdict::Violated, 1));
    let kept = &document.kept[0];
    let violated = &kept.violations[0];
    let plan = folder.path().join(kept.file.as_deref().expect("its plan"));
    assert!(text(&found).contains(&format!("bankstorm replay {}", plan.display())), "{}", text(&found));
    assert!(!folder.path().join("seed-999.json").exists(), "the earlier batch's plan is gone");
    assert!(folder.path().join("seed-999.small.json").exists(), "what a batch did not write stays");

    let again = bankstorm(&["replay", "--quiet"]).arg(&plan).output().expect("the binary starts");
    assert_eq!(code(&again), 6, "{}", text(&again));
    let name = format!("VIOLATED: {} {}", violated.check, violated.name);
    assert!(text(&again).contains(&name), "{name}: {}", text(&again));

    ctrl_c_ends_shrinking(&plan);
    let shrunk = bankstorm(&["shrink", "--live=off"]).arg(&plan).output().expect("the binary starts");
    assert_eq!(code(&shrunk), 0, "{}", text(&shrunk));
    let small = plan.with_extension("small.json");
    let read =
        |path: &Path| bankstorm_simulator::plan::read(&std::fs::read_to_string(path).expect("a file")).expect("a plan");
    let (before, after) = (read(&plan), read(&small));
    assert!(after.operations.len() < before.operations.len() / 4, "{}", text(&shrunk));
    let small_again = bankstorm(&["replay", "--quiet"]).arg(&small).output().expect("the binary starts");
    assert_eq!(code(&small_again), 6, "{}", text(&small_again));
    assert!(text(&small_again).contains(&name), "{name}: {}", text(&small_again));

    let holds =
        bankstorm(&["shrink", "0", "--live=off"]).current_dir(folder.path()).output().expect("the binary starts");
    assert_eq!(code(&holds), 2, "nothing to shrink: {}", text(&holds));
}

/// The smallest plan until then is kept. The same operations twenty times over make a search that lasts seconds.
fn ctrl_c_ends_shrinking(plan: &Path) {
    let text = std::fs::read_to_string(plan).expect("a file");
    let mut large = bankstorm_simulator::plan::read(&text).expect("a plan");
    let once = large.operations.clone();
    let numbers = once.iter().map(|operation| operation.op).max().expect("an operation") + 1;
    for round in 1..20 {
        large.operations.extend(once.iter().cloned().map(|mut operation| {
            operation.op += round * numbers;
            operation
        }));
    }
    let plan = &plan.with_extension("large.json");
    std::fs::write(plan, bankstorm_simulator::plan::write(&large)).expect("a file");
    let out = plan.with_extension("interrupted.json");
    let mut command = bankstorm(&["shrink", "--live=plain", "--out"]);
    let mut child =
        command.arg(&out).arg(plan).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the binary starts");
    let mut told = BufReader::new(child.stderr.take().expect("its standard error")).lines();
    let begun = told.find(|line| line.as_ref().is_ok_and(|line| line.contains(" runs")));
    assert!(begun.is_some(), "it tells how far it is");
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), Signal::SIGINT).expect("our child");
    told.for_each(drop);
    assert_eq!(child.wait().expect("our child").code(), Some(4));
    let plan = std::fs::read_to_string(&out).expect("the smallest plan so far");
    bankstorm_simulator::plan::read(&plan).expect("a plan");
}

fn a_protection_that_is_off_is_seen_missing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // What an earlier call left, and what is none of its plans.
    for file in ["ablate.json", "p7-none-bare.json", "p7-none-bare.small.json"] {
        std::fs::write(folder.path().join(file), "").expect("a file");
    }
    let asked = ["ablate", "--only=P3,P31", "--seeds=0..50", "--hits=2", "--live=off"];
    let ended = bankstorm(&asked).arg("--out").arg(folder.path()).output().expect("the binary starts");
    let told = text(&ended);
    assert_eq!(code(&ended), 0, "{told}");
    for said in
        ["P3 id_alone", "O7 param-drift", "P31 two", "O8 released-early", "each protection was seen missing", "4 rows"]
    {
        assert!(told.contains(said), "{said}: {told}");
    }
    let document = ablation(folder.path());
    assert_eq!((document.verdict, document.exit_code), (AblateVerdict::Shown, 0), "{told}");
    assert_eq!((document.seeds.from, document.seeds.to, document.hits), (0, 50, 2));
    assert_eq!(document.only, ["P3", "P31"]);
    says_what_was_printed(&document, &told);
    for row in &document.rows {
        let first = row.first.as_ref().expect("a seed that counts");
        assert!(folder.path().join(&first.plan).is_file(), "{}", first.plan);
        let seen = (&first.violated.check, &first.violated.name);
        assert!(row.expects.iter().any(|expected| (&expected.check, &expected.name) == seen), "{row:#?}");
        assert!(row.found.iter().any(|found| (&found.check, &found.name) == seen && found.seeds >= 2), "{row:#?}");
    }
    assert!(folder.path().join("machine.json").is_file());
    assert!(!folder.path().join("p7-none-bare.json").exists(), "the earlier call's plan is gone");
    assert!(folder.path().join("p7-none-bare.small.json").exists(), "what it did not write stays");
    is_published(folder.path(), &document);
    for (file, said) in [("p3-id_alone-repaired.json", "O7 param-drift"), ("p31-two-bare.json", "O8 released-early")] {
        let plan = folder.path().join(file);
        let again = bankstorm(&["replay", "--quiet"]).arg(&plan).output().expect("the binary starts");
        assert_eq!(code(&again), 6, "{}", text(&again));
        assert!(text(&again).contains(said), "{said}: {}", text(&again));
        // The same plan with the protection holds.
        let mut safe =
            bankstorm_simulator::plan::read(&std::fs::read_to_string(&plan).expect("a file")).expect("a plan");
        safe.topology.protections = bankstorm_simulator::plan::Protections::default();
        let safe_plan = plan.with_extension("safe.json");
        std::fs::write(&safe_plan, bankstorm_simulator::plan::write(&safe)).expect("a file");
        let holds = bankstorm(&["replay", "--quiet"]).arg(&safe_plan).output().expect("the binary starts");
        assert_eq!(code(&holds), 0, "{}", text(&holds));
    }
    let unknown = output(&["ablate", "--only=P27"]);
    assert_eq!(code(&unknown), 2, "{}", text(&unknown));
    assert!(text(&unknown).contains("accepted are P1, P2"), "{}", text(&unknown));
}

/// Each line of the table has its row in the document, in the same order and with the same figures.
fn says_what_was_printed(document: &AblateJson, told: &str) {
    let table = told.lines().skip_while(|line| !line.starts_with("protection, arm")).skip(1);
    let lines: Vec<&str> = table.take_while(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), document.rows.len(), "{told}");
    for (line, row) in lines.into_iter().zip(&document.rows) {
        assert_eq!(row.verdict, RowVerdict::Shown, "{line}");
        let first = row.first.as_ref().expect("a seed that counts");
        let repair = if row.repair == Repair::Repaired { "repaired" } else { "bare" };
        let (check, name) = (&first.violated.check, &first.violated.name);
        let (protection, arm, seed) = (&row.protection, &row.arm, first.seed);
        let expected = format!("{protection} {arm} {repair} {check} {name} {seed} {} {}", row.tried, row.hits);
        let words: Vec<&str> = line.split_whitespace().take(8).collect();
        assert_eq!(words.join(" "), expected, "{line}");
    }
}

/// The folder as it is becomes a published one, with its figures.
fn is_published(folder: &Path, document: &AblateJson) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let readme = home.path().join("README.md");
    std::fs::write(&readme, "<!-- figures: begin -->\n<!-- figures: end -->\n").expect("a README");
    let into = home.path().join("results");
    let mut command = bankstorm(&["publish"]);
    let ended = command.arg(folder).arg("--into").arg(&into).arg("--readme").arg(&readme).output();
    let ended = ended.expect("the binary starts");
    assert_eq!(code(&ended), 0, "{}", text(&ended));
    let index = std::fs::read_to_string(into.join("index.ndjson")).expect("an index");
    let line: IndexLine = serde_json::from_str(index.trim_end()).expect("a line");
    assert_eq!((line.kind.as_str(), &line.commit), ("ablate", &document.bankstorm.commit));
    let rows = document.rows.len() as f64;
    let expected = [("rows", rows), ("rows.shown", rows), ("rows.not_shown", 0.0), ("hits.least", 2.0)];
    let figures: Vec<_> = line.figures.iter().map(|figure| (figure.name.as_str(), figure.value)).collect();
    assert_eq!(figures, expected);
}

/// So many hits that no row ends by itself.
fn ctrl_c_ends_an_ablation() {
    let asked = ["ablate", "--only=P3", "--seeds=0..1000000", "--hits=1000000", "--live=plain"];
    let mut run = Running::start(&asked);
    let before = run.log_until("taking protections off", Duration::from_secs(60));
    kill(Pid::from_raw(i32::try_from(run.child.id()).expect("a process id")), Signal::SIGINT).expect("our child");
    let code = run.end_within(Duration::from_secs(10));
    assert_eq!(code, 4, "{before}\n{}", run.log());
    let document = ablation(run.home());
    assert_eq!((document.verdict, document.exit_code), (AblateVerdict::Interrupted, 4));
    assert_eq!(document.rows.len(), 2, "{document:#?}");
    for row in &document.rows {
        assert_eq!(row.verdict, RowVerdict::CutShort, "{row:#?}");
        assert!(row.tried < 1_000_000 && row.hits <= row.tried, "{row:#?}");
    }
    assert!(run.home().join("machine.json").is_file());
    assert!(run.log().contains("INTERRUPTED"), "{}", run.log());
}

fn a_mistake_in_a_plan_is_exit_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = bankstorm_simulator::plan::write(&bankstorm_simulator::draw::draw(1));
    let path = folder.path().join("plan.json");
    for (from, to, said) in [
        ("\"schema\": 1", "\"schema\": 9", "schema is 9; accepted: 1"),
        ("\"accounts\":", "\"acounts\":", "topology: unknown field `acounts`"),
        ("\"patience_ms\":", "\"patience\":", "operations["),
        ("\"op\":0,", "\"op\":-1,", "operations[0]: "),
        ("\"seed\": 1,", "\"seed\": 1", "line 4"),
    ] {
        assert!(plan.contains(from), "{from}");
        std::fs::write(&path, plan.replacen(from, to, 1)).expect("a file");
        for command in ["replay", "shrink"] {
            let ended = bankstorm(&[command]).arg(&path).output().expect("the binary starts");
            let told = text(&ended);
            assert_eq!(code(&ended), 2, "{to}: {told}");
            assert!(told.contains("plan.json: ") && told.contains(said), "{said}: {told}");
        }
    }
}
