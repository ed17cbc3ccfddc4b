//! What goes wrong in a drawn plan.
//!
//! In: the seed's stream, the topology. Out: faults in the order of their kinds. Elsewhere: what each does (`plan::Kind`, the models).
//!
//! Faults of an nth call are drawn so that small numbers are as likely as large ones: how often a call happens depends on everything
//! else. Some never come; `simulate` counts them.

use std::collections::BTreeSet;

use super::Dice;
use crate::plan::{Fault, Kind, Topology, Trigger, places_in};

/// The least and the most kinds of a plan, unless more are needed for [`CERTAIN`].
const KINDS: (u64, u64) = (4, 9);
/// So many kinds of a plan have a moment, which always comes: whatever calls happen, at least these strike.
const CERTAIN: usize = 3;

/// Draws the faults.
pub(super) fn draw(dice: &mut Dice, topology: &Topology) -> Vec<Fault> {
    let wanted = usize::try_from(dice.between(KINDS.0, KINDS.1)).expect("a small number");
    let mut kinds = BTreeSet::new();
    // A clock that is set harms nobody yet, so it is not among the certain ones.
    let is_certain = |kind: &&Kind| kind.needs().at && **kind != Kind::ClockStep;
    let certain = |kinds: &BTreeSet<Kind>| kinds.iter().filter(is_certain).count();
    while kinds.len() < wanted || certain(&kinds) < CERTAIN {
        let kind = dice.one_of(Kind::ALL);
        // Comes seldom, below: keys that are spread anew leave nothing to say of an account's partition.
        if kind != Kind::PartitionsAdded {
            kinds.insert(kind);
        }
    }
    let mut faults = Vec::new();
    for kind in kinds {
        let places = places_in(kind, topology);
        for _ in 0..dice.between(1, 4) {
            let place = places[usize::try_from(dice.below(places.len() as u64)).expect("an index")].clone();
            faults.push(fault(dice, topology, kind, place));
        }
    }
    if dice.percent(TWO_OWNERS_PERCENT) {
        two_owners(dice, topology, &mut faults);
    }
    if dice.percent(FENCE_PERCENT) {
        fence(dice, topology, &mut faults);
    }
    if dice.percent(ABROAD_PERCENT) {
        abroad(dice, &mut faults);
    }
    if dice.percent(SPREAD_ANEW_PERCENT) {
        faults.push(fault(dice, topology, Kind::PartitionsAdded, "kafka".to_owned()));
    }
    if dice.percent(POISON_PERCENT) {
        poison(dice, topology, &mut faults);
    }
    if dice.percent(LATE_SYNC_PERCENT) {
        late_sync(dice, topology, &mut faults);
    }
    faults
}

/// In so many plans of a hundred, the topic gets more partitions (A17).
const SPREAD_ANEW_PERCENT: u64 = 4;
/// In so many plans of a hundred, accounts cannot be written to for a while, and channels are killed meanwhile (R16, R17).
const POISON_PERCENT: u64 = 8;
/// In so many, core's entries come late to channels, past what events brought meanwhile (R12, R13).
const LATE_SYNC_PERCENT: u64 = 10;

/// Records that cannot be applied, and channels that end between a letter and what follows it.
fn poison(dice: &mut Dice, topology: &Topology, faults: &mut Vec<Fault>) {
    let from = dice.below(topology.load_ms / 2);
    let strike = |kind, place: &str, at, lasts_ms, amount| Fault {
        kind,
        place: place.to_owned(),
        trigger: Trigger::AtMs(at),
        lasts_ms,
        amount,
    };
    let other = i64::try_from(dice.below(u64::from(topology.accounts))).expect("accounts are few");
    for amount in BTreeSet::from([0, other]) {
        faults.push(strike(Kind::AccountRefused, "postgres-channel", from, dice.between(2_000, 20_000), amount));
    }
    for channel in 0..topology.channels {
        let at = from + dice.between(200, 6_000);
        faults.push(strike(Kind::NodeKill, &format!("channel-{channel}"), at, 300, 0));
    }
    for _ in 0..4 {
        let trigger = Trigger::Nth(dice.between(1, 200));
        let place = "postgres-channel".to_owned();
        faults.push(Fault { kind: Kind::StepRefused, place, trigger, lasts_ms: 0, amount: 3 });
        let (trigger, amount) = (Trigger::Nth(dice.between(1, 300)), i64::from(dice.percent(50)));
        faults.push(Fault { kind: Kind::RecordDamaged, place: "kafka".to_owned(), trigger, lasts_ms: 0, amount });
    }
}

