//! What `containers` alone must do: say why it cannot start, and leave nothing in the engine however a run ends.
//!
//! The engine is asked from outside the product, by a client of its own. Every trial looks for its own runs alone.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bankstorm_environment::{
    Environment, EnvironmentError, EnvironmentKind, HARNESS, Images, Needs, Quiet, Signal, orphans,
};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use testcontainers_modules::testcontainers::bollard::query_parameters::{
    ImportImageOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveImageOptions,
};
use testcontainers_modules::testcontainers::bollard::{Docker, body_full};

use super::probe;
use super::support::{ask, assert_dead, impossible, on_runtime, strings};

/// Argument of a small harness with containers: brings everything up, prints its run and reaper, and waits to be killed.
pub(crate) const CONTAINERS_HARNESS: &str = "__test-containers-harness";

/// After a harness was killed: its reaper removes ten seconds long at most, and a busy engine takes seconds for each container.
const ALL_GONE: Duration = Duration::from_secs(15);
/// For a start that cannot succeed to say so, by the design.
const REFUSED: Duration = Duration::from_secs(10);
const LABEL: &str = "org.bankstorm.run";

/// The list, ignored with the reason where there is no engine or no image.
pub(crate) fn trials() -> Vec<Trial> {
    type Case = fn() -> Result<(), Failed>;
    let cases: [(&str, Case); 10] = [
        ("an_image_that_is_nowhere_is_named", missing_image),
        ("an_image_for_another_machine_is_refused", other_architecture),
        ("a_taken_port_is_tried_again_with_another", taken_port),
        ("a_service_that_exits_shows_its_last_lines", service_exits),
        ("services_that_cannot_start_leave_nothing", services_cannot_start),
        ("a_service_that_ignores_sigterm_is_killed_and_named", stubborn),
        ("a_killed_harness_leaves_nothing_in_the_engine", killed_harness),
        ("a_run_killed_whole_is_removed_by_a_later_clean", killed_whole),
        ("a_start_that_is_given_up_leaves_nothing", given_up),
        ("a_dropped_environment_leaves_nothing", dropped),
    ];
    let reason = impossible(EnvironmentKind::Containers);
    let mut trials: Vec<Trial> = cases
        .into_iter()
        .map(|(name, case)| {
            let trial = Trial::test(format!("containers::{name}"), case);
            match &reason {
                Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
                None => trial,
            }
        })
        .collect();
    // Needs no engine.
    trials.push(Trial::test("containers::an_absent_engine_is_named_with_its_address", absent_engine));
    trials
}

/// A name that no other process gives to its runs: others may use the same engine.
fn named(test: &str) -> Needs {
    Needs::for_test(&format!("{test}-{}", std::process::id()))
}

/// How the names of all runs of `needs` begin.
fn prefix(needs: &Needs) -> String {
    format!("bankstorm-{}-", needs.name)
}

/// Containers and networks with a run's label whose names begin so.
pub(crate) async fn held(prefix: &str) -> BTreeMap<&'static str, Vec<String>> {
    let docker = Docker::connect_with_defaults().expect("an engine");
    let filter = || [("label".to_owned(), vec![LABEL.to_owned()])].into_iter().collect();
    let containers = ListContainersOptionsBuilder::new().all(true).filters(&filter()).build();
    let containers = docker.list_containers(Some(containers)).await.expect("containers");
    let networks = ListNetworksOptionsBuilder::new().filters(&filter()).build();
    let networks = docker.list_networks(Some(networks)).await.expect("networks");
    let first = |names: Option<Vec<String>>| names.and_then(|names| names.into_iter().next()).unwrap_or_default();
    let containers = containers.into_iter().map(|one| first(one.names).trim_start_matches('/').to_owned());
    let networks = networks.into_iter().filter_map(|one| one.name);
    let ours = |name: &String| name.starts_with(prefix);
    BTreeMap::from([("containers", containers.filter(ours).collect()), ("networks", networks.filter(ours).collect())])
}

