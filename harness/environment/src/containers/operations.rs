//! What may be done to a running node: kill, freeze, restart, take off the network. Each returns once the engine shows the effect.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use testcontainers_modules::testcontainers::bollard::errors::Error;
use testcontainers_modules::testcontainers::bollard::models::{
    EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest,
};
use testcontainers_modules::testcontainers::bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder,
};
use tokio::time::Instant;

use super::engine::words;
use super::nodes::Entry;
use super::run::Run;
use super::{events, logs};
use crate::EnvironmentError;
use crate::environment::{NodeKind, Witness};
use crate::progress::Quiet;
use crate::reaper::{Exit, monotonic_ns};

/// For a service after SIGTERM, as the design promises it; then the engine kills.
pub(super) const SERVICE_STOP_SECONDS: i32 = 10;
/// The checkpoint of a database's fast shutdown writes back what is dirty.
const DATABASE_STOP_SECONDS: i32 = 50;
/// A lone broker's orderly way out takes seconds, and one whose quorum is gone never ends.
const BROKER_STOP_SECONDS: i32 = 20;
/// For an end to be told by the engine's events, after the engine said that it happened.
const SEEN: Duration = Duration::from_secs(5);

impl Run {
    fn known(&self, doing: &'static str, node: &str) -> Result<Entry, EnvironmentError> {
        let entry = self.nodes.get(node).filter(|entry| !entry.id.is_empty());
        entry.ok_or_else(|| unknown(doing, node))
    }

    fn running(&self, doing: &'static str, node: &str) -> Result<(Entry, u32), EnvironmentError> {
        let entry = self.known(doing, node)?;
        match entry.pid {
            Some(pid) if entry.running() => Ok((entry, pid)),
            _ => Err(refused(doing, node, "it does not run; `restart` starts it again".into())),
        }
    }

    /// An end that somebody planned. A refusal of the engine leaves the node watched as before.
    async fn end(
        self: &Arc<Self>,
        doing: &'static str,
        node: &str,
        request: impl Future<Output = Result<(), Error>>,
    ) -> Result<(Exit, u64), EnvironmentError> {
        let watched = self.nodes.change(node, |entry| std::mem::take(&mut entry.watched)).unwrap_or_default();
        if let Err(error) = request.await {
            if watched {
                self.watch(node);
            }
            return Err(refused(doing, node, words(&error)));
        }
        match self.nodes.until(node, SEEN, |entry| entry.exit).await {
            Some(end) => Ok(end),
            None => self.look_for_end(doing, node).await,
        }
    }

    /// The events may be lost; then the engine is asked.
    async fn look_for_end(self: &Arc<Self>, doing: &'static str, node: &str) -> Result<(Exit, u64), EnvironmentError> {
        let entry = self.known(doing, node)?;
        let state = self.state(&entry.id).await?;
        if state.running != Some(false) {
            return Err(refused(doing, node, format!("its end was not seen within {} s", SEEN.as_secs())));
        }
        let exit = events::exit_of(state.exit_code.unwrap_or_default() as i32);
        events::ended(self, node, exit, monotonic_ns());
        Ok((exit, monotonic_ns()))
    }

    pub(super) async fn kill(self: &Arc<Self>, node: &str) -> Result<Witness, EnvironmentError> {
        let (entry, pid) = self.running("kill", node)?;
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        let request = self.engine.docker.kill_container(&entry.id, Some(options));
        let (exit, at_monotonic_ns) = self.end("kill", node, request).await?;
        if exit != Exit::Signal(Signal::SIGKILL as i32) {
            // It was faster: a death that nobody planned.
            self.watch(node);
            return Err(refused("kill", node, format!("it had ended before, by itself ({exit})")));
        }
        let what = format!("process {pid} killed by SIGKILL, with all of container {}", self.container(node));
        Ok(Witness { what, at_monotonic_ns })
    }

    pub(super) async fn pause(&self, node: &str) -> Result<Witness, EnvironmentError> {
        let (entry, pid) = self.running("pause", node)?;
        if !entry.paused {
            let paused = self.engine.docker.pause_container(&entry.id).await;
            paused.map_err(|error| refused("pause", node, words(&error)))?;
        }
        self.see_paused("pause", node, &entry.id, true).await?;
        let what = format!("process {pid} and all of container {} stand still (Paused)", self.container(node));
        Ok(Witness { what, at_monotonic_ns: monotonic_ns() })
    }

    pub(super) async fn resume(&self, node: &str) -> Result<Witness, EnvironmentError> {
        let (entry, pid) = self.running("resume", node)?;
        if entry.paused {
            let resumed = self.engine.docker.unpause_container(&entry.id).await;
            resumed.map_err(|error| refused("resume", node, words(&error)))?;
        }
        self.see_paused("resume", node, &entry.id, false).await?;
        let what = format!("process {pid} and all of container {} go on (not Paused)", self.container(node));
        Ok(Witness { what, at_monotonic_ns: monotonic_ns() })
    }

    async fn see_paused(
        &self,
        doing: &'static str,
        node: &str,
        id: &str,
        paused: bool,
    ) -> Result<(), EnvironmentError> {
        let state = self.state(id).await?;
        self.nodes.change(node, |entry| entry.paused = state.paused == Some(true));
        if state.running == Some(true) && state.paused == Some(paused) {
            return Ok(());
        }
        let status = state.status.map(|status| status.to_string()).unwrap_or_default();
        Err(refused(doing, node, format!("the engine did it, but says that the container is {status}")))
    }

