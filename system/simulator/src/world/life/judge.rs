//! The verdict on a world.
//!
//! In: what is left of it. Out: its outcome. Elsewhere: the checks (`check`), the rows (`evidence`).

use std::collections::BTreeMap;
use std::time::Duration;

use bankstorm_check::guarantees::run_all;
use bankstorm_check::{Context, Leap, Subject};
use bankstorm_contracts::Outcome as Word;
use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict};
use bankstorm_record::source::MemorySource;

use super::World;
use crate::plan::{Fault, Guard, Kind};
use crate::world::names::POSTGRES_CHANNEL;
use crate::world::watch::Watched;
use crate::world::{Outcome, Violation, digest, markers};

impl World<'_> {
    pub(super) fn judge(&self, source: &MemorySource, leaps: Vec<Leap>, virtual_time: Duration) -> Outcome {
        let context = Context {
            transfers: self.plan.has_transfers(),
            outbound: self.plan.has_outbound(),
            validity_ms: i64::try_from(self.plan.topology.transfers.validity_ms).ok(),
            guard: Some(promised(self.plan.topology.transfers.guard)),
            leaps,
            ..Context::default()
        };
        let guarantees = run_all(source, &context);
        let figures = figures(&guarantees.checks);
        let mut violations: Vec<_> =
            guarantees.checks.into_iter().filter_map(|check| violation(check, source)).collect();
        if !self.plan.topology.repair.heals() {
            violations.retain(|violation| !NEED_REPAIR.contains(&&*violation.check));
        }
        violations.extend(all_of("V1", "no-liveness", self.late.clone()));
        let markers = markers::count(&self.bank, source);
        let struck = self.struck.clone();
        Outcome {
            digest: digest::digest(source, &markers, &struck, &violations, virtual_time),
            virtual_time,
            operations: outcomes(source),
            markers,
            figures,
            struck,
            violations,
            watched: Watched::default(),
            trace: Vec::new(),
        }
    }

    /// When the clock of the channel's database, by which pollers ask, was set forward; load began so long after the world was born. What
    /// else is set changes nothing that must not come early: core counts validities on its own clock, and a channel's machine's clock is
    /// asked for nothing (D31). Where a plan says otherwise, that is what O6 is to see.
    pub(super) fn leaps(&self, begun: Duration) -> Vec<Leap> {
        let sets_it = |fault: &Fault| fault.kind == Kind::ClockStep && fault.place == POSTGRES_CHANNEL;
        let leaps = self.plan.faults.iter().zip(&self.struck).filter(|(fault, _)| sets_it(fault) && fault.amount > 0);
        let leap = |(fault, struck): (&Fault, &Option<Duration>)| {
            let at_ns = i64::try_from((begun + (*struck)?).as_nanos()).unwrap_or(i64::MAX);
            Some(Leap { at_ns, by_ns: fault.amount.saturating_mul(1_000_000) })
        };
        leaps.filter_map(leap).collect()
    }
}

/// What nobody promises of a bank in which what mends copies is left out: they equal core in the end.
const NEED_REPAIR: [&str; 1] = ["S5"];

/// Of whom one transfer at a time is promised. Taking the guard away takes no promise back: what is not guarded is the customer.
const fn promised(guard: Guard) -> Subject {
    match guard {
        Guard::User | Guard::None => Subject::User,
        Guard::Account | Guard::CheckThenInsert => Subject::Account,
    }
}

/// What checks count and do not judge.
fn figures(checks: &[CheckResult]) -> BTreeMap<String, u64> {
    let of = |check: &CheckResult| {
        let id = check.id.clone();
        check.figures.clone().into_iter().map(move |(name, figure)| (format!("{id} {name}"), figure))
    };
    checks.iter().flat_map(of).collect()
}

/// A check that did not hold. One that had nothing to look at says nothing where the plan gave it nothing.
fn violation(check: CheckResult, source: &MemorySource) -> Option<Violation> {
    if check.verdict == GuaranteeVerdict::Holds {
        return None;
    }
    let first = check.first.unwrap_or_default();
    let vacuous = check.verdict == GuaranteeVerdict::Unknown && first.contains("vacuous: ");
    let of_customers = source.operations.iter().filter(|row| row.kind != "deposit").count();
    if vacuous && (source.operations.len() < VACUOUS_BELOW || of_customers < VACUOUS_BELOW) {
        return None;
    }
    let (name, first) = match first.split_once(": ") {
        Some((name, rest)) if check.verdict == GuaranteeVerdict::Violated => (name.to_owned(), rest.to_owned()),
        _ => ("unknown".to_owned(), first),
    };
    Some(Violation { check: check.id, name, count: check.violations.max(1), first })
}

/// Below so many operations, or so many transfers among them, a check may have nothing to look at: plans become that small when they are shrunk.
const VACUOUS_BELOW: usize = 50;

pub(in crate::world) fn all_of(check: &str, name: &str, found: Vec<String>) -> Option<Violation> {
    let count = found.len() as u64;
    let first = found.into_iter().next()?;
    Some(Violation { check: check.to_owned(), name: name.to_owned(), count, first })
}

fn outcomes(source: &MemorySource) -> BTreeMap<&'static str, u64> {
    let mut outcomes = BTreeMap::new();
    let words = [Word::Ok, Word::Rejected, Word::Failed, Word::Unknown].map(Word::as_str);
    for row in &source.operations {
        let word = words.into_iter().find(|word| row.outcome.as_deref() == Some(word)).unwrap_or("unknown");
        *outcomes.entry(word).or_default() += 1;
    }
    outcomes.insert("scroll", source.pages.len() as u64);
    outcomes
}