/// Every volume.
pub(crate) async fn volumes() -> Vec<String> {
    let docker = Docker::connect_with_defaults().expect("an engine");
    let volumes = docker.list_volumes(Some(ListVolumesOptionsBuilder::new().build())).await.expect("volumes");
    volumes.volumes.unwrap_or_default().into_iter().map(|one| one.name).collect()
}

/// Volumes of the containers of `run`, which bear neither name nor label.
pub(crate) async fn volumes_of(run: &str) -> Vec<String> {
    let docker = Docker::connect_with_defaults().expect("an engine");
    let filter = [("label".to_owned(), vec![format!("{LABEL}={run}")])].into_iter().collect();
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filter).build();
    let containers = docker.list_containers(Some(options)).await.expect("containers");
    containers.into_iter().flat_map(|one| one.mounts.unwrap_or_default()).filter_map(|mount| mount.name).collect()
}

/// What is there of runs whose names begin so, and of these volumes.
async fn left(prefix: &str, marked: &[String]) -> Vec<String> {
    let mut left: Vec<String> = held(prefix).await.into_values().flatten().collect();
    left.extend(volumes().await.into_iter().filter(|volume| marked.contains(volume)));
    left
}

/// Waits until nothing of it is left.
async fn assert_gone(prefix: &str, marked: &[String]) {
    let gone = async {
        while !left(prefix, marked).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(ALL_GONE, gone).await.is_err() {
        panic!("still there: {:#?}", left(prefix, marked).await);
    }
}

/// Waits until the reapers of these runs have removed their folders, the last that they do; then nothing may be left, nor come later.
async fn assert_removed_by_the_reaper(prefix: &str, marked: &[String]) {
    let mut marked = marked.to_vec();
    let parent = std::env::temp_dir().canonicalize().expect("the temporary folder");
    let folders = || {
        let all = std::fs::read_dir(&parent).expect("the temporary folder").flatten();
        all.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).count()
    };
    let gone = async {
        while folders() > 0 {
            // Latecomers bring volumes too.
            for run in held(prefix).await.remove("containers").unwrap_or_default() {
                marked.extend(volumes_of_container(&run).await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(ALL_GONE, gone).await.is_ok(), "the reaper lives on");
    assert_eq!(left(prefix, &marked).await, Vec::<String>::new());
}

/// Volumes of a container; none when it is gone meanwhile.
async fn volumes_of_container(name: &str) -> Vec<String> {
    let docker = Docker::connect_with_defaults().expect("an engine");
    let seen = docker.inspect_container(name, None::<InspectContainerOptions>).await;
    let mounts = seen.ok().and_then(|seen| seen.mounts).unwrap_or_default();
    mounts.into_iter().filter_map(|mount| mount.name).collect()
}

async fn start(needs: Needs) -> Result<Box<dyn Environment>, EnvironmentError> {
    bankstorm_environment::start(EnvironmentKind::Containers, needs, Arc::new(Quiet)).await
}

/// A start that must fail in time and leave nothing; what it says.
async fn refused(needs: Needs) -> String {
    let prefix = prefix(&needs);
    let failed = tokio::time::timeout(REFUSED, start(needs)).await.expect("said in time");
    let error = failed.expect_err("it cannot start").to_string();
    assert_eq!(left(&prefix, &[]).await, Vec::<String>::new());
    error
}

fn absent_engine() -> Result<(), Failed> {
    let output = Command::new(std::env::current_exe()?)
        .arg(CONTAINERS_HARNESS)
        .env("DOCKER_HOST", "unix:///no/such/docker.sock")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    for part in ["unix:///no/such/docker.sock (DOCKER_HOST)", "no such socket", "systemctl start docker"] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
    Ok(())
}

fn missing_image() -> Result<(), Failed> {
    on_runtime(async {
        let mut needs = Needs { databases: strings(&["core"]), ..named("missing") };
        needs.images = Images { postgres: Some("bankstorm-no-such-image:1".into()), ..Images::default() };
        let error = refused(needs).await;
        for part in
            ["image bankstorm-no-such-image:1 is not there", "docker pull bankstorm-no-such-image:1", "[images]"]
        {
            assert!(error.contains(part), "no `{part}` in: {error}");
        }
    })
}

/// An image without layers that says it is made for another machine, as an archive that the engine loads.
fn foreign_image(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).expect("write");
    let config = r#"{"architecture":"s390x","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    write("config.json", config);
    write("manifest.json", &format!(r#"[{{"Config":"config.json","RepoTags":["{name}"],"Layers":[]}}]"#));
    let files = ["config.json", "manifest.json"];
    Command::new("tar").arg("-C").arg(folder.path()).arg("-c").args(files).output().expect("tar").stdout
}

fn other_architecture() -> Result<(), Failed> {
    const IMAGE: &str = "bankstorm-test-other-machine:1";
    on_runtime(async {
        let docker = Docker::connect_with_defaults().expect("an engine");
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let mut steps = std::pin::pin!(docker.import_image(options, body_full(foreign_image(IMAGE).into()), None));
        while let Some(step) = futures_util::StreamExt::next(&mut steps).await {
            step.expect("loaded");
        }
        let mut needs = Needs { redis: true, ..named("other") };
        needs.images.redis = Some(IMAGE.into());
        let error = refused(needs).await;
        docker.remove_image(IMAGE, None::<RemoveImageOptions>, None).await.expect("removed");
        assert!(error.contains(IMAGE) && error.contains("is made for linux/s390x"), "{error}");
    })
}

fn taken_port() -> Result<(), Failed> {
    let holder = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = holder.local_addr()?.port();
    on_runtime(async {
        let needs = Needs { databases: strings(&["core"]), ..named("taken") };
        let prefix = prefix(&needs);
        bankstorm_environment::ports::answer_next(port);
        let up = start(needs).await.expect("another port");
        let address = up.database("core", HARNESS);
        assert!(!address.contains(&format!("port={port} ")), "{address}");
        assert_eq!(ask(&address, "select 1").await, "1");
        up.stop().await.expect("stop");
        assert_eq!(left(&prefix, &[]).await, Vec::<String>::new());
    })
}

fn service_exits() -> Result<(), Failed> {
    on_runtime(async {
        let needs = Needs { services: strings(&["core"]), ..named("exits") };
        let up = start(needs).await.expect("start");
        let spec = probe::spec(up.as_ref(), "core", "exit", &[]);
        let error = up.start_services(vec![spec]).await.expect_err("it exits").to_string();
        for part in
            ["core ended (exit code 7) while it was waited for 200 from http://127.0.0.1:", "the service's last words"]
        {
            assert!(error.contains(part), "no `{part}` in: {error}");
        }
        // A name is free again after an end.
        up.start_services(vec![probe::spec(up.as_ref(), "core", "stay", &[])]).await.expect("again");
        up.stop().await.expect("stop");
    })
}

/// The stores are up by then.
fn services_cannot_start() -> Result<(), Failed> {
    on_runtime(async {
        let mut needs = Needs { databases: strings(&["core"]), services: strings(&["core"]), ..named("no-services") };
        // It is there wherever the services' own image is, and holds no service.
        needs.images.services = Some("debian:bookworm-slim".into());
        let prefix = prefix(&needs);
        let up = start(needs).await.expect("the stores");
        let marked = volumes_of(&run_of(up.folder())).await;
        assert!(!marked.is_empty(), "the looks find what is there");
        let error = up.start_services(vec![probe::spec(up.as_ref(), "core", "stay", &[])]).await;
        let error = error.expect_err("no such program").to_string();
        assert!(error.starts_with("core ended (exit code 127)") && error.contains("__test-service"), "{error}");
        up.stop().await.expect("stop");
        assert_eq!(left(&prefix, &marked).await, Vec::<String>::new());
    })
}

fn stubborn() -> Result<(), Failed> {
    on_runtime(async {
        let needs = Needs { services: strings(&["core"]), ..named("stubborn") };
        let prefix = prefix(&needs);
        let up = start(needs).await.expect("start");
        up.start_services(vec![probe::spec(up.as_ref(), "core", "deaf", &[])]).await.expect("service");
        let error = up.stop().await.expect_err("it is deaf").to_string();
        assert!(error.contains("core did not end within 10 s of SIGTERM and was killed"), "{error}");
        assert_eq!(left(&prefix, &[]).await, Vec::<String>::new());
    })
}

/// A small harness with a database, a broker and a service: prints its folder and its reaper, then waits to be killed.
pub(crate) fn harness() -> ! {
    let kept = on_runtime(async {
        let mut needs = Needs { databases: strings(&["core"]), ..named("killed") };
        needs.brokers = 1;
        needs.kafka_clients = strings(&["service"]);
        needs.services = strings(&["service"]);
        let up = match start(needs).await {
            Ok(up) => up,
            Err(error) => return println!("{error}"),
        };
        up.start_services(vec![probe::spec(up.as_ref(), "service", "stay", &[])]).await.expect("service");
        println!("{}\nup", up.folder().display());
        std::io::stdout().flush().expect("flush");
        std::future::pending::<()>().await;
    });
    std::process::exit(i32::from(kept.is_err()));
}

/// That harness, up, with its folder and its reaper.
fn small_harness() -> Result<(Child, PathBuf, Pid), Failed> {
    let mut harness = Command::new(std::env::current_exe()?).arg(CONTAINERS_HARNESS).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(harness.stdout.take().expect("piped")).lines();
    let folder = PathBuf::from(lines.next().expect("a line before the end")?);
    assert_eq!(lines.next().expect("a second line")?, "up", "{}", folder.display());
    let children = procfs::process::all_processes()?.flatten().filter_map(|process| process.stat().ok());
    let mut children = children.filter(|stat| stat.ppid == harness.id() as i32);
    let reaper = Pid::from_raw(children.next().expect("a reaper").pid);
    Ok((harness, folder, reaper))
}

fn run_of(folder: &Path) -> String {
    folder.file_name().expect("a name").to_string_lossy().into_owned()
}

fn killed_harness() -> Result<(), Failed> {
    on_runtime(async {
        let (mut harness, folder, _) = small_harness().expect("up");
        let run = run_of(&folder);
        let marked = volumes_of(&run).await;
        assert!(marked.len() >= 2 && held(&run).await["containers"].len() == 3, "the looks find what is there");
        harness.kill().expect("kill");
        harness.wait().expect("wait");
        assert_removed_by_the_reaper(&run, &marked).await;
    })
}

fn killed_whole() -> Result<(), Failed> {
    on_runtime(async {
        let (mut harness, folder, reaper) = small_harness().expect("up");
        let run = run_of(&folder);
        let marked = volumes_of(&run).await;
        kill(reaper, Signal::SIGKILL).expect("kill the reaper");
        harness.kill().expect("kill");
        harness.wait().expect("wait");
        assert_dead(reaper.as_raw()).await;
        // The start of another run may be faster with it; then there is nothing left to do for this call.
        let cleaned = orphans::clean();
        assert_eq!(cleaned.left, Vec::<String>::new());
        assert_gone(&run, &marked).await;
        assert!(!folder.exists() && !orphans::known_in_engine().contains(&run));
    })
}

fn given_up() -> Result<(), Failed> {
    on_runtime(async {
        let needs = Needs { databases: strings(&["core", "channel"]), ..named("given-up") };
        let prefix = prefix(&needs);
        // In the midst of it, wherever that is: requests to the engine are under way.
        let midst = async {
            while left(&prefix, &[]).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            up = start(needs) => panic!("it was faster: {up:?}"),
            () = midst => {}
        }
        assert_removed_by_the_reaper(&prefix, &[]).await;
    })
}

fn dropped() -> Result<(), Failed> {
    let needs = Needs { databases: strings(&["core"]), ..named("dropped") };
    let prefix = prefix(&needs);
    // The runtime ends with it, as at the end of a harness that panics.
    on_runtime(async {
        let up = start(needs).await.expect("start");
        drop(up);
    })?;
    on_runtime(async { assert_gone(&prefix, &[]).await })
}
