//! Starting the binary, reading what it left, and looking at processes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use bankstorm_record::clock::monotonic_ns;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::run_json::RunJson;
use bankstorm_record::save::read_run_json;
use tempfile::TempDir;

/// A named test.
pub(crate) type Case = (&'static str, fn());

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// The binary, in the repository's root. Its temporary folders lie where those of the trials do (`leftovers`).
pub(crate) fn bankstorm(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bankstorm"));
    command.current_dir(root()).args(args).stdin(Stdio::null()).env("TMPDIR", tempfile::env::temp_dir());
    command
}

/// Runs the binary to its end.
pub(crate) fn output(args: &[&str]) -> Output {
    bankstorm(args).output().expect("the binary starts")
}

/// Its exit code.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("it exits")
}

/// Both streams, for messages.
pub(crate) fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A smoke run of six seconds on 1,000 accounts: 600 + 1,200 deposits.
pub(crate) const SHORT: [&str; 8] = [
    "run",
    "scenarios/smoke.toml",
    "--set=phases.warm_up=2s",
    "--set=phases.measure=4s",
    "--set=accounts.count=1000",
    "--seed=7",
    "--env=local",
    "--live=plain",
];

/// A run that goes on long enough to be disturbed.
pub(crate) const LONG: [&str; 9] = [
    "run",
    "scenarios/smoke.toml",
    // Longer than any stall of a busy machine: what is asserted of outcomes must not depend on it.
    "--set=load.0.timeout=30s",
    "--set=phases.warm_up=2s",
    "--set=phases.measure=15s",
    "--set=accounts.count=1000",
    "--seed=7",
    "--env=local",
    "--live=plain",
];

/// A finished run: its folder and what it printed.
pub(crate) struct Finished {
    home: TempDir,
    /// What it printed, and its exit code.
    pub(crate) output: Output,
}

impl Finished {
    /// The run's folder.
    pub(crate) fn folder(&self) -> RunFolder {
        only_run(self.home.path())
    }

    /// Its summary.
    pub(crate) fn json(&self) -> RunJson {
        read_run_json(&self.folder()).unwrap_or_else(|error| panic!("run.json: {error}\n{}", text(&self.output)))
    }
}

/// The one run folder below `home`.
pub(crate) fn only_run(home: &Path) -> RunFolder {
    let runs: Vec<PathBuf> =
        std::fs::read_dir(home).expect("the out folder").map(|run| run.expect("an entry").path()).collect();
    assert_eq!(runs.len(), 1, "one run: {runs:?}");
    RunFolder::new(&runs[0])
}

static SHORT_RUN: OnceLock<Finished> = OnceLock::new();

/// The short run, made once for all tests that only look at it.
pub(crate) fn short_run() -> &'static Finished {
    SHORT_RUN.get_or_init(|| {
        let home = tempfile::tempdir().expect("a temporary folder");
        let output = bankstorm(&SHORT).arg("--out").arg(home.path()).output().expect("the binary starts");
        Finished { home, output }
    })
}

/// Removes the short run, if there was one: nobody drops what a static holds.
pub(crate) fn remove_short_run() {
    if let Some(run) = SHORT_RUN.get() {
        std::fs::remove_dir_all(run.home.path()).expect("removed");
    }
}

/// A run in the background.
pub(crate) struct Running {
    /// The harness.
    pub(crate) child: Child,
    home: TempDir,
}

impl Running {
    /// Starts `args`.
    pub(crate) fn start(args: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let log =
            std::fs::File::create(home.path().join("..").join(format!("{}.log", name(home.path())))).expect("a log");
        let child = bankstorm(args)
            .arg("--out")
            .arg(home.path())
            .stdout(log.try_clone().expect("one more handle"))
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        Self { child, home }
    }

    /// Waits until load has run for some seconds: samples are written from its start, one a second.
    pub(crate) fn under_load(&mut self) {
        self.wait_for("four samples", Duration::from_secs(90), |home| {
            let run = std::fs::read_dir(home).ok()?.next()?;
            let samples = RunFolder::new(run.ok()?.path()).samples();
            (std::fs::read_to_string(samples).ok()?.lines().count() >= 4).then_some(())
        });
    }

