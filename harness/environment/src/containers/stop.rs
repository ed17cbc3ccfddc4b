//! The end of a run, in order: services, then the proxies between them, then the stores, then whatever bears the run's label.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::run::Run;
use super::{Containers, events, services};
use crate::environment::NodeKind;
use crate::proxies::is_proxy;
use crate::reaper::Exit;
use crate::{EnvironmentError, Signal, limits};

/// For everything after the services and before the reaper: what it cuts short, the reaper does, within limits of its own.
const CLEARED: Duration = Duration::from_secs(30);

impl Containers {
    /// Stops everything; afterwards neither container nor network, volume or folder is left.
    pub(super) async fn stop_all(self) -> Result<(), EnvironmentError> {
        let Self { reaper, run, events, exchange, .. } = self;
        let unclean = stop_services(&run).await;
        if timeout(CLEARED, clear(&run)).await.is_err() {
            tracing::warn!(limit_s = CLEARED.as_secs(), "the engine removes slowly; the reaper goes on with it");
        }
        let given_back = services::take_back(&exchange);
        // The network and anything else of the run go with the reaper, which looks until nothing is there.
        events.abort();
        run.nodes.lose("it was stopped");
        let folder = reaper.folder().to_owned();
        // First what the reaper says: it tells why something was left.
        reaper.finish().await?;
        if folder.exists() {
            return Err(EnvironmentError::LeftBehind { what: format!("folder {}", folder.display()) });
        }
        given_back?;
        if unclean.is_empty() {
            return Ok(());
        }
        Err(EnvironmentError::LeftBehind { what: unclean.join("; ") })
    }
}

/// What is to be said of services that did not end within the limit, or otherwise than asked.
async fn stop_services(run: &Arc<Run>) -> Vec<String> {
    let all = run.nodes.all().into_iter();
    let living = all.filter(|(_, entry)| entry.kind == NodeKind::Service && entry.running()).map(|(name, _)| name);
    // What a service still has to say goes through its proxies.
    let (proxies, services) = living.partition::<Vec<String>, _>(|name| is_proxy(name));
    let mut unclean = end_own(run, services).await;
    unclean.extend(end_own(run, proxies).await);
    unclean
}

async fn end_own(run: &Arc<Run>, living: Vec<String>) -> Vec<String> {
    let ends = join_all(living.iter().map(|name| run.stop("stop", name))).await;
    let said = living.iter().zip(ends).filter_map(|(name, end)| {
        // A refusal means that it had ended, or that the engine is gone; what is left is said by the reaper.
        let (exit, _) = end.ok()?;
        limits::unclean_stop(name, (exit != Exit::Signal(Signal::SIGKILL as i32)).then_some(exit))
    });
    said.collect()
}

/// The stores hold nothing that anybody reads after the run, but their last words do: removed only once those are written.
async fn clear(run: &Arc<Run>) {
    let all = run.nodes.all();
    let stores = all.iter().filter(|(_, entry)| entry.kind != NodeKind::Service && entry.running());
    join_all(stores.map(|(name, _)| run.kill(name))).await;
    join_all(all.keys().map(|name| events::last_words(run, name))).await;
    join_all(all.keys().map(|name| run.remove(name))).await;
}
