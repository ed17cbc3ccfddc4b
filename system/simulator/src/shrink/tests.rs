//! What a search finds, over worlds that are made up: a predicate says which plans fail.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Ended, Limits, Progress, Shrunk, shrink_by, simpler};
use crate::draw::draw;
use crate::plan::{self, Action, Kind, Plan, Trigger};
use crate::world::{Outcome, Violation, Watched};

/// A made-up world: what it violates, if anything. Every fault strikes at once.
fn world(plan: &Plan, violated: Option<&str>) -> Outcome {
    let violation =
        |name: &str| Violation { check: "S5".to_owned(), name: name.to_owned(), count: 1, first: "x".to_owned() };
    Outcome {
        digest: [0; 32],
        virtual_time: Duration::ZERO,
        operations: BTreeMap::new(),
        markers: BTreeMap::new(),
        figures: BTreeMap::new(),
        struck: vec![Some(Duration::from_millis(plan.topology.load_ms)); plan.faults.len()],
        violations: violated.map(violation).into_iter().collect(),
        watched: Watched::default(),
        trace: Vec::new(),
    }
}

/// Shrinks without limits over a predicate.
fn shrunk(plan: &Plan, fails: impl Fn(&Plan) -> bool) -> Shrunk {
    let limits = Limits { runs: 1_000_000, work: u64::MAX / 2 };
    let run = |plan: &Plan| world(plan, fails(plan).then_some("lost-copy"));
    shrink_by(plan, limits, &run, &|_| true).expect("it fails")
}

/// A plan with this kind of fault.
fn plan_with(kind: Kind) -> Plan {
    (0..).map(draw).find(|plan| plan.faults.iter().any(|fault| fault.kind == kind)).expect("every kind is drawn")
}

#[test]
fn only_what_matters_is_left() {
    let plan = plan_with(Kind::NodeKill);
    let fails = |plan: &Plan| {
        let has = |op| plan.operations.iter().any(|operation| operation.op == op);
        has(17) && has(230) && has(231) && plan.faults.iter().any(|fault| fault.kind == Kind::NodeKill)
    };
    let Shrunk { plan, violation, ended, runs } = shrunk(&plan, fails);
    assert_eq!(ended, Ended::NothingHelps);
    assert_eq!((&*violation.check, &*violation.name), ("S5", "lost-copy"));
    let operations: Vec<_> =
        plan.operations.iter().map(|operation| (operation.op, operation.at_ms, operation.account)).collect();
    assert_eq!(operations, [(17, 0, 0), (230, 0, 0), (231, 0, 0)]);
    assert_eq!(plan.faults.len(), 1);
    let fault = &plan.faults[0];
    assert_eq!((fault.kind, fault.trigger, fault.lasts_ms, fault.amount), (Kind::NodeKill, Trigger::AtMs(0), 1, 0));
    let topology = &plan.topology;
    assert_eq!((topology.accounts, topology.channels, topology.partitions, topology.load_ms), (1, 1, 1, 0));
    assert_eq!(plan::check(&plan), Ok(()));
    assert!(runs < 2_000, "{runs} runs");
}

#[test]
fn parameters_stay_as_large_as_they_must() {
    let stalled = |fault: &plan::Fault| fault.kind == Kind::CommitStalled && fault.lasts_ms >= 40;
    let rich = |operation: &plan::Operation| matches!(operation.action, Action::Deposit { won: 2.., .. });
    let fails =
        |plan: &Plan| plan.faults.iter().any(stalled) && plan.operations.iter().any(rich) && plan.topology.accounts > 1;
    let plan = (0..).map(draw).find(fails).expect("such a plan is drawn");
    let found = shrunk(&plan, fails).plan;
    assert_eq!((found.faults.len(), found.operations.len()), (1, 1));
    assert!((40..100).contains(&found.faults[0].lasts_ms), "{:?}", found.faults[0]);
    assert!(matches!(found.operations[0].action, Action::Deposit { won: 2.., again: None, retries: 0, .. }));
    assert!(found.topology.accounts > 1);
}

