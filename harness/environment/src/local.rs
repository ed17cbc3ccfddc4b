//! The environment `local`: private child processes on loopback.
//!
//! In: [`Needs`], [`ServiceSpec`]s. Out: the [`Environment`](crate::Environment) interface (`local/interface`). Elsewhere: one file a kind
//! of process in `local/`, what may be done to a running one (`local/operations`), the parent of all processes (`reaper`).

mod clusters;
pub(crate) mod folder;
mod interface;
pub(crate) mod kafka;
pub(crate) mod kafka_config;
pub(crate) mod launch;
mod nodes;
mod operations;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod services;
mod stop;
pub(crate) mod topics;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::EnvironmentError;
use crate::needs::{Needs, ServiceSpec};
use crate::outset::set_out;
use crate::ports::free_port;
use crate::progress::Progress;
use crate::proxies::Proxies;
use crate::reaper::{Exit, Reaper};
pub(crate) use clusters::validate;
use clusters::{Stores, Up};
use launch::Launcher;
use nodes::Nodes;
pub use topics::{create_topics, grow_topics, remove_topics};

/// A process that ended without having been asked to by an operation of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// `core`, `postgres-channel`, `kafka-1`.
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

/// A running environment of child processes.
pub struct Local {
    reaper: Reaper,
    logs: PathBuf,
    exchange: PathBuf,
    progress: Arc<dyn Progress>,
    nodes: Nodes,
    stores: Stores,
    /// Name of each service and proxy to its reserved port.
    services: BTreeMap<String, u16>,
    proxies: Proxies,
    facts: BTreeMap<String, String>,
}

impl Local {
    /// Starts everything that `needs` names, in parallel, and returns when all of it answers.
    ///
    /// # Errors
    /// Something is not installed, did not come up within its limit, or died; nothing is left behind then.
    pub async fn start(needs: Needs, progress: Arc<dyn Progress>) -> Result<Self, EnvironmentError> {
        clusters::validate(&needs)?;
        // First of all what may fail: then nobody waits for anything else.
        let programs = clusters::Programs::locate(&needs)?;
        let (reaper, logs) = set_out(&needs, programs.owner.is_some()).await?;
        match bring_up(&reaper, &logs, &needs, &programs, progress.as_ref()).await {
            Ok(Begun { up: Up { stores, nodes }, exchange, services, proxies }) => {
                let facts = programs.facts();
                Ok(Self { reaper, logs, exchange, progress, nodes, stores, services, proxies, facts })
            }
            Err(error) => {
                // The first error is the one to tell; what cannot be removed now is known to `orphans`.
                if let Err(also) = reaper.finish().await {
                    tracing::warn!(%also, "after a failed start");
                }
                Err(error)
            }
        }
    }

    fn launcher<'a>(&'a self, progress: &'a dyn Progress) -> Launcher<'a> {
        Launcher { reaper: &self.reaper, logs: &self.logs, progress }
    }

    /// Notes what is about to run and starts it.
    async fn run_services(&self, specs: Vec<ServiceSpec>) -> Result<(), EnvironmentError> {
        let running = self.reaper.pids();
        let mut plans = Vec::new();
        for spec in specs {
            let port = self.services.get(&spec.name).filter(|_| !running.contains_key(&spec.name));
            let Some(port) = port else {
                return Err(EnvironmentError::Needs {
                    field: "ServiceSpec::name",
                    value: spec.name,
                    accepted: "one of Needs::services that does not run, or a proxy of Needs::proxied",
                });
            };
            plans.push((spec.name.clone(), services::plan(&self.launcher(self.progress.as_ref()), spec, *port)?));
        }
        for (name, plan) in &plans {
            self.nodes.note(name, plan.clone());
        }
        services::start(&self.launcher(self.progress.as_ref()), plans).await
    }
}

struct Begun {
    up: Up,
    exchange: PathBuf,
    services: BTreeMap<String, u16>,
    proxies: Proxies,
}

/// Folders, the ports of the services and proxies, the stores.
async fn bring_up(
    reaper: &Reaper,
    logs: &std::path::Path,
    needs: &Needs,
    programs: &clusters::Programs,
    progress: &dyn Progress,
) -> Result<Begun, EnvironmentError> {
    let exchange = needs.exchange.clone().unwrap_or_else(|| reaper.folder().join("exchange"));
    for folder in [logs, &exchange] {
        std::fs::create_dir_all(folder).map_err(EnvironmentError::io("make", folder))?;
    }
    let port = |name: String| Ok((name, free_port()?));
    let services: std::io::Result<_> = needs.own_nodes().into_iter().map(port).collect();
    let services = services.map_err(EnvironmentError::io("find free ports for the services of", reaper.folder()))?;
    let proxies = Proxies::new(needs, &services);
    let up = clusters::start(&Launcher { reaper, logs, progress }, needs, programs, &proxies).await?;
    Ok(Begun { up, exchange, services, proxies })
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (folder, pids) = (self.reaper.folder(), self.reaper.pids());
        f.debug_struct("Local").field("folder", &folder).field("pids", &pids).finish_non_exhaustive()
    }
}

/// Whether the harness must give its databases to another user.
fn runs_as_root() -> bool {
    nix::unistd::geteuid().is_root()
}
