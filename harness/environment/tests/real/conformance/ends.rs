//! The end: nothing is left, whatever was done to the nodes before; and nobody else's is touched.

use std::collections::BTreeMap;

use bankstorm_environment::{Environment, EnvironmentKind, HARNESS, Needs, start};

use super::super::probe::spec;
use super::super::support::{alive_in, ask, get, lives, query, segments_of, strings};
use super::rig::{Up, progress};

pub(crate) async fn stopped(up: Box<Up>) {
    let before = up.environment.pids();
    let folder = up.environment.folder().to_owned();
    let marks = marks(up.kind, up.environment.as_ref()).await;
    assert!(marks.values().all(|found| !found.is_empty()), "the looks find what is there: {marks:?}");
    // A database each, a broker and a service: killed ones leave things in the kernel, frozen ones take no signal.
    up.kill("postgres-core").await;
    for node in ["postgres-channel", "kafka-2", "alpha"] {
        up.pause(node).await;
    }
    let Up { kind, environment, .. } = *up;
    let mut deaths = environment.deaths();
    environment.stop().await.expect("in order");
    assert!(deaths.recv().await.is_none(), "a planned stop is not a death");

    let living: Vec<_> = before.iter().filter(|(_, pid)| lives(**pid as i32)).collect();
    assert!(living.is_empty(), "{living:?}");
    assert!(!folder.exists(), "{}", folder.display());
    assert_eq!(alive_in(&folder), Vec::<String>::new());
    for (what, left) in remains(kind, &before, &marks).await {
        assert!(left.is_empty(), "{what} left: {left:?}");
    }
}

/// What there is of a kind beside processes and folders: by what it is, the names found.
async fn marks(kind: EnvironmentKind, environment: &dyn Environment) -> BTreeMap<&'static str, Vec<String>> {
    match kind {
        EnvironmentKind::Local => kernel(&environment.pids()),
        EnvironmentKind::Containers => super::super::support::engine(environment.folder()).await,
    }
}

async fn remains(
    kind: EnvironmentKind,
    before: &BTreeMap<String, u32>,
    marks: &BTreeMap<&'static str, Vec<String>>,
) -> BTreeMap<&'static str, Vec<String>> {
    match kind {
        EnvironmentKind::Local => kernel(before),
        EnvironmentKind::Containers => super::super::support::engine_has(marks).await,
    }
}

fn kernel(pids: &BTreeMap<String, u32>) -> BTreeMap<&'static str, Vec<String>> {
    let databases: Vec<_> = pids.iter().filter(|(name, _)| name.starts_with("postgres-")).collect();
    for (name, pid) in &databases {
        // Files there would outlive a SIGKILL, and nobody could tell whose they were.
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        assert!(!maps.contains("/dev/shm/"), "{name} keeps files in /dev/shm");
    }
    BTreeMap::from([("shared memory", databases.into_iter().flat_map(|(_, pid)| segments_of(*pid)).collect())])
}

pub(crate) async fn side_by_side(kind: EnvironmentKind) {
    let needs =
        |name: &str| Needs { databases: strings(&["core"]), services: strings(&["alpha"]), ..Needs::for_test(name) };
    let (one, two) = tokio::join!(start(kind, needs("one"), progress()), start(kind, needs("two"), progress()));
    let (one, two) = (one.expect("one"), two.expect("two"));
    for environment in [&one, &two] {
        let database = environment.database("core", "alpha");
        let service = spec(environment.as_ref(), "alpha", "stay", &[("database", database)]);
        environment.start_services(vec![service]).await.expect("service");
    }
    assert_ne!(one.folder(), two.folder());
    let (first, second) = (one.database("core", HARNESS), two.database("core", HARNESS));
    assert_ne!(first, second);
    ask(&first, "create table mine (n int)").await;
    assert!(query(&second, "select count(*) from mine").await.is_err(), "each has its own");

    one.kill("alpha").await.expect("killed");
    one.stop().await.expect("stop");
    assert_eq!(ask(&second, "select 1").await, "1", "the other goes on");
    let url = two.url("alpha", HARNESS);
    assert_eq!(get(&format!("{url}/database")).await.expect("the other goes on"), "core");
    let folder = two.folder().to_owned();
    two.stop().await.expect("stop");
    assert!(!folder.exists());
}
