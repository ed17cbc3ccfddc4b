//! Many seeds, on several threads.
//!
//! In: a range of seeds. Out: what all of them came to. Elsewhere: one seed (`world`), real time, screens and files (the command line).
//!
//! What a batch comes to depends neither on the number of threads nor on timing: counts are sums, the digest is made in the order of
//! seeds, and what is kept of failing seeds is kept by their order. What is held back for that order is 32 bytes a seed that ended before
//! an earlier one.

mod tally;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

pub use tally::{Failing, FaultCount, Tally};

use crate::draw::draw;
use crate::plan::Plan;
use crate::planted::Planted;
use crate::world::{self, Options, Outcome, Violation};

/// Seeds that a thread takes at once: few, so that threads end together and a wish to stop is heard soon.
const CHUNK: u64 = 4;
/// A thread's stack, in bytes: that of a program's first thread.
const STACK: usize = 8 << 20;

/// What is wanted of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which seeds.
    pub seeds: Range<u64>,
    /// Threads, at least one.
    pub jobs: usize,
    /// A bug planted in every world.
    pub planted: Option<Planted>,
    /// How many failing seeds are kept with their plans, the first ones; all are counted.
    pub keep: usize,
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Seeds that have ended.
    pub done: u64,
    /// Of them, those in which something was violated.
    pub failing: u64,
}

/// What a batch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which seeds were asked for.
    pub seeds: Range<u64>,
    /// SHA-256 over the digests of all seeds, in their order; `None` when not all of them were run.
    pub digest: Option<[u8; 32]>,
    /// Counts over all seeds that were run.
    pub tally: Tally,
}

impl Summary {
    /// Whether the batch was stopped before all seeds were run.
    pub const fn interrupted(&self) -> bool {
        self.digest.is_none()
    }

    /// Declared markers that never fired.
    pub fn never_fired(&self) -> Vec<&'static str> {
        self.tally.markers.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect()
    }

    /// Whether everything was run, everything held, and every declared marker fired.
    pub fn is_green(&self) -> bool {
        !self.interrupted() && self.tally.seeds > 0 && self.tally.failing == 0 && self.never_fired().is_empty()
    }
}

/// Runs a batch until its end, or until `stop` is raised: then seeds under way are ended and nothing new is begun. `progress` is called
/// after every few seeds, by one thread at a time, its figures never falling; the others wait meanwhile.
pub fn run(batch: &Batch, progress: &(dyn Fn(&Progress) + Sync), stop: &AtomicBool) -> Summary {
    let world = |seed| {
        let plan = Plan { planted: batch.planted, ..draw(seed) };
        let outcome = world::run(&plan, &Options::default());
        (plan, outcome)
    };
    run_worlds(batch, &world, progress, stop)
}

/// A world by its seed.
type World<'a> = dyn Fn(u64) -> (Plan, Outcome) + Sync + 'a;

fn run_worlds(batch: &Batch, world: &World<'_>, progress: &(dyn Fn(&Progress) + Sync), stop: &AtomicBool) -> Summary {
    let work = Work { batch, world, progress, stop, next: AtomicU64::new(0), sum: Mutex::default() };
    std::thread::scope(|scope| {
        for job in 0..batch.jobs.max(1) {
            let thread = std::thread::Builder::new().name(format!("seeds-{job}")).stack_size(STACK);
            thread.spawn_scoped(scope, || work.until_nothing_is_left()).expect("a thread can be made");
        }
    });
    let sum = work.sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    let asked = batch.seeds.end.saturating_sub(batch.seeds.start);
    let digest = (sum.tally.seeds == asked).then(|| sum.digest.finalize().into());
    Summary { seeds: batch.seeds.clone(), digest, tally: sum.tally }
}

/// What the threads share.
struct Work<'a> {
    batch: &'a Batch,
    world: &'a World<'a>,
    progress: &'a (dyn Fn(&Progress) + Sync),
    stop: &'a AtomicBool,
    /// The chunk that is taken next, from 0.
    next: AtomicU64,
    sum: Mutex<Sum>,
}

/// What the chunks that are done come to.
#[derive(Default)]
struct Sum {
    tally: Tally,
    digest: Sha256,
    /// The chunk whose digests come next.
    due: u64,
    /// Digests of later chunks.
    early: BTreeMap<u64, Vec<[u8; 32]>>,
}

impl Work<'_> {
    fn until_nothing_is_left(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let chunk = self.next.fetch_add(1, Ordering::Relaxed);
            let Range { start, end } = self.batch.seeds;
            let Some(from) = chunk.checked_mul(CHUNK).and_then(|done| start.checked_add(done)) else { return };
            if from >= end {
                return;
            }
            self.run_chunk(chunk, from..from.saturating_add(CHUNK).min(end));
        }
    }

    fn run_chunk(&self, chunk: u64, seeds: Range<u64>) {
        let mut tally = Tally::default();
        let mut digests = Vec::new();
        for seed in seeds {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            match catch_unwind(AssertUnwindSafe(|| (self.world)(seed))) {
                Ok((plan, outcome)) => {
                    tally.add(seed, &plan, &outcome);
                    digests.push(outcome.digest);
                }
                Err(panic) => {
                    tally.add_broken(seed, harness_fault(&*panic));
                    digests.push([0; 32]);
                }
            }
        }
        self.hand_in(chunk, tally, digests);
    }

    fn hand_in(&self, chunk: u64, tally: Tally, digests: Vec<[u8; 32]>) {
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = &mut *sum;
        sum.tally.merge(tally, self.batch.keep);
        sum.early.insert(chunk, digests);
        while let Some(digests) = sum.early.remove(&sum.due) {
            digests.iter().for_each(|digest| sum.digest.update(digest));
            sum.due += 1;
        }
        (self.progress)(&Progress { done: sum.tally.seeds, failing: sum.tally.failing });
    }
}

/// A world that panicked where it should not: drawing or the harness itself.
fn harness_fault(panic: &(dyn Any + Send)) -> Violation {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let first = format!("panicked: {}", text.unwrap_or("without a text"));
    Violation { check: "V3".to_owned(), name: "harness-fault".to_owned(), count: 1, first }
}
