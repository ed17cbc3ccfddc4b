//! The running environment: start, addresses, our own services, deaths, stop.
//!
//! In: [`Needs`], [`ServiceSpec`]s. Out: connection strings, process ids, [`Death`]s. Elsewhere: one file a kind of process in
//! `local/`, the parent of all processes in `reaper`.

mod clusters;
mod folder;
mod kafka;
mod kafka_config;
mod launch;
mod postgres;
mod services;
mod topics;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::needs::{Needs, ServiceSpec};
use crate::progress::Progress;
use crate::reaper::{Exit, Reaper};
use crate::{EnvironmentError, orphans};
use launch::Launcher;

/// For a service after SIGTERM, as the design promises it.
const SERVICE_STOP: Duration = Duration::from_secs(10);
/// For the stores: their data is thrown away, so they are told to leave at once.
const STORE_STOP: Duration = Duration::from_secs(5);

/// A process that ended without having been asked to by [`Local::stop`] (a signal sent by [`Local::signal`] counts as unplanned too).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// `core`, `postgres-channel`, `kafka`.
    pub name: String,
    /// Process id.
    pub pid: u32,
    /// Exit code or signal.
    pub exit: Exit,
    /// CLOCK_MONOTONIC in nanoseconds when the exit was collected.
    pub at_monotonic_ns: u64,
    /// End of its log.
    pub last_lines: Vec<String>,
}

/// A running environment. [`Local::stop`] takes it down in order; dropping it lets the reaper do so at once and without manners.
pub struct Local {
    reaper: Reaper,
    logs: PathBuf,
    progress: Arc<dyn Progress>,
    /// Database name to port.
    databases: BTreeMap<String, u16>,
    /// Client name to port of its listener.
    listeners: BTreeMap<String, u16>,
    /// The harness's own bootstrap address, when there is a broker.
    broker: Option<u16>,
    services: Vec<String>,
}

impl Local {
    /// Starts everything that `needs` names, in parallel, and returns when all of it answers.
    ///
    /// # Errors
    /// Something is not installed, did not come up within its limit, or died; nothing is left behind then.
    pub async fn start(needs: Needs, progress: Arc<dyn Progress>) -> Result<Self, EnvironmentError> {
        clusters::validate(&needs)?;
        clear_old_runs().await;
        let programs = clusters::Programs::locate(&needs)?;
        let parent = folder::parent(programs.owner.is_some())?;
        let kept_logs = needs.run_dir.as_ref().map(|run| run.join("logs"));
        if let Some(logs) = &kept_logs {
            std::fs::create_dir_all(logs).map_err(EnvironmentError::io("make", logs))?;
        }
        let reaper_log = kept_logs.as_ref().map(|logs| logs.join("reaper.log"));
        let reaper = Reaper::start(&parent, &needs.name, reaper_log.as_deref()).await?;
        let logs = match kept_logs {
            Some(logs) => logs,
            None => {
                let logs = reaper.folder().join("logs");
                std::fs::create_dir_all(&logs).map_err(EnvironmentError::io("make", &logs))?;
                logs
            }
        };
        let launcher = Launcher { reaper: &reaper, logs: &logs, progress: progress.as_ref() };
        match clusters::start(&launcher, &needs, &programs).await {
            Ok(up) => Ok(Self {
                reaper,
                logs,
                progress,
                databases: up.databases,
                listeners: up.listeners,
                broker: up.broker,
                services: Vec::new(),
            }),
            Err(error) => {
                // The first error is the one to tell; what cannot be removed now is known to `orphans`.
                if let Err(also) = reaper.finish().await {
                    tracing::warn!(%also, "after a failed start");
                }
                Err(error)
            }
        }
    }

