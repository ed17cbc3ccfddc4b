//! A smaller plan that fails the same way.
//!
//! In: a plan that fails. Out: the smallest found. Elsewhere: one run (`world`), what is simpler than what (`shrink::simpler`).
//!
//! Faults first, then operations, then parameters, then accounts, again and again until nothing helps. "The same way" is the check and the
//! name of the first plan's first violation; a smaller plan may violate other things besides. Whatever is taken out shifts the models' own streams, so each candidate is run under a few of them, the
//! more the smaller it is; the one that fails is kept with its stream.

mod passes;
mod simpler;
#[cfg(test)]
mod tests;

use crate::plan::{self, Plan};
use crate::world::{self, Options, Outcome, Violation};

/// What a search may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Runs of a world.
    pub runs: u64,
    /// Operations in all runs together, a world itself counted as 30 of them.
    pub work: u64,
}

impl Default for Limits {
    /// About ten seconds of one core, where a world of 500 operations takes ten milliseconds.
    fn default() -> Self {
        Self { runs: 20_000, work: 500_000 }
    }
}

/// What a world without operations costs, in operations.
const WORLD: u64 = 30;
/// The work that is spent on one candidate under several streams, beyond [`FEWEST_TRIES`].
const WORK_PER_CANDIDATE: u64 = 800;
/// Streams under which each candidate is tried, at least.
const FEWEST_TRIES: u64 = 4;
/// And at most.
const MOST_TRIES: u64 = 16;

/// How far a search has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is made smaller at the moment.
    pub doing: &'static str,
    /// Runs so far.
    pub runs: u64,
    /// Faults of the smallest plan so far.
    pub faults: usize,
    /// Its operations.
    pub operations: usize,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing that it knows makes the plan smaller.
    NothingHelps,
    /// Its limits were reached.
    Limits,
    /// It was asked to stop.
    Stopped,
}

/// The smallest plan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The plan; it fails as the first one did.
    pub plan: Plan,
    /// How: the violation that the first plan began with, as it is in this one.
    pub violation: Violation,
    /// Runs that were spent.
    pub runs: u64,
    /// Why nothing more was tried.
    pub ended: Ended,
}

/// Searches for a smaller plan that fails the same way; `None` when `plan` holds. `go_on` is asked before every run and may end the search,
/// which then gives the best so far.
pub fn shrink(plan: &Plan, limits: Limits, go_on: &dyn Fn(&Progress) -> bool) -> Option<Shrunk> {
    shrink_by(plan, limits, &|plan| world::run(plan, &Options::default()), go_on)
}

fn shrink_by(
    plan: &Plan,
    limits: Limits,
    run: &dyn Fn(&Plan) -> Outcome,
    go_on: &dyn Fn(&Progress) -> bool,
) -> Option<Shrunk> {
    let outcome = run(plan);
    let violation = outcome.violations.first()?.clone();
    let work = WORLD + plan.operations.len() as u64;
    let mut search = Search {
        run,
        go_on,
        limits,
        best: plan.clone(),
        outcome,
        violation,
        runs: 1,
        work,
        ended: None,
        doing: "faults",
    };
    passes::until_nothing_helps(&mut search);
    let Search { best, violation, runs, ended, .. } = search;
    Some(Shrunk { plan: best, violation, runs, ended: ended.unwrap_or(Ended::NothingHelps) })
}

/// A search under way.
struct Search<'a> {
    run: &'a dyn Fn(&Plan) -> Outcome,
    go_on: &'a dyn Fn(&Progress) -> bool,
    limits: Limits,
    /// The smallest plan so far.
    best: Plan,
    /// How it ended.
    outcome: Outcome,
    /// The violation that is kept.
    violation: Violation,
    runs: u64,
    work: u64,
    ended: Option<Ended>,
    doing: &'static str,
}

impl Search<'_> {
    /// Takes a candidate if it can be carried out and fails the same way under one of a few streams.
    fn take(&mut self, mut candidate: Plan) -> bool {
        candidate.chance = self.best.chance;
        if candidate == self.best || plan::check(&candidate).is_err() {
            return false;
        }
        let cost = WORLD + candidate.operations.len() as u64;
        for nth in 0..(WORK_PER_CANDIDATE / cost).clamp(FEWEST_TRIES, MOST_TRIES) {
            if !self.may_go_on(cost) {
                return false;
            }
            candidate.chance = self.best.chance.wrapping_add(nth);
            let outcome = (self.run)(&candidate);
            self.runs += 1;
            self.work += cost;
            if let Some(violation) = outcome.violations.iter().find(|violation| self.is_same(violation)) {
                self.violation = violation.clone();
                self.best = candidate;
                self.outcome = outcome;
                return true;
            }
        }
        false
    }

    fn is_same(&self, violation: &Violation) -> bool {
        (&violation.check, &violation.name) == (&self.violation.check, &self.violation.name)
    }

    fn may_go_on(&mut self, cost: u64) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let progress = Progress {
            doing: self.doing,
            runs: self.runs,
            faults: self.best.faults.len(),
            operations: self.best.operations.len(),
        };
        if self.runs >= self.limits.runs || self.work + cost > self.limits.work {
            self.ended = Some(Ended::Limits);
        } else if !(self.go_on)(&progress) {
            self.ended = Some(Ended::Stopped);
        }
        self.ended.is_none()
    }
}
