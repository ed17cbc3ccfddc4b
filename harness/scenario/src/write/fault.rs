//! A fault as one would type it.
//!
//! In: a planned [`Fault`]. Out: its keys. Elsewhere: how they are read (`resolve/faults`), the rest of the file (`write`).

use bankstorm_faults::plan::{Fault, Trigger};
use bankstorm_faults::rule::{Effect, Keys, Rule, Way};

use crate::file;
use crate::units::{DurationText, EveryText, ShareText};

/// Its id, and the seed of its share, follow from the order.
pub(super) fn fault_of(fault: &Fault) -> file::Fault {
    let (at, nth) = match fault.trigger {
        Trigger::At(after) => (Some(DurationText(after)), None),
        Trigger::Nth(operation) => (None, Some(number(operation))),
    };
    let typed = file::Fault {
        kind: fault.kind.word().to_owned(),
        place: fault.place.clone(),
        at,
        nth,
        lasts: fault.lasts.map(DurationText),
        ..file::Fault::default()
    };
    match &fault.rule {
        Some(rule) => with_effect(with_picks(typed, rule), rule.effect),
        None => typed,
    }
}

/// A kind whose rules pick the nth request of a key is never triggered by an nth operation.
fn with_picks(typed: file::Fault, rule: &Rule) -> file::Fault {
    let picks = &rule.picks;
    let (every, probability) = match picks.keys {
        Keys::All => (None, None),
        Keys::Every(keys) => (Some(EveryText::Keys(number(keys))), None),
        Keys::Share { probability, .. } => (None, Some(ShareText(probability))),
    };
    file::Fault { of: picks.of.clone(), every, probability, nth: typed.nth.or(picks.nth.map(number)), ..typed }
}

fn with_effect(typed: file::Fault, effect: Effect) -> file::Fault {
    let way = |way| file::Fault { way: Some(way), ..typed.clone() };
    let when = |when| file::Fault { when: Some(when), ..typed.clone() };
    match effect {
        Effect::RequestHold(delay) | Effect::ResponseHold(delay) | Effect::Delay(delay) => {
            file::Fault { delay: Some(DurationText(delay)), ..typed }
        }
        Effect::RequestTwice(times) => file::Fault { times: Some(times.into()), ..typed },
        Effect::Cut(Way::There) => way(file::Way::There),
        Effect::Cut(Way::Back) => way(file::Way::Back),
        Effect::CommitCutBefore => when(file::When::Before),
        Effect::CommitCutAfter => when(file::When::After),
        Effect::RequestDrop | Effect::ResponseDrop | Effect::Blackhole | Effect::Reset => typed,
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).expect("resolved counts fit")
}
