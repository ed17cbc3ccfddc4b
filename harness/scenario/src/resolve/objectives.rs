//! Objectives: of a figure that exists, with a limit that makes sense, of a part that the run will have.
//!
//! In: what was typed under `[slo]`, and whether there are faults. Out: objectives. Elsewhere: whether they are met (`harness/check`).

use std::time::Duration;

use super::{Refusal, seconds, span, within, word};
use crate::file::{self, Latencies, Limits, Slo};
use crate::resolved::{
    DrainObjectives, During, Figure, LatencyKind, Load, Objective, Op, OverloadObjectives, Phases, RecoveryFigure,
    RecoveryObjective, ScrollObjectives, System,
};
use crate::units::{DurationText, FactorText, duration_text, factor_text};

/// The shortest and the longest limit.
const LIMITS: [Duration; 2] = [Duration::from_micros(1), seconds(3_600)];

/// The least time before a greater load, under it and after it.
const OVERLOAD_BESIDE: Duration = seconds(5);
/// Factors in thousandths: less than as long as before is no protection.
const FACTORS: std::ops::RangeInclusive<u64> = 1_000..=1_000_000;

pub(super) fn latencies(slo: &Slo, load: &[Load], has_faults: bool) -> Result<Vec<Objective>, Refusal> {
    let mut objectives = Vec::new();
    for op in Op::ALL {
        let latencies = slo.of(op);
        if !latencies.is_empty() && !load.iter().any(|load| load.op == op) {
            let message = format!("is asked for, but no [[load]] does a {}", op.as_str());
            return Err(Refusal::new(format!("slo.{}", op.as_str()), message));
        }
        objectives.extend(of_operation(op, &latencies, has_faults)?);
    }
    Ok(objectives)
}

fn of_operation(op: Op, latencies: &Latencies, has_faults: bool) -> Result<Vec<Objective>, Refusal> {
    let mut objectives: Vec<Objective> = Vec::new();
    for (latency_word, figures) in latencies {
        let path = format!("slo.{}.{latency_word}", op.as_str());
        let latency = word(&path, latency_word, op.latencies(), LatencyKind::as_str)?;
        for (figure_word, limits) in figures {
            let path = format!("{path}.{figure_word}");
            let figure = word(&path, figure_word, &Figure::ALL, Figure::as_str)?;
            let name = format!("{}.{}.{}", op.as_str(), latency.as_str(), figure.as_str());
            let first = objectives.len();
            for (path, limit, during) in parts(path, limits, has_faults)? {
                if objectives[first..].iter().any(|objective| objective.during == during) {
                    let message = format!("is a second limit during \"{}\"; accepted is one", during.as_str());
                    return Err(Refusal::new(path, message));
                }
                objectives.push(Objective { name: name.clone(), op, latency, figure, limit, during });
            }
        }
    }
    Ok(objectives)
}

/// The limits of one figure, each with the path that it was typed at.
fn parts(path: String, limits: &Limits, has_faults: bool) -> Result<Vec<(String, Duration, During)>, Refusal> {
    match limits {
        Limits::Steady(limit) => {
            let limit = checked(&path, *limit)?;
            Ok(vec![(path, limit, During::Steady)])
        }
        Limits::One(limit) => Ok(vec![part(path, *limit, has_faults)?]),
        Limits::Several(several) if several.is_empty() => Err(Refusal::new(
            path,
            "is an empty list; accepted are one or more such as { limit = \"50ms\", during = \"all\" }",
        )),
        Limits::Several(several) => several
            .iter()
            .enumerate()
            .map(|(index, limit)| part(format!("{path}.{index}"), *limit, has_faults))
            .collect(),
    }
}

fn part(path: String, typed: file::Limit, has_faults: bool) -> Result<(String, Duration, During), Refusal> {
    let limit = checked(&format!("{path}.limit"), typed.limit)?;
    let during = match typed.during {
        None | Some(file::During::Steady) => During::Steady,
        Some(file::During::Fault) => During::Fault,
        Some(file::During::Recovery) => During::Recovery,
        Some(file::During::All) => During::All,
    };
    if matches!(during, During::Fault | During::Recovery) && !has_faults {
        let message = format!("is \"{}\", which a scenario without any [[fault]] never has", during.as_str());
        return Err(Refusal {
            help: Some("accepted here: `steady`, `all`".to_owned()),
            ..Refusal::new(format!("{path}.during"), message)
        });
    }
    Ok((path, limit, during))
}

