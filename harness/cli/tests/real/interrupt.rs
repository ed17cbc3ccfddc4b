//! Ctrl-C in the middle of a run: what happened is reported as inconclusive, and everything is gone within ten seconds.

use std::time::Duration;

use bankstorm_record::folder::RunFolder;
use bankstorm_record::marks::read_faults;
use bankstorm_record::run_json::{GuaranteeVerdict, ValidityVerdict};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::faults::{fault, scenario};
use crate::support::{Case, LONG, Running, descendants, run_folder, survivors};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("ctrl_c_is_inconclusive_and_leaves_nothing", ctrl_c_is_inconclusive_and_leaves_nothing),
        ("ctrl_c_with_faults_in_force_heals_them_and_keeps_evidence", ctrl_c_with_faults_in_force_keeps_evidence),
    ]
}

fn ctrl_c_is_inconclusive_and_leaves_nothing() {
    let mut run = Running::start(&LONG);
    run.under_load();
    let pid = i32::try_from(run.child.id()).expect("a process id");
    let family = descendants(pid);
    assert!(family.len() >= 6, "databases, broker and services run below the harness: {family:?}");
    let folder = run_folder(&family);
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("our child");
    let code = run.end_within(Duration::from_secs(10));
    assert_eq!(code, 4, "{}", run.log());
    let json = run.json();
    assert_eq!(json.validity.verdict, ValidityVerdict::Inconclusive, "{:?}", json.validity);
    assert_ne!(json.guarantees.verdict, GuaranteeVerdict::Violated, "{:?}", json.guarantees);
    let load = json.load["deposit"];
    assert!(load.ok > 0 && load.missed > 0, "some were done, the rest was missed and counted: {load:?}");
    assert_eq!(load.planned, 4_500, "what was never due is counted too");
    let visible = &json.latency_us["deposit"]["visible"];
    assert!(visible.count < 4_500 && visible.p50 > 0, "what was never due has no latency: {visible:?}");
    assert!(run.folder().report_html().is_file());
    assert_eq!(survivors(&family), vec![], "no process is left");
    assert!(!folder.exists(), "{} is left", folder.display());
}

fn ctrl_c_with_faults_in_force_keeps_evidence() {
    let home = tempfile::tempdir().expect("a temporary folder");
    // Neither ends before the run does.
    let faults = fault("node.pause", "postgres-channel", "at = \"1s\"\nlasts = \"13s\"")
        + &fault("node.kill", "core", "at = \"2s\"\nlasts = \"12s\"");
    let file = scenario(home.path(), "faults", "15s", &faults);
    let mut run = Running::start(&["run", &file, "--live=plain"]);
    run.wait_for("both witnesses", Duration::from_secs(90), |home| {
        let run = std::fs::read_dir(home).ok()?.next()?;
        let marks = read_faults(&RunFolder::new(run.ok()?.path())).ok()?;
        let proved = |id: &str| marks.iter().any(|mark| mark.id == id && mark.witnessed.is_some());
        (proved("fault-0") && proved("fault-1")).then_some(())
    });
    let pid = i32::try_from(run.child.id()).expect("a process id");
    let family = descendants(pid);
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("our child");
    let code = run.end_within(Duration::from_secs(12));
    assert_eq!(code, 4, "{}", run.log());
    let json = run.json();
    assert_ne!(json.guarantees.verdict, GuaranteeVerdict::Violated, "{:?}", json.guarantees);
    for fault in &json.faults {
        assert!(fault.healed_ms.is_some(), "healed before the evidence was read: {fault:?}\n{}", run.log());
    }
    assert!(json.evidence.contains_key("core_entry"), "{:?}\n{}", json.evidence, run.log());
    assert_eq!(survivors(&family), vec![], "no process is left");
}
