//! `sweep SCENARIO`: one bank, one backlog, worked off once for every cell of a grid of settings.
//!
//! In: a scenario with `[sweep]`, or the folder of a sweep that was broken off. Out: `cells.ndjson` as cells end, `sweep.json`,
//! `report.html`, a table; exit code 0 when every cell is as predicted or bound by something that was seen, 4 where one is not or the user
//! ended it, 6 where a copy is not what core has, 3 where the bank was lost or the disk is full. Elsewhere: the cells, their order and what
//! is made of them (`sizing`), one measurement (`cell`).
//!
//! A cell that cannot be measured is DNF with its reason, and the sweep goes on; without a store, core or room on the disk there is nothing
//! to go on with. Before the first cell after a start, and after each `--resume`, the first that is missing is measured once for nothing: it
//! warms the bank up, so that the measurements on both sides of a break are alike.

mod backlog;
mod cell;
mod drain;
mod open;
mod room;
mod tell;

use std::time::Duration;

use bankstorm_environment::Death;
use bankstorm_record::clock::{Origin, rfc3339, wall_us};
use bankstorm_record::sweep_json::{CellRun, CellVerdict, SweepState};
use bankstorm_sizing::order::Job;
use bankstorm_sizing::{left, predict};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::args::SweepArgs;
use crate::bank::Bank;
use crate::error::CliError;
use crate::progress::Display;
use crate::stop::Interrupt;

use self::backlog::Backlog;
use self::cell::{Measuring, Outcome};
use self::open::{OpenSweep, Opened};

/// What the measurement is called that counts for nothing.
const WARM_UP: &str = "warm-up";
/// After an interrupt the bank is gone within this time.
const STOPPED_BY: Duration = Duration::from_millis(8_500);

/// How the measuring ended.
enum Ended {
    /// Nothing is left.
    Through,
    /// The user wished so.
    Interrupted,
    /// There is nothing to go on with, and why.
    Lost(String),
}

/// Measures what is missing, then reports all.
pub(crate) async fn run(args: SweepArgs) -> Result<u8, CliError> {
    let display = Display::new(args.options.live);
    let stop = Interrupt::listen()?;
    let mut open = match open::open(&args)? {
        Opened::OnTheWay(open) => *open,
        Opened::Ended(code) => return Ok(code),
    };
    let jobs = left::left(&open.order, &open.json.runs);
    display.line(&format!("sweep {}", open.json.run_id));
    display.line(&tell::begins(&open, jobs.len()));
    if jobs.is_empty() {
        return open.end(SweepState::Finished, Vec::new());
    }
    if let Err(why) = room::enough(&[open.folder.root(), &std::env::temp_dir()]) {
        return open.end(SweepState::Lost, vec![why]);
    }
    let bank = bring_up(&mut open, &args, &display, &stop).await?;
    let ended = measure(&mut open, &bank, jobs, &display, &stop).await;
    let stopped = stop.within(STOPPED_BY, stop_bank(bank, &display)).await.unwrap_or(Ok(()));
    if let Err(error) = stopped {
        tracing::warn!(%error, "stopping the bank");
    }
    match ended {
        Ended::Through => open.end(SweepState::Finished, Vec::new()),
        Ended::Interrupted => open.end(SweepState::Interrupted, vec!["interrupted by its user".to_owned()]),
        Ended::Lost(why) => open.end(SweepState::Lost, vec![why]),
    }
}

async fn bring_up(
    open: &mut OpenSweep,
    args: &SweepArgs,
    display: &Display,
    stop: &Interrupt,
) -> Result<Bank, CliError> {
    let kind = args.options.env.kind();
    let started = tokio::select! {
        biased;
        () = stop.asked() => Err(CliError::Interrupted),
        started = Bank::start(&open.scenario, kind, Some(&open.folder), display) => started,
    };
    match started {
        Ok(bank) => {
            open.bank_is_up(&bank)?;
            Ok(bank)
        }
        Err(CliError::Interrupted) => {
            crate::run::wait_for_the_reaper().await;
            open.end(SweepState::Interrupted, vec!["interrupted by its user".to_owned()])?;
            Err(CliError::Interrupted)
        }
        Err(error) => {
            open.end(SweepState::Lost, vec![error.to_string()])?;
            Err(error)
        }
    }
}

async fn stop_bank(bank: Bank, display: &Display) -> Result<(), CliError> {
    let _shown = display.phase("stopping the bank");
    bank.stop().await
}