    /// Connection string of the database `name` for tokio-postgres.
    ///
    /// # Panics
    /// When the needs did not name that database.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        let port = self.databases.get(name).unwrap_or_else(|| panic!("the needs named no database {name}"));
        postgres::address(*port, name)
    }

    /// Bootstrap address of the listener that belongs to `client`.
    ///
    /// # Panics
    /// When the needs did not name that client.
    #[must_use]
    pub fn kafka(&self, client: &str) -> String {
        let port = self.listeners.get(client).unwrap_or_else(|| panic!("the needs named no Kafka client {client}"));
        format!("127.0.0.1:{port}")
    }

    /// Bootstrap address of the broker's own listener, for tools outside the run.
    #[must_use]
    pub fn broker(&self) -> Option<String> {
        self.broker.map(|port| format!("127.0.0.1:{port}"))
    }

    /// The temporary folder; gone after the run.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.reaper.folder()
    }

    /// Where the logs of all processes lie, one file each.
    #[must_use]
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Starts processes of our own, in parallel, and returns when all of them say that they are ready.
    ///
    /// # Errors
    /// The first that died or was not ready within its limit. Those that came up go on until [`Local::stop`].
    pub async fn start_services(&mut self, specs: Vec<ServiceSpec>) -> Result<(), EnvironmentError> {
        for spec in &specs {
            if self.pids().contains_key(&spec.name) || spec.name.contains('/') {
                return Err(EnvironmentError::Needs {
                    field: "ServiceSpec::name",
                    value: spec.name.clone(),
                    accepted: "a name without `/` that no living process of the run has",
                });
            }
            self.services.push(spec.name.clone());
        }
        let launcher = Launcher { reaper: &self.reaper, logs: &self.logs, progress: self.progress.as_ref() };
        services::start(&launcher, specs).await
    }

    /// Unplanned exits, also those since the start. The receiver ends when the reaper itself is lost or another one is asked for.
    pub fn deaths(&mut self) -> UnboundedReceiver<Death> {
        self.reaper.deaths()
    }

    /// Living processes by name, for sampling: `core`, `channel-0`, `postgres-core`, `kafka`.
    #[must_use]
    pub fn pids(&self) -> BTreeMap<String, u32> {
        self.reaper.pids()
    }

    /// Sends a signal to the process group of `name`; one that ended meanwhile is not an error. Its death is reported.
    ///
    /// # Errors
    /// No living process has that name, or the reaper is gone.
    pub async fn signal(&self, name: &str, signal: Signal) -> Result<(), EnvironmentError> {
        if !self.pids().contains_key(name) {
            return Err(EnvironmentError::Needs {
                field: "signal to",
                value: name.to_owned(),
                accepted: "the name of a living process of the run",
            });
        }
        self.reaper.signal(name, signal).await
    }

    /// The reaper was killed: the processes may live on, but nobody watches them any more.
    #[must_use]
    pub fn lost(&self) -> bool {
        self.reaper.lost()
    }

    /// Stops the services (SIGTERM, 10 s), then the broker, then the databases; afterwards no process and no folder is left.
    ///
    /// # Errors
    /// A service overran its limit (it was killed), or something is still there.
    pub async fn stop(self) -> Result<(), EnvironmentError> {
        let late = self.stop_services().await;
        // Broker and databases hold nothing that anybody reads after the run. A broker's orderly way out takes seconds; PostgreSQL's
        // immediate shutdown skips the last checkpoint and still gives its shared memory back to the kernel.
        let stores: Vec<String> = self.pids().into_keys().collect();
        self.stop_stores(stores.iter().filter(|name| *name == kafka::NAME), Signal::SIGKILL).await;
        self.stop_stores(stores.iter().filter(|name| *name != kafka::NAME), Signal::SIGQUIT).await;

        let pids = self.pids();
        let folder = self.reaper.folder().to_owned();
        let finished = self.reaper.finish().await;
        if folder.exists() {
            return Err(EnvironmentError::LeftBehind { what: format!("folder {}", folder.display()) });
        }
        finished?;
        if !late.is_empty() {
            let limit = SERVICE_STOP.as_secs();
            let what = format!("{} did not end within {limit} s of SIGTERM and was killed", late.join(", "));
            return Err(EnvironmentError::LeftBehind { what });
        }
        if !pids.is_empty() {
            tracing::debug!(?pids, "stopped by the reaper's sweep");
        }
        Ok(())
    }

    /// Names of the services that did not end within the limit.
    async fn stop_services(&self) -> Vec<String> {
        let living = self.pids();
        let living: Vec<&String> = self.services.iter().filter(|name| living.contains_key(*name)).collect();
        for name in &living {
            self.reaper.unwatch(name);
            // A failed request means that the reaper is gone; `finish` says so.
            let _ = self.reaper.signal(name, Signal::SIGTERM).await;
            let _ = self.reaper.signal(name, Signal::SIGCONT).await;
        }
        let ends = living.iter().map(|name| self.reaper.ended(name, SERVICE_STOP));
        let ends = futures_util::future::join_all(ends).await;
        let late = living.iter().zip(ends).filter(|(_, exit)| exit.is_none());
        late.map(|(name, _)| (*name).clone()).collect()
    }

    async fn stop_stores(&self, names: impl Iterator<Item = &String>, signal: Signal) {
        let names: Vec<&String> = names.collect();
        for name in &names {
            self.reaper.unwatch(name);
            let _ = self.reaper.signal(name, signal).await;
            let _ = self.reaper.signal(name, Signal::SIGCONT).await;
        }
        // Whoever overruns is left to the reaper's sweep, which ends in SIGKILL.
        futures_util::future::join_all(names.iter().map(|name| self.reaper.ended(name, STORE_STOP))).await;
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("folder", &self.folder()).field("pids", &self.pids()).finish_non_exhaustive()
    }
}

/// Removes what earlier runs left whose reaper was killed too.
#[expect(clippy::disallowed_methods, reason = "harness room: blocking look at /proc and files, off the runtime")]
async fn clear_old_runs() {
    match tokio::task::spawn_blocking(orphans::clean).await {
        Ok(cleaned) if cleaned != orphans::Cleaned::default() => tracing::info!(?cleaned, "left by an earlier run"),
        _ => {}
    }
}

/// Whether the harness must give its databases to another user.
fn runs_as_root() -> bool {
    nix::unistd::geteuid().is_root()
}