#[test]
fn a_fault_of_an_nth_call_comes_earlier_when_calls_before_it_go() {
    let mut plan = plan_with(Kind::CommitLost);
    plan.faults.retain(|fault| fault.kind == Kind::CommitLost);
    plan.faults.truncate(1);
    plan.faults[0].trigger = Trigger::Nth(200);
    // A world in which every operation is one call.
    let fails = |plan: &Plan| {
        let calls = plan.operations.len() as u64;
        plan.faults.iter().any(|fault| matches!(fault.trigger, Trigger::Nth(nth) if nth > 1 && nth <= calls))
    };
    let found = shrunk(&plan, fails);
    assert_eq!((found.plan.operations.len(), found.plan.faults[0].trigger), (2, Trigger::Nth(2)));
    assert!(found.runs < 2_000, "{} runs", found.runs);
}

#[test]
fn another_violation_is_not_the_same_way() {
    let plan = plan_with(Kind::NodeKill);
    let run = |plan: &Plan| world(plan, Some(if plan.operations.len() >= 100 { "lost-copy" } else { "conserve" }));
    let found = shrink_by(&plan, Limits::default(), &run, &|_| true).expect("it fails");
    assert_eq!((found.plan.operations.len(), &*found.violation.name), (100, "lost-copy"));
}

#[test]
fn the_same_way_may_come_second() {
    let plan = plan_with(Kind::NodeKill);
    let run = |plan: &Plan| {
        let mut outcome = world(plan, Some("lost-copy"));
        if plan.operations.len() < 100 {
            outcome.violations.insert(0, Violation { name: "conserve".to_owned(), ..outcome.violations[0].clone() });
        }
        outcome
    };
    let found = shrink_by(&plan, Limits::default(), &run, &|_| true).expect("it fails");
    assert_eq!((found.plan.operations.len(), &*found.violation.name), (0, "lost-copy"));
}

#[test]
fn a_plan_that_fails_under_another_stream_only_keeps_that_stream() {
    let plan = plan_with(Kind::NodeKill);
    let chance = plan.chance;
    let fails = |plan: &Plan| plan.operations.len() > 400 || plan.chance == chance.wrapping_add(2);
    let found = shrunk(&plan, fails).plan;
    assert_eq!((found.operations.len(), found.faults.len(), found.chance), (0, 0, chance.wrapping_add(2)));
}

#[test]
fn a_plan_that_holds_is_not_shrunk_and_limits_and_wishes_end_a_search() {
    let plan = plan_with(Kind::NodeKill);
    assert_eq!(shrink_by(&plan, Limits::default(), &|plan| world(plan, None), &|_| true), None);

    let runs = Cell::new(0);
    let large = |plan: &Plan| {
        runs.set(runs.get() + 1);
        world(plan, (plan.operations.len() > 450).then_some("x"))
    };
    let limits = Limits { runs: 25, ..Limits::default() };
    let limited = shrink_by(&plan, limits, &large, &|_| true).expect("it fails");
    assert_eq!((limited.ended, limited.runs, runs.get()), (Ended::Limits, 25, 25));
    let always = |plan: &Plan| world(plan, Some("x"));
    let go_on = |progress: &Progress| progress.runs < 3;
    let stopped = shrink_by(&plan, Limits::default(), &always, &go_on).expect("it fails");
    assert_eq!((stopped.ended, stopped.runs), (Ended::Stopped, 3));
}

#[test]
fn every_simpler_plan_of_a_drawn_one_differs_and_can_be_carried_out() {
    for seed in 0..20 {
        let plan = draw(seed);
        let mut found = simpler::times(&plan);
        found.extend(simpler::topologies(&plan));
        found.extend(simpler::accounts(&plan).into_iter().take(20));
        for candidate in found {
            assert_ne!(candidate, plan, "seed {seed}");
            assert_eq!(plan::check(&candidate), Ok(()), "seed {seed}");
        }
        let operations: BTreeSet<_> = plan.operations.iter().map(|operation| operation.op).collect();
        assert_eq!(operations.len(), plan.operations.len());
        for operation in &plan.operations {
            assert!(
                simpler::operations(operation).iter().all(|simple| simple != operation && simple.op == operation.op)
            );
        }
        for fault in &plan.faults {
            assert!(simpler::faults(fault).iter().all(|simple| simple != fault && simple.kind == fault.kind));
        }
    }
}
