//! Faults that are carried out in a whole world.

use bankstorm_core::markers::RELAY_RESTARTED;

use crate::draw::draw;
use crate::plan::{Action, Fault, Kind, Operation, Plan, Trigger};
use crate::world::{Options, run};

fn at(kind: Kind, place: &str, at_ms: u64, lasts_ms: u64) -> Fault {
    Fault { kind, place: place.to_owned(), trigger: Trigger::AtMs(at_ms), lasts_ms, amount: 0 }
}

fn nth(kind: Kind, place: &str, nth: u64) -> Fault {
    Fault { kind, place: place.to_owned(), trigger: Trigger::Nth(nth), lasts_ms: 0, amount: 0 }
}

/// A plan with two channels or more, the first of which is asked, and these faults.
fn plan_with(faults: Vec<Fault>) -> Plan {
    let scrolls = |operation: &Operation| matches!(operation.action, Action::Scroll { channel: 0, .. });
    let fits = |plan: &Plan| plan.topology.channels > 1 && plan.operations.iter().any(scrolls);
    let mut plan = (1..).map(draw).find(fits).expect("there is one");
    plan.faults = faults;
    plan
}

#[test]
fn cuts_from_kafka_failed_clients_and_faults_of_a_kind_strike_and_the_bank_holds() {
    let plan = plan_with(vec![
        at(Kind::LinkCut, "channel-0>kafka", 2_000, 12_000),
        at(Kind::LinkCut, "core>kafka", 15_000, 5_000),
        at(Kind::ClientFailed, "channel-1", 8_000, 0),
        at(Kind::ClientFailed, "core", 10_000, 0),
        nth(Kind::RequestDropped, "customers>core:deposit", 3),
        nth(Kind::AnswerDropped, "customers>core:deposit", 2),
        nth(Kind::AnswerDropped, "customers>channel-0:history", 1),
    ]);
    let outcome = run(&plan, &Options { trace: true, ..Options::default() });
    assert!(outcome.holds(), "{:?}", outcome.violations);
    assert!(outcome.struck.iter().all(Option::is_some), "{:?}", outcome.struck);
    assert!(outcome.markers[RELAY_RESTARTED] > 0, "core's producer was replaced");
    let told: Vec<_> = outcome.trace.iter().map(|line| line.what.as_str()).collect();
    let position = |part: &str| told.iter().position(|what| what.contains(part)).unwrap_or_else(|| panic!("{part}"));
    let struck = position("net.cut at channel-0>kafka strikes");
    let ran_out =
        struck + told[struck..].iter().position(|what| what.contains("runs out")).expect("a session runs out");
    assert!(ran_out < position("net.cut at channel-0>kafka is over"), "a cut takes its time");
    assert_eq!(run(&plan, &Options { trace: false, ..Options::default() }).digest, outcome.digest);
}
