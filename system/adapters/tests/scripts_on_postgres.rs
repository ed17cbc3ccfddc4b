//! Scripts on real PostgreSQL and on its model: whatever a session is answered there, it is answered here.
//!
//! In: `BANKSTORM_SCRIPTS` (how many; 1,000 unless it says otherwise, 100,000 a night), `BANKSTORM_SCRIPTS_FROM` (the first one's seed; 0
//! unless it says otherwise), `BANKSTORM_SCRIPT_SEED` (only this one, with both transcripts). Out: trials. Elsewhere: what a script is (`outside::conformance::script`), the two sides (`real`, `model`), models that
//! must be caught (`wrong`).
//!
//! Half of the scripts are core's, half the channel's. Each runs once on PostgreSQL and on the model with two seeds of its pace, since
//! what is answered must not depend on pace.

mod model;
mod proxy;
mod real;
mod wrong;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bankstorm_outside::conformance::script::{Kind, Step, Subject, Transcript, draw, side_by_side, without};
use libtest_mimic::{Failed, Trial};

use self::model::Model;
use self::real::Real;
use crate::Place;

/// How many scripts are run, together.
const COUNT: &str = "BANKSTORM_SCRIPTS";
/// The first seed.
const FROM: &str = "BANKSTORM_SCRIPTS_FROM";
/// Runs the scripts of this one seed and prints them.
const SEED: &str = "BANKSTORM_SCRIPT_SEED";
/// Scripts of each store that run beside each other, each in a database of its own.
const WORKERS: u64 = 3;
/// How often a smaller script is looked for before the smallest found so far is printed.
const SHRINKS: usize = 400;

/// What must have happened among this many scripts, or they were not worth much.
const ENOUGH: u64 = 400;
const CORE_MUST: &[&str] = &[
    "Claim Short: ok",
    "Claim Short: timeout",
    "Claim Long: ok",
    "Claim Long: waits",
    "ClaimAndLock: ok",
    "ClaimAndLock: waits",
    "Write Release: ok",
    "Write NotHeld: other",
    "Write Hold: ok",
    "WriteAndCommit Hold: ok",
    "Reopen Short: ok",
    "Reopen Short: timeout",
    "Reopen Long: ok",
    "Reopen Long: waits",
    "Read Unsent",
    "Read MarkSent",
    "Read Holds",
];
const CHANNEL_MUST: &[&str] = &[
    "Open Short: ok",
    "Open Short: timeout",
    "Open Long: ok",
    "Open Long: waits",
    "LockTransfers Short: ok",
    "LockTransfers Short: timeout",
    "LockTransfers Long: ok",
    "LockTransfers Long: waits",
    "Read TakeDue",
];
const BOTH_MUST: &[&str] = &[
    "Lock None: ok",
    "Lock Some(Short): ok",
    "Lock Some(Short): timeout",
    "Lock Some(Long): ok",
    "Lock Some(Long): waits",
    "Write Sound: ok",
    "Write Quiet: ok",
    "Write TakenSerial: data",
    "Write Twice: data",
    "Write NotClaimed: other",
    "WriteAndCommit Sound: ok",
    "WriteAndCommit Twice: failed",
    "Commit: ok",
    "Commit: failed",
    "Commit: unknown",
    "CutBefore: unknown",
    "CutAfter: unknown",
    "Drop: done",
    "Cancel: done",
    "Kill: done",
    "Read Heads",
    "Read Entries",
    "Read Transfer",
    "set free: ok",
    "set free: deadlock",
    "set free: unavailable",
    "deadlock",
];

pub(crate) fn trials(place: &Place) -> Vec<Trial> {
    let (core, channel) = (place.core.clone(), place.channel.clone());
    let mut trials = vec![
        Trial::test("scripts::core_answers_as_its_model_does", move || {
            all::<real::Core, model::Core>(&core, CORE_MUST)
        }),
        Trial::test("scripts::channel_answers_as_its_model_does", move || {
            all::<real::Channel, model::Channel>(&channel, CHANNEL_MUST)
        }),
    ];
    trials.extend(wrong::trials(place));
    trials
}

/// What has been compared.
#[derive(Default)]
struct Sum {
    scripts: u64,
    steps: u64,
    counts: BTreeMap<String, u64>,
}

