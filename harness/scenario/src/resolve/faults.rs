//! Faults: of a kind that exists, on a node or a link that the scenario has, at a time that comes, one after the other where they exclude
//! each other.
//!
//! In: what was typed under `[[fault]]`, and the phases, load and system around it. Out: a plan. Elsewhere: what a kind does
//! (`bankstorm_faults::catalogue`).

mod places;
mod requests;
mod rules;
mod windows;

use std::time::Duration;

use bankstorm_faults::catalogue::{Lasts, Parameter};
use bankstorm_faults::nodes;
use bankstorm_faults::plan::{Fault, Kind, Trigger};

use super::load::planned_operations;
use super::{Refusal, seconds, span, storm};
use crate::error::nearest;
use crate::file;
use crate::resolved::{Load, Phases, System};
use crate::units::duration_text;

/// The most faults of one plan.
const FAULTS_MAX: usize = 100;
/// The longest that a fault may last.
const LASTS_MAX: Duration = seconds(3_600);
/// How much of the measured phase there is before the first fault, to compare recovery with.
const BEFORE_MIN: Duration = seconds(1);

/// What the rest of the scenario allows.
struct Around {
    phases: Phases,
    /// Of all loads together that go on all the time.
    rate_per_s: f64,
    operations: f64,
    nodes: Vec<String>,
    links: Vec<String>,
    seed: u64,
}

pub(super) fn resolve(
    typed: &[file::Fault],
    phases: &Phases,
    load: &[Load],
    system: &System,
    seed: u64,
) -> Result<Vec<Fault>, Refusal> {
    let around = Around {
        phases: phases.clone(),
        rate_per_s: load.iter().filter(|load| load.window.is_none()).map(|load| load.rate_per_s).sum(),
        operations: planned_operations(load, phases),
        nodes: system.places(),
        links: system.links().iter().map(|(from, to)| nodes::link(from, to)).collect(),
        seed,
    };
    let mut spread: Vec<(usize, file::Fault)> = Vec::new();
    for (index, one) in typed.iter().enumerate() {
        let meant = if storm::is_storm(one) {
            storm::faults(index, one, &around.nodes, around.phases.measure, seed)?
        } else {
            places::spread(one, &around.links)
        };
        spread.extend(meant.into_iter().map(|fault| (index, fault)));
    }
    if spread.len() > FAULTS_MAX {
        let message = format!(
            "has {} entries, those of storms and of each `*` included; accepted are {FAULTS_MAX} at most",
            spread.len()
        );
        return Err(Refusal::new("fault", message));
    }
    let faults = spread.iter().enumerate().map(|(number, (index, typed))| fault(number, *index, typed, &around));
    let faults: Vec<Fault> = faults.collect::<Result<_, Refusal>>()?;
    let indices: Vec<usize> = spread.iter().map(|(index, _)| *index).collect();
    windows::apart(&faults, &indices)?;
    Ok(faults)
}

/// The `number`th fault of the plan, which the `index`th of the file asks for.
fn fault(number: usize, index: usize, typed: &file::Fault, around: &Around) -> Result<Fault, Refusal> {
    let kind = Kind::from_word(&typed.kind).ok_or_else(|| Refusal {
        help: Some(nearest(&typed.kind, &words())),
        ..Refusal::new(format!("fault.{index}.kind"), format!("is \"{}\"", typed.kind))
    })?;
    rules::known(index, typed, kind)?;
    places::check(index, typed, kind, around)?;
    let fault = Fault {
        id: format!("fault-{number}"),
        kind,
        place: typed.place.clone(),
        trigger: trigger(index, typed, kind, around)?,
        lasts: lasts(index, typed, kind)?,
        rule: rules::rule(index, typed, kind, around.seed)?,
    };
    ends_under_load(index, &fault, around.phases.measure)?;
    Ok(fault)
}

/// Every kind that may be typed.
fn words() -> Vec<&'static str> {
    Kind::ALL.into_iter().map(Kind::word).chain([storm::KIND]).collect()
}

