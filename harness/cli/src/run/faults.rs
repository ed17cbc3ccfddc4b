//! Planned faults beside the load, and the heal phase after it.
//!
//! In: the plan of the scenario, the bank, moments and counts of the load. Out: a line in `faults.ndjson` at every step, and the fault
//! records of run.json. Elsewhere: when a fault fires (`chaos/faults`), how a node is broken (`environment`), deaths that nobody planned
//! (`watch`).

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_faults::conductor::{Conductor, FaultState, Load};
use bankstorm_faults::nodes::Nodes;
use bankstorm_load::Tally;
use bankstorm_record::clock::{Origin, monotonic_ns};
use bankstorm_record::marks::FaultMarks;
use bankstorm_record::run_json::FaultRecord;

use crate::bank::Bank;
use crate::error::CliError;
use crate::progress::Display;
use crate::stop::Interrupt;

use super::HURRIED;
use super::load::hurried_end;
use super::open::OpenRun;

/// Tells of every step of a fault as it happens.
pub(crate) struct Notes {
    origin: Origin,
    marks: Mutex<FaultMarks>,
    display: Display,
}

/// Where the load stands: what triggers look at.
pub(crate) struct Moments {
    /// CLOCK_MONOTONIC at which the measured phase begins, in nanoseconds.
    pub(crate) measure_ns: i64,
    /// Live counts.
    pub(crate) tally: Arc<Tally>,
}

impl Load for Moments {
    fn now_ns(&self) -> i64 {
        monotonic_ns()
    }

    fn measure_ns(&self) -> Option<i64> {
        Some(self.measure_ns)
    }

    fn sent(&self) -> u64 {
        self.tally.counts().sent
    }
}

impl Notes {
    /// Nothing has happened yet.
    pub(crate) fn open(open: &OpenRun, display: &Display) -> Result<Self, CliError> {
        let marks = FaultMarks::faults(&open.folder)
            .map_err(|error| CliError::Environment(format!("faults.ndjson: {error}")))?;
        Ok(Self { origin: open.json.origin, marks: Mutex::new(marks), display: display.clone() })
    }

    /// Keeps a step at once, and says it.
    pub(crate) fn note(&self, state: &FaultState) {
        let FaultState { id, kind, place, .. } = state;
        self.display.line(&match (&state.heal_witness, &state.problem, &state.witnessed) {
            (Some(healed), _, _) => format!("{id} {kind} {place} healed: {healed}"),
            (None, Some(problem), _) => format!("{id} {kind} {place}: {problem}"),
            (None, None, Some(witness)) => format!("{id} {kind} {place}: {witness}"),
            (None, None, None) => format!("{id} {kind} {place} fires"),
        });
        let record = record(state, &self.origin);
        if let Err(error) = self.marks.lock().expect("no panic while marking").mark(&record) {
            tracing::warn!(%error, "faults.ndjson");
        }
    }
}

/// The heal phase: what is under way comes to its end, and whatever is still in force is healed; what could not be healed, one sentence
/// each.
pub(crate) async fn heal(
    conductor: &Conductor<'_>,
    under_way: Option<Pin<Box<impl Future<Output = ()>>>>,
    open: &mut OpenRun,
    bank: &Bank,
    display: &Display,
    stop: &Interrupt,
) -> Vec<String> {
    if open.scenario.faults.is_empty() {
        return Vec::new();
    }
    let phase = open.phases.begin("heal", &open.json.origin);
    let limit = if stop.load.is_raised() { HURRIED } else { open.scenario.phases.heal };
    let shown = display.phase(&format!("healing what is still broken, at most {} s", limit.as_secs_f64()));
    let problems = tokio::select! {
        biased;
        problems = heal_within(conductor, under_way, bank, limit) => problems,
        () = hurried_end(&stop.load, limit) => vec!["the heal phase was cut short".to_owned()],
    };
    drop(shown);
    open.phases.end(phase, &open.json.origin);
    problems
}

/// `under_way` is in a box so that it ends here: dropping a reference to it would leave it, with all that it has in hand, beside the heals.
async fn heal_within<N: Nodes>(
    conductor: &Conductor<'_>,
    under_way: Option<Pin<Box<impl Future<Output = ()>>>>,
    nodes: &N,
    limit: Duration,
) -> Vec<String> {
    let until = tokio::time::Instant::now() + limit;
    if let Some(under_way) = under_way {
        // Past the limit it is dropped, and healed anew in what little time is left.
        let _ = tokio::time::timeout_at(until, under_way).await;
    }
    let left = until.saturating_duration_since(tokio::time::Instant::now());
    conductor.heal_all(nodes, left.max(limit / 4)).await
}

/// What became of each planned fault, in the order of the plan.
pub(crate) fn records(conductor: &Conductor<'_>, open: &OpenRun) -> Vec<FaultRecord> {
    conductor.states().iter().map(|state| record(state, &open.json.origin)).collect()
}

fn record(state: &FaultState, origin: &Origin) -> FaultRecord {
    let ms = |ns: Option<i64>| ns.map(|ns| origin.moment(ns) / 1_000_000);
    FaultRecord {
        id: state.id.clone(),
        kind: state.kind.to_owned(),
        place: state.place.clone(),
        planned: true,
        fired: state.fired,
        witnessed: state.witnessed.clone(),
        started_ms: ms(state.started_ns),
        healed_ms: ms(state.healed_ns),
        heal_witnessed: state.heal_witness.clone(),
        problem: state.problem.clone(),
    }
}
