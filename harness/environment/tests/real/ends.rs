//! How a run may end without being asked to: nothing is left in any case.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use bankstorm_environment::{Signal, orphans};
use libtest_mimic::Failed;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::roles::HARNESS;
use super::support::{alive_in, assert_dead, assert_gone, databases, on_runtime, start};

/// A small harness with everything up: it, its folder, and the process ids by name.
fn small_harness() -> Result<(Child, PathBuf, BTreeMap<String, i32>), Failed> {
    let mut harness = Command::new(std::env::current_exe()?).arg(HARNESS).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(harness.stdout.take().expect("piped")).lines();
    let folder = PathBuf::from(lines.next().expect("a line before the end")?);
    let mut pids = BTreeMap::new();
    for line in lines.map_while(Result::ok).take_while(|line| line != "up") {
        let (name, pid) = line.split_once(' ').expect("name and id");
        pids.insert(name.to_owned(), pid.parse()?);
    }
    assert_eq!(pids.keys().collect::<Vec<_>>(), ["kafka", "postgres-core", "service"]);
    assert!(alive_in(&folder).len() > 3, "PostgreSQL's own children are there too");
    Ok((harness, folder, pids))
}

fn parent_of(pid: i32) -> Pid {
    Pid::from_raw(procfs::process::Process::new(pid).expect("alive").stat().expect("stat").ppid)
}

pub(crate) fn killed_harness() -> Result<(), Failed> {
    let (mut harness, folder, _) = small_harness()?;
    harness.kill()?;
    harness.wait()?;
    on_runtime(async { assert_gone(&folder).await })
}

pub(crate) fn killed_whole() -> Result<(), Failed> {
    let (mut harness, folder, pids) = small_harness()?;
    let reaper = parent_of(pids["kafka"]);
    kill(reaper, Signal::SIGKILL)?;
    harness.kill()?;
    harness.wait()?;
    // A signal is on its way when `kill` returns: a reaper that still lives would rightly be left alone.
    on_runtime(async { assert_dead(reaper.as_raw()).await })?;
    // A start of another test may be faster with it; then there is nothing left to do for this call.
    let cleaned = orphans::clean();
    assert_eq!(cleaned.left, Vec::<String>::new());
    assert!(!orphans::known().contains(&folder));
    on_runtime(async { assert_gone(&folder).await })
}

pub(crate) fn killed_reaper() -> Result<(), Failed> {
    on_runtime(async {
        let local = start(databases("reaper", &["core"])).await.expect("start");
        let folder = local.folder().to_owned();
        let reaper = parent_of(local.pids()["postgres-core"] as i32);
        kill(reaper, Signal::SIGKILL).expect("kill the reaper");
        let error = local.stop().await.expect_err("the reaper is gone").to_string();
        assert!(error.contains("reaper"), "{error}");
        assert_gone(&folder).await;
        assert!(!orphans::known().contains(&folder));
    })
}

pub(crate) fn dropped() -> Result<(), Failed> {
    on_runtime(async {
        let local = start(databases("dropped", &["core"])).await.expect("start");
        let folder = local.folder().to_owned();
        assert!(!alive_in(&folder).is_empty());
        drop(local);
        assert_gone(&folder).await;
    })
}
