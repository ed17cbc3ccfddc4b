//! The end of a run, in order: services, then the proxies between them, then brokers, then the other stores, then whatever is left.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::Local;
use crate::environment::NodeKind;
use crate::proxies::is_proxy;
use crate::{EnvironmentError, limits};

/// For the stores: their data is thrown away, so they are told to leave at once.
const STORE_STOP: Duration = Duration::from_secs(5);

impl Local {
    /// Stops everything; afterwards no process and no folder is left.
    pub(super) async fn stop_all(self) -> Result<(), EnvironmentError> {
        self.thaw().await;
        let unclean = self.stop_services().await;
        // The stores hold nothing that anybody reads after the run. A broker's orderly way out takes seconds; PostgreSQL's immediate
        // shutdown skips the last checkpoint and still gives its shared memory back to the kernel.
        self.stop_stores(NodeKind::Broker, Signal::SIGKILL).await;
        self.stop_stores(NodeKind::Cache, Signal::SIGKILL).await;
        self.stop_stores(NodeKind::Database, Signal::SIGQUIT).await;

        let pids = self.reaper.pids();
        let folder = self.reaper.folder().to_owned();
        // First what the reaper says: it tells why something was left.
        self.reaper.finish().await?;
        if folder.exists() {
            return Err(EnvironmentError::LeftBehind { what: format!("folder {}", folder.display()) });
        }
        if !unclean.is_empty() {
            return Err(EnvironmentError::LeftBehind { what: unclean.join("; ") });
        }
        if !pids.is_empty() {
            tracing::debug!(?pids, "stopped by the reaper's sweep");
        }
        Ok(())
    }

    /// Frozen nodes go on: a frozen process takes no signal but SIGKILL, and PostgreSQL waits for those below it.
    async fn thaw(&self) {
        let frozen = self.nodes.all().into_iter().filter(|(_, entry)| entry.paused);
        for (name, _) in frozen {
            if let Err(error) = self.resume_node(&name).await {
                tracing::debug!(%error, "before the stop");
            }
        }
    }

    fn living(&self, kind: NodeKind) -> Vec<String> {
        let nodes = self.nodes.all();
        let of_kind = |name: &String| nodes.get(name).is_some_and(|entry| entry.plan.kind == kind);
        self.reaper.pids().into_keys().filter(of_kind).collect()
    }

    /// What is to be said of services that did not end within the limit, or otherwise than asked.
    async fn stop_services(&self) -> Vec<String> {
        // What a service still has to say goes through its proxies.
        let (proxies, services) = self.living(NodeKind::Service).into_iter().partition(|name| is_proxy(name));
        let mut unclean = self.end_own(services).await;
        unclean.extend(self.end_own(proxies).await);
        unclean
    }

    async fn end_own(&self, living: Vec<String>) -> Vec<String> {
        for name in &living {
            self.tell_to_end(name, Signal::SIGTERM).await;
        }
        let ends = living.iter().map(|name| self.reaper.ended(name, limits::STOP));
        let ends = futures_util::future::join_all(ends).await;
        let ends = living.into_iter().zip(ends);
        ends.filter_map(|(name, exit)| limits::unclean_stop(&name, exit)).collect()
    }

    async fn stop_stores(&self, kind: NodeKind, signal: Signal) {
        let living = self.living(kind);
        for name in &living {
            self.tell_to_end(name, signal).await;
        }
        // Whoever overruns is left to the reaper's sweep, which ends in SIGKILL.
        futures_util::future::join_all(living.iter().map(|name| self.reaper.ended(name, STORE_STOP))).await;
    }

    async fn tell_to_end(&self, name: &str, signal: Signal) {
        self.reaper.unwatch(name);
        // A failed request means that the reaper is gone; `finish` says so.
        let _ = self.reaper.signal(name, signal).await;
        // For one that somebody else froze.
        let _ = self.reaper.signal(name, Signal::SIGCONT).await;
    }
}
