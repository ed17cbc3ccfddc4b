//! A sweep as its user meets it: cells measured, killed in the middle, taken up again, ended by Ctrl-C.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bankstorm_record::clock::monotonic_ns;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::sweep_cells::{CELLS, read_sweep};
use bankstorm_record::sweep_json::{CellVerdict, SweepJson, SweepState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Case, Process, Running, code, descendants, output, pause, run_folder, survivors, text};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("a_sweep_that_was_killed_goes_on_with_what_is_missing", a_killed_sweep_goes_on),
        ("ctrl_c_keeps_the_cells_that_ended", ctrl_c_keeps_the_cells_that_ended),
        ("what_a_sweep_cannot_take_up_is_exit_2", what_a_sweep_cannot_take_up_is_exit_2),
    ]
}

/// Two cells, each measured twice, and the anchor three times: seven measurements of two seconds each.
const TINY: &str = r#"about = "two cells"
seed = 3

[phases]
warm_up = "0s"
measure = "2s"

[system]
partitions = 2
channel_instances = 1
worker_mode = "slots"
sweep_every = "1h"

[accounts]
count = 600
history_depth = 2
skew = "each"

[[load]]
op = "deposit"
rate = "300/s"
timeout = "30s"
lookup = 0

[sweep]
partitions = [2]
workers = [5, 10]
sync_cost = ["100ms"]
events = 400
lasts = "2s"
budget = "1m"
repeats = 2
anchor = { partitions = 2, workers = 10 }
"#;

fn scenario(home: &Path) -> String {
    // Beside the folder of the sweeps, which has nothing else in it.
    let file = home.join("tiny.toml");
    std::fs::write(&file, TINY).expect("written");
    file.to_str().expect("a plain path").to_owned()
}

/// How many cells are on the disk.
fn cells(home: &Path) -> Option<(PathBuf, usize)> {
    let sweep = std::fs::read_dir(home).ok()?.next()?.ok()?.path();
    let lines = std::fs::read_to_string(sweep.join(CELLS)).ok()?.lines().count();
    Some((sweep, lines))
}

fn two_cells(run: &mut Running) -> PathBuf {
    run.wait_for("two cells", Duration::from_secs(120), |home| {
        let (sweep, lines) = cells(home)?;
        (lines >= 2).then_some(sweep)
    })
}

fn stored(sweep: &Path) -> SweepJson {
    read_sweep(&RunFolder::new(sweep)).unwrap_or_else(|error| panic!("sweep.json: {error}"))
}

