//! What a reader of a stored run relies on: documents survive a round trip, and changed files are named.

use std::collections::BTreeMap;

use super::{OPERATIONS, hex, read_run_json, sha256_file, sha256_text, verify_evidence, write_run_json};
use crate::clock::Origin;
use crate::folder::RunFolder;
use crate::run_json::{
    Build, Digests, EvidenceFile, FaultRecord, GuaranteeVerdict, Guarantees, Latency, RecoveryRecord, RunJson, SCHEMA,
    Slo, SloVerdict, SystemFacts, Validity, ValidityVerdict,
};

fn run() -> RunJson {
    RunJson {
        schema: SCHEMA,
        run_id: "smoke-1".to_owned(),
        scenario: "smoke".to_owned(),
        seed: 42,
        environment: "local".to_owned(),
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        ended_at: None,
        exit_code: None,
        bankstorm: Build::default(),
        r#unsafe: Vec::new(),
        links: BTreeMap::new(),
        origin: Origin { monotonic_ns: 5, wall_us: 7 },
        digests: Digests::default(),
        phases: Vec::new(),
        evidence: BTreeMap::new(),
        validity: Validity { verdict: ValidityVerdict::Valid, reasons: Vec::new() },
        guarantees: Guarantees { verdict: GuaranteeVerdict::Unknown, checks: Vec::new() },
        slo: Slo { verdict: SloVerdict::Unmeasured, objectives: Vec::new() },
        load: BTreeMap::new(),
        latency_us: BTreeMap::new(),
        latency_during_us: BTreeMap::new(),
        faults: Vec::new(),
        markers: BTreeMap::new(),
        recovery: Vec::new(),
        posting: Vec::new(),
        overload: None,
        spared: None,
        depth: None,
        drain: None,
        arms: Vec::new(),
        system: SystemFacts::default(),
    }
}

fn folder() -> (tempfile::TempDir, RunFolder) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = RunFolder::new(root.path());
    std::fs::create_dir_all(folder.evidence()).expect("the evidence folder");
    (root, folder)
}

#[test]
fn run_json_survives_a_round_trip_and_leaves_no_temporary_file() {
    let (root, folder) = folder();
    write_run_json(&folder, &run()).expect("written");
    write_run_json(&folder, &run()).expect("written again");
    let read = read_run_json(&folder).expect("read");
    assert_eq!(serde_json::to_value(&read).expect("JSON"), serde_json::to_value(run()).expect("JSON"));
    let parts = std::fs::read_dir(root.path())
        .expect("listed")
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".part")));
    assert_eq!(parts.count(), 0);
}

#[test]
fn a_document_of_a_run_without_faults_reads_and_looks_as_before_there_were_any() {
    let document = serde_json::to_value(run()).expect("JSON");
    assert_eq!(document.get("latency_during_us"), None);
    // As a run of an earlier build stored it.
    let fault = r#"{"id": "u1", "kind": "node.exit", "place": "core", "planned": false, "fired": true, "witnessed": null,
        "started_ms": 1, "healed_ms": null}"#;
    let fault: FaultRecord = serde_json::from_str(fault).expect("read");
    assert_eq!((fault.heal_witnessed, fault.problem), (None, None));
    let recovery = r#"{"fault": "u1", "first_ok_ms": 1, "rate_90_ms": null, "lag_normal_ms": null}"#;
    assert_eq!(serde_json::from_str::<RecoveryRecord>(recovery).expect("read").baseline_ms, 0);
}

#[test]
fn what_faults_did_survives_a_round_trip() {
    let (_root, folder) = folder();
    let figures = [("deposit".to_owned(), [("response".to_owned(), Latency::default())].into())];
    let run = RunJson {
        latency_during_us: [("fault".to_owned(), figures.into())].into(),
        recovery: vec![RecoveryRecord { fault: "fault-0".to_owned(), first_ok_ms: Some(7), ..Default::default() }],
        ..run()
    };
    write_run_json(&folder, &run).expect("written");
    let read = read_run_json(&folder).expect("read");
    assert_eq!((read.recovery, read.latency_during_us), (run.recovery, run.latency_during_us));
}

#[test]
fn a_bank_has_recovered_once_the_last_of_the_three_was_reached() {
    let whole =
        RecoveryRecord { first_ok_ms: Some(5), rate_90_ms: Some(900), lag_normal_ms: Some(300), ..Default::default() };
    assert_eq!(whole.recovered_ms(), Some(900));
    assert_eq!(RecoveryRecord { lag_normal_ms: None, ..whole }.recovered_ms(), None);
}

#[test]
fn a_document_of_another_schema_or_half_of_one_is_refused_by_name() {
    let (_root, folder) = folder();
    let other = RunJson { schema: SCHEMA + 1, ..run() };
    write_run_json(&folder, &other).expect("written");
    let error = read_run_json(&folder).expect_err("another schema").to_string();
    assert!(error.contains("run.json") && error.contains("this build reads schema 1"), "{error}");
    std::fs::write(folder.run_json(), "{\"schema\": 1, ").expect("half of one");
    assert!(read_run_json(&folder).is_err());
}

#[test]
fn hashes_are_those_of_sha256() {
    let (root, _folder) = folder();
    let path = root.path().join("abc");
    std::fs::write(&path, "abc").expect("written");
    let hash = sha256_file(&path).expect("hashed");
    assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(sha256_text("abc"), hash);
    assert_eq!(hex(&[0, 15, 255]), "000fff");
}

#[test]
fn evidence_that_is_changed_missing_or_unknown_is_named() {
    let (_root, folder) = folder();
    let mut run = run();
    for name in [OPERATIONS, "core_entry", "visible"] {
        let path = super::evidence_path(&folder, name);
        std::fs::write(&path, name).expect("written");
        let sha256 = sha256_file(&path).expect("hashed");
        run.evidence.insert(name.to_owned(), EvidenceFile { rows: 1, sha256 });
    }
    assert_eq!(verify_evidence(&folder, &run), Vec::<String>::new());
    std::fs::write(folder.operations(), "changed").expect("changed");
    std::fs::remove_file(folder.evidence_file("visible")).expect("removed");
    std::fs::write(folder.evidence_file("page"), "new").expect("added");
    let problems = verify_evidence(&folder, &run);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("evidence file operations has SHA-256 "), "{problems:?}");
    assert!(problems[1].starts_with("evidence file visible cannot be read: "), "{problems:?}");
    assert_eq!(problems[2], "evidence file page is not listed in run.json");
}
