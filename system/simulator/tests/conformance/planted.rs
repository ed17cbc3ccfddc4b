//! Planted bugs: each is found within a thousand seeds, and what it does is shrunk to a few faults and operations. And without a bug the
//! ports are what they were.
//!
//! In: the table of bugs. Out: a trial each, and one over the sizes of all. Elsewhere: the bugs (`planted`), drawing, shrinking.
//!
//! A bug counts as found only by the checks that its row names: a world that fails in any other way fails the trial. The very same plan
//! without the bug must hold, before and after it was shrunk. Shrinking ends as soon as a plan is small enough, for tests' sake; to shrink
//! as far as it goes and to keep the plans (`plans/planted`), name a folder in `BANKSTORM_KEEP`.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bankstorm_outside::conformance::{channel_store, core_store, log};
use bankstorm_outside::core_store::AccountRow;
use bankstorm_simulator::draw::draw;
use bankstorm_simulator::model::channel_store::ModelChannelStore;
use bankstorm_simulator::model::core_store::ModelCoreStore;
use bankstorm_simulator::model::log::ModelLog;
use bankstorm_simulator::plan::{Plan, write};
use bankstorm_simulator::planted::{self, Planted};
use bankstorm_simulator::shrink::{Limits, Progress, shrink};
use bankstorm_simulator::world::{self, Options, Violation};
use libtest_mimic::{Failed, Trial};
use tokio::time::Instant;

use crate::{SEEDS_VARIABLE, on_virtual_time, over_seeds, seeds};

/// Within so many seeds a bug is found; others may be asked for.
const SEEDS: u64 = 1_000;
/// Medians over all bugs, at most; a plan as small as this is small enough.
const FAULTS: usize = 3;
const OPERATIONS: usize = 10;
/// How many seeds that find a bug are shrunk at most, and what each may cost.
const ATTEMPTS: usize = 4;
const LIMITS: Limits = Limits { runs: 3_000, work: 150_000 };
/// Names the variable that asks for shrunk plans to be kept, and where.
const KEEP_VARIABLE: &str = "BANKSTORM_KEEP";

/// A bug, and the checks of which any may name it first.
const TABLE: &[(Planted, &[&str])] = &[
    // T4: so are letters.
    (Planted::AcksEarly, &["T1", "T4"]),
    // L5: what is posted a second time has a serial behind those of later requests.
    (Planted::ClaimsAnew, &["L4", "L5", "O1", "O2"]),
    // S6, S8: what core left out of its answer is told to be all there is.
    (Planted::CoreAnswersShort, &["S5", "S6", "S8"]),
    // The copy itself is mended: the sweep finds what was skipped.
    (Planted::HighestOffset, &["T3", "T4"]),
    (Planted::KeepsFailedProducer, &["T2"]),
    (Planted::OffsetBeforeApply, &["T3", "T4"]),
    (Planted::OutboxAside, &["S5", "T1", "T2"]),
    (Planted::ResolveReads, &["O3", "O4", "O6"]),
    // V1: a row whose mark a killed server forgot stands below the mark of the relay, and is never looked at again.
    (Planted::SkipsUnsent, &["S5", "T1", "V1"]),
    (Planted::TornPage, &["S3"]),
    // O4: the channel holds a transfer to have failed, or to be refused, that core has posted.
    (Planted::UnknownAsFailed, &["O3", "O4"]),
    // O8: a transfer is completed by one move, and its row is lost under another.
    // S2: nothing of the journal is held against what stands. T5: nobody asks who owns the partition.
    (Planted::UnlockedAdvance, &["O8", "S2", "S3", "S4", "S5", "T5"]),
    (Planted::UnlockedPosting, &["L1", "L2", "L3"]),
];

/// A bug that was found and shrunk.
#[derive(Clone, Debug)]
struct Found {
    seed: u64,
    violation: Violation,
    faults: usize,
    operations: usize,
    runs: u64,
    searched: Duration,
    shrunk: Duration,
}