fn a_killed_sweep_goes_on() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let file = scenario(home.path());
    let mut run = Running::start(&["sweep", &file, "--live=plain"]);
    let sweep = two_cells(&mut run);
    let resume = sweep.to_str().expect("a plain path").to_owned();
    let meanwhile = output(&["sweep", "--resume", &resume, "--live=plain"]);
    assert_eq!(code(&meanwhile), 2, "{}", text(&meanwhile));
    assert!(text(&meanwhile).contains("is being written by another sweep"), "{}", text(&meanwhile));
    let family = descendants(i32::try_from(run.child.id()).expect("a process id"));
    let folder = run_folder(&family);
    run.child.kill().expect("our child");
    run.child.wait().expect("our child");
    until_gone(&family, &folder);
    assert_eq!(stored(&sweep).state, SweepState::Unfinished);
    let before = std::fs::read_to_string(sweep.join(CELLS)).expect("cells");

    let changed = output(&["sweep", &file, "--resume", &resume, "--set=accounts.history_depth=3"]);
    assert_eq!(code(&changed), 2, "{}", text(&changed));
    assert!(text(&changed).contains("`history_depth = 2` is now `history_depth = 3`"), "{}", text(&changed));

    let resumed = output(&["sweep", "--resume", &resume, "--live=plain"]);
    let json = stored(&sweep);
    if json.bankstorm.commit.ends_with("+dirty") {
        // Of sources that are not committed nobody can say whether they are the same.
        assert_eq!((code(&resumed), json.state), (2, SweepState::Unfinished), "{}", text(&resumed));
        assert!(text(&resumed).contains("whether this one has the same sources is not known"), "{}", text(&resumed));
        return;
    }
    // 4 only where the machine, not the bank, was too slow for a figure.
    assert!([0, 4].contains(&code(&resumed)), "{}", text(&resumed));
    assert_eq!((json.state, json.resumed, json.runs.len()), (SweepState::Finished, 1, 7), "{}", text(&resumed));
    let after = std::fs::read_to_string(sweep.join(CELLS)).expect("cells");
    assert!(after.starts_with(&before), "what was measured stands");
    for run in &json.runs {
        assert!(![CellVerdict::Failed, CellVerdict::Dnf].contains(&run.verdict), "{run:?}");
        let figures = run.figures.as_ref().expect("measured");
        assert_eq!((run.events, figures.rows_checked), (u64::from(run.cell.workers) * 40, run.events), "{run:?}");
        assert!(figures.events_per_s > 0.0 && figures.predicted_per_s.is_some(), "{run:?}");
        assert!(figures.busy_workers <= run.workers_total && figures.slots_used <= run.workers_total, "{run:?}");
    }
    let mut ids: Vec<&str> = json.runs.iter().map(|run| run.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 7, "nothing twice");
    assert!(json.cells.iter().all(|cell| cell.events_per_s.is_some_and(|spread| spread.count == 2)), "{json:?}");
    assert_eq!(json.anchor.as_ref().map(|anchor| anchor.events_per_s.len()), Some(3));
    let page = std::fs::read_to_string(sweep.join("report.html")).expect("a page");
    assert!(page.contains("2 partitions") && page.len() < 300_000);
    let left = format!("{} are left", 7 - before.lines().count());
    assert!(text(&resumed).contains(&left), "{left}: {}", text(&resumed));
    assert_matches_schema(&sweep);

    let document = || std::fs::read(sweep.join("sweep.json")).expect("a document");
    let ended = document();
    let again = output(&["sweep", "--resume", &resume, "--live=plain"]);
    assert_eq!(code(&again), code(&resumed), "{}", text(&again));
    assert!(text(&again).contains("7 of 7 measurements"), "{}", text(&again));
    assert_eq!(document(), ended, "what has ended is shown, and nothing of it is touched");
}

/// The reaper ends what the killed one left.
fn until_gone(family: &[Process], folder: &Path) {
    let end = monotonic_ns() + 10_000_000_000;
    while (!survivors(family).is_empty() || folder.exists()) && monotonic_ns() < end {
        pause();
    }
    assert_eq!(survivors(family), vec![], "gone within ten seconds");
}

fn assert_matches_schema(sweep: &Path) {
    let schema = output(&["schema", "sweep"]);
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).expect("a JSON Schema");
    let document = std::fs::read(sweep.join("sweep.json")).expect("sweep.json");
    let document: serde_json::Value = serde_json::from_slice(&document).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid JSON Schema");
    assert!(validator.is_valid(&document), "{:?}", validator.iter_errors(&document).next());
}

fn ctrl_c_keeps_the_cells_that_ended() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let file = scenario(home.path());
    let mut run = Running::start(&["sweep", &file, "--live=plain"]);
    let sweep = two_cells(&mut run);
    let pid = i32::try_from(run.child.id()).expect("a process id");
    let family = descendants(pid);
    let folder = run_folder(&family);
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("our child");
    assert_eq!(run.end_within(Duration::from_secs(12)), 4, "{}", run.log());
    let json = stored(&sweep);
    assert_eq!((json.state, json.exit_code), (SweepState::Interrupted, Some(4)), "{}", run.log());
    assert!((2..7).contains(&json.runs.len()), "{}", run.log());
    assert!(sweep.join("report.html").is_file() && run.log().contains("The sweep was broken off"), "{}", run.log());
    assert_eq!(survivors(&family), vec![], "no process is left");
    assert!(!folder.exists(), "{} is left", folder.display());
}

fn what_a_sweep_cannot_take_up_is_exit_2() {
    let plain = output(&["sweep", "scenarios/smoke.toml"]);
    assert_eq!(code(&plain), 2, "{}", text(&plain));
    assert!(text(&plain).contains("has no [sweep]"), "{}", text(&plain));
    let home = tempfile::tempdir().expect("a temporary folder");
    let nowhere = home.path().to_str().expect("a plain path").to_owned();
    let nothing = output(&["sweep", "--resume", &nowhere]);
    assert_eq!(code(&nothing), 2, "{}", text(&nothing));
    assert!(text(&nothing).contains("no sweep that could be taken up"), "{}", text(&nothing));
    let neither = output(&["sweep"]);
    assert_eq!(code(&neither), 2, "{}", text(&neither));
}