/// Posts the backlog, then measures `jobs` in their order.
async fn measure(open: &mut OpenSweep, bank: &Bank, jobs: Vec<Job>, display: &Display, stop: &Interrupt) -> Ended {
    let mut deaths = bank.deaths();
    let posting = backlog::post(open, bank, display, stop);
    let backlog = tokio::select! {
        biased;
        () = stop.asked() => return Ended::Interrupted,
        why = lost(&mut deaths, bank) => return Ended::Lost(why),
        posted = posting => match posted {
            Ok(backlog) => backlog,
            Err(error) => return Ended::Lost(format!("posting the backlog: {error}")),
        },
    };
    open.json.grid.backlog = Some(backlog.entries.len() as u64);
    let warm_up = Job { id: WARM_UP.to_owned(), ..jobs[0].clone() };
    let warm = match roomy(open, bank, &backlog, &warm_up, &mut deaths, display, stop).await {
        Ok(run) => run,
        Err(ended) => return ended,
    };
    display.line(&tell::warm_up(&warm));
    // A copy that is not what core has is no matter of warmth: it stands for the cell that it was.
    let failed = (warm.verdict == CellVerdict::Failed).then(|| CellRun { id: jobs[0].id.clone(), ..warm });
    if let Some(run) = failed.clone()
        && let Err(error) = open.add(run)
    {
        return Ended::Lost(error.to_string());
    }
    for (index, job) in jobs.iter().enumerate().skip(usize::from(failed.is_some())) {
        let run = match roomy(open, bank, &backlog, job, &mut deaths, display, stop).await {
            Ok(run) => run,
            Err(ended) => return ended,
        };
        if let Err(error) = open.add(run) {
            return Ended::Lost(error.to_string());
        }
        display.line(&tell::cell(open, &jobs[index + 1..]));
    }
    Ended::Through
}

/// Measures one cell with room on the disk.
async fn roomy(
    open: &OpenSweep,
    bank: &Bank,
    backlog: &Backlog,
    job: &Job,
    deaths: &mut UnboundedReceiver<Death>,
    display: &Display,
    stop: &Interrupt,
) -> Result<CellRun, Ended> {
    let folders = [open.folder.root(), bank.temporary()];
    room::enough(&folders).map_err(Ended::Lost)?;
    let run = one(open, bank, backlog, job, deaths, display, stop).await?;
    if run.verdict == CellVerdict::Dnf {
        // What a full disk did to a cell says nothing of the cell.
        room::enough(&folders).map_err(Ended::Lost)?;
    }
    Ok(run)
}

/// Measures one cell; its channels are ended whatever happens.
async fn one(
    open: &OpenSweep,
    bank: &Bank,
    backlog: &Backlog,
    job: &Job,
    deaths: &mut UnboundedReceiver<Death>,
    display: &Display,
    stop: &Interrupt,
) -> Result<CellRun, Ended> {
    let begun = Origin::now();
    let began_at = rfc3339(wall_us());
    let shown = display.phase(&tell::measuring(job));
    let measuring = Measuring { open, bank, backlog, job, begun, shown: &shown };
    let measured = tokio::select! {
        biased;
        () = stop.asked() => return Err(Ended::Interrupted),
        death = died(deaths, bank) => match death {
            Died::Channel(why) => Outcome::dnf(why),
            Died::Bank(why) => return Err(Ended::Lost(why)),
        },
        outcome = measuring.measure() => outcome,
    };
    let events = measuring.events().len() as u64;
    drop(shown);
    if let Err(error) = bank.end_channels().await {
        return Err(Ended::Lost(format!("the channels of a cell cannot be ended: {error}")));
    }
    // Others of its channels may have died beside the first: the next cell has none of them.
    while let Ok(death) = deaths.try_recv() {
        if let Died::Bank(why) = told(&death) {
            return Err(Ended::Lost(why));
        }
    }
    Ok(CellRun {
        id: job.id.clone(),
        cell: job.cell.clone(),
        anchor: job.anchor,
        began_at,
        took_s: begun.elapsed_ns() as f64 / 1e9,
        verdict: measured.verdict,
        reason: measured.reason,
        workers_total: predict::workers_total(&job.cell),
        events,
        figures: measured.figures,
        bound_by: measured.bound_by,
    })
}

/// An end that nobody asked for, in words.
enum Died {
    /// Of a channel: the cell is given up.
    Channel(String),
    /// Of what the bank cannot be without.
    Bank(String),
}

async fn died(deaths: &mut UnboundedReceiver<Death>, bank: &Bank) -> Died {
    let Some(death) = deaths.recv().await else {
        return Died::Bank(bank.lost().unwrap_or_else(|| "nobody watches the bank any more".to_owned()));
    };
    told(&death)
}

fn told(death: &Death) -> Died {
    let last = death.last_lines.last().map(|line| format!(": {line}")).unwrap_or_default();
    let told = format!("{} ended by itself: {}{last}", death.name, death.exit);
    if death.name.starts_with("channel-") { Died::Channel(told) } else { Died::Bank(told) }
}

/// Completes when the bank is lost; channels may be away.
async fn lost(deaths: &mut UnboundedReceiver<Death>, bank: &Bank) -> String {
    loop {
        if let Died::Bank(why) = died(deaths, bank).await {
            return why;
        }
    }
}
