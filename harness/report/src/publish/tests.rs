//! A small stored run, published: what is copied, what the index and the README say, and what is refused.

use std::path::{Path, PathBuf};

use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::write_rows;
use bankstorm_record::published::{Kind, Manifest};
use bankstorm_record::run_json::{ArmRecord, Build, EvidenceFile, RunJson};
use bankstorm_record::save::{OPERATIONS, sha256_file, write_run_json};
use tempfile::TempDir;

use super::{Ask, LIMIT_BYTES, PublishError, Published, publish, publish_bench, read_index};
use crate::fixture;

/// A run folder, a folder of results and a README, all of them temporary.
struct Desk {
    home: TempDir,
}

impl Desk {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(home.path().join("README.md"), "# A\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nB\n")
            .expect("written");
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Stores a run as one is stored, evidence and logs included.
    fn store(&self, name: &str, mut run: RunJson) -> PathBuf {
        let folder = RunFolder::new(self.path(name));
        std::fs::create_dir_all(folder.logs()).expect("made");
        std::fs::create_dir_all(folder.evidence()).expect("made");
        let rows = write_rows(folder.operations(), fixture::operations()).expect("written");
        let evidence = EvidenceFile { rows, sha256: sha256_file(folder.operations()).expect("a hash") };
        run.evidence = [(OPERATIONS.to_owned(), evidence)].into();
        write_run_json(&folder, &run).expect("written");
        std::fs::write(folder.scenario(), "seed = 7\n").expect("written");
        std::fs::write(folder.machine(), MACHINE).expect("written");
        std::fs::write(folder.report_md(), "a report").expect("written");
        std::fs::write(folder.logs().join("core.log"), "a line").expect("written");
        folder.root().to_owned()
    }

    fn publish(&self, run: &Path, change: impl FnOnce(&mut Ask<'_>)) -> Result<Published, PublishError> {
        self.ask(run, change, publish)
    }

    fn publish_bench(&self, criterion: &Path) -> Result<Published, PublishError> {
        self.ask(criterion, |_| {}, publish_bench)
    }

    fn ask(
        &self,
        run: &Path,
        change: impl FnOnce(&mut Ask<'_>),
        publish: fn(&Ask<'_>) -> Result<Published, PublishError>,
    ) -> Result<Published, PublishError> {
        let (into, readme) = (self.path("results"), self.path("README.md"));
        let mut ask = Ask {
            from: run,
            into: &into,
            readme: Some(&readme),
            again: false,
            anyway: false,
            limit_bytes: LIMIT_BYTES,
            by: Build { commit: "3f27410".to_owned(), ..Build::default() },
            at: "2026-11-23T02:00:00Z".to_owned(),
        };
        change(&mut ask);
        publish(&ask)
    }

    fn readme(&self) -> String {
        std::fs::read_to_string(self.path("README.md")).expect("a README")
    }
}

const MACHINE: &str = r#"{"platform": "linux x86_64", "kernel": null, "cpu_model": "A CPU", "cores": 2, "memory_bytes": 25276502016,
    "memory_available_bytes": null, "load_average": null, "steal_since_boot": null, "fdatasync": null, "priority": null}"#;

fn held(scenario: &str, started_at: &str) -> RunJson {
    let run_id = format!("{scenario}-{}", started_at.replace(':', ""));
    RunJson { run_id, scenario: scenario.to_owned(), started_at: started_at.to_owned(), ..fixture::held() }
}

fn refused(published: Result<Published, PublishError>) -> String {
    published.expect_err("it is refused").to_string()
}

#[test]
fn a_run_is_published_with_its_manifest_its_line_and_its_row() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    let published = desk.publish(&run, |_| {}).expect("published");
    let folder = desk.path("results/smoke-2026-11-22T060036Z");
    assert_eq!(published.folder, folder);

    let manifest: Manifest =
        serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).expect("a manifest")).expect("its form");
    assert_eq!((manifest.files.len(), published.copied.0, published.left_out.0), (6, 4, 2));
    for file in &manifest.files {
        assert_eq!(file.sha256, sha256_file(run.join(&file.path)).expect("a hash"), "{}", file.path);
        assert_eq!(folder.join(&file.path).is_file(), file.left_out.is_none(), "{}", file.path);
    }
    let left_out = manifest.files.iter().filter(|file| file.left_out.is_some()).map(|file| file.path.as_str());
    assert_eq!(left_out.collect::<Vec<_>>(), ["logs/core.log", "operations.parquet"]);
    assert!(manifest.repeat[2].ends_with("run results/smoke-2026-11-22T060036Z/scenario.toml --env local --no-arms"));

    let lines = read_index(&desk.path("results")).expect("an index");
    assert_eq!(lines, [published.line]);
    assert_eq!((lines[0].kind, lines[0].machine.cores), (Kind::Run, 2));
    let table =
        "| what | environment | when | commit | machine | verdicts | figures |\n|---|---|---|---|---|---|---|\n";
    let row = "| [smoke](results/smoke-2026-11-22T060036Z/) | local | 2026-11-22 | `3f27410` | 2 cores, A CPU, 25 GB \
               | VALID · HOLDS · MET | deposit response p99 611 ms; deposit visible p99 618 ms; deposit ok 300/s |\n";
    let expected = format!("# A\n<!-- figures: begin -->\n{table}{row}<!-- figures: end -->\nB\n");
    assert_eq!(desk.readme(), expected);
    let left: Vec<_> = std::fs::read_dir(desk.path("results")).expect("listed").collect();
    assert_eq!(left.len(), 2, "nothing but the folder and the index: {left:?}");
}

