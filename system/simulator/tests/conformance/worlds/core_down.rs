//! Core is down (issue 6): whoever asks hears 503 before anything was sent, or 202 after; afterwards nobody is blocked for longer than a
//! validity and one poll.
//!
//! In: one plan, core gone in several ways. Out: a trial a way: what customers were told and how soon, when each transfer was settled.
//! Elsewhere: single messages that are lost (`races`).

use std::time::Duration;

use bankstorm_simulator::plan::{self, Action, Fault, Kind, NotStarted, Operation, Payment, Plan, Trigger};
use bankstorm_simulator::world::{Options, Outcome, run};
use libtest_mimic::Trial;

use super::tiny::{payment, tiny};

/// Streams under which each is run.
const STREAMS: u64 = 4;
const DOWN_MS: u64 = 10_000;
const UP_MS: u64 = 30_000;
/// Payments on their way when core goes, payments while it is away.
const ON_THE_WAY: u64 = 6;
const MEANWHILE: u64 = 19;
/// Everybody pays once more, as many operations later, once nobody may be blocked any more.
const ONCE_MORE: u64 = 100;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The longest pause between two questions of a poller: `poll_retry_most`, at its default.
const POLL_MOST_MS: u64 = 5_000;
/// Beyond a poll's time: the look at what is due, the answer, the commit, and our own look at it.
const SLACK_MS: u64 = 700;

/// A way to be down, and what payments may be told meanwhile.
struct Way {
    name: &'static str,
    kind: Kind,
    place: &'static str,
    amount: i64,
    not_started: NotStarted,
    /// What is told to payments that are begun while core is down; `ok` where the event tells of what no answer tells.
    told: &'static str,
}

const WAYS: [Way; 5] = [
    Way {
        name: "dead",
        kind: Kind::NodeKill,
        place: "core",
        amount: 0,
        not_started: NotStarted::Final,
        told: "failed",
    },
    Way {
        name: "dead_and_fenced",
        kind: Kind::NodeKill,
        place: "core",
        amount: 0,
        not_started: NotStarted::Fenced,
        told: "failed",
    },
    Way {
        name: "frozen",
        kind: Kind::NodePause,
        place: "core",
        amount: 0,
        not_started: NotStarted::Fenced,
        told: "unknown",
    },
    Way {
        name: "out_of_reach",
        kind: Kind::LinkCut,
        place: "channel-0>core",
        amount: 0,
        not_started: NotStarted::Fenced,
        told: "unknown",
    },
    Way {
        name: "unheard",
        kind: Kind::LinkCut,
        place: "channel-0>core",
        amount: 1,
        not_started: NotStarted::Fenced,
        told: "ok",
    },
];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |way: &'static Way| {
        let name =
            format!("worlds::core_down::a7_core_that_is_{}_blocks_nobody_longer_than_a_validity_and_a_poll", way.name);
        Trial::test(name, move || {
            let plan = plan_of(way);
            plan::check(&plan).map_err(|error| error.to_string())?;
            for chance in 0..STREAMS {
                let options = Options { watch_every: Some(LOOK_EVERY), ..Options::default() };
                let outcome = run(&Plan { chance, ..plan.clone() }, &options);
                judge(way, &plan, &outcome).map_err(|said| format!("stream {chance}: {said}"))?;
            }
            Ok(())
        })
    };
    WAYS.iter().map(trial).collect()
}

/// After the heal nobody may be blocked any longer than this, in milliseconds.
fn bound_ms(plan: &Plan) -> u64 {
    let terms = &plan.topology.transfers;
    terms.validity_ms + POLL_MOST_MS + terms.poll_every_ms
}

fn plan_of(way: &Way) -> Plan {
    let mut plan = tiny();
    plan.topology.channels = 1;
    plan.topology.load_ms = 60_000;
    plan.topology.transfers.not_started = way.not_started;
    let transfer = |op: u64, at_ms| {
        let user = 1 + u32::try_from(op % ONCE_MORE).expect("small");
        let pay = Payment { user, won: 10, reads: 0, ..payment() };
        Operation { op, at_ms, account: 0, action: Action::Transfer { to: 1, pay } }
    };
    let first = (0..ON_THE_WAY).map(|op| transfer(op, DOWN_MS - 12 + 2 * op));
    let meanwhile = (0..MEANWHILE).map(|nth| transfer(ON_THE_WAY + nth, DOWN_MS + 500 + nth * 1_000));
    plan.operations = first.chain(meanwhile).collect();
    let again_ms = UP_MS + bound_ms(&plan) + SLACK_MS;
    let again = (0..ON_THE_WAY + MEANWHILE).map(|op| transfer(ONCE_MORE + op, again_ms + 20 * op));
    plan.operations.extend(again);
    let (trigger, lasts_ms) = (Trigger::AtMs(DOWN_MS), UP_MS - DOWN_MS);
    plan.faults.push(Fault { kind: way.kind, place: way.place.to_owned(), trigger, lasts_ms, amount: way.amount });
    plan
}

fn judge(way: &Way, plan: &Plan, outcome: &Outcome) -> Result<(), String> {
    if let Some(violation) = outcome.violations.first() {
        return Err(format!("{violation:?}"));
    }
    for operation in &plan.operations {
        let told =
            outcome.watched.told.get(&operation.op).ok_or_else(|| format!("nobody asked for {}", operation.op))?;
        let accepted: &[&str] = match operation.op {
            op if op >= ONCE_MORE => &["ok"],
            op if op >= ON_THE_WAY => &[way.told],
            // Before, or too late.
            _ => &["ok", "unknown", "failed"],
        };
        let is_said = told.outcome.as_deref().is_some_and(|word| accepted.contains(&word));
        if !is_said {
            return Err(format!("operation {}: {told:?}, not one of {accepted:?}", operation.op));
        }
        // 202 comes once the call has been given up, whatever core does; 503 needs no core at all.
        let limit = Duration::from_millis(plan.topology.transfers.call_limit_ms + 200);
        if told.after > limit {
            return Err(format!("operation {} took {:?}, longer than {limit:?}", operation.op, told.after));
        }
    }
    blocked(way, plan, outcome)
}

/// Nobody is blocked longer than that after core is back, and nobody whose payment failed for good is blocked at all.
fn blocked(way: &Way, plan: &Plan, outcome: &Outcome) -> Result<(), String> {
    let limit = Duration::from_millis(UP_MS + bound_ms(plan) + SLACK_MS);
    let mut was_blocked = false;
    for look in &outcome.watched.looks {
        let earlier: Vec<_> = look.open.iter().filter(|op| **op < ONCE_MORE).collect();
        was_blocked |= look.at >= Duration::from_millis(UP_MS) && !earlier.is_empty();
        if look.at > limit && !earlier.is_empty() {
            return Err(format!(
                "{:?} are still open {:?} after core is back",
                earlier,
                look.at - Duration::from_millis(UP_MS)
            ));
        }
    }
    // Where requests were lost on the way, somebody has to be asked about: otherwise nothing was shown.
    if way.told == "unknown" && !was_blocked {
        return Err("nobody was blocked when core came back".to_owned());
    }
    Ok(())
}