/// Core's answers about entries come late.
fn late_sync(dice: &mut Dice, topology: &Topology, faults: &mut Vec<Fault>) {
    for channel in 0..topology.channels {
        for nth in 1..=4 {
            let lasts_ms = dice.between(50, 2_500);
            faults.push(of_message(Kind::AnswerHeld, format!("channel-{channel}>core:entries"), nth, lasts_ms));
        }
    }
}

/// In so many plans of a hundred, requests and answers about transfers are lost, late and doubled on purpose, and rows are held for about
/// as long as a transfer is valid (R1-R4, R8).
const FENCE_PERCENT: u64 = 25;
/// In so many, the ways to and from the other banks are bad.
const ABROAD_PERCENT: u64 = 15;

/// One fault of an nth message.
fn of_message(kind: Kind, place: String, nth: u64, lasts_ms: u64) -> Fault {
    let lasts_ms = if kind.needs().lasts { lasts_ms } else { 0 };
    Fault { kind, place, trigger: Trigger::Nth(nth), lasts_ms, amount: 0 }
}

/// What hurts the fence: transfers that come late, answers that come after the event or never, commits and rows that outlast a validity.
fn fence(dice: &mut Dice, topology: &Topology, faults: &mut Vec<Fault>) {
    const OF: [Kind; 5] =
        [Kind::RequestHeld, Kind::RequestHeld, Kind::RequestDropped, Kind::AnswerDropped, Kind::AnswerHeld];
    let validity = topology.transfers.validity_ms;
    for channel in 0..topology.channels {
        for _ in 0..6 {
            let (kind, nth) = (dice.one_of(&OF), dice.between(1, 40));
            let lasts_ms = dice.between(validity / 2 + 1, 2 * validity + 3_000);
            faults.push(of_message(kind, format!("channel-{channel}>core:transfer"), nth, lasts_ms));
        }
        let (kind, nth, lasts_ms) = (dice.one_of(&OF), dice.between(1, 4), dice.between(100, 4_000));
        faults.push(of_message(kind, format!("channel-{channel}>core:resolve"), nth, lasts_ms));
    }
    for _ in 0..3 {
        let trigger = Trigger::AtMs(dice.below(topology.load_ms));
        let lasts_ms = dice.between(validity / 2 + 1, validity + 2_000);
        let amount = i64::try_from(dice.below(u64::from(topology.accounts))).expect("accounts are few");
        faults.push(Fault { kind: Kind::RowHeld, place: "postgres-core".to_owned(), trigger, lasts_ms, amount });
        let (nth, lasts_ms) = (dice.between(1, 300), dice.between(validity / 2 + 1, validity + 2_000));
        faults.push(of_message(Kind::CommitStalled, "postgres-core".to_owned(), nth, lasts_ms));
    }
}

/// What hurts outbound transfers: credits and outcomes that come late, twice or never.
fn abroad(dice: &mut Dice, faults: &mut Vec<Fault>) {
    const OF: [Kind; 5] =
        [Kind::RequestHeld, Kind::RequestDoubled, Kind::RequestDropped, Kind::AnswerDropped, Kind::AnswerHeld];
    for (place, most) in [("core>banks:credit", 20), ("core>banks:cancel", 4), ("banks>core:outcome", 6)] {
        for _ in 0..3 {
            let (kind, nth, lasts_ms) = (dice.one_of(&OF), dice.up_to(most), dice.between(100, 8_000));
            faults.push(of_message(kind, place.to_owned(), nth, lasts_ms));
        }
    }
}

