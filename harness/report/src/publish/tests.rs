//! A small stored run, published: what is copied, what the index and the README say, and what is refused.

use std::path::{Path, PathBuf};

use bankstorm_record::ablate_json::{AblateJson, AblateVerdict, AblatedRow, Repair, RowVerdict, SeedRange};
use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::write_rows;
use bankstorm_record::published::{Kind, Manifest};
use bankstorm_record::run_json::{ArmRecord, Build, EvidenceFile, PostingSpan, RunJson, SloVerdict};
use bankstorm_record::save::{OPERATIONS, sha256_file, write_json, write_run_json};
use bankstorm_record::sweep_cells::write_sweep;
use bankstorm_record::sweep_json::SweepJson;
use tempfile::TempDir;

use super::{Ask, LIMIT_BYTES, PublishError, Published, publish, publish_bench, read_index, rebuild};
use crate::sweep::fixture::sweep;
use crate::{fixture, terminal};

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
            changed: false,
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

    /// A README that has a place for a sample too.
    fn with_sample(self) -> Self {
        let text = format!("# A\n{SAMPLE}\ntyped\n<!-- sample: end -->\nB\n{FIGURES}\n<!-- figures: end -->\nC\n");
        std::fs::write(self.path("README.md"), text).expect("written");
        self
    }

    /// What stands between the sample's markers.
    fn sample(&self) -> String {
        let readme = self.readme();
        let (before, rest) = readme.split_once(SAMPLE).expect("it stays");
        let (sample, after) = rest.split_once("<!-- sample: end -->").expect("it stays");
        assert!(before == "# A\n" && after.starts_with("\nB\n") && after.ends_with("\nC\n"), "{readme}");
        sample.to_owned()
    }
}

const SAMPLE: &str = "<!-- sample: begin -->";
const FIGURES: &str = "<!-- figures: begin -->";

const MACHINE: &str = r#"{"platform": "linux x86_64", "kernel": null, "cpu_model": "A CPU", "cores": 2, "memory_bytes": 25276502016,
    "memory_available_bytes": null, "load_average": null, "steal_since_boot": null, "fdatasync": null, "priority": null}"#;

fn held(scenario: &str, started_at: &str) -> RunJson {
    let run_id = format!("{scenario}-{}", started_at.replace(':', ""));
    RunJson { run_id, scenario: scenario.to_owned(), started_at: started_at.to_owned(), ..fixture::held() }
}

fn refused(published: Result<Published, PublishError>) -> String {
    published.expect_err("it is refused").to_string()
}

fn manifest(published: &Published) -> Manifest {
    let text = std::fs::read(published.folder.join("manifest.json")).expect("a manifest");
    serde_json::from_slice(&text).expect("its form")
}

#[test]
fn a_run_is_published_with_its_manifest_its_line_and_its_row() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    let published = desk.publish(&run, |_| {}).expect("published");
    let folder = desk.path("results/smoke-2026-11-22T060036Z");
    assert_eq!(published.folder, folder);

    let manifest = manifest(&published);
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
        "| what | environment | when | commit, build | machine | verdicts | figures |\n|---|---|---|---|---|---|---|\n";
    let row = "| [smoke](results/smoke-2026-11-22T060036Z/) | local | 2026-11-22 | `3f27410` dev | 2 cores, A CPU, 25 GB \
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
fn what_was_published_stays_where_another_cannot_take_its_place() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    desk.publish(&run, |_| {}).expect("published");
    let (readme, lines) = (desk.readme(), read_index(&desk.path("results")).expect("an index"));
    // The index cannot be written: what it is written as first cannot be made.
    let part = desk.path("results/index.ndjson.part");
    std::fs::create_dir(&part).expect("made");
    desk.store("run", RunJson { environment: "containers".to_owned(), ..held("smoke", "2026-11-22T06:00:36Z") });
    std::fs::write(run.join("report.md"), "another report").expect("written");
    let said = refused(desk.publish(&run, |ask| ask.again = true));
    assert!(said.contains("index.ndjson"), "{said}");
    std::fs::remove_dir(&part).expect("removed");
    let report = desk.path("results/smoke-2026-11-22T060036Z/report.md");
    assert_eq!(std::fs::read_to_string(report).expect("a copy"), "a report");
    assert_eq!((desk.readme(), read_index(&desk.path("results")).expect("an index")), (readme, lines));
    let left: Vec<_> = std::fs::read_dir(desk.path("results")).expect("listed").collect();
    assert_eq!(left.len(), 2, "nothing but the folder and the index: {left:?}");
}

