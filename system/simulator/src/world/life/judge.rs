//! The verdict on a world.
//!
//! In: what is left of it. Out: its outcome. Elsewhere: the checks (`check`), the rows (`evidence`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bankstorm_check::guarantees::{all, run_all};
use bankstorm_check::{Context, Following, Leap, ReadSync, Subject};
use bankstorm_contracts::Outcome as Word;
use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict};
use bankstorm_record::source::MemorySource;

use super::World;
use crate::model::database::EPOCH;
use crate::plan::{Action, Cursor, Fault, Fence, Guard, Kind, ReadSyncWhen};
use crate::world::names::{CORE, POSTGRES_CHANNEL, POSTGRES_CORE};
use crate::world::watch::Watched;
use crate::world::{Outcome, Violation, digest, markers};

impl World<'_> {
    pub(super) fn judge(&self, source: &MemorySource, leaps: Vec<Leap>, virtual_time: Duration) -> Outcome {
        let context = Context {
            transfers: self.plan.has_transfers(),
            outbound: self.plan.has_outbound(),
            validity_ms: i64::try_from(self.plan.topology.transfers.validity_ms).ok(),
            guard: Some(promised(self.plan.topology.transfers.guard)),
            no_tombstones: self.plan.topology.protections.fence == Fence::PlainRead,
            leaps,
            following: Some(self.promises()),
            ..Context::default()
        };
        let mut guarantees = run_all(source, &context);
        self.without_the_unseen(source, &context, &mut guarantees.checks);
        let figures = figures(&guarantees.checks);
        let judged = guarantees.checks.into_iter().filter(|check| !self.may_all_be_stale(check));
        let mut violations: Vec<_> = judged.filter_map(|check| violation(check, source)).collect();
        violations.retain(|violation| self.is_promised(&violation.check));
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

    /// Checks that hold the group's offsets against records judge those that consumers see: nobody can be done with one that was lost on its
    /// way to them, as planned.
    fn without_the_unseen(&self, source: &MemorySource, context: &Context, results: &mut [CheckResult]) {
        let unseen: BTreeSet<_> =
            self.bank.log.lost().into_iter().map(|record| (record.at.partition, record.offset)).collect();
        if unseen.is_empty() {
            return;
        }
        let mut seen = source.clone();
        seen.topic.retain(|row| !unseen.contains(&(row.partition, row.record_offset)));
        for check in all().iter().filter(|check| OF_OFFSETS.contains(&check.id())) {
            if let Some(result) = results.iter_mut().find(|result| result.id == check.id()) {
                *result = check.run(&seen, context);
            }
        }
    }

    /// Whether all reads that were to be fresh may rightly have been stale: there were few, or they had no time for core, or core was away.
    fn may_all_be_stale(&self, check: &CheckResult) -> bool {
        let topology = &self.plan.topology;
        let is_short = topology.following.read_budget_ms < STEPS_OF_A_READ * topology.pace_ms || topology.tight_limits;
        let are_few = check.figures.get("promised_pages").is_some_and(|few| *few < FEW_READS);
        check.id == "S6"
            && check.verdict == GuaranteeVerdict::Unknown
            && (is_short || are_few || self.core_was_away())
            && check.first.as_deref().is_some_and(|first| first.contains("vacuous: "))
    }

    /// Whether core, or its database, could not answer for a while: transfers are in progress then above all, so that most reads that are to be
    /// fresh, or all, fall into that time.
    fn core_was_away(&self) -> bool {
        let struck = self.plan.faults.iter().zip(&self.struck).filter(|(_, at)| at.is_some());
        struck.map(|(fault, _)| fault).any(|fault| {
            let is_core = fault.place == CORE || fault.place == POSTGRES_CORE || fault.place.ends_with(">core");
            is_core && fault.lasts_ms >= AWAY_MS
        })
    }

    /// What readers are promised, whatever protection is off; what is left out of repair is promised to nobody.
    fn promises(&self) -> Following {
        let (plan, topology) = (self.plan, &self.plan.topology);
        let following = &topology.following;
        Following {
            read_sync: match following.read_sync {
                _ if !topology.repair.read_sync => ReadSync::Off,
                ReadSyncWhen::Pending => ReadSync::Pending,
                ReadSyncWhen::Suspect => ReadSync::Suspect,
            },
            cursor: match topology.protections.cursor {
                Cursor::Keyset => bankstorm_check::Cursor::Keyset,
                Cursor::Offset => bankstorm_check::Cursor::Offset,
            },
            read_budget_ms: i64::try_from(following.read_budget_ms).unwrap_or(i64::MAX),
            core_pulls: following.core_pulls.into(),
            manual_every_ms: i64::try_from(following.manual_every_ms).unwrap_or(i64::MAX),
            tidies: topology.repair.tidies(),
            attempts: following.attempts.into(),
            button: plan.operations.iter().any(|operation| matches!(operation.action, Action::Sync { .. })),
            // Where stores are slow, or limits are to be met, a read may run out of time although core has answered.
            calm: plan.faults.is_empty() && topology.pace_ms == 0 && !topology.tight_limits,
            origin_wall_us: Some(EPOCH.0),
            ..Following::default()
        }
    }

    /// Whether a check speaks of something that this bank promises. Copies come to equal core where something finds all that are behind.
    /// An account's records stay on one partition as long as the partitions are what they were.
    fn is_promised(&self, check: &str) -> bool {
        let was_spread_anew = || {
            let struck = self.plan.faults.iter().zip(&self.struck).filter(|(_, at)| at.is_some());
            struck.map(|(fault, _)| fault.kind).any(|kind| kind == Kind::PartitionsAdded)
        };
        match check {
            "S5" => self.plan.topology.repair.heals(),
            "T2" => !was_spread_anew(),
            _ => true,
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

/// Checks that hold the group's offsets against records.
const OF_OFFSETS: [&str; 2] = ["T3", "T4"];

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
/// And S6 below so many reads that were to be fresh: few may all have met a fault.
const FEW_READS: u64 = 50;
/// And without core for so long, its readers may all have been stale.
const AWAY_MS: u64 = 1_000;
/// A read that asks core takes about so many steps of its stores, and more where it waits for others.
const STEPS_OF_A_READ: u64 = 20;

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
