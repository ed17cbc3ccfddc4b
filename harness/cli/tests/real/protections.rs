//! A protection that is off on real processes: the check that watches it sees the damage, and everything tells that it was off; with it
//! the same customers do none.
//!
//! In: impatient customers, and a core that stands still for longer than a channel waits for it. Out: verdicts. Elsewhere: each protection
//! off in simulated banks (`ablate`), weaker arms that are refused (`usage`).

use std::time::Duration;

use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict, RunJson};

use crate::faults::fault;
use crate::support::{Case, Running};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("p7_without_its_guard_a_bank_takes_one_intent_twice_and_everything_tells_it", p7_off),
        ("p7_behind_the_guard_the_same_customers_have_one_transfer_each_on_its_way", p7_on),
    ]
}

/// Nearly everybody clicks twice within a tenth of a second, and for a second nobody learns what became of the first click.
fn double_click(protections: &str) -> (Running, i32) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let text = format!(
        "name = \"guard\"\nseed = 7\n\
         [phases]\nwarm_up = \"1s\"\nmeasure = \"4s\"\n\
         [system]\ncall_timeout = \"300ms\"\nvalidity = \"500ms\"\n\
         [system.protections]\n{protections}\n\
         [accounts]\ncount = 400\nusers = 200\nopening_balance = 100000000000\n\
         [[load]]\nop = \"transfer\"\nrate = \"60/s\"\ntimeout = \"30s\"\ndouble_click = \"90%\"\n{}",
        fault("node.pause", "core", "at = \"1s\"\nlasts = \"1s\"")
    );
    let file = home.path().join("guard.toml");
    std::fs::write(&file, text).expect("a scenario");
    let mut run = Running::start(&["run", &file.display().to_string(), "--live=plain"]);
    let code = run.end_within(Duration::from_secs(120));
    let json = run.json();
    assert!(json.faults.iter().all(|fault| fault.witnessed.is_some()), "{:#?}\n{}", json.faults, run.log());
    let load = json.load["transfer"];
    assert!(load.unknown > 0, "calls of the channels timed out: {load:?}\n{}", run.log());
    assert_eq!(load.unresolved, 0, "and all of them came to an end: {load:?}\n{}", run.log());
    (run, code)
}

fn violated(json: &RunJson) -> Vec<&CheckResult> {
    json.guarantees.checks.iter().filter(|check| check.verdict == GuaranteeVerdict::Violated).collect()
}

fn p7_off() {
    let (run, code) = double_click("allow_unsafe = true\nguard = \"none\"");
    let (json, log) = (run.json(), run.log());
    assert_eq!(code, 6, "{log}");
    let [seen] = violated(&json)[..] else { panic!("one check sees it: {:#?}\n{log}", violated(&json)) };
    let first = seen.first.as_deref().unwrap_or_default();
    assert!(seen.id == "O1" && first.starts_with("dup-intent: "), "{seen:#?}\n{log}");
    assert!(log.contains("dup-intent"), "the summary names it: {log}");

    let off = "P7 guard = none";
    assert_eq!(json.r#unsafe, [off]);
    assert!(log.contains(&format!("protections switched off: {off}")), "said before anything starts: {log}");
    let folder = run.folder();
    for report in [folder.report_html(), folder.report_md()] {
        let text = std::fs::read_to_string(&report).expect("a report");
        assert!(text.contains(off), "{} tells what was off", report.display());
    }
    for channel in ["channel-0.log", "channel-1.log"] {
        let text = std::fs::read_to_string(folder.logs().join(channel)).expect("a log");
        assert!(text.contains("a protection is off"), "{channel}: {text}");
    }
}

fn p7_on() {
    let (run, code) = double_click("allow_unsafe = true\nguard = \"index\"");
    let (json, log) = (run.json(), run.log());
    assert_eq!(json.guarantees.verdict, GuaranteeVerdict::Holds, "{:#?}\n{log}", violated(&json));
    // 4 only where the machine, not the bank, was too slow for a verdict: tests assert nothing about speed.
    assert!([0, 4].contains(&code), "exit {code}: {log}");
    assert!(json.load["transfer"].rejected > 0, "second clicks were turned away: {log}");
    assert!(json.r#unsafe.is_empty(), "allowed, but nothing was off: {:?}", json.r#unsafe);
    let report = std::fs::read_to_string(run.folder().report_md()).expect("a report");
    assert!(!report.contains("switched off") && !log.contains("switched off"), "nothing to tell: {log}");
}