#[test]
fn a_readme_that_is_behind_is_written_anew_from_the_index() {
    let desk = Desk::new().with_sample();
    let unwritten = desk.readme();
    let run = desk.store("run", steady("2026-11-22T19:17:38Z"));
    desk.publish(&run, |_| {}).expect("published");
    let written = desk.readme();
    // As if somebody had been killed before it was written.
    std::fs::write(desk.path("README.md"), unwritten).expect("written");
    assert_eq!(rebuild(&desk.path("results"), &desk.path("README.md")).expect("rebuilt"), 1);
    assert_eq!(desk.readme(), written);
    let absent = rebuild(&desk.path("absent"), &desk.path("README.md"));
    assert!(absent.is_err_and(|error| error.to_string().contains("absent")) && !desk.path("absent").exists());
    assert_eq!(desk.readme(), written);
}

#[test]
fn a_readme_that_cannot_be_written_says_how_it_is_once_it_can() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    std::fs::create_dir(desk.path("README.md.part")).expect("made");
    let said = refused(desk.publish(&run, |_| {}));
    assert!(said.contains("README.md") && said.contains("`bankstorm publish --rebuild`"), "{said}");
    std::fs::remove_dir(desk.path("README.md.part")).expect("removed");
    rebuild(&desk.path("results"), &desk.path("README.md")).expect("rebuilt");
    assert!(desk.readme().contains("| [smoke](results/smoke-2026-11-22T060036Z/) |"), "{}", desk.readme());
}

#[test]
fn links_never_lead_away_from_the_readme() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    let (home, readme) = (desk.path("docs"), desk.path("docs/README.md"));
    std::fs::create_dir(&home).expect("made");
    std::fs::copy(desk.path("README.md"), &readme).expect("copied");
    let results = desk.path("results");
    let away = Ask {
        from: &run,
        into: &results,
        readme: Some(&readme),
        changed: false,
        again: false,
        anyway: false,
        limit_bytes: LIMIT_BYTES,
        by: Build::default(),
        at: "2026-11-23T02:00:00Z".to_owned(),
    };
    let said = refused(publish(&away));
    assert!(said.contains("does not lie below the folder of ") && said.contains("--readme FILE"), "{said}");
    assert!(!results.exists());
    publish(&Ask { readme: None, ..away }).expect("published");
    assert!(rebuild(&results, &readme).is_err());
    let untouched = std::fs::read_to_string(&readme).expect("a README");
    assert!(untouched == desk.readme() && untouched.contains("old"), "{untouched}");
}

#[test]
fn a_run_of_a_release_build_is_repeated_by_one() {
    let desk = Desk::new();
    let profile = "release (opt-level 3)".to_owned();
    let bankstorm = Build { commit: "3f27410".to_owned(), profile, ..Build::default() };
    let run = desk.store("run", RunJson { bankstorm, ..held("smoke", "2026-11-22T06:00:36Z") });
    let published = desk.publish(&run, |_| {}).expect("published");
    let play = "target/release/bankstorm run results/smoke-2026-11-22T060036Z/scenario.toml --env local --no-arms";
    let build = "make setup && cargo build --release -p bankstorm-cli";
    assert_eq!(manifest(&published).repeat, ["git checkout 3f27410", build, play]);
    assert!(desk.readme().contains("| `3f27410` release |"), "{}", desk.readme());
}

#[test]
fn a_changed_scenario_has_a_row_of_its_own() {
    let desk = Desk::new().with_sample();
    for (at, changed) in [("2026-11-22T19:00:00Z", false), ("2026-11-22T20:00:00Z", true)] {
        let run = desk.store(at, steady(at));
        let published = desk.publish(&run, |ask| ask.changed = changed).expect("published");
        assert_eq!(published.line.changed, changed);
    }
    let readme = desk.readme();
    for row in ["[steady](results/steady-2026-11-22T190000Z/)", "[steady, changed](results/steady-2026-11-22T200000Z/)"]
    {
        assert!(readme.contains(row), "{row}: {readme}");
    }
    let index = std::fs::read_to_string(desk.path("results/index.ndjson")).expect("an index");
    let says: Vec<bool> = index.lines().map(|line| line.contains("\"changed\":true")).collect();
    assert_eq!(says, [false, true]);
    assert_eq!(index.matches("changed").count(), 1, "a line says so only where it is so: {index}");
}

