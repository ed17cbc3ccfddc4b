//! A sweep: its lists, its limits, and what the rest of the file must be for it.
//!
//! In: what was typed under `[sweep]`, and the rest resolved. Out: [`Sweep`]. Elsewhere: which cells these are (`sizing`).
//!
//! Every cell works off the same backlog, one event an account, so that an event is an account sync and as many keys are busy as there are
//! events: the load is deposits, one an account, and nothing is broken meanwhile.

use std::time::Duration;

use super::load::planned_operations;
use super::{Refusal, count, seconds, span, within};
use crate::file;
use crate::resolved::{Accounts, Load, Op, Phases, Skew, Sweep, SyncMode, System, WorkerMode};
use crate::units::duration_text;

/// The most measurements of one sweep, repeats included.
const RUNS_MAX: usize = 1_000;
/// The most values of one list.
const VALUES_MAX: usize = 20;
/// Events of a cell in which a sync costs nothing, unless it is said.
const FREE_EVENTS: u64 = 20_000;
/// The fewest events that make a rate.
const EVENTS_LEAST: i64 = 100;
/// How many times as long as it should last a cell may take.
const SPARE: f64 = 1.5;

/// The rest of the file, as far as a sweep asks something of it.
pub(super) struct Rest<'a> {
    pub(super) phases: &'a Phases,
    pub(super) system: &'a System,
    pub(super) accounts: &'a Accounts,
    pub(super) load: &'a [Load],
    pub(super) faults: usize,
    pub(super) arms: usize,
}

pub(super) fn sweep(typed: &file::Sweep, rest: &Rest<'_>) -> Result<Sweep, Refusal> {
    fits(rest)?;
    let posted = planned_operations(rest.load, rest.phases) as u64;
    let events_most = i64::try_from(posted).unwrap_or(i64::MAX);
    let events = within("sweep.events", typed.events.unwrap_or(events_most), EVENTS_LEAST, events_most)?;
    let events = u64::try_from(events).expect("within its limits");
    let free_default = i64::try_from(events.min(FREE_EVENTS)).expect("fits");
    let free = within("sweep.free_events", typed.free_events.unwrap_or(free_default), EVENTS_LEAST, events_most)?;
    let swept = Sweep {
        partitions: numbers("sweep.partitions", &typed.partitions, 200)?,
        workers: numbers("sweep.workers", &typed.workers, 10_000)?,
        worker_modes: modes(typed.worker_mode.as_deref(), rest.system)?,
        sync_costs: costs(typed, rest.system)?,
        events,
        free_events: u64::try_from(free).expect("within its limits"),
        lasts: span("sweep.lasts", typed.lasts, seconds(10), seconds(1), seconds(600))?,
        budget: span("sweep.budget", typed.budget, seconds(180), seconds(5), seconds(3_600))?,
        repeats: count("sweep.repeats", typed.repeats, 1, 1, 20)?,
        anchor: typed.anchor.map(anchor).transpose()?,
    };
    in_the_grid(&swept)?;
    within_its_budget(&swept)?;
    leaves_the_copy_alone(rest.system, &swept)?;
    Ok(swept)
}

/// What the rest of the file must be.
fn fits(rest: &Rest<'_>) -> Result<(), Refusal> {
    let Rest { system, accounts, load, .. } = rest;
    let refuse = |path: &str, message: String| Err(Refusal::new(path, message));
    match load {
        [one] if one.op == Op::Deposit => {}
        _ => return refuse("load", "of a scenario with [sweep] is one [[load]] of deposits: the backlog".to_owned()),
    }
    if accounts.skew != Skew::Each {
        return refuse(
            "accounts.skew",
            "is not \"each\", and the cells of a sweep have one event an account".to_owned(),
        );
    }
    let posted = planned_operations(load, rest.phases);
    if posted > accounts.count as f64 {
        let message =
            format!("is {}, and the load posts {posted:.0} deposits; accepted is one an account", accounts.count);
        return refuse("accounts.count", message);
    }
    if system.sync != SyncMode::Events {
        return refuse("system.sync", "is not \"events\", and a sweep measures how events are worked off".to_owned());
    }
    if system.channel_databases > 1 {
        let message = format!("is {}; accepted with [sweep] is 1", system.channel_databases);
        return refuse("system.channel_databases", message);
    }
    if rest.faults > 0 {
        return refuse(
            "fault",
            "is not accepted beside [sweep]: nothing is broken while cells are measured".to_owned(),
        );
    }
    if rest.arms > 0 {
        return refuse("arm", "is not accepted beside [sweep]: its cells are its arms".to_owned());
    }
    Ok(())
}

fn numbers(path: &str, typed: &[i64], most: i64) -> Result<Vec<u32>, Refusal> {
    let number = |(index, value): (usize, &i64)| {
        let value = within(&format!("{path}.{index}"), *value, 1, most)?;
        Ok(u32::try_from(value).expect("within its limits"))
    };
    let numbers: Vec<u32> = typed.iter().enumerate().map(number).collect::<Result<_, _>>()?;
    list(path, numbers)
}

fn modes(typed: Option<&[file::WorkerMode]>, system: &System) -> Result<Vec<WorkerMode>, Refusal> {
    let mode = |typed: &file::WorkerMode| match typed {
        file::WorkerMode::Serial => WorkerMode::Serial,
        file::WorkerMode::Slots => WorkerMode::Slots,
        file::WorkerMode::Keyed => WorkerMode::Keyed,
        file::WorkerMode::KeyedBatched => WorkerMode::KeyedBatched,
    };
    list("sweep.worker_mode", typed.map_or(vec![system.worker_mode], |typed| typed.iter().map(mode).collect()))
}

