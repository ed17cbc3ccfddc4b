//! The order in which things are tried: what takes most away first.
//!
//! In: a search. Out: the same search with a smaller plan. Elsewhere: what is simpler than what (`simpler`), running (`shrink`).

use std::time::Duration;

use super::{Search, simpler};
use crate::plan::{Operation, Plan, Trigger};

/// All passes, again while they help: faults, operations, parameters, accounts; the parameters of single faults and operations only once
/// nothing coarser helps.
pub(super) fn until_nothing_helps(search: &mut Search<'_>) {
    while helped(search, |search| {
        while helped(search, coarse) {}
        parameters_of_faults(search);
        parameters_of_operations(search);
        each(search, "accounts", simpler::accounts);
    }) {}
}

fn coarse(search: &mut Search<'_>) {
    faults(search);
    operations(search);
    each(search, "times", simpler::times);
    each(search, "topology", simpler::topologies);
}

/// Whether the plan is a smaller one afterwards, and the search may go on. A new stream alone is no progress.
fn helped(search: &mut Search<'_>, pass: impl Fn(&mut Search<'_>)) -> bool {
    let before = search.best.clone();
    pass(search);
    search.ended.is_none() && Plan { chance: before.chance, ..search.best.clone() } != before
}

/// Fewer faults: none, only those that struck, then chunks.
fn faults(search: &mut Search<'_>) {
    search.doing = "faults";
    search.take(Plan { faults: Vec::new(), ..search.best.clone() });
    let struck = search.outcome.struck.clone();
    let came = search.best.faults.iter().zip(&struck).filter(|(_, at)| at.is_some()).map(|(fault, _)| fault.clone());
    let came = came.collect();
    search.take(Plan { faults: came, ..search.best.clone() });
    without_chunks(
        search,
        |plan| plan.faults.len(),
        |search, from, to| {
            let mut candidate = search.best.clone();
            candidate.faults.drain(from..to);
            search.take(candidate)
        },
    );
}

/// Fewer operations: chunks from the end. A fault that strikes at the nth call finds fewer calls before it then, so what fails no more is
/// tried again with that number made smaller by as much.
fn operations(search: &mut Search<'_>) {
    search.doing = "operations";
    without_chunks(
        search,
        |plan| plan.operations.len(),
        |search, from, to| {
            let mut candidate = search.best.clone();
            let removed: Vec<_> = candidate.operations.drain(from..to).collect();
            let earlier = earlier_calls(search, &candidate, &removed);
            search.take(candidate) || earlier.is_some_and(|earlier| search.take(earlier))
        },
    );
}

/// The candidate with every nth scaled by how many of the operations before it are left; `None` when that changes nothing.
fn earlier_calls(search: &Search<'_>, candidate: &Plan, removed: &[Operation]) -> Option<Plan> {
    let mut earlier = candidate.clone();
    for (fault, struck) in earlier.faults.iter_mut().zip(&search.outcome.struck) {
        let (Trigger::Nth(nth), Some(struck)) = (fault.trigger, struck) else { continue };
        let before = |list: &[Operation]| {
            list.iter().filter(|operation| Duration::from_millis(operation.at_ms) <= *struck).count() as u64
        };
        let (left, gone) = (before(&candidate.operations), before(removed));
        if left + gone > 0 {
            let scaled = u128::from(nth) * u128::from(left) / u128::from(left + gone);
            fault.trigger = Trigger::Nth(u64::try_from(scaled).unwrap_or(nth).max(1));
        }
    }
    (earlier != *candidate).then_some(earlier)
}

/// Takes chunks out of a list, from its end, the largest first; `without(search, from, to)` says whether that was taken.
fn without_chunks(
    search: &mut Search<'_>,
    length: impl Fn(&Plan) -> usize,
    without: impl Fn(&mut Search<'_>, usize, usize) -> bool,
) {
    let mut chunk = length(&search.best);
    while chunk > 0 && search.ended.is_none() {
        let mut to = length(&search.best);
        while to > 0 && search.ended.is_none() {
            let from = to.saturating_sub(chunk);
            without(search, from, to);
            to = from;
        }
        chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        chunk = chunk.min(length(&search.best));
    }
}

/// Tries candidates made of the best plan, starting anew from each that is taken, until none is.
fn each(search: &mut Search<'_>, doing: &'static str, candidates: impl Fn(&Plan) -> Vec<Plan>) {
    search.doing = doing;
    while search.ended.is_none() {
        let found = candidates(&search.best).into_iter().any(|candidate| search.take(candidate));
        if !found {
            return;
        }
    }
}

fn parameters_of_faults(search: &mut Search<'_>) {
    for index in 0..search.best.faults.len() {
        each(search, "parameters", |plan| {
            let replace = |fault| {
                let mut candidate = plan.clone();
                candidate.faults[index] = fault;
                candidate
            };
            simpler::faults(&plan.faults[index]).into_iter().map(replace).collect()
        });
    }
}

fn parameters_of_operations(search: &mut Search<'_>) {
    each(search, "parameters", |plan| {
        let all = |change: &dyn Fn(&Operation) -> Operation| Plan {
            operations: plan.operations.iter().map(change).collect(),
            ..plan.clone()
        };
        simpler::OF_ALL.iter().map(|change| all(change)).collect()
    });
    for index in 0..search.best.operations.len() {
        each(search, "parameters", |plan| {
            let replace = |operation| {
                let mut candidate = plan.clone();
                candidate.operations[index] = operation;
                candidate
            };
            simpler::operations(&plan.operations[index]).into_iter().map(replace).collect()
        });
    }
}
