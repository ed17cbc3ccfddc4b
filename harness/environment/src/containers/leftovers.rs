//! What belongs to a run in the engine: found by its label and removed, by the run's own stop, by the reaper and by a later start.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use testcontainers_modules::testcontainers::bollard::Docker;
use testcontainers_modules::testcontainers::bollard::errors::Error;
use testcontainers_modules::testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptions,
};
use tokio::time::{Instant, sleep, timeout_at};

use super::engine::words;
use crate::orphans::{is_gone, started_at};

/// Whose run: the name of its temporary folder.
pub(crate) const RUN: &str = "org.bankstorm.run";
/// Process id of the run's reaper.
const OWNER_PID: &str = "org.bankstorm.owner-pid";
/// Start of the reaper in clock ticks since boot: tells it from a later process of the same id.
const OWNER_START: &str = "org.bankstorm.owner-start";
/// Process ids mean something within their namespace only: a harness in a container cannot judge those of another one.
const OWNER_SPACE: &str = "org.bankstorm.owner-pid-namespace";
/// A digest of the owner's machine id: an engine may serve several machines.
const OWNER_MACHINE: &str = "org.bankstorm.owner-machine";
/// No process outlives its machine's boot, and the ids of the next one say nothing about it.
const OWNER_BOOT: &str = "org.bankstorm.owner-boot";

/// Between two looks that find nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// After a removal: the engine may need a moment before a network has no more members.
const REMOVE_AGAIN: Duration = Duration::from_millis(50);
/// How many looks in a row must find nothing before nothing more is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Everything that was asked of the engine was answered, but for what was given up in a failed start.
    Little,
    /// The harness was cut off: what it asked for last may come into being a second later, on a busy machine.
    Latecomers,
}

impl Expect {
    fn quiet_looks(self) -> u32 {
        match self {
            Self::Little => 2,
            Self::Latecomers => 6,
        }
    }
}

/// Labels of everything that the run `run` with the reaper `owner` creates.
pub(crate) fn labels(run: &str, owner: u32) -> BTreeMap<String, String> {
    let start = started_at(owner).unwrap_or_default().to_string();
    let all = [
        (RUN, run.to_owned()),
        (OWNER_PID, owner.to_string()),
        (OWNER_START, start),
        (OWNER_SPACE, namespace()),
        (OWNER_MACHINE, machine()),
        (OWNER_BOOT, boot()),
    ];
    all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn namespace() -> String {
    std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default()
}

/// Empty where the machine has no id, as in many containers; then its boot alone tells it from others.
fn machine() -> String {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    if id.trim().is_empty() {
        return String::new();
    }
    Sha256::digest(id.trim()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// What was removed, and what could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) containers: usize,
    pub(crate) networks: usize,
    pub(crate) volumes: usize,
    pub(crate) left: Vec<String>,
}

/// One look at what bears a label.
#[derive(Debug, Default)]
struct Found {
    containers: BTreeMap<String, Labels>,
    networks: BTreeMap<String, Labels>,
    volumes: BTreeMap<String, Labels>,
}

type Labels = BTreeMap<String, String>;

impl Found {
    fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.networks.is_empty() && self.volumes.is_empty()
    }

    fn all(&self) -> impl Iterator<Item = (String, &Labels)> {
        let of = |kind: &'static str, some| -> Vec<(String, &Labels)> {
            let some: &BTreeMap<String, Labels> = some;
            some.iter().map(|(name, labels)| (format!("{kind} {name}"), labels)).collect()
        };
        of("container", &self.containers)
            .into_iter()
            .chain(of("network", &self.networks))
            .chain(of("volume", &self.volumes))
    }
}

/// Everything with `label`, which is a key or `key=value`.
async fn look(docker: &Docker, label: &str) -> Result<Found, Error> {
    let filters = || [("label".to_owned(), vec![label.to_owned()])];
    let containers = ListContainersOptionsBuilder::new().all(true).filters(&filters().into_iter().collect()).build();
    let networks = ListNetworksOptionsBuilder::new().filters(&filters().into_iter().collect()).build();
    let volumes = ListVolumesOptionsBuilder::new().filters(&filters().into_iter().collect()).build();
    let (containers, networks, volumes) = tokio::try_join!(
        docker.list_containers(Some(containers)),
        docker.list_networks(Some(networks)),
        docker.list_volumes(Some(volumes)),
    )?;
    let name = |names: Option<Vec<String>>| names.and_then(|names| names.first().cloned()).unwrap_or_default();
    Ok(Found {
        containers: containers
            .into_iter()
            .map(|one| (name(one.names).trim_start_matches('/').to_owned(), one.id, one.labels.unwrap_or_default()))
            .map(|(name, id, labels)| (if name.is_empty() { id.unwrap_or_default() } else { name }, labels))
            .map(|(name, labels)| (name, labels.into_iter().collect()))
            .collect(),
        networks: networks
            .into_iter()
            .map(|one| (one.id.unwrap_or_default(), one.labels.unwrap_or_default().into_iter().collect()))
            .collect(),
        volumes: volumes
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(|one| (one.name, one.labels.into_iter().collect()))
            .collect(),
    })
}