fn costs(typed: &file::Sweep, system: &System) -> Result<Vec<Duration>, Refusal> {
    let cost = |(index, cost): (usize, &crate::units::DurationText)| {
        span(&format!("sweep.sync_cost.{index}"), Some(*cost), Duration::ZERO, Duration::ZERO, seconds(10))
    };
    let costs = typed.sync_cost.as_deref().map(|typed| typed.iter().enumerate().map(cost).collect::<Result<_, _>>());
    list("sweep.sync_cost", costs.transpose()?.unwrap_or_else(|| vec![system.sync_cost]))
}

/// Not empty, not too long, and nothing twice.
fn list<T: PartialEq>(path: &str, values: Vec<T>) -> Result<Vec<T>, Refusal> {
    if values.is_empty() || values.len() > VALUES_MAX {
        let message = format!("has {} values; accepted are 1 to {VALUES_MAX}", values.len());
        return Err(Refusal::new(path, message));
    }
    match (1..values.len()).find(|at| values[..*at].contains(&values[*at])) {
        Some(twice) => {
            Err(Refusal::new(format!("{path}.{twice}"), "stands there twice; accepted are different values"))
        }
        None => Ok(values),
    }
}

fn anchor(typed: file::Anchor) -> Result<(u32, u32), Refusal> {
    let number = |path: &str, value: i64| {
        u32::try_from(value).map_err(|_| Refusal::new(path, format!("is {value}; accepted is a value of the grid")))
    };
    Ok((number("sweep.anchor.partitions", typed.partitions)?, number("sweep.anchor.workers", typed.workers)?))
}

fn in_the_grid(sweep: &Sweep) -> Result<(), Refusal> {
    if let Some((partitions, workers)) = sweep.anchor {
        for (key, value, known) in [("partitions", partitions, &sweep.partitions), ("workers", workers, &sweep.workers)]
        {
            if !known.contains(&value) {
                let message = format!("is {value}; accepted are those of sweep.{key}: {known:?}");
                return Err(Refusal::new(format!("sweep.anchor.{key}"), message));
            }
        }
    }
    let cells = [sweep.partitions.len(), sweep.workers.len(), sweep.worker_modes.len(), sweep.sync_costs.len()];
    let runs = cells.iter().product::<usize>() * sweep.repeats as usize;
    if runs > RUNS_MAX {
        let message = format!("times its cells are {runs} measurements; accepted are {RUNS_MAX} at most");
        return Err(Refusal::new("sweep.repeats", message));
    }
    if sweep.budget < sweep.lasts {
        let [budget, lasts] = [sweep.budget, sweep.lasts].map(duration_text);
        return Err(Refusal::new(
            "sweep.budget",
            format!("is \"{budget}\"; accepted is sweep.lasts, \"{lasts}\", at least"),
        ));
    }
    Ok(())
}

/// A cell that would be given up with nothing wrong measures nothing.
fn within_its_budget(sweep: &Sweep) -> Result<(), Refusal> {
    for mode in &sweep.worker_modes {
        for (partitions, workers) in sweep.partitions.iter().flat_map(|p| sweep.workers.iter().map(move |w| (*p, *w))) {
            for cost in sweep.sync_costs.iter().filter(|cost| !cost.is_zero()) {
                let each = if *mode == WorkerMode::Serial { 1 } else { workers };
                let (events, takes) = predicted(sweep, u64::from(partitions) * u64::from(each), *cost);
                let least = takes.mul_f64(SPARE);
                if least > sweep.budget {
                    let [budget, cost] = [sweep.budget, *cost].map(duration_text);
                    let (takes, least) = (takes.as_secs_f64().ceil(), least.as_secs_f64().ceil());
                    let message = format!(
                        "is \"{budget}\", and the {events} events of the cell {partitions} x {workers} at \"{cost}\" last {takes} s if all \
                         goes well; accepted is half as long again, \"{least}s\", at least, or cells that are over sooner"
                    );
                    return Err(Refusal::new("sweep.budget", message));
                }
            }
        }
    }
    Ok(())
}

/// How many events a cell with so many workers is given, and how long they last at the rate that is predicted.
fn predicted(sweep: &Sweep, workers: u64, cost: Duration) -> (u64, Duration) {
    let per_s = workers as f64 / cost.as_secs_f64();
    let events =
        ((per_s * sweep.lasts.as_secs_f64()).round() as u64).max(EVENTS_LEAST.unsigned_abs()).min(sweep.events);
    (events, cost.mul_f64(events as f64 / workers.min(events) as f64))
}

/// The channel's own sweep finds the accounts of a backlog behind, and pulls from core what the workers are to be measured with.
fn leaves_the_copy_alone(system: &System, sweep: &Sweep) -> Result<(), Refusal> {
    if system.sweep_every >= sweep.budget {
        return Ok(());
    }
    let [every, budget] = [system.sweep_every, sweep.budget].map(duration_text);
    let message = format!(
        "is \"{every}\": the channel would pull a cell's accounts from core itself; accepted with [sweep] is sweep.budget, \"{budget}\", at \
         least, such as \"1h\""
    );
    Err(Refusal::new("system.sweep_every", message))
}
