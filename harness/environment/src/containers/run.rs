//! One run in the engine: its name and labels, how a container comes up, and how its readiness is waited for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use testcontainers_modules::testcontainers::bollard::models::{
    ContainerState, HostConfig, HostConfigLogConfig, NetworkCreateRequest,
};
use testcontainers_modules::testcontainers::bollard::query_parameters::{
    InspectContainerOptions, RemoveContainerOptionsBuilder,
};
use testcontainers_modules::testcontainers::core::error::TestcontainersError;
use testcontainers_modules::testcontainers::runners::AsyncRunner;
use testcontainers_modules::testcontainers::{ContainerRequest, Image, ImageExt};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::engine::{Engine, REMOVAL, SMALL, silent};
use super::nodes::{Entry, Nodes};
use super::{events, logs, moment};
use crate::EnvironmentError;
use crate::error::LastLines;
use crate::progress::{Progress, told};

/// Between two looks at something that has no event.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// For the engine to create and start one container, while it does so for ten others.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What all of a run's containers share.
pub(super) struct Run {
    pub(super) engine: Engine,
    /// The name of the run's folder: its label, its network, and the beginning of its containers' names.
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) logs: PathBuf,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) nodes: Nodes,
}

/// Why a container did not come up.
pub(super) enum Refusal {
    /// One of its ports on this machine is taken.
    PortTaken(String),
    /// Anything else.
    Other(EnvironmentError),
}

impl Run {
    /// Name of the container of `node`.
    pub(super) fn container(&self, node: &str) -> String {
        format!("{}-{node}", self.name)
    }

    /// The node whose container has that name.
    pub(super) fn node_of<'a>(&self, container: &'a str) -> Option<&'a str> {
        container.strip_prefix(&self.name)?.strip_prefix('-')
    }

    /// Log file of `node`.
    pub(super) fn log(&self, node: &str) -> PathBuf {
        self.logs.join(format!("{node}.log"))
    }

    /// The last lines that `node` wrote.
    pub(super) fn last_lines(&self, node: &str) -> LastLines {
        LastLines::of(&self.log(node))
    }

    /// Makes the run's network.
    pub(super) async fn make_network(&self) -> Result<(), EnvironmentError> {
        let network = NetworkCreateRequest {
            name: self.name.clone(),
            driver: Some("bridge".into()),
            labels: Some(self.labels.clone().into_iter().collect()),
            ..NetworkCreateRequest::default()
        };
        let made = self.engine.within(SMALL, self.engine.docker.create_network(network)).await;
        made.map(drop).map_err(|reason| EnvironmentError::Engine { doing: "make a network for the run".into(), reason })
    }

    /// The engine's view of a container.
    pub(super) async fn state(&self, id: &str) -> Result<ContainerState, EnvironmentError> {
        let inspected = self.engine.docker.inspect_container(id, None::<InspectContainerOptions>);
        let seen = self.engine.within(SMALL, inspected).await;
        let seen = seen.map_err(|reason| EnvironmentError::Engine { doing: "look at a container".into(), reason });
        Ok(seen?.state.unwrap_or_default())
    }

    /// Waits until `look` finds something, `node` ends, the run is lost, or the limit is hit.
    pub(super) async fn until<T, F: Future<Output = Option<T>> + Send>(
        &self,
        node: &str,
        waiting_for: &str,
        limit: Duration,
        look: impl FnMut() -> F + Send,
    ) -> Result<T, EnvironmentError> {
        told(self.progress.as_ref(), node, waiting_for, limit, self.looking(node, waiting_for, limit, look)).await
    }

    async fn looking<T, F: Future<Output = Option<T>> + Send>(
        &self,
        node: &str,
        waiting_for: &str,
        limit: Duration,
        look: impl FnMut() -> F + Send,
    ) -> Result<T, EnvironmentError> {
        tokio::select! {
            biased;
            lost = self.nodes.loss(node, waiting_for) => Err(lost),
            found = self.look_again(node, waiting_for, limit, look) => found,
        }
    }

    async fn look_again<T, F: Future<Output = Option<T>> + Send>(
        &self,
        node: &str,
        waiting_for: &str,
        limit: Duration,
        mut look: impl FnMut() -> F + Send,
    ) -> Result<T, EnvironmentError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some((exit, _)) = self.nodes.get(node).and_then(|entry| entry.exit) {
                events::last_words(self, node).await;
                let (name, waiting_for) = (node.to_owned(), waiting_for.to_owned());
                return Err(EnvironmentError::Died { name, waiting_for, exit, log: self.last_lines(node) });
            }
            // One look may hang; it ends with the limit of the whole wait.
            match timeout_at(deadline, look()).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) if Instant::now() < deadline => sleep(LOOK_AGAIN).await,
                Ok(None) | Err(_) => {
                    let (name, waiting_for) = (node.to_owned(), waiting_for.to_owned());
                    return Err(EnvironmentError::Limit { name, waiting_for, limit, log: self.last_lines(node) });
                }
            }
        }
    }

    /// Waits until `node` is ready, at most `limit`; what its log held before `from` does not count.
    pub(super) async fn until_ready(
        &self,
        node: &str,
        from: u64,
        limit: Duration,
        progress: &dyn Progress,
    ) -> Result<(), EnvironmentError> {
        let Some(entry) = self.nodes.get(node) else { return Ok(()) };
        let log = self.log(node);
        let ready = || async { entry.ready.is(&log, from).await.then_some(()) };
        let waiting_for = entry.ready.waiting_for();
        told(progress, node, &waiting_for, limit, self.looking(node, &waiting_for, limit, ready)).await
    }

    /// From now on an end of `node` is a death, also one that happened since it became ready.
    pub(super) fn watch(self: &Arc<Self>, node: &str) {
        let exit = self.nodes.change(node, |entry| {
            entry.watched = true;
            entry.exit.map(|(exit, at)| (exit, at, entry.ended))
        });
        if let Some(Some((exit, at, ended))) = exit {
            events::ended(self, node, exit, at, ended);
        }
    }

    /// Creates and starts the container of `node`; it need not be ready then. After a refusal nothing is left of it.
    pub(super) async fn create<I: Image>(
        self: &Arc<Self>,
        node: &str,
        entry: Entry,
        init: bool,
        image: impl Into<ContainerRequest<I>>,
    ) -> Result<(), Refusal> {
        self.progress.started(node, &entry.ready.waiting_for());
        self.nodes.note(node, entry);
        let request = image
            .into()
            .with_container_name(self.container(node))
            // The engine's name server answers to this one within the run's network.
            .with_hostname(node)
            .with_network(&self.name)
            .with_labels(self.labels.clone())
            .with_startup_timeout(START_LIMIT)
            .with_ready_conditions(Vec::new())
            .with_host_config_modifier(move |host| settle(host, init));
        let started = tokio::select! {
            biased;
            lost = self.nodes.loss(node, "its start") => return Err(Refusal::Other(lost)),
            started = timeout(START_LIMIT, request.start()) => started,
        };
        let started =
            started.unwrap_or_else(|_| Err(TestcontainersError::other(silent(&self.engine.address, START_LIMIT))));
        match started {
            Ok(container) => {
                let id = container.id().to_owned();
                // Removal is ours and the reaper's: the handle's own would block the runtime, and panics where there is none any more.
                std::mem::forget(container);
                self.adopt(node, &id).await.map_err(Refusal::Other)
            }
            Err(error) => {
                let name = self.container(node);
                let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
                // It may not have come so far; what stays is found by its label.
                let _ = self.engine.within(REMOVAL, self.engine.docker.remove_container(&name, Some(options))).await;
                Err(refusal(node, &error))
            }
        }
    }

    /// Takes in a container that was started a moment ago.
    pub(super) async fn adopt(self: &Arc<Self>, node: &str, id: &str) -> Result<(), EnvironmentError> {
        let state = self.state(id).await?;
        let pid = state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
        let started = state.started_at.as_deref().and_then(moment::since_epoch_ns);
        self.nodes.change(node, |entry| {
            entry.id = id.to_owned();
            entry.live(pid, started);
        });
        logs::follow(self, node, id);
        Ok(())
    }
}

