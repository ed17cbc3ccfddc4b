//! Processes that are killed: the harness itself, a channel, a database.

use std::time::Duration;

use bankstorm_record::clock::monotonic_ns;
use bankstorm_record::run_json::{GuaranteeVerdict, RunJson};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Case, LONG, Process, Running, descendants, pause, run_folders, survivors};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("kill_9_of_the_harness_leaves_nothing", kill_9_of_the_harness_leaves_nothing),
        ("a_killed_channel_is_an_unplanned_fault_and_guarantees_hold", a_killed_channel_is_an_unplanned_fault),
        ("a_killed_database_is_an_environment_lost_with_evidence_kept", a_killed_database_is_an_environment_lost),
    ]
}

fn strike(process: &Process) {
    kill(Pid::from_raw(process.pid), Signal::SIGKILL).expect("a live process");
}

fn below(run: &Running, part: &str) -> Process {
    let family = descendants(i32::try_from(run.child.id()).expect("a process id"));
    let found = family.iter().find(|process| process.command.contains(part));
    found.unwrap_or_else(|| panic!("no {part} among {family:#?}")).clone()
}

fn kill_9_of_the_harness_leaves_nothing() {
    let folders = run_folders();
    let mut run = Running::start(&LONG);
    run.under_load();
    let family = descendants(i32::try_from(run.child.id()).expect("a process id"));
    assert!(family.len() >= 6, "{family:?}");
    run.child.kill().expect("our child");
    let end = monotonic_ns() + 5_000_000_000;
    while !survivors(&family).is_empty() && monotonic_ns() < end {
        pause();
    }
    assert_eq!(survivors(&family), vec![], "gone within five seconds");
    assert_eq!(run_folders(), folders, "its folder is gone");
}

fn a_killed_channel_is_an_unplanned_fault() {
    let mut run = Running::start(&LONG);
    run.under_load();
    strike(&below(&run, "--instance=channel-1"));
    let code = run.end_within(Duration::from_secs(60));
    let json = run.json();
    assert_eq!(json.guarantees.verdict, GuaranteeVerdict::Holds, "{}", run.log());
    // 4 only where the machine, not the bank, was too slow for a verdict: tests assert nothing about speed.
    assert!([0, 4, 5].contains(&code), "exit {code}: {}", run.log());
    let load = json.load["deposit"];
    assert_eq!((load.planned, load.ok), (4_500, 4_500), "deposits went on: {}", run.log());
    assert_eq!(json.latency_us["deposit"]["visible"].count, 4_500, "every deposit has a visible time");
    let fault = unplanned(&json, "channel-1");
    assert!(fault, "{:?}", json.faults);
}

fn unplanned(json: &RunJson, place: &str) -> bool {
    json.faults.iter().any(|fault| fault.place == place && !fault.planned && fault.witnessed.is_some())
}

fn a_killed_database_is_an_environment_lost() {
    let folders = run_folders();
    let mut run = Running::start(&LONG);
    run.under_load();
    let family = descendants(i32::try_from(run.child.id()).expect("a process id"));
    let postmasters: Vec<&Process> = family.iter().filter(|process| process.command.contains("/postgres ")).collect();
    let core = postmasters.iter().find(|process| process.command.contains("core")).expect("core's database");
    strike(core);
    let code = run.end_within(Duration::from_secs(40));
    assert_eq!(code, 3, "{}", run.log());
    assert!(run.log().contains("postgres-core"), "what was lost is named: {}", run.log());
    assert!(run.folder().operations().is_file(), "what happened is kept");
    assert!(unplanned(&run.json(), "postgres-core"), "{:?}", run.json().faults);
    assert_eq!(survivors(&family), vec![], "no process is left");
    assert_eq!(run_folders(), folders, "no folder is left");
}
