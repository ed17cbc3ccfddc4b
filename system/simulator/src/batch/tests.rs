//! What a batch comes to, over worlds that are made up.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Batch, FaultCount, Progress, Summary, run_worlds};
use crate::draw::draw;
use crate::plan::{Fault, Kind, Plan, Trigger};
use crate::world::{Outcome, Violation, Watched};

/// A world whose outcome shows its seed: every seventh fails, the thirteenth breaks, one marker fires on every fifth.
fn world(seed: u64) -> (Plan, Outcome) {
    assert!(seed != 13, "seed thirteen breaks");
    let kill =
        Fault { kind: Kind::NodeKill, place: "core".to_owned(), trigger: Trigger::AtMs(1), lasts_ms: 1, amount: 0 };
    let mut plan = draw(0);
    plan.operations.truncate(10);
    plan.faults = vec![kill.clone(), Fault { kind: Kind::NodePause, ..kill }];
    let violation =
        |check: &str| Violation { check: check.to_owned(), name: "x".to_owned(), count: 2, first: format!("{seed}") };
    let violations = if seed.is_multiple_of(7) { vec![violation("S5"), violation("S6")] } else { Vec::new() };
    let outcome = Outcome {
        digest: [u8::try_from(seed % 251).expect("small"); 32],
        virtual_time: Duration::from_secs(seed % 1_000),
        operations: BTreeMap::from([("ok", 9), ("unknown", 1)]),
        markers: BTreeMap::from([("often", 3), ("seldom", u64::from(seed.is_multiple_of(5)))]),
        figures: BTreeMap::from([("O1 resent_after_end".to_owned(), seed % 3)]),
        struck: vec![Some(Duration::ZERO), (seed.is_multiple_of(2)).then_some(Duration::ZERO)],
        violations,
        watched: Watched::default(),
        trace: Vec::new(),
    };
    (plan, outcome)
}

fn batch(from: u64, to: u64, jobs: usize) -> Batch {
    Batch { seeds: from..to, jobs, planted: None, keep: 3 }
}

fn summary(batch: &Batch) -> Summary {
    run_worlds(batch, &world, &|_| {}, &AtomicBool::new(false))
}

#[test]
fn it_comes_to_the_same_on_any_number_of_threads() {
    let one = summary(&batch(20, 421, 1));
    assert!(!one.interrupted());
    for jobs in [2, 3, 8] {
        assert_eq!(summary(&batch(20, 421, jobs)), one, "{jobs} threads");
    }
    assert_ne!(summary(&batch(20, 420, 1)).digest, one.digest);
    assert_ne!(summary(&batch(21, 422, 1)).digest, one.digest, "the order of seeds counts");
}

#[test]
fn everything_is_counted_and_the_first_failing_seeds_are_kept() {
    let Summary { tally, digest, .. } = summary(&batch(0, 50, 2));
    assert!(digest.is_some());
    assert_eq!((tally.seeds, tally.planned), (50, 490), "the broken seed has no plan");
    assert_eq!(tally.operations, BTreeMap::from([("ok", 9 * 49), ("unknown", 49)]));
    let counted = (0..50).filter(|seed| *seed != 13).map(|seed| seed % 3).sum();
    assert_eq!(tally.figures, BTreeMap::from([("O1 resent_after_end".to_owned(), counted)]));
    assert_eq!(tally.markers, BTreeMap::from([("often", 3 * 49), ("seldom", 10)]));
    assert_eq!(tally.faults[&Kind::NodeKill], FaultCount { planned: 49, struck: 49 });
    assert_eq!(tally.faults[&Kind::NodePause], FaultCount { planned: 49, struck: 25 });
    assert_eq!((tally.fewest_kinds, tally.kinds), (Some(0), 49 + 25));
    assert_eq!(tally.virtual_time, Duration::from_secs((0..50).sum::<u64>() - 13));
    assert_eq!(tally.failing, 9, "0, 7, 13, 14, 21, 28, 35, 42, 49");
    assert_eq!(tally.violated, 8, "what broke could not be judged");
    let violations: Vec<_> =
        tally.violations.iter().map(|((check, name), seeds)| (&**check, &**name, *seeds)).collect();
    assert_eq!(violations, [("S5", "x", 8), ("V3", "harness-fault", 1)]);
    let kept: Vec<_> = tally.kept.iter().map(|failing| (failing.seed, failing.plan.is_some())).collect();
    assert_eq!(kept, [(0, true), (7, true), (13, false)]);
    assert_eq!(tally.kept[1].violations.len(), 2, "all of a seed's violations");
    assert!(tally.kept[2].violations[0].first.contains("seed thirteen breaks"), "{:?}", tally.kept[2]);
}

#[test]
fn green_is_a_batch_that_held_and_whose_markers_all_fired() {
    let held = summary(&batch(1, 6, 2));
    assert!(held.is_green() && held.never_fired().is_empty());
    let silent = summary(&batch(1, 5, 2));
    assert_eq!(silent.never_fired(), ["seldom"]);
    assert!(!silent.is_green() && !silent.interrupted());
    assert!(!summary(&batch(1, 8, 2)).is_green(), "seven fails");
    assert!(!summary(&batch(5, 5, 2)).is_green(), "nothing was run");
    let last = summary(&Batch { seeds: u64::MAX - 2..u64::MAX, ..batch(0, 0, 2) });
    assert_eq!(last.tally.seeds, 2, "the end of all seeds is an end like others");
}

#[test]
fn progress_never_falls_and_ends_with_everything() {
    let seen: Mutex<Vec<Progress>> = Mutex::default();
    let note = |progress: &Progress| seen.lock().expect("no panic").push(*progress);
    run_worlds(&batch(0, 101, 3), &world, &note, &AtomicBool::new(false));
    let seen = seen.into_inner().expect("no panic");
    assert!(seen.is_sorted_by_key(|progress| (progress.done, progress.failing)), "{seen:?}");
    assert_eq!(seen.last(), Some(&Progress { done: 101, failing: 16 }));
}

#[test]
fn a_batch_that_is_stopped_says_how_far_it_came_and_is_not_green() {
    let stop = AtomicBool::new(false);
    let raise = |progress: &Progress| {
        if progress.done >= 8 {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let stopped = run_worlds(&batch(15, 1_000_000, 2), &world, &raise, &stop);
    assert!(stopped.interrupted() && !stopped.is_green());
    assert!((8..100).contains(&stopped.tally.seeds), "{}", stopped.tally.seeds);
    assert_eq!(stopped.tally.planned, stopped.tally.seeds * 10, "what was run is counted");
}
