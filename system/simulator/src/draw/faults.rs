//! What goes wrong in a drawn plan.
//!
//! In: the seed's stream, the topology. Out: faults in the order of their kinds. Elsewhere: what each does (`plan::Kind`, the models).
//!
//! Faults of an nth call are drawn so that small numbers are as likely as large ones: how often a call happens depends on everything
//! else. Some never come; `simulate` counts them.

use std::collections::BTreeSet;

use super::Dice;
use crate::plan::{Fault, Kind, Topology, Trigger, places_in};

/// The least and the most kinds of a plan.
const KINDS: (u64, u64) = (4, 9);

/// Draws the faults.
pub(super) fn draw(dice: &mut Dice, topology: &Topology) -> Vec<Fault> {
    let wanted = usize::try_from(dice.between(KINDS.0, KINDS.1)).expect("a small number");
    let mut kinds = BTreeSet::new();
    while kinds.len() < wanted {
        kinds.insert(dice.one_of(Kind::ALL));
    }
    let mut faults = Vec::new();
    for kind in kinds {
        let places = places_in(kind, topology);
        for _ in 0..dice.between(1, 4) {
            let place = places[usize::try_from(dice.below(places.len() as u64)).expect("an index")].clone();
            faults.push(fault(dice, topology, kind, place));
        }
    }
    faults
}

fn fault(dice: &mut Dice, topology: &Topology, kind: Kind, place: String) -> Fault {
    let needs = kind.needs();
    let trigger = if needs.at { Trigger::AtMs(dice.below(topology.load_ms)) } else { Trigger::Nth(nth(dice, kind, &place)) };
    let lasts_ms = if needs.lasts { dice.up_to(longest(kind)) } else { 0 };
    Fault { kind, place, trigger, lasts_ms, amount: amount(dice, topology, kind) }
}

/// A call that is likely to come.
fn nth(dice: &mut Dice, kind: Kind, place: &str) -> u64 {
    match kind {
        // Channels ask core only to fill gaps, and customers scroll seldom.
        _ if place.ends_with(">core") && place.starts_with("channel") => dice.up_to(4),
        _ if place.starts_with("customers>channel") => dice.up_to(20),
        Kind::OffsetsRefused | Kind::OffsetsUnanswered => dice.up_to(60),
        Kind::StepDropped => dice.up_to(500),
        _ => dice.up_to(300),
    }
}

/// In milliseconds.
const fn longest(kind: Kind) -> u64 {
    match kind {
        Kind::NodeKill | Kind::NodePause | Kind::LinkCut | Kind::FetchStalled => 15_000,
        Kind::CommitStalled | Kind::ProduceStalled | Kind::RowHeld | Kind::ConnectionsTaken => 8_000,
        Kind::LinkSlow => 20_000,
        _ => 6_000,
    }
}

fn amount(dice: &mut Dice, topology: &Topology, kind: Kind) -> i64 {
    let drawn = match kind {
        Kind::StepRefused | Kind::LinkCut => dice.below(3),
        Kind::RowHeld => dice.below(u64::from(topology.accounts)),
        Kind::ConnectionsTaken => dice.between(1, u64::from(topology.connections)),
        Kind::RecordDamaged => dice.below(2),
        Kind::LinkSlow => dice.up_to(2_000),
        Kind::ClockStep => dice.up_to(60_000),
        _ => 0,
    };
    let drawn = i64::try_from(drawn).expect("a small number");
    if kind == Kind::ClockStep && dice.percent(50) { -drawn } else { drawn }
}
