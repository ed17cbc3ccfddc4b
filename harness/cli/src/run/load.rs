//! Load: drives the plan while faults strike, heals, then resolves every operation whose outcome is unknown.
//!
//! In: a plan, faults and a bank. Out: [`Loaded`]: a row per planned operation, pages, facts about the generator. Elsewhere: pacing and
//! senders (`load`), faults (`faults`), what the rows prove (`check`).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_evidence::sampler::Targets;
use bankstorm_evidence::{write_operations, write_pages, write_syncs, write_transfer_reads};
use bankstorm_faults::conductor::Conductor;
use bankstorm_load::run::Tuning;
use bankstorm_load::tally::Counts;
use bankstorm_load::{DriveError, DriveInput, DriveResult, Sharding, Stop, Tally, read_transfers, resolve_unknown};
use bankstorm_record::save::write_run_json;
use bankstorm_scenario::resolved::SyncMode;

use crate::bank::Bank;
use crate::error::CliError;
use crate::progress::{Display, Phase};
use crate::stop::Interrupt;

use super::HURRIED;
use super::faults::{self, Moments};
use super::open::OpenRun;

/// The plan begins this long after its threads were started.
const HEAD_START_NS: i64 = 300_000_000;

/// What load left.
pub(crate) struct Loaded {
    /// The rows.
    pub(crate) drive: DriveResult,
    /// Faults that could not be healed, one sentence each.
    pub(crate) unhealed: Vec<String>,
}

/// Drives, heals and resolves; the second moment of the folder is written once load has ended.
pub(crate) async fn drive_and_resolve(
    open: &mut OpenRun,
    bank: &Bank,
    conductor: &Conductor<'_>,
    display: &Display,
    stop: &Interrupt,
) -> Result<Loaded, CliError> {
    let (input, moments) = begin(open, bank, stop);
    let mut strikes = Box::pin(conductor.conduct(bank, &moments));
    let (mut drive, under_way) = drive(open, input, strikes.as_mut(), display).await?;
    conductor.load_ended();
    note_phases(open, &drive);
    keep_load(open, &mut drive).map_err(|error| CliError::Environment(error.to_string()))?;
    let under_way = under_way.then_some(strikes);
    let unhealed = faults::heal(conductor, under_way, open, bank, display, stop).await;
    resolve(open, bank, display, stop, &mut drive).await;
    Ok(Loaded { drive, unhealed })
}

/// The second moment of the folder: should anything break from here on, what load saw is kept.
fn keep_load(open: &OpenRun, drive: &mut DriveResult) -> Result<(), Box<dyn std::error::Error>> {
    write_operations(&mut drive.operations, &open.folder)?;
    write_pages(&mut drive.pages, &open.folder)?;
    write_syncs(&mut drive.syncs, &open.folder)?;
    write_transfer_reads(&mut drive.transfer_reads, &open.folder)?;
    write_run_json(&open.folder, &open.json)?;
    Ok(())
}

/// What is sampled while load runs.
pub(crate) fn targets(bank: &Bank) -> Targets {
    Targets {
        pids: bank.pids(),
        metrics: bank.addresses.metrics.clone(),
        kafka: bank.addresses.kafka.clone(),
        group: super::collect::GROUP.to_owned(),
    }
}

/// What the generator needs, and what triggers look at.
fn begin(open: &OpenRun, bank: &Bank, stop: &Interrupt) -> (DriveInput, Moments) {
    let tally = Arc::new(Tally::new());
    let start_at_ns = open.json.origin.elapsed_ns() + HEAD_START_NS;
    let warm_up_ns = i64::try_from(open.scenario.phases.warm_up.as_nanos()).unwrap_or(i64::MAX);
    let moments =
        Moments { measure_ns: open.json.origin.monotonic_ns + start_at_ns + warm_up_ns, tally: Arc::clone(&tally) };
    let input = DriveInput {
        plan: Arc::clone(&open.plan),
        core_url: bank.addresses.core_url.clone(),
        channels: bank.load_channels(),
        origin: open.json.origin,
        start_at_ns,
        stop: Arc::clone(&stop.load),
        tally,
        tuning: tuning(open.scenario.system.sync),
    };
    (input, moments)
}

/// Channels that ask core every so often show an entry that much later, and a lookup waits that much longer for it.
fn tuning(sync: SyncMode) -> Tuning {
    let tuning = Tuning::default();
    match sync {
        SyncMode::Events => tuning,
        SyncMode::Poll(every) => Tuning { lookup_limit: tuning.lookup_limit + every, ..tuning },
    }
}