pub(super) fn recovery(slo: &Slo, has_faults: bool) -> Result<Vec<RecoveryObjective>, Refusal> {
    if !slo.recovery.is_empty() && !has_faults {
        let message = "is asked for, but a scenario without any [[fault]] has nothing to recover from";
        return Err(Refusal::new("slo.recovery", message));
    }
    let asked = slo.recovery.iter().map(|(figure_word, limit)| {
        let path = format!("slo.recovery.{figure_word}");
        let figure = word(&path, figure_word, &RecoveryFigure::ALL, RecoveryFigure::as_str)?;
        let name = format!("recovery.{}", figure.as_str());
        Ok(RecoveryObjective { name, figure, limit: checked(&path, *limit)? })
    });
    asked.collect()
}

/// Deposits alone: core is asked for them directly, so that all it says of its posting is about them.
pub(super) fn overload(asked: &file::Overload, load: &[Load], phases: &Phases) -> Result<OverloadObjectives, Refusal> {
    if asked.is_empty() {
        return Ok(OverloadObjectives::default());
    }
    let refuse = |message: &str| Err(Refusal::new("slo.overload", message));
    if load.iter().any(|load| load.op != Op::Deposit) {
        return refuse("is asked for, but not every [[load]] is of deposits, which is what it compares");
    }
    let windows: Vec<(Duration, Duration)> = load.iter().filter_map(|load| load.window).collect();
    let [(from, until), ..] = windows[..] else {
        return refuse("is asked for, but no [[load]] has a `window` in which more is offered");
    };
    if windows.iter().any(|window| *window != (from, until)) {
        return refuse("is asked for, but there are several windows; accepted is one");
    }
    if windows.len() == load.len() {
        return refuse(
            "is asked for, but every [[load]] has a `window`: there is nothing before and after it to compare with",
        );
    }
    if from < OVERLOAD_BESIDE
        || until - from < OVERLOAD_BESIDE
        || phases.measure.saturating_sub(until) < OVERLOAD_BESIDE
    {
        let least = duration_text(OVERLOAD_BESIDE);
        let message = format!("is asked for, but there are not \"{least}\" each before the window, in it and after it");
        return Err(Refusal::new("slo.overload", message));
    }
    let recovery = asked.recovery.map(|limit| checked("slo.overload.recovery", limit)).transpose()?;
    let left = phases.measure - until;
    if let Some(limit) = recovery.filter(|limit| *limit > left) {
        let [limit, left] = [limit, left].map(duration_text);
        let message = format!("is \"{limit}\", but load ends \"{left}\" after the window");
        return Err(Refusal::new("slo.overload.recovery", message));
    }
    let unrefused = asked.unrefused.map(|most| within("slo.overload.unrefused", most, 0, i64::MAX)).transpose()?;
    Ok(OverloadObjectives {
        posting_p99: asked.posting_p99.map(|typed| factor("slo.overload.posting_p99", typed)).transpose()?,
        recovery,
        unrefused: unrefused.map(i64::unsigned_abs),
    })
}

fn factor(path: &str, FactorText(thousandths): FactorText) -> Result<u64, Refusal> {
    if FACTORS.contains(&thousandths) {
        return Ok(thousandths);
    }
    let [typed, least, most] = [thousandths, *FACTORS.start(), *FACTORS.end()].map(factor_text);
    Err(Refusal::new(path, format!("is \"{typed}\"; accepted are \"{least}\" to \"{most}\"")))
}

/// Tenths of a session's pages need ten of them.
pub(super) fn scroll(asked: &file::ScrollSlo, load: &[Load]) -> Result<ScrollObjectives, Refusal> {
    let Some(typed) = asked.deepest_of_first else { return Ok(ScrollObjectives::default()) };
    let path = "slo.scroll.deepest_of_first";
    let pages = load.iter().filter_map(|load| load.scroll).map(|scroll| scroll.pages).max();
    match pages {
        None => Err(Refusal::new(path, "is asked for, but no [[load]] does a scroll")),
        Some(..10) => {
            Err(Refusal::new(path, "is asked for, but no [[load]] has 10 `pages` or more to take a tenth of"))
        }
        Some(_) => Ok(ScrollObjectives { deepest_of_first: Some(factor(path, typed)?) }),
    }
}

/// What costs nothing has no predicted rate.
pub(super) fn drain(asked: &file::Drain, system: &System) -> Result<DrainObjectives, Refusal> {
    let of_predicted = asked.of_predicted.map(|share| share.0);
    if of_predicted.is_some() && system.sync_cost.is_zero() {
        let message = "is asked for, but system.sync_cost is \"0s\", which predicts no rate";
        return Err(Refusal::new("slo.drain.of_predicted", message));
    }
    Ok(DrainObjectives { of_predicted })
}

fn checked(path: &str, limit: DurationText) -> Result<Duration, Refusal> {
    span(path, Some(limit), limit.0, LIMITS[0], LIMITS[1])
}