    /// Polls until `found` gives something; fails when the run ends first or the limit is hit.
    pub(crate) fn wait_for<T>(&mut self, what: &str, limit: Duration, found: impl Fn(&Path) -> Option<T>) -> T {
        let end = monotonic_ns() + i64::try_from(limit.as_nanos()).expect("a short limit");
        while monotonic_ns() < end {
            if let Some(value) = found(self.home.path()) {
                return value;
            }
            if let Some(status) = self.child.try_wait().expect("our child") {
                panic!("the run ended with {status} before {what}\n{}", self.log());
            }
            pause();
        }
        panic!("no {what} within {limit:?}\n{}", self.log());
    }

    /// Waits until what it printed contains a text.
    pub(crate) fn log_until(&mut self, text: &str, limit: Duration) -> String {
        let log = self.log_path();
        self.wait_for(text, limit, |_| std::fs::read_to_string(&log).ok().filter(|log| log.contains(text)))
    }

    /// The folder that was given to it as `--out`.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Waits for its end.
    pub(crate) fn end_within(&mut self, limit: Duration) -> i32 {
        let end = monotonic_ns() + i64::try_from(limit.as_nanos()).expect("a short limit");
        while monotonic_ns() < end {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status.code().unwrap_or(-1);
            }
            pause();
        }
        panic!("still running after {limit:?}\n{}", self.log());
    }

    /// The run's folder.
    pub(crate) fn folder(&self) -> RunFolder {
        only_run(self.home.path())
    }

    /// Its summary.
    pub(crate) fn json(&self) -> RunJson {
        read_run_json(&self.folder()).unwrap_or_else(|error| panic!("run.json: {error}\n{}", self.log()))
    }

    /// What it printed so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("..").join(format!("{}.log", name(self.home.path())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended in a passing test; a failing one must not leave a bank behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(self.log_path());
    }
}

fn name(path: &Path) -> String {
    path.file_name().expect("a named folder").to_string_lossy().into_owned()
}

/// Between two looks at something that has no event to wait for (another program's files and processes).
pub(crate) fn pause() {
    #[expect(clippy::disallowed_methods, reason = "polls with a limit; nothing passes because time has passed")]
    std::thread::sleep(Duration::from_millis(50));
}

/// A process that is not a zombie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: i32,
    /// Its parent's.
    pub(crate) parent: i32,
    /// Its command line.
    pub(crate) command: String,
}

/// Every process that is not a zombie.
pub(crate) fn processes() -> Vec<Process> {
    let Ok(all) = procfs::process::all_processes() else { return Vec::new() };
    all.filter_map(|process| {
        let process = process.ok()?;
        let stat = process.stat().ok()?;
        (stat.state != 'Z').then(|| Process {
            pid: stat.pid,
            parent: stat.ppid,
            command: process.cmdline().unwrap_or_default().join(" "),
        })
    })
    .collect()
}

/// Everything below `ancestor`.
pub(crate) fn descendants(ancestor: i32) -> Vec<Process> {
    let all = processes();
    let mut family = BTreeSet::from([ancestor]);
    loop {
        let before = family.len();
        let children = all.iter().filter(|process| family.contains(&process.parent)).map(|process| process.pid);
        family.extend(children.collect::<Vec<_>>());
        if family.len() == before {
            break;
        }
    }
    all.into_iter().filter(|process| process.pid != ancestor && family.contains(&process.pid)).collect()
}

/// Those of `before` that still live, with the same command line.
pub(crate) fn survivors(before: &[Process]) -> Vec<Process> {
    let now = processes();
    before
        .iter()
        .filter(|old| now.iter().any(|new| new.pid == old.pid && new.command == old.command))
        .cloned()
        .collect()
}

/// The temporary folder of a run, read off the command line of one of its databases.
pub(crate) fn run_folder(family: &[Process]) -> PathBuf {
    let folder = family.iter().find_map(|process| {
        let at = process.command.find("/bankstorm-")?;
        let begin = process.command[..at].rfind([' ', '=']).map_or(0, |space| space + 1);
        let end = at + 1 + process.command[at + 1..].find('/')?;
        Some(PathBuf::from(&process.command[begin..end]))
    });
    let folder = folder.unwrap_or_else(|| panic!("no database names its folder: {family:#?}"));
    assert!(folder.is_dir(), "{}", folder.display());
    folder
}
