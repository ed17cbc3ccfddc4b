//! What may be done to a running node: kill, freeze, restart, take off the network. Each returns once the engine shows the effect.
//!
//! A caller may stop waiting at any moment. So every request to the engine runs to its end in a task of its own, and the next operation
//! on that node begins once it has ended, with a look at what the engine says.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use testcontainers_modules::testcontainers::bollard::models::{
    ContainerState, EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest,
};
use testcontainers_modules::testcontainers::bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder,
};
use tokio::time::Instant;

use super::engine::{REMOVAL, SMALL};
use super::nodes::Entry;
use super::run::Run;
use super::{events, logs, moment};
use crate::environment::Witness;
use crate::progress::Quiet;
use crate::reaper::{Exit, monotonic_ns};
use crate::{EnvironmentError, limits};

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

    /// Asks the engine to change `node`. A caller that stops waiting cuts nothing short.
    #[expect(clippy::disallowed_methods, reason = "harness room: a request goes on when nobody waits for it any more")]
    async fn ask(
        &self,
        node: &str,
        request: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> Result<(), String> {
        let Some(Entry { busy, .. }) = self.nodes.get(node) else { return Ok(()) };
        // Taken here, as whoever comes next may be faster than the task.
        let turn = Arc::clone(&busy).try_lock_owned().ok();
        let task = tokio::spawn(async move {
            let _turn = match turn {
                Some(turn) => turn,
                None => busy.lock_owned().await,
            };
            request.await
        });
        task.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Waits for the end of a request that nobody waits for any more.
    async fn settled(&self, node: &str) {
        if let Some(Entry { busy, .. }) = self.nodes.get(node) {
            drop(busy.lock().await);
        }
    }

    /// An end that somebody planned. A refusal of the engine leaves the node watched as before.
    async fn end(
        self: &Arc<Self>,
        doing: &'static str,
        node: &str,
        request: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> Result<(Exit, u64), EnvironmentError> {
        let watched = self.nodes.change(node, |entry| std::mem::take(&mut entry.watched)).unwrap_or_default();
        if let Err(reason) = self.ask(node, request).await {
            if watched {
                self.watch(node);
            }
            return Err(refused(doing, node, reason));
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
        Ok(self.note_end(node, &state))
    }

    /// Notes the end that the engine's view of a container shows.
    pub(super) fn note_end(self: &Arc<Self>, node: &str, state: &ContainerState) -> (Exit, u64) {
        let exit = events::exit_of(state.exit_code.unwrap_or_default() as i32);
        let finished = state.finished_at.as_deref().and_then(moment::since_epoch_ns);
        let at = finished.map_or_else(monotonic_ns, moment::monotonic_at);
        // A process that ends at once may have ended before the engine wrote down that it began.
        let ended = finished.max(state.started_at.as_deref().and_then(moment::since_epoch_ns));
        events::ended(self, node, exit, at, ended);
        (exit, at)
    }

    pub(super) async fn kill(self: &Arc<Self>, node: &str) -> Result<Witness, EnvironmentError> {
        self.settled(node).await;
        let (entry, pid) = self.running("kill", node)?;
        let engine = self.engine.clone();
        let request = async move {
            let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
            engine.within(SMALL, engine.docker.kill_container(&entry.id, Some(options))).await
        };
        let (exit, at_monotonic_ns) = self.end("kill", node, request).await?;
        if exit != Exit::Signal(Signal::SIGKILL as i32) {
            // It was faster: a death that nobody planned.
            self.watch(node);
            return Err(refused("kill", node, format!("it had ended before, by itself ({exit})")));
        }
        let what = format!("process {pid} killed by SIGKILL, with all of its container");
        Ok(Witness { what, at_monotonic_ns })
    }

    pub(super) async fn pause(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.settled(node).await;
        let (entry, pid) = self.running("pause", node)?;
        // Noted before: somebody who stops it must know, also when its answer is not waited for.
        self.nodes.change(node, |entry| entry.paused = true);
        let (engine, id) = (self.engine.clone(), entry.id.clone());
        let asked = self.ask(node, async move { engine.within(SMALL, engine.docker.pause_container(&id)).await }).await;
        // One that somebody else froze is refused by the engine, and stands still all the same.
        let seen = self.see_paused("pause", node, &entry.id, true).await;
        seen.map_err(|error| asked.err().map_or(error, |reason| refused("pause", node, reason)))?;
        let what = format!("process {pid} and all of its container stand still (Paused)");
        Ok(Witness { what, at_monotonic_ns: monotonic_ns() })
    }

    pub(super) async fn resume(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.settled(node).await;
        let (entry, pid) = self.running("resume", node)?;
        let state = self.state(&entry.id).await.map_err(|error| refused("resume", node, error.to_string()))?;
        // What the engine says counts, not what was noted: a pause may have been cut short.
        if state.paused == Some(true) {
            let (engine, id) = (self.engine.clone(), entry.id.clone());
            let resumed = async move { engine.within(SMALL, engine.docker.unpause_container(&id)).await };
            self.ask(node, resumed).await.map_err(|reason| refused("resume", node, reason))?;
        }
        self.see_paused("resume", node, &entry.id, false).await?;
        let what = format!("process {pid} and all of its container go on (not Paused)");
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
        self.settled(node).await;
        let entry = self.known("restart", node)?;
        let before = if entry.running() { self.end_before_restart(node, &entry).await? } else { String::new() };
        // Its output of before is complete before that of now follows.
        events::last_words(self, node).await;
        let from = logs::length(&self.log(node));
        let (begun, limit) = (Instant::now(), limits::of(entry.kind).again);
        self.nodes.change(node, Entry::begin_life);
        let (run, name, id) = (Arc::clone(self), node.to_owned(), entry.id.clone());
        let started = self.ask(node, async move {
            let start = run.engine.docker.start_container(&id, None::<StartContainerOptions>);
            run.engine.within(limit, start).await?;
            run.adopt(&name, &id).await.map_err(|error| error.to_string())
        });
        if let Err(reason) = started.await {
            // It rests as it did before.
            if let Ok(state) = self.state(&entry.id).await
                && state.running == Some(false)
            {
                self.note_end(node, &state);
            }
            return Err(refused("restart", node, reason));
        }
        // Whoever restarts a node tells of it; a start's progress lines would come in the midst of a run.
        let left = Duration::from_secs(limit.saturating_sub(begun.elapsed()).as_secs_f64().round() as u64);
        self.until_ready(node, from, left, &Quiet).await?;
        self.watch(node);
        let pid = self.nodes.get(node).and_then(|entry| entry.pid).unwrap_or_default();
        let took = begun.elapsed().as_secs_f64();
        let what = format!("process {pid}, ready after {took:.1} s{before}");
        Ok(Witness { what, at_monotonic_ns: monotonic_ns() })
    }

    /// Ends a node as an operator would; answers what to add to the witness when that did not go as it should.
    async fn end_before_restart(self: &Arc<Self>, node: &str, entry: &Entry) -> Result<String, EnvironmentError> {
        let state = self.state(&entry.id).await.map_err(|error| refused("restart", node, error.to_string()))?;
        if state.running == Some(false) {
            // Its end was not told yet. When nobody planned it, this tells of it as a death.
            let (exit, _) = self.note_end(node, &state);
            return Ok(match entry.watched {
                true => format!(" (the one before had ended by itself: {exit})"),
                false => String::new(),
            });
        }
        match self.stop("restart", node).await {
            Ok((exit, _)) => Ok(limits::after_stop(exit, limits::stop_signal(entry.kind))),
            // It was faster: told as a death, if nobody planned it.
            Err(_) if self.nodes.get(node).is_none_or(|entry| !entry.running()) => Ok(String::new()),
            Err(error) => Err(error),
        }
    }

    /// Stops a running node in order: a frozen one goes on first; after the limit of its kind the engine kills it.
    pub(super) async fn stop(
        self: &Arc<Self>,
        doing: &'static str,
        node: &str,
    ) -> Result<(Exit, u64), EnvironmentError> {
        self.settled(node).await;
        let (entry, _) = self.running(doing, node)?;
        let engine = self.engine.clone();
        let request = async move {
            let inspected = engine.docker.inspect_container(&entry.id, None::<InspectContainerOptions>);
            let state = engine.within(SMALL, inspected).await?.state.unwrap_or_default();
            if state.paused == Some(true) {
                engine.within(SMALL, engine.docker.unpause_container(&entry.id)).await?;
            }
            let limit = limits::of(entry.kind).stop;
            let options = StopContainerOptionsBuilder::new().t(limit.as_secs() as i32).build();
            engine.within(limit + SMALL, engine.docker.stop_container(&entry.id, Some(options))).await
        };
        self.end(doing, node, request).await
    }

    /// Removes the container of `node` and its data; it may run or not.
    pub(super) async fn remove(&self, node: &str) {
        self.nodes.change(node, |entry| entry.watched = false);
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let name = self.container(node);
        // What stays is found by its label when the run ends, and said then.
        let _ = self.engine.within(REMOVAL, self.engine.docker.remove_container(&name, Some(options))).await;
    }

    pub(super) async fn disconnect(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.settled(node).await;
        let entry = self.known("disconnect", node)?;
        let request = NetworkDisconnectRequest { container: entry.id.clone(), force: Some(false) };
        let (engine, network) = (self.engine.clone(), self.name.clone());
        let done = async move { engine.within(SMALL, engine.docker.disconnect_network(&network, request)).await };
        let done = self.ask(node, done).await;
        self.see_member("disconnect", node, &entry.id, false, done).await
    }

    pub(super) async fn reconnect(&self, node: &str) -> Result<Witness, EnvironmentError> {
        self.settled(node).await;
        let entry = self.known("reconnect", node)?;
        let endpoint = EndpointSettings { aliases: Some(vec![node.to_owned()]), ..EndpointSettings::default() };
        let request = NetworkConnectRequest { container: entry.id.clone(), endpoint_config: Some(endpoint) };
        let (engine, network) = (self.engine.clone(), self.name.clone());
        let done = async move { engine.within(SMALL, engine.docker.connect_network(&network, request)).await };
        let done = self.ask(node, done).await;
        self.see_member("reconnect", node, &entry.id, true, done).await
    }

    async fn see_member(
        &self,
        doing: &'static str,
        node: &str,
        id: &str,
        expected: bool,
        done: Result<(), String>,
    ) -> Result<Witness, EnvironmentError> {
        done.map_err(|reason| refused(doing, node, reason))?;
        let inspected = self.engine.docker.inspect_container(id, None::<InspectContainerOptions>);
        let seen = self.engine.within(SMALL, inspected).await.map_err(|reason| refused(doing, node, reason))?;
        let networks = seen.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let member = networks.contains_key(&self.name);
        let is = if member { "is" } else { "is not" };
        let what = format!("its container {is} in the run's network");
        if member == expected {
            return Ok(Witness { what, at_monotonic_ns: monotonic_ns() });
        }
        Err(refused(doing, node, format!("the engine did it, but {what}")))
    }
}

/// No such node was ever started.
pub(super) fn unknown(doing: &'static str, node: &str) -> EnvironmentError {
    refused(doing, node, "no node of that name was started; `nodes()` names all of them".into())
}

fn refused(doing: &'static str, node: &str, reason: String) -> EnvironmentError {
    EnvironmentError::Node { doing, node: node.to_owned(), reason }
}