/// Removes what the run `run` has until nothing more is expected, at most `limit`.
pub(crate) async fn remove_run(docker: &Docker, run: &str, expect: Expect, limit: Duration) -> Removed {
    let label = format!("{RUN}={run}");
    let deadline = Instant::now() + limit;
    let (mut removed, mut quiet) = (Removed::default(), 0);
    loop {
        let (pause, trouble) = match timeout_at(deadline, look(docker, &label)).await {
            Ok(Ok(found)) if found.is_empty() => {
                quiet += 1;
                if quiet == expect.quiet_looks() {
                    return removed;
                }
                (LOOK_AGAIN, Vec::new())
            }
            Ok(Ok(found)) => {
                quiet = 0;
                let trouble = timeout_at(deadline, remove(docker, &found, &mut removed)).await;
                (REMOVE_AGAIN, trouble.unwrap_or_else(|_| found.all().map(|(name, _)| name).collect()))
            }
            Ok(Err(error)) => (LOOK_AGAIN, vec![format!("containers of {run}: {}", words(&error))]),
            Err(_) => (LOOK_AGAIN, vec![format!("containers of {run}: the engine does not answer")]),
        };
        if Instant::now() + pause >= deadline {
            removed.left = trouble;
            return removed;
        }
        sleep(pause).await;
    }
}

/// Containers first, as networks and volumes cannot go while they are used. What is gone already counts as removed by somebody else.
async fn remove(docker: &Docker, found: &Found, removed: &mut Removed) -> Vec<String> {
    let mut trouble = Vec::new();
    let mut count = |name: String, result: Result<(), Error>| match result {
        Ok(()) => 1,
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => 0,
        Err(error) => {
            trouble.push(format!("{name}: {}", words(&error)));
            0
        }
    };
    let gone = join_all(found.containers.keys().map(async |name| {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        (format!("container {name}"), docker.remove_container(name, Some(options)).await)
    }));
    removed.containers += gone.await.into_iter().map(|(name, result)| count(name, result)).sum::<usize>();
    let gone = join_all(
        found.networks.keys().map(async |name| (format!("network {name}"), docker.remove_network(name).await)),
    );
    removed.networks += gone.await.into_iter().map(|(name, result)| count(name, result)).sum::<usize>();
    let gone =
        join_all(found.volumes.keys().map(async |name| {
            (format!("volume {name}"), docker.remove_volume(name, None::<RemoveVolumeOptions>).await)
        }));
    removed.volumes += gone.await.into_iter().map(|(name, result)| count(name, result)).sum::<usize>();
    trouble
}

/// Runs that the engine still has something of, and whose reaper lives no more.
pub(crate) async fn ownerless(docker: &Docker) -> Result<Vec<String>, Error> {
    let found = look(docker, RUN).await?;
    let mut runs: Vec<String> = found.all().filter_map(|(_, labels)| dead_owner(labels)).collect();
    runs.sort_unstable();
    runs.dedup();
    Ok(runs)
}

/// The run that these labels name, when its owner is surely gone.
fn dead_owner(labels: &Labels) -> Option<String> {
    let own = |key: &str, own: &str| labels.get(key).is_some_and(|value| value == own);
    let (run, machine, boot) = (labels.get(RUN).cloned(), machine(), boot());
    if !own(OWNER_MACHINE, &machine) || boot.is_empty() {
        return None;
    }
    if !own(OWNER_BOOT, &boot) {
        // Without an id of the machine it may as well be another one.
        return run.filter(|_| !machine.is_empty());
    }
    let pid: u32 = labels.get(OWNER_PID)?.parse().ok()?;
    let start: u64 = labels.get(OWNER_START)?.parse().ok()?;
    run.filter(|_| own(OWNER_SPACE, &namespace()) && is_gone(pid, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_runs_whose_owner_is_surely_gone_are_ownerless() {
        let own = labels("bankstorm-x", std::process::id());
        assert_eq!(dead_owner(&own), None);
        let with = |key: &str, value: &str| {
            let mut changed = own.clone();
            changed.insert(key.into(), value.into());
            dead_owner(&changed)
        };
        assert_eq!(with(OWNER_START, "1"), Some("bankstorm-x".into()), "a later process with that id");
        assert_eq!(with(OWNER_PID, "nobody"), None);
        let known_machine = (!machine().is_empty()).then(|| "bankstorm-x".to_owned());
        assert_eq!(with(OWNER_BOOT, "another"), known_machine, "nothing outlives a boot");
        for (place, value) in [(OWNER_SPACE, "pid:[1]"), (OWNER_MACHINE, "another")] {
            let mut elsewhere = own.clone();
            elsewhere.insert(OWNER_START.into(), "1".into());
            elsewhere.insert(place.into(), value.into());
            assert_eq!(dead_owner(&elsewhere), None, "ids say nothing with {place} = {value}");
        }
        let mut other_machine = own.clone();
        other_machine.insert(OWNER_MACHINE.into(), "another".into());
        other_machine.insert(OWNER_BOOT.into(), "another".into());
        assert_eq!(dead_owner(&other_machine), None, "another machine has boots of its own");
    }
}