/// A kind that picks the nth request of a key knows no nth operation.
fn trigger(index: usize, typed: &file::Fault, kind: Kind, around: &Around) -> Result<Trigger, Refusal> {
    let picks_nth = kind.entry().takes(Parameter::Nth);
    match (typed.at, typed.nth.filter(|_| !picks_nth)) {
        (None, None) if picks_nth => {
            let message = format!("has no `at`, which must be given: `nth` is no moment to {}", kind.word());
            Err(Refusal::new(format!("fault.{index}"), message))
        }
        (Some(at), None) => at_trigger(index, at.0, around.phases.measure),
        (None, Some(nth)) => nth_trigger(index, nth, around),
        (Some(_), Some(_)) => {
            Err(Refusal::new(format!("fault.{index}"), "has both `at` and `nth`; accepted is one of them"))
        }
        (None, None) => Err(Refusal::new(format!("fault.{index}"), "has neither `at` nor `nth`; one must be given")),
    }
}

fn at_trigger(index: usize, at: Duration, measure: Duration) -> Result<Trigger, Refusal> {
    let [at_text, least_text, measure_text] = [at, BEFORE_MIN, measure].map(duration_text);
    let message = if at < BEFORE_MIN {
        format!(
            "is \"{at_text}\"; accepted is \"{least_text}\" or later, or there would be nothing to compare recovery with"
        )
    } else if at >= measure {
        format!("is \"{at_text}\"; accepted is less than phases.measure, which is \"{measure_text}\"")
    } else {
        return Ok(Trigger::At(at));
    };
    Err(Refusal::new(format!("fault.{index}.at"), message))
}

/// Random arrivals may send a few more than planned, so only what is clearly above is refused: beyond five standard deviations. What comes
/// too early is told by the mean rate, which random arrivals keep within a few operations.
fn nth_trigger(index: usize, nth: i64, around: &Around) -> Result<Trigger, Refusal> {
    let planned = around.operations;
    let least = ((around.phases.warm_up + BEFORE_MIN).as_secs_f64() * around.rate_per_s).ceil();
    let message = match u64::try_from(nth) {
        Ok(nth @ 1..) if (nth as f64) < least => {
            let moment = duration_text(Duration::from_millis((nth as f64 / around.rate_per_s * 1_000.0) as u64));
            format!(
                "is {nth}, which is sent about {moment} after load began, in the warm-up or the first second of the measured phase: there \
                 would be nothing to compare recovery with; accepted are {least:.0} to about {planned:.0}"
            )
        }
        Ok(nth @ 1..) if nth as f64 <= planned + 5.0 * planned.sqrt() + 1.0 => return Ok(Trigger::Nth(nth)),
        _ => format!(
            "is {nth}; accepted are {least:.0} to about {planned:.0}, which is what the load sends (all rates times warm_up and measure)"
        ),
    };
    Err(Refusal::new(format!("fault.{index}.nth"), message))
}

/// A heal is only of use while load is there to tell how the bank recovers, and so is what still comes after it. When an `nth` fires is not
/// known before the run.
fn ends_under_load(index: usize, fault: &Fault, measure: Duration) -> Result<(), Refusal> {
    let (Trigger::At(at), Some(lasts)) = (fault.trigger, fault.lasts) else { return Ok(()) };
    let held = windows::held(fault);
    let [lasts_text, at_text, held_text, measure_text] = [lasts, at, held, measure].map(duration_text);
    let (also, what) = if at + lasts > measure {
        (String::new(), "it would be healed")
    } else if at + lasts + held > measure {
        (format!(" and delay = \"{held_text}\""), "what it holds would come")
    } else {
        return Ok(());
    };
    let message = format!(
        "is \"{lasts_text}\", which with at = \"{at_text}\"{also} is past phases.measure = \"{measure_text}\": {what} after load ended, and \
         nobody would see the bank recover: shorten lasts or lengthen phases.measure"
    );
    Err(Refusal::new(format!("fault.{index}.lasts"), message))
}

fn lasts(index: usize, typed: &file::Fault, kind: Kind) -> Result<Option<Duration>, Refusal> {
    let (path, entry) = (format!("fault.{index}.lasts"), kind.entry());
    match (entry.lasts, typed.lasts) {
        (Lasts::Required, None) => {
            let message = format!("has no `lasts`, which {} needs: {}", entry.word, entry.lasts_about);
            Err(Refusal::new(format!("fault.{index}"), message))
        }
        (Lasts::Refused, Some(_)) => {
            let message = format!("is not accepted by {}, which ends by itself: leave it out", entry.word);
            Err(Refusal::new(path, message))
        }
        (_, None) => Ok(None),
        (_, Some(lasts)) => span(&path, Some(lasts), lasts.0, Duration::from_millis(1), LASTS_MAX).map(Some),
    }
}
