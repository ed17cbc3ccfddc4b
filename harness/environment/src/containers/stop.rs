//! The end of a run, in order: services, then the stores, then whatever bears the run's label.

use futures_util::future::join_all;

use super::operations::SERVICE_STOP_SECONDS;
use super::{Containers, events};
use crate::EnvironmentError;
use crate::Signal;
use crate::environment::NodeKind;
use crate::reaper::Exit;

impl Containers {
    /// Stops everything; afterwards neither container nor network, volume or folder is left.
    pub(super) async fn stop_all(self) -> Result<(), EnvironmentError> {
        let Self { reaper, run, events, .. } = self;
        let of = |services: bool| {
            let nodes = run.nodes.all().into_iter();
            let chosen = nodes.filter(move |(_, entry)| (entry.kind == NodeKind::Service) == services);
            chosen.map(|(name, entry)| (name, entry.running())).collect::<Vec<_>>()
        };
        let living: Vec<String> = of(true).into_iter().filter(|(_, running)| *running).map(|(name, _)| name).collect();
        let ends = join_all(living.iter().map(|name| run.stop("stop", name))).await;
        let late = living.iter().zip(ends).filter(|(_, end)| {
            // A refusal means that it had ended, or that the engine is gone; what is left is said below.
            end.as_ref().is_ok_and(|(exit, _)| *exit == Exit::Signal(Signal::SIGKILL as i32))
        });
        let late: Vec<String> = late.map(|(name, _)| name.clone()).collect();

        // The stores hold nothing that anybody reads after the run, but their last words do: removed only once those are written.
        let stores = of(false);
        join_all(stores.iter().filter(|(_, running)| *running).map(|(name, _)| run.kill(name))).await;
        let all: Vec<String> = run.nodes.all().into_keys().collect();
        join_all(all.iter().map(|name| events::last_words(&run, name))).await;
        join_all(all.iter().map(|name| run.remove(name))).await;
        // The network and anything else of the run go with the reaper, which looks until nothing is there.
        events.abort();
        run.nodes.lose();
        let folder = reaper.folder().to_owned();
        let finished = reaper.finish().await;
        if folder.exists() {
            return Err(EnvironmentError::LeftBehind { what: format!("folder {}", folder.display()) });
        }
        finished?;
        if late.is_empty() {
            return Ok(());
        }
        let what = format!("{} did not end within {SERVICE_STOP_SECONDS} s of SIGTERM and was killed", late.join(", "));
        Err(EnvironmentError::LeftBehind { what })
    }
}
