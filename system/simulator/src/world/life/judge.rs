//! The verdict on a world.
//!
//! In: what is left of it. Out: its outcome. Elsewhere: the checks (`check`), the rows (`evidence`).

use std::collections::BTreeMap;
use std::time::Duration;

use bankstorm_check::Context;
use bankstorm_check::guarantees::run_all;
use bankstorm_contracts::Outcome as Word;
use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict};
use bankstorm_record::source::MemorySource;

use super::World;
use crate::plan::{Fault, Kind};
use crate::world::names::POSTGRES_CHANNEL;
use crate::world::{Outcome, Violation, digest, markers};

impl World<'_> {
    pub(super) fn judge(
        &self,
        source: &MemorySource,
        struck: Vec<Option<Duration>>,
        virtual_time: Duration,
    ) -> Outcome {
        let context = Context {
            transfers: self.plan.has_transfers(),
            outbound: self.plan.has_outbound(),
            validity_ms: self.judged_validity_ms(),
            ..Context::default()
        };
        let guarantees = run_all(source, &context);
        let mut violations: Vec<_> =
            guarantees.checks.into_iter().filter_map(|check| violation(check, source)).collect();
        violations.extend(all_of("V1", "no-liveness", self.late.clone()));
        let markers = markers::count(&self.bank);
        Outcome {
            digest: digest::digest(source, &markers, &struck, &violations, virtual_time),
            virtual_time,
            operations: outcomes(source),
            markers,
            struck,
            violations,
            trace: Vec::new(),
        }
    }
}

impl World<'_> {
    /// What must have passed before anybody is told that it is too late. Unknown where the channel's database, by whose clock pollers ask,
    /// had it set: they may ask too soon then, which the fence makes harmless and nobody prevents (D31).
    fn judged_validity_ms(&self) -> Option<i64> {
        let is_set = |fault: &Fault| fault.kind == Kind::ClockStep && fault.place == POSTGRES_CHANNEL;
        if self.plan.faults.iter().any(is_set) {
            return None;
        }
        i64::try_from(self.plan.topology.transfers.validity_ms).ok()
    }
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
