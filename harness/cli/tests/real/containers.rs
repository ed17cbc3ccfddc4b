//! The same bank in containers: a whole run, faults, and nothing left behind however it ends. Listed as ignored, with the reason, where
//! no container engine or no images are at hand.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bankstorm_record::clock::monotonic_ns;
use bankstorm_record::run_json::{GuaranteeVerdict, RunJson};
use bankstorm_record::save::read_run_json;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::faults::{broken_and_healed, every_kind};
use crate::support::{Case, LONG, Running, code, output, pause, short_run, text};
use crate::transfers::sent_and_settled;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("containers_run_the_same_plan_and_leave_nothing", containers_run_the_same_plan),
        ("containers_send_to_other_banks_and_hear_from_them", containers_send_to_other_banks),
        ("containers_every_kind_of_node_is_broken_and_healed", containers_every_kind_of_node_is_broken),
        ("containers_links_and_databases_are_broken_and_healed", containers_links_and_databases_are_broken),
        ("containers_ctrl_c_leaves_nothing", containers_ctrl_c_leaves_nothing),
        ("containers_kill_9_of_the_harness_leaves_nothing", containers_kill_9_of_the_harness_leaves_nothing),
        ("containers_a_start_that_fails_leaves_nothing", containers_a_start_that_fails_leaves_nothing),
    ]
}

/// What the engine holds of the runs of these trials, which bear a name of their own, and volumes that nobody uses. Somebody else's
/// containers may come and go meanwhile.
fn held() -> BTreeSet<String> {
    let ours = format!("name%22%3A%5B%22bankstorm-{}", name());
    let names = |answer: serde_json::Value| -> Vec<String> {
        let all = answer.as_array().cloned().unwrap_or_default();
        all.iter().map(|one| format!("{} {}", one["Names"], one["Name"])).collect()
    };
    let of = |what: &str| names(ask(&format!("/{what}filters=%7B%22{ours}%22%5D%7D")));
    let mut held: BTreeSet<String> = of("containers/json?all=1&").into_iter().collect();
    held.extend(of("networks?"));
    held.extend(names(ask("/volumes?filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D")["Volumes"].clone()));
    held
}

/// What the runs of these trials are called.
fn name() -> String {
    format!("trial-{}", std::process::id())
}

/// One question to the engine, by hand, so that the product's own client cannot hide anything.
fn ask(path: &str) -> serde_json::Value {
    let address = std::env::var("DOCKER_HOST").unwrap_or_default();
    let socket = address.strip_prefix("unix://").unwrap_or("/var/run/docker.sock");
    let mut stream = UnixStream::connect(socket).expect("an engine");
    write!(stream, "GET {path} HTTP/1.0\r\nhost: engine\r\n\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
}

/// `args` with the environment changed, and the run's name.
fn in_containers(args: &[&str]) -> Vec<String> {
    let args = args.iter().map(|arg| if *arg == "--env=local" { "--env=containers" } else { arg });
    args.map(str::to_owned).chain([format!("--set=name={}", name())]).collect()
}

fn start(args: &[&str]) -> Running {
    let args = in_containers(args);
    Running::start(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn short_run_in_containers() -> (RunJson, String) {
    let mut run = start(&crate::support::SHORT);
    let code = run.end_within(Duration::from_secs(120));
    assert!([0, 4, 5].contains(&code), "exit {code}: {}", run.log());
    (read_run_json(&run.folder()).expect("run.json"), run.log())
}

fn containers_run_the_same_plan() {
    let before = held();
    let (json, log) = short_run_in_containers();
    let load = json.load["deposit"];
    assert_eq!((load.planned, load.ok, load.unresolved), (1_200, 1_200, 0), "{log}");
    assert_eq!(json.guarantees.verdict, GuaranteeVerdict::Holds, "{log}");
    assert_eq!(json.environment, "containers");
    let local = short_run().json();
    assert_eq!(json.digests.plan, local.digests.plan, "the plan does not know where it runs");
    assert_eq!(json.links.keys().collect::<Vec<_>>(), local.links.keys().collect::<Vec<_>>());
    let names = |json: &RunJson| json.system.cpu_seconds.keys().cloned().collect::<BTreeSet<String>>();
    assert_eq!(names(&json), names(&local), "the same nodes are sampled");
    let ids = |json: &RunJson| json.guarantees.checks.iter().map(|check| check.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&json), ids(&local), "the same checks");
    assert_eq!(held(), before, "nothing is left: {log}");
}

fn containers_send_to_other_banks() {
    let before = held();
    let json = sent_and_settled("containers", &name());
    assert_eq!(json.environment, "containers");
    assert_eq!(held(), before, "nothing is left");
}

fn containers_every_kind_of_node_is_broken() {
    let before = held();
    let json = broken_and_healed("containers", &name(), &every_kind(), 6);
    assert_eq!(json.environment, "containers");
    assert_eq!(held(), before, "nothing is left");
}

fn containers_links_and_databases_are_broken() {
    let before = held();
    let json = crate::links::broken("containers", &name());
    assert_eq!(json.environment, "containers");
    assert_eq!(held(), before, "nothing is left");
}

fn containers_ctrl_c_leaves_nothing() {
    let before = held();
    let mut run = start(&LONG);
    run.under_load();
    assert!(held().len() > before.len() + 5, "databases, broker and services: {:?}", held());
    kill(Pid::from_raw(i32::try_from(run.child.id()).expect("a process id")), Signal::SIGINT).expect("our child");
    let code = run.end_within(Duration::from_secs(15));
    assert_eq!(code, 4, "{}", run.log());
    assert_eq!(held(), before, "{}", run.log());
}

fn containers_kill_9_of_the_harness_leaves_nothing() {
    let before = held();
    let mut run = start(&LONG);
    run.under_load();
    run.child.kill().expect("our child");
    let end = monotonic_ns() + 15_000_000_000;
    while held() != before && monotonic_ns() < end {
        pause();
    }
    assert_eq!(held(), before, "gone within fifteen seconds");
    let cleaned = output(&["doctor", "--clean"]);
    assert_eq!(code(&cleaned), 0, "{}", text(&cleaned));
    assert_eq!(held(), before, "{}", text(&cleaned));
}

fn containers_a_start_that_fails_leaves_nothing() {
    let before = held();
    let home = tempfile::tempdir().expect("a temporary folder");
    let begun = monotonic_ns();
    let failed = crate::support::bankstorm(&[])
        .args(in_containers(&crate::support::SHORT))
        .args(["--set=images.kafka=bankstorm-no-such-image:1", "--out"])
        .arg(home.path())
        .output()
        .expect("the binary starts");
    let said = text(&failed);
    assert_eq!(code(&failed), 3, "{said}");
    assert!(said.contains("bankstorm-no-such-image:1") && said.contains("images"), "{said}");
    assert!(monotonic_ns() - begun < 10_000_000_000, "said within ten seconds: {said}");
    assert_eq!(held(), before, "{said}");
}
