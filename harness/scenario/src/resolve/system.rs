//! The bank and the banks around it.
//!
//! In: what was typed under `[system]` and `[banks]`. Out: [`System`], [`Banks`]. Elsewhere: what the settings do (`system`).

use std::time::Duration;

use super::{Refusal, count, seconds, span};
use crate::file;
use crate::protections::Protections;
use crate::resolved::{Banks, Deadline, Guard, HistorySource, ReadSync, SyncMode, System, WorkerMode};
use crate::units::{ShareText, duration_text};

/// The longest that a late answer may take.
const DELAY_MAX: Duration = seconds(600);
/// Time between two looks of the head sweep, unless it is said.
const SWEEP_EVERY: Duration = seconds(1);

pub(super) fn system(typed: &file::System) -> Result<System, Refusal> {
    let ms = Duration::from_millis;
    let channel_instances = count("system.channel_instances", typed.channel_instances, 2, 1, 8)?;
    Ok(System {
        partitions: count("system.partitions", typed.partitions, 4, 1, 200)?,
        channel_instances,
        channel_databases: databases(typed.channel_databases, channel_instances)?,
        workers: count("system.workers", typed.workers, 100, 1, 10_000)?,
        worker_mode: match typed.worker_mode {
            Some(file::WorkerMode::Serial) => WorkerMode::Serial,
            Some(file::WorkerMode::Slots) => WorkerMode::Slots,
            Some(file::WorkerMode::Keyed) => WorkerMode::Keyed,
            Some(file::WorkerMode::KeyedBatched) | None => WorkerMode::KeyedBatched,
        },
        sync: sync(typed.sync)?,
        history_source: match typed.history_source {
            Some(file::HistorySource::Copy) | None => HistorySource::Copy,
            Some(file::HistorySource::CoreByPeriod) => HistorySource::CoreByPeriod,
        },
        read_sync: match typed.read_sync {
            Some(file::ReadSync::Pending) | None => ReadSync::Pending,
            Some(file::ReadSync::Suspect) => ReadSync::Suspect,
        },
        read_budget: span("system.read_budget", typed.read_budget, ms(300), ms(1), seconds(10))?,
        core_pulls: count("system.core_pulls", typed.core_pulls, 8, 1, 1_000)?,
        manual_every: span("system.manual_every", typed.manual_every, seconds(1), Duration::ZERO, seconds(3_600))?,
        dead_letter_attempts: count("system.dead_letter_attempts", typed.dead_letter_attempts, 3, 1, 100)?,
        sweep_every: span("system.sweep_every", typed.sweep_every, SWEEP_EVERY, ms(100), seconds(3_600))?,
        sync_cost: span("system.sync_cost", typed.sync_cost, Duration::ZERO, Duration::ZERO, seconds(10))?,
        kafka_brokers: brokers(typed.kafka_brokers)?,
        guard: match typed.guard {
            Some(file::Guard::User) | None => Guard::User,
            Some(file::Guard::Account) => Guard::Account,
        },
        call_timeout: span(
            "system.call_timeout",
            typed.call_timeout,
            seconds(3),
            Duration::from_millis(10),
            seconds(60),
        )?,
        validity: validity(typed)?,
        deadline: match typed.deadline {
            Some(file::Deadline::Relative) | None => Deadline::Relative,
            Some(file::Deadline::Absolute) => Deadline::Absolute,
        },
        core_batch: count("system.core_batch", typed.core_batch, 200, 1, 10_000)?,
        core_slots: count("system.core_slots", typed.core_slots, 4, 1, 16)?,
        core_posting_cost: span(
            "system.core_posting_cost",
            typed.core_posting_cost,
            Duration::ZERO,
            Duration::ZERO,
            seconds(1),
        )?,
        core_admitted: count("system.core_admitted", typed.core_admitted, 800, 1, 1_000_000)?,
        caller_max: count("system.caller_max", typed.caller_max, 400, 1, 1_000_000)?,
        outbound_expiry: span(
            "system.outbound_expiry",
            typed.outbound_expiry,
            seconds(60),
            Duration::from_millis(10),
            seconds(3_600),
        )?,
        protections: Protections::resolve(&typed.protections)?,
    })
}

/// Of several, each has a channel of its own at least.
fn databases(typed: Option<i64>, channels: u32) -> Result<u32, Refusal> {
    let databases = count("system.channel_databases", typed, 1, 1, 4)?;
    if databases > channels {
        let message = format!(
            "is {databases}; accepted are as many as channels at most, and system.channel_instances is {channels}"
        );
        return Err(Refusal::new("system.channel_databases", message));
    }
    Ok(databases)
}

fn sync(typed: Option<file::SyncMode>) -> Result<SyncMode, Refusal> {
    match typed {
        Some(file::SyncMode::Events) | None => Ok(SyncMode::Events),
        Some(file::SyncMode::Poll(every)) => {
            let least = Duration::from_millis(10);
            span("system.sync.poll", Some(every), every.0, least, seconds(3_600)).map(SyncMode::Poll)
        }
    }
}

/// It travels as whole milliseconds.
fn validity(typed: &file::System) -> Result<Duration, Refusal> {
    let validity = span("system.validity", typed.validity, seconds(5), Duration::from_millis(10), seconds(600))?;
    if validity.subsec_nanos() % 1_000_000 != 0 {
        let message = format!("is \"{}\"; accepted are whole milliseconds", duration_text(validity));
        return Err(Refusal::new("system.validity", message));
    }
    Ok(validity)
}

pub(super) fn banks(typed: &file::Banks) -> Result<Banks, Refusal> {
    let safe = Banks::default();
    let share = |typed: Option<ShareText>, default: f64| typed.map_or(default, |share| share.0);
    let banks = Banks {
        late: share(typed.late, safe.late),
        never: share(typed.never, safe.never),
        twice: share(typed.twice, safe.twice),
        refused: share(typed.refused, safe.refused),
        delay: typed.delay.map_or(Ok(safe.delay), |[from, to]| delay(from.0, to.0))?,
    };
    // How an answer is told is one choice; whether it is yes or no is another.
    let together = banks.late + banks.never + banks.twice;
    if together > 1.0 {
        let message = format!("is {together} together with banks.never and banks.twice; accepted is 1 at most");
        return Err(Refusal::new("banks.late", message));
    }
    Ok(banks)
}

fn delay(from: Duration, to: Duration) -> Result<(Duration, Duration), Refusal> {
    if from <= to && to <= DELAY_MAX {
        return Ok((from, to));
    }
    let [from, to, most] = [from, to, DELAY_MAX].map(duration_text);
    let message =
        format!("is [\"{from}\", \"{to}\"]; accepted are the shortest and the longest delay, \"{most}\" at most");
    Err(Refusal::new("banks.delay", message))
}

fn brokers(typed: Option<i64>) -> Result<u32, Refusal> {
    match typed {
        None | Some(1) => Ok(1),
        Some(3) => Ok(3),
        Some(other) => {
            let message = format!(
                "is {other}; accepted are 1 and 3 (an even number has no better majority than the odd one below it, and more than 3 \
                 show nothing that 3 do not)"
            );
            Err(Refusal::new("system.kafka_brokers", message))
        }
    }
}
