//! A protection that is off on real processes: the check that watches it sees the damage, and everything tells that it was off; with it
//! the same customers do none. Both are one run: the scenario as it stands, and an arm of it.
//!
//! In: impatient customers, and a core that stands still for longer than a channel waits for it. Out: verdicts. Elsewhere: each protection
//! off in simulated banks (`ablate`), weaker arms that are refused (`usage`).

use std::time::Duration;

use bankstorm_record::folder::RunFolder;
use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict, RunJson};
use bankstorm_record::save::read_run_json;

use crate::faults::fault;
use crate::support::{Case, Running, bankstorm, code, text};

pub(crate) fn cases() -> Vec<Case> {
    vec![("p7_an_arm_without_the_guard_takes_one_intent_twice_beside_a_run_that_does_not", p7_beside)]
}

/// Nearly everybody clicks twice within a tenth of a second, and for a second nobody learns what became of the first click.
fn double_click() -> (Running, i32) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let text = format!(
        "name = \"guard\"\nseed = 7\n\
         [phases]\nwarm_up = \"1s\"\nmeasure = \"4s\"\n\
         [system]\ncall_timeout = \"300ms\"\nvalidity = \"500ms\"\n\
         [accounts]\ncount = 400\nusers = 200\nopening_balance = 100000000000\n\
         [[load]]\nop = \"transfer\"\nrate = \"60/s\"\ntimeout = \"30s\"\ndouble_click = \"90%\"\n{}\n\
         [[arm]]\nname = \"unguarded\"\nexpect = \"violated\"\n\
         [arm.set]\n\"system.protections.allow_unsafe\" = true\n\"system.protections.guard\" = \"none\"\n",
        fault("node.pause", "core", "at = \"1s\"\nlasts = \"1s\"")
    );
    let file = home.path().join("guard.toml");
    std::fs::write(&file, text).expect("a scenario");
    let mut run = Running::start(&["run", &file.display().to_string(), "--live=plain"]);
    let code = run.end_within(Duration::from_secs(240));
    (run, code)
}

/// Calls timed out, and everything came to an end all the same.
fn clicked(json: &RunJson, log: &str) {
    assert!(json.faults.iter().all(|fault| fault.witnessed.is_some()), "{:#?}\n{log}", json.faults);
    let load = json.load["transfer"];
    assert!(load.unknown > 0, "calls of the channels timed out: {load:?}\n{log}");
    assert_eq!(load.unresolved, 0, "and all of them came to an end: {load:?}\n{log}");
}

fn violated(json: &RunJson) -> Vec<&CheckResult> {
    json.guarantees.checks.iter().filter(|check| check.verdict == GuaranteeVerdict::Violated).collect()
}

fn p7_beside() {
    let (run, ended) = double_click();
    let (json, log) = (run.json(), run.log());
    clicked(&json, &log);
    assert_eq!(json.guarantees.verdict, GuaranteeVerdict::Holds, "{:#?}\n{log}", violated(&json));
    assert!(json.load["transfer"].rejected > 0, "second clicks were turned away: {log}");
    assert!(json.r#unsafe.is_empty(), "nothing was off: {:?}", json.r#unsafe);
    // An arm that shows what it is there for adds nothing. 4 only where the machine, not the bank, was too slow for a verdict: tests assert
    // nothing about speed.
    assert!([0, 4].contains(&ended), "exit {ended}: {log}");
    assert_eq!(json.exit_code, Some(ended), "{log}");
    let [arm] = &json.arms[..] else { panic!("one arm: {:?}\n{log}", json.arms) };
    assert_eq!((&*arm.name, &*arm.expect, arm.exit_code, arm.shown), ("unguarded", "violated", Some(6), true), "{log}");
    let folder = RunFolder::new(run.folder().root().join(&arm.folder));
    p7_off(&folder, &log);

    assert!(log.contains("side by side") && log.contains("violated, shown"), "the table is printed: {log}");
    for report in [run.folder().report_html(), run.folder().report_md()] {
        let text = std::fs::read_to_string(&report).expect("a report");
        assert!(text.contains("Side by side") && text.contains("unguarded"), "{}", report.display());
    }
    let again = bankstorm(&["check"]).arg(run.folder().root()).output().expect("the binary starts");
    assert_eq!(code(&again), ended, "{}", text(&again));
    assert!(text(&again).contains("arm unguarded: expected violated, shown"), "{}", text(&again));
}

/// The arm's own run, in its own folder.
fn p7_off(folder: &RunFolder, log: &str) {
    let json = read_run_json(folder).unwrap_or_else(|error| panic!("run.json of the arm: {error}\n{log}"));
    clicked(&json, log);
    let [seen] = violated(&json)[..] else { panic!("one check sees it: {:#?}\n{log}", violated(&json)) };
    let first = seen.first.as_deref().unwrap_or_default();
    assert!(seen.id == "O1" && first.starts_with("dup-intent: "), "{seen:#?}\n{log}");
    assert!(log.contains("dup-intent"), "the summary names it: {log}");

    let off = "P7 guard = none";
    assert_eq!(json.r#unsafe, [off]);
    assert!(log.contains(&format!("protections switched off: {off}")), "said before anything starts: {log}");
    for report in [folder.report_html(), folder.report_md()] {
        let text = std::fs::read_to_string(&report).expect("a report");
        assert!(text.contains(off), "{} tells what was off", report.display());
    }
    for channel in ["channel-0.log", "channel-1.log"] {
        let text = std::fs::read_to_string(folder.logs().join(channel)).expect("a log");
        assert!(text.contains("a protection is off"), "{channel}: {text}");
    }
}