#[test]
fn the_same_run_is_published_once_and_again_takes_its_place() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    desk.publish(&run, |_| {}).expect("published");
    let said = refused(desk.publish(&run, |_| {}));
    assert!(said.contains("is published already") && said.contains("--again"), "{said}");
    std::fs::write(run.join("report.md"), "another report").expect("written");
    let again = desk.publish(&run, |ask| ask.again = true).expect("published again");
    assert_eq!(std::fs::read_to_string(again.folder.join("report.md")).expect("a copy"), "another report");
    assert_eq!(read_index(&desk.path("results")).expect("an index").len(), 1);
}

#[test]
fn a_folder_whose_line_was_never_written_is_published_anew() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    let torn = desk.path("results/smoke-2026-11-22T060036Z");
    std::fs::create_dir_all(&torn).expect("made");
    std::fs::write(torn.join("stray.json"), "").expect("written");
    desk.publish(&run, |_| {}).expect("published");
    assert!(!torn.join("stray.json").exists());
}

#[test]
fn what_may_not_be_believed_is_published_on_demand_alone_and_says_so() {
    let desk = Desk::new();
    for (name, run, why) in [
        ("invalid", fixture::invalid(), "exit code 4 (invalid"),
        ("violated", fixture::violated(), "exit code 6 (a guarantee violated)"),
        ("broken-off", RunJson { exit_code: None, ..fixture::held() }, "it did not end"),
    ] {
        let run = desk.store(name, RunJson { run_id: name.to_owned(), scenario: name.to_owned(), ..run });
        let said = refused(desk.publish(&run, |_| {}));
        assert!(said.contains(why) && said.contains("--anyway"), "{said}");
        let published = desk.publish(&run, |ask| ask.anyway = true).expect("published");
        assert!(published.line.anyway.is_some_and(|told| told.contains(why)), "{name}");
        assert!(desk.readme().contains("**published anyway: it "), "{}", desk.readme());
    }
    // Fit as it is, and an objective missed is a result too.
    let slow = desk.store("slow", RunJson { exit_code: Some(5), ..held("slow", "2026-11-22T06:00:36Z") });
    assert_eq!(desk.publish(&slow, |ask| ask.anyway = true).expect("published").line.anyway, None);
}

#[test]
fn a_run_that_was_changed_is_never_published_nor_is_one_whose_arm_was() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    let operations = RunFolder::new(&run).operations();
    let mut bytes = std::fs::read(&operations).expect("rows");
    bytes.push(0);
    std::fs::write(&operations, bytes).expect("written");
    let said = refused(desk.publish(&run, |ask| ask.anyway = true));
    assert!(said.contains("evidence file operations has SHA-256"), "{said}");

    let arm = ArmRecord { name: "offset".to_owned(), folder: "arms/offset".to_owned(), ..ArmRecord::default() };
    let run = desk.store("armed", RunJson { arms: vec![arm], ..held("smoke", "2026-11-22T07:00:36Z") });
    desk.store("armed/arms/offset", fixture::violated());
    std::fs::remove_file(run.join("arms/offset/operations.parquet")).expect("removed");
    let said = refused(desk.publish(&run, |_| {}));
    assert!(said.contains("arms/offset is not what its run.json says"), "{said}");
    assert!(!desk.path("results").exists() && desk.readme().contains("old"), "nothing was written");
}

#[test]
fn arms_stand_in_the_row_of_their_run() {
    let desk = Desk::new();
    let arm = ArmRecord {
        name: "offset".to_owned(),
        expect: "violated".to_owned(),
        shown: true,
        exit_code: Some(6),
        folder: "arms/offset".to_owned(),
        ..ArmRecord::default()
    };
    let run = desk.store("run", RunJson { arms: vec![arm], ..held("smoke", "2026-11-22T06:00:36Z") });
    desk.store("run/arms/offset", fixture::violated());
    let published = desk.publish(&run, |_| {}).expect("published");
    assert_eq!(published.line.arms[0].violated, ["S1"]);
    assert!(desk.readme().contains("<br>*offset*: violated by S1; deposit response p99 611 ms"), "{}", desk.readme());
    let manifest = std::fs::read_to_string(published.folder.join("manifest.json")).expect("a manifest");
    assert!(manifest.contains("--env local --arm offset") && manifest.contains("\"exit_code\": 6"), "{manifest}");
}