impl Found {
    fn size(&self) -> usize {
        self.faults + self.operations
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = straight_through();
    for (index, (bug, _)) in TABLE.iter().enumerate() {
        trials.push(Trial::test(format!("planted::{}", bug.word()), move || {
            let found = result(index)?;
            println!("{}", told(*bug, &found));
            Ok(())
        }));
    }
    trials.push(Trial::test("planted::medians", medians));
    trials
}

/// Each bug is looked for once, whichever trial asks first; others wait.
fn result(index: usize) -> Result<Found, Failed> {
    static RESULTS: [OnceLock<Result<Found, String>>; TABLE.len()] = [const { OnceLock::new() }; TABLE.len()];
    RESULTS[index].get_or_init(|| find(TABLE[index].0, TABLE[index].1)).clone().map_err(Failed::from)
}

/// Some plans do not shrink far within the limits: then the next seed that finds the bug is tried, and the smallest plan counts.
fn find(bug: Planted, checks: &[&str]) -> Result<Found, String> {
    let mut range = if std::env::var_os(SEEDS_VARIABLE).is_some() { seeds() } else { 0..SEEDS };
    let mut best: Option<Found> = None;
    for _ in 0..ATTEMPTS {
        let Some(found) = find_next(bug, checks, &mut range)? else { break };
        if best.as_ref().is_none_or(|best| found.size() < best.size()) {
            best = Some(found);
        }
        if best.as_ref().is_some_and(|best| best.faults <= FAULTS && best.operations <= OPERATIONS) {
            break;
        }
    }
    best.ok_or_else(|| format!("{} is not found, up to seed {}", bug.word(), range.end))
}

fn find_next(bug: Planted, checks: &[&str], range: &mut Range<u64>) -> Result<Option<Found>, String> {
    let begun = Instant::now();
    let Some((seed, plan, violation)) = search(bug, range) else { return Ok(None) };
    let searched = begun.elapsed();
    if !checks.contains(&violation.check.as_str()) {
        return Err(format!("seed {seed} is found by another check than {checks:?}: {violation:?}"));
    }
    holds(&without(&plan))?;
    let begun = Instant::now();
    let kept = std::env::var_os(KEEP_VARIABLE);
    let go_on = |now: &Progress| kept.is_some() || now.faults > FAULTS || now.operations > OPERATIONS;
    let limits = if kept.is_some() { Limits::default() } else { LIMITS };
    let small = shrink(&plan, limits, &go_on).ok_or("it did not fail a second time")?;
    let shrunk = begun.elapsed();
    if let Some(folder) = &kept {
        let name = format!("{}.{}-{}.json", bug.word(), small.violation.check, small.violation.name);
        let path = Path::new(folder).join(name);
        std::fs::write(&path, write(&small.plan)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    holds(&without(&small.plan)).map_err(|error| format!("shrunk: {error}"))?;
    let (faults, operations) = (small.plan.faults.len(), small.plan.operations.len());
    Ok(Some(Found { seed, violation, faults, operations, runs: small.runs, searched, shrunk }))
}

fn search(bug: Planted, range: &mut Range<u64>) -> Option<(u64, Plan, Violation)> {
    range.find_map(|seed| {
        let plan = Plan { planted: Some(bug), ..draw(seed) };
        let violation = world::run(&plan, &Options::default()).violations.into_iter().next()?;
        Some((seed, plan, violation))
    })
}

fn without(plan: &Plan) -> Plan {
    Plan { planted: None, ..plan.clone() }
}

fn holds(plan: &Plan) -> Result<(), String> {
    match world::run(plan, &Options::default()).violations.first() {
        None => Ok(()),
        Some(violation) => Err(format!("seed {} fails without the bug too: {violation:?}", plan.seed)),
    }
}

fn medians() -> Result<(), Failed> {
    let found = (0..TABLE.len()).map(result).collect::<Result<Vec<_>, _>>()?;
    let faults = median(found.iter().map(|found| found.faults));
    let operations = median(found.iter().map(|found| found.operations));
    println!("median over {} bugs: {faults} faults, {operations} operations", found.len());
    if faults > FAULTS || operations > OPERATIONS {
        return Err(format!("{faults} faults and {operations} operations in the median").into());
    }
    Ok(())
}

fn median(sizes: impl Iterator<Item = usize>) -> usize {
    let mut sizes: Vec<_> = sizes.collect();
    sizes.sort_unstable();
    sizes[sizes.len() / 2]
}

fn told(bug: Planted, found: &Found) -> String {
    let Found { seed, violation, faults, operations, runs, searched, shrunk } = found;
    format!(
        "{}: seed {seed} in {:.1} s, {} {}; {faults} faults and {operations} operations after {runs} runs in {:.1} s",
        bug.word(),
        searched.as_secs_f64(),
        violation.check,
        violation.name,
        shrunk.as_secs_f64()
    )
}

/// Ports without a bug, of one seed.
struct Sound {
    seed: u64,
    log: planted::Log,
    topics: AtomicU64,
}

impl Sound {
    fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { seed, log: planted::Log::new(ModelLog::new(seed), None), topics: AtomicU64::new(0) })
    }
}

impl core_store::CoreStoreFixture for Sound {
    type Store = planted::CoreStore;

    async fn fresh_rows(&self, accounts: &[AccountRow]) -> planted::CoreStore {
        let store = ModelCoreStore::new(self.seed);
        accounts.iter().for_each(|row| store.open_row(*row));
        planted::CoreStore::new(store, None)
    }

    async fn until_waiting(&self, store: &planted::CoreStore) {
        while store.model().waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl channel_store::ChannelStoreFixture for Sound {
    type Store = planted::ChannelStore;

    async fn fresh(&self) -> planted::ChannelStore {
        planted::ChannelStore::new(ModelChannelStore::new(self.seed), None)
    }

    async fn alone(&self) -> planted::ChannelStore {
        self.fresh().await
    }
}

impl log::LogFixture for Sound {
    type Log = planted::Log;

    fn log(&self) -> planted::Log {
        self.log.clone()
    }

    async fn topic(&self, partitions: u32) -> String {
        let name = format!("topic-{}", self.topics.fetch_add(1, Ordering::Relaxed));
        self.log.model().create_topic(&name, partitions);
        name
    }
}

/// The ports' lists over decorators without a bug.
fn straight_through() -> Vec<Trial> {
    let mut trials = Vec::new();
    for case in core_store::cases::<Sound>() {
        let name = format!("planted::none::core_store::{}", case.name);
        trials.push(over_seeds(name, move |seed| on_virtual_time(async { (case.run)(Sound::new(seed)).await })));
    }
    for case in channel_store::cases::<Sound>() {
        let name = format!("planted::none::channel_store::{}", case.name);
        trials.push(over_seeds(name, move |seed| on_virtual_time(async { (case.run)(Sound::new(seed)).await })));
    }
    for case in log::cases::<Sound>() {
        let name = format!("planted::none::log::{}", case.name);
        trials.push(over_seeds(name, move |seed| on_virtual_time(async { (case.run)(Sound::new(seed)).await })));
    }
    trials
}