#[test]
fn what_ran_on_nobody_knows_what_is_refused() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    for (text, told) in [(None, "No such file"), (Some("{}"), "missing field")] {
        std::fs::remove_file(run.join("machine.json")).expect("removed");
        if let Some(text) = text {
            std::fs::write(run.join("machine.json"), text).expect("written");
        }
        let said = refused(desk.publish(&run, |ask| ask.anyway = true));
        assert!(
            said.contains("machine.json: ") && said.contains(told) && said.contains("without their machine"),
            "{said}"
        );
        std::fs::write(run.join("machine.json"), MACHINE).expect("written");
    }
    assert!(!desk.path("results").exists());
}

#[test]
fn what_figures_come_from_is_copied_whatever_its_size_and_is_no_link() {
    let desk = Desk::new();
    let run = desk.store("run", held("smoke", "2026-11-22T06:00:36Z"));
    let json = std::fs::read_to_string(run.join("run.json")).expect("a run.json");
    std::fs::write(run.join("run.json"), format!("{json}{}", " ".repeat(1_100_000))).expect("written");
    let said = refused(desk.publish(&run, |ask| ask.limit_bytes = 1_000_000));
    assert!(said.contains("the limit is 1000000; the largest are run.json ("), "{said}");
    let published = desk.publish(&run, |_| {}).expect("published");
    assert!(published.folder.join("run.json").is_file());

    let linked = desk.store("linked", held("smoke", "2026-11-22T07:00:36Z"));
    std::fs::rename(linked.join("run.json"), desk.path("elsewhere.json")).expect("moved");
    std::os::unix::fs::symlink(desk.path("elsewhere.json"), linked.join("run.json")).expect("linked");
    let said = refused(desk.publish(&linked, |_| {}));
    assert!(said.contains("linked/run.json: is a link"), "{said}");
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

/// A run of `steady` in containers, with what core said of its postings.
fn steady(started_at: &str) -> RunJson {
    let posting = PostingSpan {
        from_ms: 8_000,
        to_ms: 28_000,
        offered_per_s: 300.0,
        admitted: 6_000,
        p50_us: Some(3_450),
        p99_us: Some(22_000),
    };
    RunJson { environment: "containers".to_owned(), posting: vec![posting], ..held("steady", started_at) }
}

#[test]
fn the_sample_is_how_the_report_of_the_published_run_begins() {
    let desk = Desk::new().with_sample();
    let run = steady("2026-11-22T19:17:38Z");
    let stored = desk.store("run", run.clone());
    desk.publish(&stored, |_| {}).expect("published");
    let lead = "`bankstorm run scenarios/steady.toml --env containers` printed this on 2 cores, A CPU, 25 GB \
                ([the published run](results/steady-2026-11-22T191738Z/)); \
                objectives, checks, validity and what the bank used follow there:";
    let summary = terminal::summary(&run, &RunFolder::new(&stored), false);
    let (beginning, _) = summary.split_once("\nObjectives\n").expect("what follows");
    assert_eq!(desk.sample(), format!("\n{lead}\n```\n{beginning}```\n"));
    for part in ["VALID · HOLDS · MET  steady  run steady-2026", "\nDeposits and", "\nLatency\n", "\nCore's posting"]
    {
        assert!(beginning.contains(part), "{part}: {beginning}");
    }
    assert!(desk.readme().contains("| [steady](results/steady-2026-11-22T191738Z/) | containers |"), "and the table");
}

#[test]
fn of_all_that_is_published_the_sample_is_the_newest_steady_in_containers_that_ended_well() {
    let desk = Desk::new().with_sample();
    let local = |run: RunJson| RunJson { environment: "local".to_owned(), ..run };
    let missed = |mut run: RunJson| {
        (run.slo.verdict, run.exit_code) = (SloVerdict::Missed, Some(5));
        run
    };
    let build = |commit: &str| Build { commit: commit.to_owned(), ..Build::default() };
    let of_a_changed_tree = |run: RunJson| RunJson { bankstorm: build("3f27410+dirty"), ..run };
    let unshown = |run: RunJson| RunJson { exit_code: Some(4), ..run };
    let switched_off = |run: RunJson| RunJson { r#unsafe: vec!["tombstones".to_owned()], ..run };
    // Each is published after those above it; beside it the run that is shown from then on.
    let nothing = "Nothing is published yet";
    for (run, shown) in [
        (held("poisson", "2026-11-22T23:00:00Z"), nothing),
        (missed(steady("2026-11-22T22:00:00Z")), nothing),
        (held("smoke", "2026-11-22T21:00:00Z"), "run smoke-2026-11-22T210000Z\n"),
        (local(steady("2026-11-22T20:00:00Z")), "run steady-2026-11-22T200000Z\n"),
        (steady("2026-11-22T10:00:00Z"), "run steady-2026-11-22T100000Z\n"),
        (steady("2026-11-22T12:00:00Z"), "run steady-2026-11-22T120000Z\n"),
        (steady("2026-11-22T11:00:00Z"), "run steady-2026-11-22T120000Z\n"),
        (unshown(steady("2026-11-22T13:00:00Z")), "run steady-2026-11-22T120000Z\n"),
        (switched_off(steady("2026-11-22T14:00:00Z")), "run steady-2026-11-22T120000Z\n"),
        (of_a_changed_tree(steady("2026-11-22T15:00:00Z")), "run steady-2026-11-22T120000Z\n"),
    ] {
        let stored = desk.store(&run.run_id, run.clone());
        desk.publish(&stored, |ask| ask.anyway = true).expect("published");
        let sample = desk.sample();
        assert!(sample.contains(shown), "{} was published: {sample}", run.run_id);
    }
    let stored = desk.store("changed", steady("2026-11-22T16:00:00Z"));
    desk.publish(&stored, |ask| ask.changed = true).expect("published");
    assert!(desk.sample().contains("run steady-2026-11-22T120000Z\n"), "{}", desk.sample());
}

#[test]
fn what_the_sample_is_made_of_must_be_there_or_nothing_gets_its_line() {
    let desk = Desk::new().with_sample();
    let run = desk.store("run", steady("2026-11-22T19:17:38Z"));
    let folder = desk.publish(&run, |_| {}).expect("published").folder;
    let (readme, lines) = (desk.readme(), read_index(&desk.path("results")).expect("an index"));
    std::fs::remove_file(folder.join("run.json")).expect("removed");
    let other = desk.store("other", held("smoke", "2026-11-22T06:00:36Z"));
    let said = refused(desk.publish(&other, |_| {}));
    assert!(said.contains("that of steady-2026-11-22T191738Z, which cannot be read: "), "{said}");
    assert!(said.contains("run.json") && said.contains("publish that run again"), "{said}");
    assert_eq!((desk.readme(), read_index(&desk.path("results")).expect("an index")), (readme.clone(), lines));
    // As it says.
    desk.publish(&run, |ask| ask.again = true).expect("published again");
    assert_eq!(desk.readme(), readme);
    desk.publish(&other, |_| {}).expect("published");
}

#[test]
fn half_a_place_for_a_sample_is_refused_before_anything_is_written() {
    let desk = Desk::new();
    let run = desk.store("run", steady("2026-11-22T19:17:38Z"));
    for half in ["<!-- sample: begin -->", "<!-- sample: end -->", "<!-- sample: end --><!-- sample: begin -->"] {
        let text = format!("{FIGURES}<!-- figures: end -->{half}");
        std::fs::write(desk.path("README.md"), &text).expect("written");
        let said = refused(desk.publish(&run, |_| {}));
        assert!(said.contains("no place for the sample of a report: accepted is a line `<!-- sample: begin"), "{said}");
        assert!(desk.readme() == text && !desk.path("results").exists(), "{half}");
    }
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
fn a_sweep_is_repeated_where_it_was_made() {
    let desk = Desk::new();
    for environment in ["local", "containers"] {
        let folder = RunFolder::new(desk.path(environment));
        std::fs::create_dir(folder.root()).expect("made");
        let run_id = format!("sweep-{environment}");
        let made = SweepJson { run_id: run_id.clone(), environment: environment.to_owned(), ..sweep(1, 2) };
        write_sweep(&folder, &made).expect("written");
        std::fs::write(folder.scenario(), "seed = 7\n").expect("written");
        std::fs::write(folder.machine(), MACHINE).expect("written");
        let published = desk.publish(folder.root(), |_| {}).expect("published");
        assert_eq!((published.line.kind, published.line.environment.as_str()), (Kind::Sweep, environment));
        assert!(published.folder.join("scenario.toml").is_file(), "what is repeated is published");
        let play = format!("target/debug/bankstorm sweep results/{run_id}/scenario.toml --env {environment}");
        assert_eq!(manifest(&published).repeat, ["git checkout abcdef".to_owned(), "make build".to_owned(), play]);
    }
}

#[test]
fn a_batch_of_worlds_is_published_by_what_its_document_says() {
    let desk = Desk::new();
    let batch = desk.path("batch");
    std::fs::create_dir(&batch).expect("made");
    let document = r#"{"exit_code": 0, "bankstorm": {"commit": "3f27410"}, "seeds": {"from": 0, "to": 1000, "done": 1000},
        "failing": 0, "speed": {"seeds_per_second": 61.4}}"#;
    std::fs::write(batch.join("simulate.json"), document).expect("written");
    std::fs::write(batch.join("machine.json"), MACHINE).expect("written");
    let published = desk.publish(&batch, |_| {}).expect("published");
    assert!(published.line.run_id.starts_with("simulate-") && published.line.run_id.ends_with("Z-3f27410"));
    assert!(
        desk.readme().contains("| simulator |") && desk.readme().contains("seeds 1,000; failing 0; seeds rate 61.4/s")
    );
    // What says nothing of its build cannot be repeated.
    std::fs::write(batch.join("simulate.json"), "{}").expect("written");
    assert!(refused(desk.publish(&batch, |_| {})).contains("has no bankstorm.commit"));
}

/// A table of two rows: one shown by so many seeds, and one that came to `second`.
fn ablated(hits: u64, second: RowVerdict) -> AblateJson {
    let row = |repair, verdict, hits| AblatedRow {
        protection: "P7".to_owned(),
        arm: "none".to_owned(),
        about: "Transfers do not stand in each other's way.".to_owned(),
        repair,
        expects: Vec::new(),
        verdict,
        tried: 9,
        hits,
        first: None,
        found_with_it: 0,
        found: Vec::new(),
        false_alarms: Vec::new(),
        seconds: 0.5,
    };
    let is_shown = second == RowVerdict::Shown;
    AblateJson {
        schema: 1,
        bankstorm: Build { commit: "3f27410".to_owned(), ..Build::default() },
        started_at: "2026-11-23T01:00:00Z".to_owned(),
        verdict: if is_shown { AblateVerdict::Shown } else { AblateVerdict::NotShown },
        exit_code: if is_shown { 0 } else { 4 },
        seeds: SeedRange { from: 0, to: 4_000 },
        hits: 20,
        only: vec!["P7".to_owned()],
        jobs: 2,
        seconds: 1.0,
        rows: vec![row(Repair::Repaired, RowVerdict::Shown, 20), row(Repair::Bare, second, hits)],
    }
}

#[test]
fn protections_taken_off_are_published_by_their_rows_and_without_their_plans() {
    let desk = Desk::new();
    let folder = desk.path("ablate");
    std::fs::create_dir(&folder).expect("made");
    std::fs::write(folder.join("machine.json"), MACHINE).expect("written");
    std::fs::write(folder.join("p7-none-bare.json"), "{}").expect("written");
    write_json(folder.join("ablate.json"), &ablated(17, RowVerdict::Shown)).expect("written");
    let published = desk.publish(&folder, |_| {}).expect("published");
    assert_eq!((published.line.kind, published.line.machine.cores), (Kind::Ablate, 2));
    assert_eq!(published.line.run_id, "ablate-20261123T010000Z-3f27410");
    let readme = desk.readme();
    let told = "| simulator | 2026-11-23 | `3f27410` | 2 cores, A CPU, 25 GB | held | rows 2; rows shown 2; rows not shown 0; hits least 17 |";
    assert!(readme.contains(told), "{readme}");
    let files: Vec<_> = std::fs::read_dir(&published.folder).expect("listed").collect();
    assert_eq!((files.len(), published.copied.0, published.left_out.0), (3, 2, 1), "{files:?}");
    let manifest = std::fs::read_to_string(published.folder.join("manifest.json")).expect("a manifest");
    assert!(manifest.contains("bankstorm ablate --only P7 --seeds 0..4000 --hits 20"), "{manifest}");

    // What was not shown is published on demand alone.
    write_json(folder.join("ablate.json"), &ablated(0, RowVerdict::NotShown)).expect("written");
    let said = refused(desk.publish(&folder, |ask| ask.again = true));
    assert!(said.contains("it ended with exit code 4"), "{said}");
    let ask_anyway = |ask: &mut Ask<'_>| (ask.again, ask.anyway) = (true, true);
    let published = desk.publish(&folder, ask_anyway).expect("published");
    let figures: Vec<_> = published.line.figures.iter().map(|figure| figure.value).collect();
    assert_eq!(figures, [2.0, 1.0, 1.0, 0.0]);

    // A document without rows tells nothing.
    std::fs::write(folder.join("ablate.json"), r#"{"bankstorm": {"commit": "3f27410"}}"#).expect("written");
    let said = refused(desk.publish(&folder, |_| {}));
    assert!(said.contains("ablate.json: missing field"), "{said}");
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
