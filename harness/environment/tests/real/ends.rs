//! How a run may end without being asked to: nothing is left in any case.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use bankstorm_environment::{Signal, orphans};
use libtest_mimic::Failed;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::roles::{FROZEN_HARNESS, LIGHT_HARNESS, SMALL_HARNESS};
use super::support::{alive_in, assert_dead, assert_gone, databases, on_runtime, segments_of, start};

/// A small harness with everything up: it, its folder, and the process ids by name.
fn small_harness(role: &str) -> Result<(Child, PathBuf, BTreeMap<String, i32>), Failed> {
    let mut harness = Command::new(std::env::current_exe()?).arg(role).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(harness.stdout.take().expect("piped")).lines();
    let folder = PathBuf::from(lines.next().expect("a line before the end")?);
    let mut pids = BTreeMap::new();
    for line in lines.map_while(Result::ok).take_while(|line| line != "up") {
        let (name, pid) = line.split_once(' ').expect("name and id");
        pids.insert(name.to_owned(), pid.parse()?);
    }
    let expected: &[&str] =
        if role == SMALL_HARNESS { &["kafka-1", "postgres-core", "service"] } else { &["postgres-core", "service"] };
    assert_eq!(pids.keys().collect::<Vec<_>>(), expected);
    assert!(alive_in(&folder).len() > 3, "PostgreSQL's own children are there too");
    Ok((harness, folder, pids))
}

fn parent_of(pid: i32) -> Pid {
    Pid::from_raw(procfs::process::Process::new(pid).expect("alive").stat().expect("stat").ppid)
}

pub(crate) fn killed_harness() -> Result<(), Failed> {
    harness_killed_as(SMALL_HARNESS)
}

pub(crate) fn killed_harness_with_frozen_nodes() -> Result<(), Failed> {
    harness_killed_as(FROZEN_HARNESS)
}

fn harness_killed_as(role: &str) -> Result<(), Failed> {
    let (mut harness, folder, pids) = small_harness(role)?;
    let postgres = pids["postgres-core"] as u32;
    assert_eq!(segments_of(postgres).len(), 1, "the look at shared memory finds what is there");
    harness.kill()?;
    harness.wait()?;
    on_runtime(async { assert_gone(&folder).await })?;
    assert_eq!(segments_of(postgres), Vec::<String>::new());
    Ok(())
}

pub(crate) fn killed_whole() -> Result<(), Failed> {
    let (mut harness, folder, pids) = small_harness(LIGHT_HARNESS)?;
    let reaper = parent_of(pids["service"]);
    kill(reaper, Signal::SIGKILL)?;
    // With it the database, so that its shared memory is nobody's.
    kill(Pid::from_raw(pids["postgres-core"]), Signal::SIGKILL)?;
    harness.kill()?;
    harness.wait()?;
    // A signal is on its way when `kill` returns: a reaper that still lives would rightly be left alone.
    on_runtime(async { assert_dead(reaper.as_raw()).await })?;
    // A start of another test may be faster with it; then there is nothing left to do for this call.
    let cleaned = orphans::clean();
    assert_eq!(cleaned.left, Vec::<String>::new());
    assert!(!orphans::known().contains(&folder));
    on_runtime(async { assert_gone(&folder).await })?;
    assert_eq!(segments_of(pids["postgres-core"] as u32), Vec::<String>::new());
    Ok(())
}

pub(crate) fn killed_reaper() -> Result<(), Failed> {
    on_runtime(async {
        let up = start(databases("reaper", &["core"])).await.expect("start");
        let folder = up.folder().to_owned();
        let mut deaths = up.deaths();
        let reaper = parent_of(up.pids()["postgres-core"] as i32);
        kill(reaper, Signal::SIGKILL).expect("kill the reaper");
        assert_eq!(deaths.recv().await, None, "a lost reaper ends the deaths");
        let error = up.stop().await.expect_err("the reaper is gone").to_string();
        assert!(error.contains("reaper"), "{error}");
        assert_gone(&folder).await;
        assert!(!orphans::known().contains(&folder));
    })
}

pub(crate) fn dropped() -> Result<(), Failed> {
    on_runtime(async {
        let up = start(databases("dropped", &["core"])).await.expect("start");
        let folder = up.folder().to_owned();
        assert!(!alive_in(&folder).is_empty());
        drop(up);
        assert_gone(&folder).await;
    })
}
