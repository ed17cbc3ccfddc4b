//! The way of a run: load the scenario, bring up the bank, drive it while faults strike, heal, resolve, converge, collect, stop, check,
//! report; then the same for each arm (`arms`).
//!
//! In: `run SCENARIO`. Out: a run folder and an exit code. Elsewhere: every step itself; this is the table of contents.
//!
//! The folder is written in three moments: at the start, when load has ended, after the checks. A crash leaves what was there.

mod arms;
mod collect;
mod databases;
mod facts;
mod faults;
mod following;
mod load;
pub(crate) mod open;
mod phases;
mod plan;
mod posting;
mod scroll_lag;
mod watch;
mod watchdog;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_check::exit;
use bankstorm_environment::EnvironmentKind;
use bankstorm_evidence::sampler::Sampler;
use bankstorm_faults::conductor::{Conductor, FaultState};
use bankstorm_scenario::Scenario;

use crate::args::RunArgs;
use crate::bank::Bank;
use crate::error::CliError;
use crate::output::{note, say};
use crate::progress::Display;
use crate::stop::Interrupt;

use self::databases::Databases;
use self::facts::Findings;
use self::faults::Notes;
use self::open::{OpenRun, Place};
use self::watch::Watch;
use self::watchdog::Watchdog;

/// The time that a step may take once the user or the environment asked to stop.
const HURRIED: Duration = Duration::from_secs(1);
/// After an interrupt everything is gone within ten seconds. Counted from it: the last sample, the evidence, and the bank's stop.
const SAMPLED_BY: Duration = Duration::from_secs(5);
const COLLECTED_BY: Duration = Duration::from_millis(6_500);
const STOPPED_BY: Duration = Duration::from_millis(8_500);

/// Runs a scenario to its verdict, then its arms to theirs.
pub(crate) async fn run(args: RunArgs) -> Result<u8, CliError> {
    let scenario = args.options.load(&args.file)?;
    let chosen = arms::chosen(&scenario, &args)?;
    let display = Display::new(args.options.live);
    let stop = Interrupt::listen()?;
    let kind = args.options.env.kind();
    let place = Place::of_run(&scenario, &args.out);
    let (open, code) = play(scenario, place, kind, &display, &stop).await?;
    if chosen.is_empty() {
        return Ok(code);
    }
    arms::play(open, code, chosen, kind, &display, &stop).await
}

/// One run, from its folder to its report.
async fn play(
    scenario: Scenario,
    place: Place,
    kind: EnvironmentKind,
    display: &Display,
    stop: &Interrupt,
) -> Result<(OpenRun, u8), CliError> {
    let mut open = OpenRun::create(scenario, place, kind)?;
    display.line(&format!("run {}", open.json.run_id));
    display.line(&format!("plan digest {}", open.json.digests.plan));
    if !open.json.digests.faults.is_empty() {
        display.line(&format!("faults digest {}", open.json.digests.faults));
    }

    let bank = bring_up(&mut open, kind, display, stop).await?;
    let measured = measure(&mut open, &bank, display, stop).await;
    // Past the limit the bank is dropped, and the reaper ends it without manners.
    let stopped = stop.within(STOPPED_BY, stop_bank(bank, display)).await.unwrap_or(Ok(()));
    let mut findings = measured.map_err(|error| open.ended_early(error))?;
    findings.collected.problems.extend(stopped.err().map(|error| error.to_string()));

    let code = facts::judge(&mut open, &findings, display).map_err(|error| open.ended_early(error))?;
    let code = report(&open, code);
    Ok((open, code))
}

/// The bank of the run; Ctrl-C meanwhile ends the run, and the reaper removes what was started.
async fn bring_up(
    open: &mut OpenRun,
    kind: EnvironmentKind,
    display: &Display,
    stop: &Interrupt,
) -> Result<Bank, CliError> {
    display.line("bringing up the bank");
    let phase = open.phases.begin("start", &open.json.origin);
    let started = tokio::select! {
        biased;
        () = stop.asked() => Err(CliError::Interrupted),
        started = Bank::start(&open.scenario, kind, Some(&open.folder), display) => started,
    };
    open.phases.end(phase, &open.json.origin);
    if matches!(started, Err(CliError::Interrupted)) {
        wait_for_the_reaper().await;
    }
    started.map_err(|error| open.ended_early(error))
}

/// A start that was dropped is removed by its reaper; "everything was stopped" is said once that is so.
pub(crate) async fn wait_for_the_reaper() {
    if !bankstorm_environment::reaper::ended(STOPPED_BY).await {
        note("the rest is still being removed; `bankstorm doctor` tells whether anything stayed");
    }
}

/// Everything between "the bank is up" and "the bank may be stopped".
async fn measure(open: &mut OpenRun, bank: &Bank, display: &Display, stop: &Interrupt) -> Result<Findings, CliError> {
    open.bank_is_up(bank)?;
    let notes = Notes::open(open, display)?;
    let mark = |state: &FaultState| notes.note(state);
    let conductor = Conductor::new(&open.scenario.faults, &mark);
    let mut databases = Databases::default();
    databases.look(open, bank).await;
    let watch = Watch::begin(bank.deaths(), open, bank, Arc::clone(&stop.load));
    let watchdog = Watchdog::start()?;
    let sampler = Sampler::start(load::targets(bank), open.json.origin, &open.folder)
        .map_err(|error| CliError::Environment(format!("samples: {error}")))?;

    let mut loaded = load::drive_and_resolve(open, bank, &conductor, display, stop).await?;
    open.json.faults = faults::records(&conductor, open);
    let mut collected = collect::converge(open, bank, display, stop).await;
    let sampled = stop.within(SAMPLED_BY, sampler.stop()).await.unwrap_or_default();
    // From here on nothing is measured: what stalls the machine now spoils no figure.
    let watchdog = watchdog.end();
    let collecting = async {
        databases.look(open, bank).await;
        let evidence = databases.write(open, &mut collected.problems);
        open.json.evidence.extend(evidence);
        collect::collect(open, bank, &mut loaded, &mut collected, display).await;
    };
    let collecting = stop.within(COLLECTED_BY, collecting).await;
    if collecting.is_none() {
        collected
            .problems
            .push(format!("evidence was cut short: {} s after the interrupt", COLLECTED_BY.as_secs_f64()));
    }

    open.absorb(watch.end().await);
    // The environment knows what it lost when nobody watches any more.
    open.lost = open.lost.take().map(|lost| bank.lost().unwrap_or(lost));
    Ok(Findings { loaded, collected, sampled, watchdog, interrupted: stop.is_asked() })
}

async fn stop_bank(bank: Bank, display: &Display) -> Result<(), CliError> {
    let _shown = display.phase("stopping the bank");
    bank.stop().await
}

/// Writes and prints the reports. One that cannot be written does not hide a violation.
fn report(open: &OpenRun, code: u8) -> u8 {
    let written = bankstorm_report::write_all(&open.folder);
    say(&bankstorm_report::terminal::summary(&open.json, &open.folder, colour()));
    let Err(error) = written else { return code };
    note(&format!("error: {}: {error}", open.folder.root().display()));
    if i32::from(code) == exit::VIOLATED { code } else { 3 }
}

fn colour() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdout()) && std::env::var_os("NO_COLOR").is_none()
}

/// How a path is shown: absolute, so that it can be opened from anywhere.
fn shown(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
