//! Processes that are killed: the harness itself, a channel, a database.

use std::time::Duration;

use bankstorm_record::clock::monotonic_ns;
use bankstorm_record::parquet::read_rows;
use bankstorm_record::rows::OperationRow;
use bankstorm_record::run_json::{GuaranteeVerdict, RunJson};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Case, LONG, Process, Running, descendants, pause, run_folder, survivors};

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

/// A link that goes through a proxy, with a rule in force.
const LATE: &str = "--set=fault=[{kind=\"net.delay\",place=\"harness->core\",delay=\"1ms\",at=\"1s\"}]";

fn kill_9_of_the_harness_leaves_nothing() {
    let mut run = Running::start(&[&LONG[..], &[LATE]].concat());
    run.under_load();
    let family = descendants(i32::try_from(run.child.id()).expect("a process id"));
    assert!(family.len() >= 6, "{family:?}");
    assert!(family.iter().any(|process| process.command.contains(" proxy --listen")), "{family:?}");
    let folder = run_folder(&family);
    run.child.kill().expect("our child");
    let end = monotonic_ns() + 5_000_000_000;
    while !survivors(&family).is_empty() && monotonic_ns() < end {
        pause();
    }
    assert_eq!(survivors(&family), vec![], "gone within five seconds");
    // The reaper removes it last.
    while folder.exists() && monotonic_ns() < end {
        pause();
    }
    assert!(!folder.exists(), "its folder is gone: {}", folder.display());
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
    let rows = read_rows::<OperationRow>(run.folder().operations()).expect("operations");
    let unseen: Vec<OperationRow> =
        rows.map(|row| row.expect("a row")).filter(|row| row.visible_ns.is_none()).collect();
    assert_eq!(unseen, vec![], "every deposit has a visible time");
    assert!(unplanned(&json, "channel-1"), "{:?}", json.faults);
    let blamed = json.validity.reasons.iter().any(|reason| reason.contains("tell of a panic or"));
    assert!(!blamed, "a killed client is no fault of a log: {:?}", json.validity.reasons);
}

fn unplanned(json: &RunJson, place: &str) -> bool {
    json.faults.iter().any(|fault| fault.place == place && !fault.planned && fault.witnessed.is_some())
}

fn a_killed_database_is_an_environment_lost() {
    let mut run = Running::start(&LONG);
    run.under_load();
    let family = descendants(i32::try_from(run.child.id()).expect("a process id"));
    let folder = run_folder(&family);
    let postmasters: Vec<&Process> = family.iter().filter(|process| process.command.contains("/postgres ")).collect();
    let core = postmasters.iter().find(|process| process.command.contains("core")).expect("core's database");
    strike(core);
    let code = run.end_within(Duration::from_secs(40));
    assert_eq!(code, 3, "{}", run.log());
    assert!(run.log().contains("postgres-core"), "what was lost is named: {}", run.log());
    assert!(run.folder().operations().is_file(), "what happened is kept");
    assert!(unplanned(&run.json(), "postgres-core"), "{:?}", run.json().faults);
    assert_eq!(survivors(&family), vec![], "no process is left");
    assert!(!folder.exists(), "{} is left", folder.display());
}