/// What testcontainers has no word for.
fn settle(host: &mut HostConfig, init: bool) {
    // Nobody outside this machine has any business with a run.
    for bindings in host.port_bindings.iter_mut().flatten().filter_map(|(_, bindings)| bindings.as_mut()) {
        for binding in bindings {
            binding.host_ip = Some("127.0.0.1".into());
        }
    }
    host.publish_all_ports = Some(false);
    // A driver whose output can be read back, whatever the engine's default is.
    // Nor is anything rotated away: what a restart wrote is found behind what was there before.
    let whole = [("max-size".to_owned(), "100g".to_owned())].into_iter().collect();
    host.log_config = Some(HostConfigLogConfig { typ: Some("json-file".into()), config: Some(whole) });
    // The first process of a container gets no signal that it has no handler for; the engine's init passes them on to the second one.
    host.init = init.then_some(true);
}

fn refusal(node: &str, error: &TestcontainersError) -> Refusal {
    let reason = error.to_string();
    let taken = ["port is already allocated", "address already in use"].iter().any(|words| reason.contains(words));
    if taken {
        return Refusal::PortTaken(reason);
    }
    Refusal::Other(EnvironmentError::Engine { doing: format!("start {node}"), reason })
}

#[cfg(test)]
mod tests {
    use testcontainers_modules::testcontainers::bollard::models::PortBinding;

    use super::*;

    #[test]
    fn ports_are_bound_to_loopback_alone() {
        let binding = PortBinding { host_ip: None, host_port: Some("15000".into()) };
        let bindings = [("5432/tcp".to_owned(), Some(vec![binding]))];
        let mut host = HostConfig { port_bindings: Some(bindings.into_iter().collect()), ..HostConfig::default() };
        settle(&mut host, false);
        let bound: Vec<_> =
            host.port_bindings.into_iter().flatten().flat_map(|(_, all)| all.unwrap_or_default()).collect();
        assert_eq!(bound.len(), 1);
        assert_eq!(bound[0].host_ip.as_deref(), Some("127.0.0.1"));
        assert_eq!((host.publish_all_ports, host.init), (Some(false), None));
    }

    #[test]
    fn a_taken_port_is_told_from_other_refusals() {
        let refused = |reason: &str| refusal("core", &TestcontainersError::other(reason.to_owned()));
        for taken in [
            "Bind for 127.0.0.1:1 failed: port is already allocated",
            "listen tcp4 127.0.0.1:1: bind: address already in use",
        ] {
            assert!(matches!(refused(taken), Refusal::PortTaken(_)), "{taken}");
        }
        assert!(matches!(refused("no space left on device"), Refusal::Other(_)));
    }
}