#[test]
fn the_newest_run_of_each_scenario_and_environment_is_in_the_table() {
    let desk = Desk::new();
    for (name, run) in [
        ("new", held("smoke", "2026-11-22T09:00:00Z")),
        ("old", held("smoke", "2026-11-22T08:00:00Z")),
        ("other", RunJson { environment: "containers".to_owned(), ..held("smoke", "2026-11-22T07:00:00Z") }),
    ] {
        let run = desk.store(name, run);
        desk.publish(&run, |_| {}).expect("published");
    }
    let readme = desk.readme();
    assert!(readme.contains("T090000Z/) | local") && readme.contains("T070000Z/) | containers"), "{readme}");
    assert!(!readme.contains("T080000Z"), "{readme}");
}

#[test]
fn a_folder_that_is_too_large_and_a_name_that_is_none_are_refused_before_anything_is_written() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    let said = refused(desk.publish(&run, |ask| ask.limit_bytes = 1_000));
    assert!(said.contains("the limit is 1000") && said.contains("run.json (") && said.contains("--limit-mb"), "{said}");
    let away = desk.store("away", RunJson { run_id: "../away".to_owned(), ..fixture::held() });
    assert!(refused(desk.publish(&away, |_| {})).contains("accepted for a folder are letters"));
    let nothing = desk.path("nothing");
    std::fs::create_dir(&nothing).expect("made");
    assert!(refused(desk.publish(&nothing, |_| {})).contains("holds none of run.json"));
    std::fs::write(desk.path("README.md"), "no markers").expect("written");
    assert!(refused(desk.publish(&run, |_| {})).contains("no place for the table"));
    let published = std::fs::read_dir(desk.path("results")).map_or(0, Iterator::count);
    assert_eq!(published, 0);
}

#[test]
fn a_line_that_is_none_is_named_by_its_number() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    desk.publish(&run, |_| {}).expect("published");
    let path = desk.path("results/index.ndjson");
    let line = std::fs::read_to_string(&path).expect("a line");
    std::fs::write(&path, format!("{line}{}", line.replacen("\"schema\":1", "\"schema\":9", 1))).expect("written");
    let said = refused(desk.publish(&run, |ask| ask.again = true));
    assert!(said.contains("index.ndjson, line 2: schema is 9"), "{said}");
}

#[test]
fn a_batch_of_worlds_is_published_by_what_its_document_says() {
    let desk = Desk::new();
    let batch = desk.path("batch");
    std::fs::create_dir(&batch).expect("made");
    let document = r#"{"exit_code": 0, "bankstorm": {"commit": "3f27410"}, "seeds": {"from": 0, "to": 1000, "done": 1000},
        "failing": 0, "speed": {"seeds_per_second": 61.4}}"#;
    std::fs::write(batch.join("simulate.json"), document).expect("written");
    let published = desk.publish(&batch, |_| {}).expect("published");
    assert!(published.line.run_id.starts_with("simulate-") && published.line.run_id.ends_with("Z-3f27410"));
    assert!(
        desk.readme().contains("| simulator |") && desk.readme().contains("seeds 1,000; failing 0; seeds rate 61.4/s")
    );
    // What says nothing of its build cannot be repeated.
    std::fs::write(batch.join("simulate.json"), "{}").expect("written");
    assert!(refused(desk.publish(&batch, |_| {})).contains("has no bankstorm.commit"));
}

#[test]
fn estimates_of_criterion_are_collected_with_their_intervals() {
    let desk = Desk::new();
    let criterion = desk.path("criterion");
    std::fs::create_dir(&criterion).expect("made");
    let ask = |desk: &Desk| desk.publish_bench(&criterion);
    assert!(refused(ask(&desk)).contains("no estimates below"));
    let folder = criterion.join("posting/book a batch/new");
    std::fs::create_dir_all(&folder).expect("made");
    let about =
        r#"{"group_id": "posting", "full_id": "posting/book a batch", "throughput": {"Elements": 200}, "title": ""}"#;
    let interval = r#"{"confidence_level": 0.95, "lower_bound": 34000.0, "upper_bound": 36000.0}"#;
    let found = format!(
        r#"{{"mean": {{"confidence_interval": {interval}, "point_estimate": 35000.0, "standard_error": 1.0}}}}"#
    );
    std::fs::write(folder.join("benchmark.json"), about).expect("written");
    std::fs::write(folder.join("estimates.json"), found).expect("written");
    let published = ask(&desk).expect("published");
    let text = std::fs::read_to_string(published.folder.join("bench.json")).expect("a document");
    let document: bankstorm_record::published::BenchJson = serde_json::from_str(&text).expect("its form");
    let bench = &document.benches[0];
    assert_eq!((bench.id.as_str(), bench.mean_ns, bench.elements), ("posting/book a batch", 35_000.0, Some(200)));
    assert_eq!((bench.lower_ns, bench.upper_ns, bench.confidence), (34_000.0, 36_000.0, 0.95));
    assert_eq!(published.line.figures.len(), 2);
    assert!(desk.readme().contains("posting/book a batch 35 us"), "{}", desk.readme());
}