/// Compares all scripts of a kind, side by side.
fn all<R: Real, M: Model>(cluster: &str, must: &[&str]) -> Result<(), Failed> {
    let one = seed_asked();
    let first = number(FROM).unwrap_or(0);
    let seeds = one.map_or(first..first + count() / 2, |seed| seed..seed + 1);
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let sum = Mutex::new(Sum::default());
    real::prepare(cluster);
    let worker = || -> Result<(), String> {
        let database = real::Database::<R>::open(cluster);
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                break;
            }
            let steps = draw(R::Port::KIND, seed);
            let compared = compare::<R, M>(&database, &steps, seed);
            match compared {
                Ok(transcript) => add(&mut sum.lock().unwrap_or_else(PoisonError::into_inner), transcript, one),
                Err(difference) => {
                    stop.store(true, Ordering::Relaxed);
                    return Err(smallest::<R, M>(&database, steps, seed, difference));
                }
            }
        }
        Ok(())
    };
    let worker = &worker;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        let ends: Vec<_> = workers.into_iter().map(|worker| worker.join().expect("no panic")).collect();
        ends.into_iter().collect::<Result<(), String>>()
    })?;
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    covered(R::Port::KIND, &sum, must)
}

/// Runs a script on both; the transcript, or both where they differ.
fn compare<R: Real, M: Model>(database: &real::Database<R>, steps: &[Step], seed: u64) -> Result<Transcript, String> {
    let real = database.transcript(steps);
    for pace in [2 * seed, 2 * seed + 1] {
        let model = model::transcript::<M>(steps, &real.naps, pace);
        if real.lines != model.lines {
            return Err(side_by_side(("PostgreSQL", &real.lines), ("model", &model.lines)));
        }
    }
    Ok(real)
}

/// The smallest script found that differs, with both transcripts.
fn smallest<R: Real, M: Model>(
    database: &real::Database<R>,
    steps: Vec<Step>,
    seed: u64,
    difference: String,
) -> String {
    let (mut steps, mut difference) = (steps, difference);
    let (whole, mut tries) = (steps.len(), 0);
    'smaller: loop {
        for smaller in without(&steps) {
            tries += 1;
            if tries > SHRINKS {
                break 'smaller;
            }
            if let Err(said) = compare::<R, M>(database, &smaller, seed) {
                (steps, difference) = (smaller, said);
                continue 'smaller;
            }
        }
        break;
    }
    let kind = R::Port::KIND;
    format!(
        "{kind:?} script of seed {seed} differs; {} of its {whole} steps are left:\n{difference}\nsteps: {steps:?}",
        steps.len()
    )
}

fn add(sum: &mut Sum, transcript: Transcript, one: Option<u64>) {
    if one.is_some() {
        println!("{}", transcript.lines.join("\n"));
    }
    sum.scripts += 1;
    for (what, times) in transcript.counts {
        sum.steps += if what.starts_with("set free") || what == "deadlock" { 0 } else { times };
        *sum.counts.entry(what).or_default() += times;
    }
}

/// Prints what was compared; fails where something never happened.
fn covered(kind: Kind, sum: &Sum, must: &[&str]) -> Result<(), Failed> {
    let of =
        |part: &str| sum.counts.iter().filter(|(what, _)| what.contains(part)).map(|(_, times)| times).sum::<u64>();
    println!(
        "{kind:?}: {} scripts, {} steps, {} waits, {} deadlocks, {} kills, {} cut commits: no difference",
        sum.scripts,
        sum.steps,
        of("waits"),
        sum.counts.get("deadlock").unwrap_or(&0),
        of("Kill"),
        of("Cut"),
    );
    let wanted: BTreeSet<&str> = BOTH_MUST.iter().chain(must).copied().collect();
    let missing: Vec<&str> = wanted.into_iter().filter(|what| !sum.counts.contains_key(*what)).collect();
    if sum.scripts >= ENOUGH && !missing.is_empty() {
        let counts: Vec<String> = sum.counts.iter().map(|(what, times)| format!("{what} {times}")).collect();
        return Err(format!("never happened: {missing:?}; what did: {}", counts.join(", ")).into());
    }
    Ok(())
}

fn count() -> u64 {
    number(COUNT).unwrap_or(1_000)
}

fn seed_asked() -> Option<u64> {
    number(SEED)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}; accepted is a number")))
}
