//! A batch as `simulate.json`.
//!
//! In: the batch's sums, what it cost. Out: [`SimulateJson`] with verdict and exit code. Elsewhere: its form (`record::simulate_json`).

use std::collections::BTreeMap;

use bankstorm_record::save::hex;
use bankstorm_record::simulate_json::{
    BatchVerdict, FailingSeed, FaultCounts, KindsPerSeed, SCHEMA, Seeds, SimulateJson, Speed, Violated, ViolatedSeeds,
};
use bankstorm_simulator::batch::{Batch, Failing, Summary, Tally};
use bankstorm_simulator::planted::Planted;

use crate::run::open::build;

/// What a batch cost, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    /// Of real time.
    pub(super) real: f64,
    /// Of processor time.
    pub(super) cpu: f64,
}

/// The document.
pub(super) fn of(batch: &Batch, summary: &Summary, took: Took, cores: usize) -> SimulateJson {
    let tally = &summary.tally;
    let verdict = verdict(summary, batch.planted);
    let per_seed = |sum: u64| sum as f64 / tally.seeds.max(1) as f64;
    SimulateJson {
        schema: SCHEMA,
        bankstorm: build(),
        verdict,
        exit_code: exit_code(verdict),
        seeds: Seeds { from: summary.seeds.start, to: summary.seeds.end, done: tally.seeds },
        planted: batch.planted.map(|planted| planted.word().to_owned()),
        digest: summary.digest.map(|digest| hex(&digest)),
        speed: speed(batch, tally, took, cores),
        operations: owned(&tally.operations),
        operations_per_seed: per_seed(tally.planned),
        fault_kinds_per_seed: KindsPerSeed { min: tally.fewest_kinds.unwrap_or(0), mean: per_seed(tally.kinds) },
        faults: tally
            .faults
            .iter()
            .map(|(kind, count)| (kind.word().to_owned(), FaultCounts { planned: count.planned, struck: count.struck }))
            .collect(),
        markers: owned(&tally.markers),
        figures: tally.figures.clone(),
        never_fired: summary.never_fired().into_iter().map(str::to_owned).collect(),
        failing: tally.failing,
        violated: tally.violated,
        violations: violations(tally),
        kept: tally.kept.iter().map(failing).collect(),
    }
}

fn owned(counts: &BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    counts.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
}

/// A violation is one also in a batch that was interrupted. A bug that was planted and not found is nothing to be glad of.
fn verdict(summary: &Summary, planted: Option<Planted>) -> BatchVerdict {
    if summary.tally.violated > 0 {
        BatchVerdict::Violated
    } else if summary.is_green() && planted.is_none() {
        BatchVerdict::Green
    } else {
        BatchVerdict::Inconclusive
    }
}

const fn exit_code(verdict: BatchVerdict) -> i32 {
    match verdict {
        BatchVerdict::Green => 0,
        BatchVerdict::Violated => 6,
        BatchVerdict::Inconclusive => 4,
    }
}

fn speed(batch: &Batch, tally: &Tally, took: Took, cores: usize) -> Speed {
    let virtual_seconds = tally.virtual_time.as_secs_f64();
    let per_second = |value: f64| value / took.real.max(1e-9);
    let per_cpu_second = |value: f64| value / took.cpu.max(1e-9);
    let used = batch.jobs.min(cores).max(1);
    Speed {
        jobs: batch.jobs as u64,
        cores: cores as u64,
        real_seconds: took.real,
        virtual_seconds,
        seeds_per_second: per_second(tally.seeds as f64),
        operations_per_second: per_second(tally.planned as f64),
        virtual_per_real: per_second(virtual_seconds),
        virtual_per_real_per_core: per_second(virtual_seconds) / used as f64,
        cpu_seconds: took.cpu,
        seeds_per_cpu_second: per_cpu_second(tally.seeds as f64),
        virtual_per_cpu: per_cpu_second(virtual_seconds),
    }
}

/// The most frequent first.
fn violations(tally: &Tally) -> Vec<ViolatedSeeds> {
    let seeds = |((check, name), seeds): (&(String, String), &u64)| ViolatedSeeds {
        check: check.clone(),
        name: name.clone(),
        seeds: *seeds,
    };
    let mut violations: Vec<_> = tally.violations.iter().map(seeds).collect();
    violations.sort_by_key(|violation| std::cmp::Reverse(violation.seeds));
    violations
}

fn failing(failing: &Failing) -> FailingSeed {
    let violated = failing.violations.iter().map(|violation| Violated {
        check: violation.check.clone(),
        name: violation.name.clone(),
        count: violation.count,
        first: violation.first.clone(),
    });
    FailingSeed {
        seed: failing.seed,
        file: failing.plan.is_some().then(|| file_of(failing.seed)),
        violations: violated.collect(),
    }
}

/// The file of a failing seed's plan.
pub(super) fn file_of(seed: u64) -> String {
    format!("seed-{seed}.json")
}

/// Whether a file of this name is the plan of a failing seed: exactly as [`file_of`] names them.
pub(super) fn is_plan(name: &str) -> bool {
    let seed = name.strip_prefix("seed-").and_then(|rest| rest.strip_suffix(".json"));
    seed.and_then(|seed| seed.parse().ok()).is_some_and(|seed| file_of(seed) == name)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use bankstorm_record::simulate_json::BatchVerdict;
    use bankstorm_simulator::batch::{Batch, Summary, Tally, run};

    use super::{Took, is_plan, verdict};

    #[test]
    fn a_batch_that_was_stopped_is_inconclusive_and_has_no_digest() {
        let batch = Batch { seeds: 0..10, jobs: 1, planted: None, keep: 1 };
        let document =
            super::of(&batch, &run(&batch, &|_| {}, &AtomicBool::new(true)), Took { real: 1.0, cpu: 1.0 }, 2);
        assert_eq!((document.verdict, document.exit_code), (BatchVerdict::Inconclusive, 4));
        assert_eq!((document.seeds.done, document.digest), (0, None));
    }

    #[test]
    fn only_what_a_batch_wrote_is_taken_for_its_plans() {
        assert!(["seed-0.json", "seed-4711.json"].into_iter().all(is_plan));
        for other in
            ["seed-7.small.json", "seed-.json", "seed-07.json", "seed-+7.json", "seed-7.json.part", "x-seed-7.json"]
        {
            assert!(!is_plan(other), "{other}");
        }
    }

    #[test]
    fn a_violation_wins_over_what_could_not_be_judged() {
        let of = |failing, violated| {
            let tally = Tally { seeds: 10, failing, violated, ..Tally::default() };
            verdict(&Summary { seeds: 0..10, digest: Some([0; 32]), tally }, None)
        };
        assert_eq!(
            [of(0, 0), of(2, 0), of(2, 1)],
            [BatchVerdict::Green, BatchVerdict::Inconclusive, BatchVerdict::Violated]
        );
    }
}
