//! What seeds came to, as counts that can be put together in any order.
//!
//! In: plans and their outcomes. Out: [`Tally`]. Elsewhere: the order of seeds (`batch`), how it is shown (the command line).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::{Kind, Plan};
use crate::world::{Outcome, Violation};

/// Counts over seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Seeds that were run.
    pub seeds: u64,
    /// Virtual time of all of them.
    pub virtual_time: Duration,
    /// Operations of their plans.
    pub planned: u64,
    /// Operations by their outcome's word.
    pub operations: BTreeMap<&'static str, u64>,
    /// Faults by their kind.
    pub faults: BTreeMap<Kind, FaultCount>,
    /// The fewest kinds of fault that struck in one seed; `None` before any was run.
    pub fewest_kinds: Option<u64>,
    /// Kinds of fault that struck, summed over seeds.
    pub kinds: u64,
    /// How often each declared marker fired; those that never did are there with 0.
    pub markers: BTreeMap<&'static str, u64>,
    /// What checks count and do not judge, by check and name.
    pub figures: BTreeMap<String, u64>,
    /// Seeds that did not hold.
    pub failing: u64,
    /// Of them, those in which a guarantee was broken; the others could not be judged.
    pub violated: u64,
    /// Seeds by what was violated first: check and name.
    pub violations: BTreeMap<(String, String), u64>,
    /// The first failing seeds, in order.
    pub kept: Vec<Failing>,
}

/// Faults of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCount {
    /// In plans.
    pub planned: u64,
    /// Of them, those whose moment came.
    pub struck: u64,
}

/// A failing seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Its seed.
    pub seed: u64,
    /// Its plan; `None` where not even that could be drawn.
    pub plan: Option<Plan>,
    /// What was violated, never empty.
    pub violations: Vec<Violation>,
}

impl Tally {
    /// Adds a seed.
    pub fn add(&mut self, seed: u64, plan: &Plan, outcome: &Outcome) {
        self.seeds += 1;
        self.virtual_time += outcome.virtual_time;
        self.planned += plan.operations.len() as u64;
        add_all(&mut self.operations, &outcome.operations);
        add_all(&mut self.markers, &outcome.markers);
        add_all(&mut self.figures, &outcome.figures);
        for (fault, struck) in plan.faults.iter().zip(&outcome.struck) {
            let count = self.faults.entry(fault.kind).or_default();
            count.planned += 1;
            count.struck += u64::from(struck.is_some());
        }
        let kinds = outcome.kinds_struck(plan).len() as u64;
        self.fewest_kinds = Some(self.fewest_kinds.map_or(kinds, |fewest| fewest.min(kinds)));
        self.kinds += kinds;
        if !outcome.holds() {
            self.add_failing(Failing { seed, plan: Some(plan.clone()), violations: outcome.violations.clone() });
        }
    }

    /// Adds a seed that ended in no outcome at all.
    pub fn add_broken(&mut self, seed: u64, violation: Violation) {
        self.seeds += 1;
        self.fewest_kinds = Some(0);
        self.add_failing(Failing { seed, plan: None, violations: vec![violation] });
    }

    fn add_failing(&mut self, failing: Failing) {
        self.failing += 1;
        self.violated += u64::from(failing.violations.iter().any(Violation::is_broken_guarantee));
        if let Some(first) = failing.violations.first() {
            *self.violations.entry((first.check.clone(), first.name.clone())).or_default() += 1;
        }
        self.kept.push(failing);
    }

    /// Puts another tally to this one; of failing seeds the first `keep` stay.
    pub fn merge(&mut self, other: Self, keep: usize) {
        self.seeds += other.seeds;
        self.virtual_time += other.virtual_time;
        self.planned += other.planned;
        add_all(&mut self.operations, &other.operations);
        add_all(&mut self.markers, &other.markers);
        add_all(&mut self.figures, &other.figures);
        for (kind, theirs) in other.faults {
            let count = self.faults.entry(kind).or_default();
            count.planned += theirs.planned;
            count.struck += theirs.struck;
        }
        self.fewest_kinds = self.fewest_kinds.into_iter().chain(other.fewest_kinds).min();
        self.kinds += other.kinds;
        self.failing += other.failing;
        self.violated += other.violated;
        for (violation, seeds) in other.violations {
            *self.violations.entry(violation).or_default() += seeds;
        }
        if !other.kept.is_empty() {
            self.kept.extend(other.kept);
            self.kept.sort_by_key(|failing| failing.seed);
            self.kept.truncate(keep);
        }
    }
}

fn add_all<K: Ord + Clone>(to: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (word, count) in from {
        *to.entry(word.clone()).or_default() += count;
    }
}