/// In so many plans of a hundred, faults come together on purpose: some races need three at once, and chance alone would hardly ever
/// bring them.
const TWO_OWNERS_PERCENT: u64 = 3;

/// Gaps that two owners of a partition fill at once (R12): records are lost, core is slow to answer channels, and while it is, partitions
/// go from one owner to the next.
fn two_owners(dice: &mut Dice, topology: &Topology, faults: &mut Vec<Fault>) {
    let from = dice.below(topology.load_ms / 2);
    let strike =
        |kind, place, at, lasts_ms, amount| Fault { kind, place, trigger: Trigger::AtMs(at), lasts_ms, amount };
    for place in places_in(Kind::LinkSlow, topology).into_iter().filter(|place| place.starts_with("channel-")) {
        faults.push(strike(Kind::LinkSlow, place, from, 15_000, 700));
    }
    for again in 1..8 {
        faults.push(strike(Kind::Rebalance, "kafka".to_owned(), from + again * 1_900, 0, 0));
    }
    for _ in 0..12 {
        let trigger = Trigger::Nth(dice.between(1, 400));
        faults.push(Fault { kind: Kind::RecordLost, place: "kafka".to_owned(), trigger, lasts_ms: 0, amount: 0 });
    }
}

fn fault(dice: &mut Dice, topology: &Topology, kind: Kind, place: String) -> Fault {
    let needs = kind.needs();
    let trigger =
        if needs.at { Trigger::AtMs(dice.below(topology.load_ms)) } else { Trigger::Nth(nth(dice, kind, &place)) };
    let lasts_ms = if needs.lasts { lasting(dice, longest(kind)) } else { 0 };
    Fault { kind, place, trigger, lasts_ms, amount: amount(dice, topology, kind) }
}

/// Around the limits of services and models (lock waits, calls, idle transactions, sessions, steps), in milliseconds.
const AROUND: [u64; 9] = [5, 50, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 15_000];

/// A time a little shorter or longer than one of the limits, up to `longest`.
fn lasting(dice: &mut Dice, longest: u64) -> u64 {
    let choices = AROUND.iter().filter(|limit| **limit <= longest).count();
    let around = dice.one_of(&AROUND[..choices.max(1)]);
    (around * dice.between(70, 130) / 100).clamp(1, longest)
}

/// A call that is likely to come.
fn nth(dice: &mut Dice, kind: Kind, place: &str) -> u64 {
    match kind {
        // Channels ask core for entries only to fill gaps, customers scroll seldom, and most transfers get their answer.
        _ if place.ends_with(":entries") || place.ends_with(":heads") => dice.up_to(4),
        _ if place.ends_with(":resolve") || place.ends_with(":cancel") => dice.up_to(10),
        _ if place.ends_with(":digests") || place.ends_with(":sync") => dice.up_to(10),
        _ if place.ends_with(":history") || place.contains("banks") => dice.up_to(20),
        _ if place.starts_with("channel") || place.starts_with("customers>channel") => dice.up_to(60),
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
        Kind::LinkCut => dice.below(3),
        Kind::StepRefused => dice.below(4),
        Kind::PartitionsAdded => dice.between(1, 4),
        Kind::RowHeld | Kind::AccountRefused => dice.below(u64::from(topology.accounts)),
        // Half of the time all of them, or nobody would ever miss any.
        Kind::ConnectionsTaken if dice.percent(50) => u64::from(topology.connections),
        Kind::ConnectionsTaken => dice.between(1, u64::from(topology.connections)),
        Kind::RecordDamaged => dice.below(2),
        Kind::LinkSlow => dice.up_to(2_000),
        Kind::ClockStep => dice.up_to(60_000),
        _ => 0,
    };
    let drawn = i64::try_from(drawn).expect("a small number");
    if kind == Kind::ClockStep && dice.percent(50) { -drawn } else { drawn }
}