/// Drives to the end of load; also says whether `strikes` had more to do.
async fn drive(
    open: &OpenRun,
    input: DriveInput,
    mut strikes: Pin<&mut impl Future<Output = ()>>,
    display: &Display,
) -> Result<(DriveResult, bool), CliError> {
    let phases = &open.scenario.phases;
    let name = format!("load: {} s of warm-up, then {} s measured", phases.warm_up.as_secs(), phases.measure.as_secs());
    let phase = display.phase(&name);
    let total = open.plan.counts();
    let tally = Arc::clone(&input.tally);
    let mut driving = std::pin::pin!(bankstorm_load::drive(input));
    let mut show = tokio::time::interval(phase.pace());
    show.tick().await;
    let mut under_way = true;
    loop {
        tokio::select! {
            biased;
            driven = driving.as_mut() => return driven.map(|drive| (drive, under_way)).map_err(broken),
            () = strikes.as_mut(), if under_way => under_way = false,
            _ = show.tick() => show_counts(&phase, &tally.counts(), total.warm_up + total.measure),
        }
    }
}

fn broken(error: DriveError) -> CliError {
    match error {
        DriveError::Thread { .. } | DriveError::NoChannel => CliError::Bug(error.to_string()),
        DriveError::Address { .. } => CliError::Environment(error.to_string()),
    }
}

fn show_counts(phase: &Phase, counts: &Counts, planned: u64) {
    let Counts { due, ok, rejected, failed, unknown, missed, in_flight, .. } = counts;
    phase.update(&format!(
        "load: {due} of {planned} due, {ok} ok, {rejected} rejected, {failed} failed, {unknown} unknown, {missed} missed, {in_flight} in flight"
    ));
}

fn note_phases(open: &mut OpenRun, drive: &DriveResult) {
    let measured_from = drive.measure_ns.min(drive.ended_ns);
    open.phases.add("warm_up", drive.started_ns, measured_from);
    open.phases.add("measure", measured_from, drive.ended_ns);
    open.json.phases = open.phases.spans();
    open.json.validity.reasons = vec!["the run ended between load and checks".to_owned()];
}

async fn resolve(open: &mut OpenRun, bank: &Bank, display: &Display, stop: &Interrupt, drive: &mut DriveResult) {
    let phase = open.phases.begin("resolve", &open.json.origin);
    let limit = if stop.load.is_raised() { HURRIED } else { open.scenario.phases.resolve };
    let shown = display.phase(&format!("resolving unknown outcomes, at most {} s", limit.as_secs_f64()));
    tokio::select! {
        biased;
        () = settle(open, bank, limit, drive) => {}
        () = hurried_end(&stop.load, limit) => {}
    }
    drop(shown);
    open.phases.end(phase, &open.json.origin);
}

/// Deposits by asking core for a verdict; then transfers, about which the channels are only asked.
async fn settle(open: &OpenRun, bank: &Bank, limit: Duration, drive: &mut DriveResult) {
    let begun = tokio::time::Instant::now();
    let deposits = resolve_unknown(&mut drive.operations, &bank.addresses.core_url, limit).await;
    tracing::debug!(?deposits, "resolve phase");
    let left = limit.saturating_sub(begun.elapsed());
    let channels = bank.load_channels();
    let sharding = Sharding::of(&open.scenario);
    match read_transfers(&mut drive.operations, &channels, sharding, open.json.origin, left).await {
        Ok((transfers, reads)) => {
            tracing::debug!(?transfers, "resolve phase");
            drive.transfer_reads.extend(reads);
        }
        Err(error) => tracing::warn!(%error, "resolve phase"),
    }
}

/// Completes a short while after the stop was raised.
pub(super) async fn hurried_end(stop: &Stop, limit: Duration) {
    stop.raised().await;
    tokio::time::sleep(HURRIED.min(limit) + Duration::from_millis(100)).await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bankstorm_load::run::Tuning;
    use bankstorm_scenario::resolved::SyncMode;

    use super::tuning;

    #[test]
    fn a20_a_lookup_waits_as_long_as_core_is_not_asked_and_its_own_time_on_top() {
        let own = Tuning::default().lookup_limit;
        let every = Duration::from_secs(10);
        assert_eq!(tuning(SyncMode::Poll(every)).lookup_limit, own + every);
        assert_eq!(tuning(SyncMode::Events).lookup_limit, own);
    }
}