    pub(super) async fn restart(self: &Arc<Self>, node: &str) -> Result<Witness, EnvironmentError> {
        let entry = self.known("restart", node)?;
        let mut forced = String::new();
        if entry.running() {
            let (exit, _) = self.stop("restart", node).await?;
            if exit == Exit::Signal(Signal::SIGKILL as i32) {
                let seconds = stop_seconds(entry.kind);
                forced = format!(" (the one before did not end within {seconds} s and was killed)");
            }
        }
        // Its output of before is complete before that of now follows.
        events::last_words(self, node).await;
        let from = logs::length(&self.log(node));
        let begun = Instant::now();
        self.nodes.change(node, |entry| (entry.exit, entry.pid, entry.paused) = (None, None, false));
        let started = self.engine.docker.start_container(&entry.id, None::<StartContainerOptions>).await;
        if let Err(error) = started {
            // It rests as it did before.
            let before = self.state(&entry.id).await.map_or(0, |state| state.exit_code.unwrap_or_default());
            self.nodes.change(node, |entry| entry.exit = Some((events::exit_of(before as i32), monotonic_ns())));
            return Err(refused("restart", node, words(&error)));
        }
        self.adopt(node, &entry.id).await?;
        // Whoever restarts a node tells of it; a start's progress lines would come in the midst of a run.
        self.until_ready(node, from, &Quiet).await?;
        self.watch(node);
        let pid = self.nodes.get(node).and_then(|entry| entry.pid).unwrap_or_default();
        let took = begun.elapsed().as_secs_f64();
        let what = format!("process {pid} of container {}, ready after {took:.1} s{forced}", self.container(node));
        Ok(Witness { what, at_monotonic_ns: monotonic_ns() })
    }

    /// Stops a running node in order: a frozen one goes on first; after [`stop_seconds`] the engine kills it.
    pub(super) async fn stop(
        self: &Arc<Self>,
        doing: &'static str,
        node: &str,
    ) -> Result<(Exit, u64), EnvironmentError> {
        let (entry, _) = self.running(doing, node)?;
        let request = async {
            if entry.paused {
                self.engine.docker.unpause_container(&entry.id).await?;
            }
            let options = StopContainerOptionsBuilder::new().t(stop_seconds(entry.kind)).build();
            self.engine.docker.stop_container(&entry.id, Some(options)).await
        };
        self.end(doing, node, request).await
    }

    /// Removes the container of `node` and its data; it may run or not.
    pub(super) async fn remove(&self, node: &str) {
        self.nodes.change(node, |entry| entry.watched = false);
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        // What stays is found by its label when the run ends, and said then.
        let _ = self.engine.docker.remove_container(&self.container(node), Some(options)).await;
    }

    pub(super) async fn disconnect(&self, node: &str) -> Result<Witness, EnvironmentError> {
        let entry = self.known("disconnect", node)?;
        let request = NetworkDisconnectRequest { container: entry.id.clone(), force: Some(false) };
        let done = self.engine.docker.disconnect_network(&self.name, request).await;
        done.map_err(|error| refused("disconnect", node, words(&error)))?;
        self.see_member("disconnect", node, &entry.id, false).await
    }

    pub(super) async fn reconnect(&self, node: &str) -> Result<Witness, EnvironmentError> {
        let entry = self.known("reconnect", node)?;
        let endpoint = EndpointSettings { aliases: Some(vec![node.to_owned()]), ..EndpointSettings::default() };
        let request = NetworkConnectRequest { container: entry.id.clone(), endpoint_config: Some(endpoint) };
        let done = self.engine.docker.connect_network(&self.name, request).await;
        done.map_err(|error| refused("reconnect", node, words(&error)))?;
        self.see_member("reconnect", node, &entry.id, true).await
    }

    async fn see_member(
        &self,
        doing: &'static str,
        node: &str,
        id: &str,
        expected: bool,
    ) -> Result<Witness, EnvironmentError> {
        let seen = self.engine.docker.inspect_container(id, None::<InspectContainerOptions>).await;
        let seen = seen.map_err(|error| refused(doing, node, words(&error)))?;
        let networks = seen.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let member = networks.contains_key(&self.name);
        let is = if member { "is" } else { "is not" };
        let what = format!("container {} {is} in network {}", self.container(node), self.name);
        if member == expected {
            return Ok(Witness { what, at_monotonic_ns: monotonic_ns() });
        }
        Err(refused(doing, node, format!("the engine did it, but {what}")))
    }
}

/// For an orderly stop.
fn stop_seconds(kind: NodeKind) -> i32 {
    match kind {
        NodeKind::Database => DATABASE_STOP_SECONDS,
        NodeKind::Broker => BROKER_STOP_SECONDS,
        NodeKind::Cache | NodeKind::Service => SERVICE_STOP_SECONDS,
    }
}

/// No such node was ever started.
pub(super) fn unknown(doing: &'static str, node: &str) -> EnvironmentError {
    refused(doing, node, "no node of that name was started; `nodes()` names all of them".into())
}

fn refused(doing: &'static str, node: &str, reason: String) -> EnvironmentError {
    EnvironmentError::Node { doing, node: node.to_owned(), reason }
}
