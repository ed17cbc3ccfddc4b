//! Ctrl-C in the middle of a run: what happened is reported as inconclusive, and everything is gone within ten seconds.

use std::time::Duration;

use bankstorm_record::run_json::{GuaranteeVerdict, ValidityVerdict};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Case, LONG, Running, descendants, run_folders, survivors};

pub(crate) fn cases() -> Vec<Case> {
    vec![("ctrl_c_is_inconclusive_and_leaves_nothing", ctrl_c_is_inconclusive_and_leaves_nothing)]
}

fn ctrl_c_is_inconclusive_and_leaves_nothing() {
    let folders = run_folders();
    let mut run = Running::start(&LONG);
    run.under_load();
    let pid = i32::try_from(run.child.id()).expect("a process id");
    let family = descendants(pid);
    assert!(family.len() >= 6, "databases, broker and services run below the harness: {family:?}");
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("our child");
    let code = run.end_within(Duration::from_secs(10));
    assert_eq!(code, 4, "{}", run.log());
    let json = run.json();
    assert_eq!(json.validity.verdict, ValidityVerdict::Inconclusive, "{:?}", json.validity);
    assert_ne!(json.guarantees.verdict, GuaranteeVerdict::Violated, "{:?}", json.guarantees);
    let load = json.load["deposit"];
    assert!(load.ok > 0 && load.missed > 0, "some were done, the rest was missed and counted: {load:?}");
    assert_eq!(load.planned, load.ok + load.rejected + load.failed + load.unknown + load.missed, "{load:?}");
    assert!(run.folder().report_html().is_file());
    assert_eq!(survivors(&family), vec![], "no process is left");
    assert_eq!(run_folders(), folders, "no folder is left");
}
