//! Rules: what a proxy is to do, and to which of those that pass.
//!
//! In: the keys of a fault beside its place and moment. Out: a [`Rule`]. Elsewhere: which keys each kind takes, and what they make of it
//! (`bankstorm_faults::catalogue`), which requests there are (`requests`).

use std::time::Duration;

use bankstorm_faults::catalogue::{Parameter, Settings, When};
use bankstorm_faults::plan::Kind;
use bankstorm_faults::rule::{Keys, Picks, Rule, Way};

use super::requests;
use crate::file;
use crate::resolve::storm::named_draw;
use crate::resolve::{Refusal, count, seconds, span};
use crate::units::{DurationText, EveryText, duration_text};

/// How much later something may come.
const DELAY: [Duration; 2] = [Duration::from_millis(1), seconds(60)];
/// How many times it may arrive.
const TIMES: [u32; 2] = [2, 10];

/// Whether the kind takes every key that is given, and has every key that it needs.
pub(super) fn known(index: usize, typed: &file::Fault, kind: Kind) -> Result<(), Refusal> {
    let (entry, word) = (kind.entry(), kind.word());
    // Where `nth` is none of its parameters it is its moment.
    let strange = |one: &Parameter| *one != Parameter::Nth && typed.gives(*one) && !entry.takes(*one);
    if let Some(strange) = Parameter::ALL.into_iter().find(strange) {
        let taken: Vec<String> = entry.parameters.iter().map(|one| format!("`{}`", one.word())).collect();
        let why = match (strange, &taken[..]) {
            (Parameter::Every, _) => "which strikes once".to_owned(),
            (_, []) => "which takes no such key".to_owned(),
            (_, taken) => format!("which takes {}", taken.join(", ")),
        };
        let message = format!("is not accepted by {word}, {why}: leave it out");
        return Err(Refusal::new(format!("fault.{index}.{}", strange.word()), message));
    }
    match entry.parameters.iter().find(|one| one.is_needed() && !typed.gives(**one)) {
        Some(absent) => {
            let message = format!("has no `{}`, which {word} needs: {}", absent.word(), absent.about());
            Err(Refusal::new(format!("fault.{index}"), message))
        }
        None => Ok(()),
    }
}

/// The rule of the fault with this index in the file; `None` where the kind is done to a node.
pub(super) fn rule(index: usize, typed: &file::Fault, kind: Kind, seed: u64) -> Result<Option<Rule>, Refusal> {
    let Some(effect) = kind.effect(&settings(index, typed)?) else { return Ok(None) };
    let of = typed.of.as_deref().map(|of| requests::check(index, of, &typed.place)).transpose()?;
    let keys = keys(index, typed, kind, seed)?;
    let nth = typed.nth.filter(|_| kind.entry().takes(Parameter::Nth));
    let nth = nth.map(|nth| at_least_one(&format!("fault.{index}.nth"), nth)).transpose()?;
    Ok(Some(Rule { effect, picks: Picks { of, keys, nth } }))
}

fn settings(index: usize, typed: &file::Fault) -> Result<Settings, Refusal> {
    let [least, most] = TIMES;
    let safe = Settings::default();
    Ok(Settings {
        delay: typed.delay.map_or(Ok(safe.delay), |delay| self::delay(index, delay))?,
        times: count(&format!("fault.{index}.times"), typed.times, safe.times, least, most)?,
        way: match typed.way {
            Some(file::Way::There) => Way::There,
            Some(file::Way::Back) => Way::Back,
            None => safe.way,
        },
        when: match typed.when {
            Some(file::When::Before) => When::Before,
            Some(file::When::After) => When::After,
            None => safe.when,
        },
    })
}

/// It travels as whole milliseconds.
fn delay(index: usize, typed: DurationText) -> Result<Duration, Refusal> {
    let path = format!("fault.{index}.delay");
    let delay = span(&path, Some(typed), typed.0, DELAY[0], DELAY[1])?;
    if delay.subsec_nanos() % 1_000_000 != 0 {
        let message = format!("is \"{}\"; accepted are whole milliseconds", duration_text(delay));
        return Err(Refusal::new(path, message));
    }
    Ok(delay)
}

/// What a fault's picks hang on beside the scenario's seed. Neither its place nor its number: a transfer meets the same fate by whichever
/// channel it goes, and whatever faults stand beside it.
fn name(typed: &file::Fault, kind: Kind) -> String {
    let at = typed.at.map(|at| duration_text(at.0)).unwrap_or_default();
    format!("{} {} {at}", kind.word(), typed.of.as_deref().unwrap_or_default())
}

fn keys(index: usize, typed: &file::Fault, kind: Kind, seed: u64) -> Result<Keys, Refusal> {
    match (typed.probability, typed.every) {
        (None, None) => Ok(Keys::All),
        (Some(_), Some(_)) => {
            let message = "has both `probability` and `every`; accepted is one of them";
            Err(Refusal::new(format!("fault.{index}"), message))
        }
        (Some(share), None) if share.0 > 0.0 => {
            Ok(Keys::Share { probability: share.0, seed: named_draw(seed, &name(typed, kind)) })
        }
        (Some(share), None) => {
            let message = format!("is \"{}\"; accepted is above 0 and at most 1, or it is never done", share.0);
            Err(Refusal::new(format!("fault.{index}.probability"), message))
        }
        (None, Some(EveryText::Keys(keys))) => at_least_one(&format!("fault.{index}.every"), keys).map(Keys::Every),
        (None, Some(EveryText::Time(time))) => {
            let time = duration_text(time);
            let message = format!("is \"{time}\"; accepted is a whole number of keys, such as 10 for one in ten");
            Err(Refusal::new(format!("fault.{index}.every"), message))
        }
    }
}

fn at_least_one(path: &str, typed: i64) -> Result<u64, Refusal> {
    match u64::try_from(typed) {
        Ok(typed @ 1..) => Ok(typed),
        _ => Err(Refusal::new(path, format!("is {typed}; accepted are 1 and more"))),
    }
}
