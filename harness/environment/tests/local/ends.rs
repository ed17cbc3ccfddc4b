//! How a run may end without being asked to: nothing is left in any case.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bankstorm_environment::{Signal, orphans};
use libtest_mimic::Failed;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::roles::HARNESS;
use super::support::{alive_in, assert_gone, databases, on_runtime, start};

pub(crate) fn killed_harness() -> Result<(), Failed> {
    let mut harness = Command::new(std::env::current_exe()?).arg(HARNESS).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(harness.stdout.take().expect("piped")).lines();
    let folder = PathBuf::from(lines.next().expect("a line before the end")?);
    let names: Vec<String> = lines.map_while(Result::ok).take_while(|line| line != "up").collect();
    assert_eq!(names.len(), 3, "database, broker, service: {names:?}");
    assert!(alive_in(&folder).len() > 3, "PostgreSQL's own children are there too");

    harness.kill()?;
    harness.wait()?;
    on_runtime(async { assert_gone(&folder).await })
}

pub(crate) fn killed_reaper() -> Result<(), Failed> {
    on_runtime(async {
        let local = start(databases("reaper", &["core"])).await.expect("start");
        let folder = local.folder().to_owned();
        let postmaster = local.pids()["postgres-core"];
        let reaper = procfs::process::Process::new(postmaster as i32).expect("postmaster").stat().expect("stat").ppid;
        kill(Pid::from_raw(reaper), Signal::SIGKILL).expect("kill the reaper");
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
