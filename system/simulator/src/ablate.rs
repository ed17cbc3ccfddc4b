//! One protection off at a time: which check sees it missing.
//!
//! In: a row of the table, seeds. Out: the first seed in which the check that the row names fires without the protection and not with it, and
//! counts over all. Elsewhere: the rows and what provokes each (`ablate::rows`, `ablate::provoke`), what an arm does (the services), worlds
//! (`world`), the table on the screen (the command line).
//!
//! Without and with are the same plan under the same stream: only the protection differs. A seed counts when a check that the row names fires
//! without the protection, and none of them fires with it. With all protections on, nothing may fire at all: what does is a false alarm,
//! and is told.

mod provoke;
mod rows;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::plan::{Plan, Repair, Topology};
use crate::world::{self, Options, Violation};

pub use rows::rows;

use provoke::Stage;

/// A check and the name of what it finds.
pub type Finding = (&'static str, &'static str);

/// Keeps nothing that mends copies where it is off.
const NOTHING: fn(&mut Repair) = |_| {};

/// What mends copies besides their events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// All of it: gap fill, reads, the button, the sweep, letters driven again.
    Repaired,
    /// Nothing, but for what the row itself is about.
    Bare,
}

impl Setting {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Repaired, Self::Bare];

    /// The word on the screen and in file names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::Bare => "bare",
        }
    }
}

/// A protection, one way to take it off, and what must see it.
pub struct Row {
    /// Its number, for example `P7`.
    pub protection: &'static str,
    /// Which way, in a word.
    pub arm: &'static str,
    /// What is done wrong, in a sentence.
    pub about: &'static str,
    /// What must be found; any of these.
    pub fires: &'static [Finding],
    /// Takes it off, and what must be off with it.
    off: fn(&mut Topology),
    /// What is off with it: alone, this must not be enough.
    beside: Option<fn(&mut Topology)>,
    /// What stays of what mends copies where everything else of it is off: that which the row is about.
    keeps: fn(&mut Repair),
    /// What shows it missing.
    provoke: fn(&mut Stage),
}

/// A seed that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The seed.
    pub seed: u64,
    /// What was found, as the row says.
    pub violation: Violation,
    /// What else was: checks and names.
    pub also: Vec<(String, String)>,
}

/// What came of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Seeds that were run without the protection.
    pub seeds: u64,
    /// Of them, those that count.
    pub hits: u64,
    /// The first of these.
    pub first: Option<Hit>,
    /// Seeds in which what must be found was found, with the protection too: they do not count.
    pub found_with_it: u64,
    /// Seeds without the protection by what was found in them.
    pub found: BTreeMap<(String, String), u64>,
    /// Worlds with every protection in which something was found all the same: false alarms.
    pub false_alarms: Vec<(u64, Violation)>,
}

impl Tried {
    /// Whether the checks saw the protection missing, and nothing where it was not.
    pub fn is_killed(&self) -> bool {
        self.hits > 0 && self.false_alarms.is_empty()
    }
}

impl Row {
    /// The plan of a seed, without the protection.
    pub fn without(&self, seed: u64, setting: Setting) -> Plan {
        let mut plan = self.with(seed, setting);
        (self.off)(&mut plan.topology);
        plan
    }

    /// The same plan with every protection.
    pub fn with(&self, seed: u64, setting: Setting) -> Plan {
        let mut stage = Stage::new(seed, self.protection);
        (self.provoke)(&mut stage);
        let mut plan = stage.plan();
        if setting == Setting::Bare {
            plan.topology.repair = Repair::OFF;
            (self.keeps)(&mut plan.topology.repair);
        }
        plan
    }

    /// The same plan with the protection, and without what is off beside it.
    fn with_it_alone(&self, seed: u64, setting: Setting) -> Option<Plan> {
        self.beside.map(|beside| {
            let mut plan = self.with(seed, setting);
            beside(&mut plan.topology);
            plan
        })
    }

    fn expects(&self, violation: &Violation) -> bool {
        self.fires.contains(&(violation.check.as_str(), violation.name.as_str()))
    }
}

/// Tries seeds in their order, until `most` of them count, all were tried, or `stop` is raised.
pub fn ablate(row: &Row, setting: Setting, seeds: Range<u64>, most: u64, stop: &AtomicBool) -> Tried {
    let mut tried = Tried::default();
    for seed in seeds {
        if tried.hits >= most || stop.load(Ordering::Relaxed) {
            break;
        }
        tried.seeds += 1;
        let found = violations(&row.without(seed, setting));
        for violation in &found {
            *tried.found.entry(name_of(violation)).or_default() += 1;
        }
        let Some(violation) = found.iter().find(|violation| row.expects(violation)).cloned() else { continue };
        if !tried.is_only_without(row, seed, setting) {
            tried.found_with_it += 1;
            continue;
        }
        tried.hits += 1;
        let also = found.iter().filter(|other| **other != violation).map(name_of).collect();
        tried.first.get_or_insert(Hit { seed, violation, also });
    }
    tried
}

impl Tried {
    /// Whether what must be found is not found in the same plan with the protection.
    fn is_only_without(&mut self, row: &Row, seed: u64, setting: Setting) -> bool {
        let safe = violations(&row.with(seed, setting));
        let alone = row.with_it_alone(seed, setting).map(|plan| violations(&plan)).unwrap_or_default();
        let is_clean = !safe.iter().chain(&alone).any(|violation| row.expects(violation));
        if setting == Setting::Repaired {
            self.false_alarms.extend(safe.into_iter().next().map(|violation| (seed, violation)));
        }
        is_clean
    }
}

fn violations(plan: &Plan) -> Vec<Violation> {
    world::run(plan, &Options::default()).violations
}

fn name_of(violation: &Violation) -> (String, String) {
    (violation.check.clone(), violation.name.clone())
}

#[cfg(test)]
mod tests {
    use super::{Row, Setting, rows};
    use crate::plan::{Guard, check, read, write};

    #[test]
    fn every_row_draws_plans_that_can_be_carried_out_and_takes_something_off() {
        for row in rows() {
            for seed in 0..20 {
                Setting::ALL.into_iter().for_each(|setting| carries_out(row, seed, setting));
            }
        }
    }

    fn carries_out(row: &Row, seed: u64, setting: Setting) {
        let (with, without) = (row.with(seed, setting), row.without(seed, setting));
        assert_eq!(check(&with), Ok(()), "{} {} seed {seed}", row.protection, row.arm);
        assert_eq!(read(&write(&without)).as_ref(), Ok(&without));
        assert_eq!(row.with(seed, setting), with, "the same for the same seed");
        let is_guarded = matches!(with.topology.transfers.guard, Guard::User | Guard::Account);
        assert!(with.topology.protections.is_safe() && is_guarded);
        assert_eq!(with.topology.repair.is_on(), setting == Setting::Repaired);
        assert_ne!(with.topology, without.topology);
        assert_eq!((with.operations, with.faults), (without.operations, without.faults));
        let alone = row.with_it_alone(seed, setting);
        assert!(alone.is_none_or(|plan| plan.topology != with.topology && plan.topology != without.topology));
    }

    #[test]
    fn rows_have_names_of_their_own_and_name_what_must_be_found() {
        let mut names: Vec<_> = rows().map(|row| (row.protection, row.arm)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(rows().all(|row| !row.fires.is_empty()));
    }
}
