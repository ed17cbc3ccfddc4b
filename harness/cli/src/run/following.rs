//! Figures of how the channel followed core: what core was spared, how deep pages compare, how a backlog was worked off.
//!
//! In: a run folder with its evidence, samples, the scenario. Out: the parts of run.json, and what could not be reckoned. Elsewhere: how each
//! is reckoned (`check::{core_cost, depth, drain}`).

use bankstorm_check::core_cost::spared;
use bankstorm_check::depth::depth;
use bankstorm_check::drain::{Workers, drain};
use bankstorm_record::folder_source::FolderSource;
use bankstorm_record::marks::SampleRow;
use bankstorm_record::source::{ReadError, Source};
use bankstorm_scenario::Scenario;
use bankstorm_scenario::resolved::WorkerMode;

use super::open::OpenRun;

/// Fills run.json; posting's spans and recovery are there already. What cannot be read is told by the checks of the same rows too.
pub(super) fn reckon(open: &mut OpenRun, samples: &[SampleRow]) {
    let source = FolderSource::new(open.folder.clone());
    let phases = open.phases.spans();
    let cores = open.machine.cores;
    open.json.spared = told("what core was spared", spared(&source, samples, &phases, &open.json.posting, cores));
    open.json.depth = told("how deep pages compare", depth(&phases, source.pages()));
    let workers = workers(&open.scenario);
    let drained = drain(&open.json.faults, &phases, source.visible(), samples, workers);
    open.json.drain = told("how the backlog was worked off", drained);
}

fn told<T>(what: &str, reckoned: Result<Option<T>, ReadError>) -> Option<T> {
    reckoned.unwrap_or_else(|error| {
        tracing::warn!(%error, "{what}");
        None
    })
}

/// Workers of all partitions together; `serial` has one a partition, however many were asked for.
pub(super) fn workers_total(scenario: &Scenario) -> u32 {
    let system = &scenario.system;
    match system.worker_mode {
        WorkerMode::Serial => system.partitions,
        _ => system.partitions * system.workers,
    }
}

fn workers(scenario: &Scenario) -> Workers {
    Workers {
        channels: scenario.system.channel_instances,
        total: u64::from(workers_total(scenario)),
        sync_cost_us: u64::try_from(scenario.system.sync_cost.as_micros()).unwrap_or(u64::MAX),
    }
}
