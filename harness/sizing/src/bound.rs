//! What a cell came to: as predicted, or bound by something that was seen, or neither.
//!
//! In: a cell's figures, and the limits that were there whatever the cell: [`Limits`]. Out: a verdict with its evidence. Elsewhere: how the
//! figures were taken (`cli`), what is predicted (`predict`).
//!
//! | bound by | when |
//! |---|---|
//! | processors | the machine was 85 % busy or more, most of it with the bank and this harness |
//! | disk | the machine waited for a disk a quarter of the time or more |
//! | keys over workers | fewer than nine in ten workers had work on average: an account's hash picks its worker, and some have none left |
//! | workers | nothing is predicted, all workers had work, and each of them could have a transaction of its own |
//! | transactions | all workers had work, and there are more of them than transactions that a channel has open at once |
//!
//! The first that applies is named. None of them, or a machine that was busy with something else: unexplained, which is no success.

use bankstorm_record::sweep_json::{BoundBy, CellFigures, CellKey, CellVerdict};

use crate::predict::workers_total;

/// How far from what is predicted is as predicted.
pub const TOLERANCE: f64 = 0.10;
/// The share of the machine's processors from which on they are what binds.
const PROCESSORS: f64 = 0.85;
/// The share of what the machine did that the bank must have had a part in, or somebody else bound the cell.
const OWN: f64 = 0.5;
/// The share of time waited for a disk from which on that is what binds.
const DISK: f64 = 0.25;
/// The share of workers below which there is too little work for them.
const WORKERS: f64 = 0.90;
/// Processes that are named, those with most processor time first.
const NAMED: usize = 3;

/// What became of a cell that finished.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The word.
    pub verdict: CellVerdict,
    /// What bound it.
    pub bound_by: Option<BoundBy>,
    /// Why it is not explained.
    pub reason: Option<String>,
}

/// What no cell can have more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Transactions that all channels may have open at once.
    pub transactions: u64,
    /// Processors of the machine.
    pub cores: u32,
}

/// Judges a finished cell.
pub fn judge(cell: &CellKey, figures: &CellFigures, limits: Limits) -> Judged {
    let of_predicted = figures.predicted_per_s.map(|predicted| figures.events_per_s / predicted);
    match of_predicted {
        Some(share) if (share - 1.0).abs() <= TOLERANCE => {
            Judged { verdict: CellVerdict::AsPredicted, bound_by: None, reason: None }
        }
        Some(share) if share > 1.0 => unexplained(format!(
            "{:.0} % of what workers and cost allow: the measurement is not believed",
            share * 100.0
        )),
        _ if busy_otherwise(figures, limits.cores) => {
            unexplained(format!("the machine was busy with something else than the bank: {}", told(figures)))
        }
        _ => match bound_by(cell, figures, limits.transactions) {
            Some(bound_by) => Judged { verdict: CellVerdict::Bound, bound_by: Some(bound_by), reason: None },
            None => unexplained(told(figures)),
        },
    }
}

fn unexplained(reason: String) -> Judged {
    Judged { verdict: CellVerdict::Unexplained, bound_by: None, reason: Some(reason) }
}

/// What was taken of the processors, by whomever.
fn taken(figures: &CellFigures) -> f64 {
    figures.machine_busy.unwrap_or(0.0) + figures.machine_steal.unwrap_or(0.0)
}

/// Whether others than the bank and the harness had most of a machine that was busy.
fn busy_otherwise(figures: &CellFigures, cores: u32) -> bool {
    let own = figures.cpu_seconds.values().sum::<f64>() / figures.drained_s.max(0.001);
    taken(figures) >= PROCESSORS && own < OWN * taken(figures) * f64::from(cores)
}

fn bound_by(cell: &CellKey, figures: &CellFigures, transactions: u64) -> Option<BoundBy> {
    let bound = |resource: &str, evidence: String| Some(BoundBy { resource: resource.to_owned(), evidence });
    if taken(figures) >= PROCESSORS {
        return bound("processors", told(figures));
    }
    if figures.machine_iowait.unwrap_or(0.0) >= DISK {
        return bound("disk", told(figures));
    }
    let workers = workers_total(cell).min(figures.busy_keys);
    let busy = figures.busy_workers_mean?;
    if busy < WORKERS * workers as f64 {
        let evidence = format!("{busy:.1} of {workers} workers had work on average; {}", told(figures));
        return bound("keys over workers", evidence);
    }
    // What a worker took for an event, by Little's law.
    let took_ms = busy / figures.events_per_s * 1e3;
    let cost_ms = cell.sync_cost_us as f64 / 1e3;
    if workers > transactions {
        let evidence = format!(
            "an event took {took_ms:.1} ms, {:.1} more than its cost, with {transactions} transactions at most for {workers} workers; {}",
            (took_ms - cost_ms).max(0.0),
            told(figures)
        );
        return bound("transactions", evidence);
    }
    if figures.predicted_per_s.is_none() {
        let evidence = format!("all {workers} had work, an event took each {took_ms:.2} ms; {}", told(figures));
        return bound("workers", evidence);
    }
    // A commit that takes long beside its cost shows in what an event took.
    None
}

/// How busy the machine was, and with what.
fn told(figures: &CellFigures) -> String {
    let percent = |share: Option<f64>| share.map_or("?".to_owned(), |share| format!("{:.0}", share * 100.0));
    let mut most: Vec<(&String, &f64)> = figures.cpu_seconds.iter().collect();
    most.sort_by(|a, b| b.1.total_cmp(a.1));
    let cores = |(name, seconds): (&String, &f64)| format!("{name} {:.2}", seconds / figures.drained_s.max(0.001));
    let most: Vec<String> = most.into_iter().take(NAMED).map(cores).collect();
    let (busy, wait) = (percent(figures.machine_busy), percent(figures.machine_iowait));
    format!("machine {busy} % busy, {wait} % waiting for a disk; cores of {}", most.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bankstorm_record::sweep_json::{CellFigures, CellKey, CellVerdict};

    use super::{Limits, judge};
    use crate::fixture::cell;

    fn figures(events_per_s: f64, predicted: Option<f64>) -> CellFigures {
        CellFigures {
            busy_keys: 10_000,
            events_per_s,
            predicted_per_s: predicted,
            drained_s: 10.0,
            busy_workers_mean: Some(20.0),
            cpu_seconds: BTreeMap::from([
                ("channel-0".to_owned(), 6.0),
                ("kafka-1".to_owned(), 0.4),
                ("postgres-channel".to_owned(), 8.0),
                ("core".to_owned(), 0.1),
            ]),
            machine_busy: Some(0.30),
            machine_iowait: Some(0.05),
            ..CellFigures::default()
        }
    }

    fn resource(cell: &CellKey, figures: &CellFigures) -> (CellVerdict, String) {
        let judged = judge(cell, figures, Limits { transactions: 4, cores: 2 });
        let named = judged.bound_by.map(|bound| format!("{}: {}", bound.resource, bound.evidence));
        (judged.verdict, named.or(judged.reason).unwrap_or_default())
    }

    #[test]
    fn within_a_tenth_is_as_predicted_and_above_is_not_believed() {
        let at = |per_s| resource(&cell(2, 10, 100_000), &figures(per_s, Some(200.0)));
        for per_s in [181.0, 200.0, 219.0] {
            assert_eq!(at(per_s), (CellVerdict::AsPredicted, String::new()));
        }
        let (verdict, told) = at(250.0);
        assert_eq!(verdict, CellVerdict::Unexplained);
        assert!(told.contains("125 % of what workers and cost allow"), "{told}");
    }

    #[test]
    fn what_binds_is_named_with_what_shows_it() {
        let grid = cell(2, 10, 100_000);
        let slow = figures(150.0, Some(200.0));
        let busy = CellFigures { machine_busy: Some(0.80), machine_steal: Some(0.06), ..slow.clone() };
        let (verdict, told) = resource(&grid, &busy);
        assert_eq!(verdict, CellVerdict::Bound);
        assert!(told.starts_with("processors: machine 80 % busy"), "{told}");
        assert!(told.ends_with("cores of postgres-channel 0.80, channel-0 0.60, kafka-1 0.04"), "{told}");
        // A compiler beside it, say: the bank had a tenth of what the machine did.
        let others = CellFigures { cpu_seconds: BTreeMap::from([("core".to_owned(), 1.6)]), ..busy };
        let (verdict, told) = resource(&grid, &others);
        assert_eq!(verdict, CellVerdict::Unexplained);
        assert!(told.starts_with("the machine was busy with something else than the bank"), "{told}");
        let disk = CellFigures { machine_iowait: Some(0.3), ..slow.clone() };
        assert!(resource(&grid, &disk).1.starts_with("disk: "));
        let uneven = CellFigures { busy_workers_mean: Some(14.0), ..slow.clone() };
        assert!(resource(&grid, &uneven).1.starts_with("keys over workers: 14.0 of 20 workers"));
        let (_, told) = resource(&grid, &slow);
        assert!(told.starts_with("transactions: an event took 133.3 ms, 33.3 more than its cost"), "{told}");
    }

    #[test]
    fn without_cost_few_workers_bind_themselves_and_many_their_transactions() {
        let one = CellFigures { busy_workers_mean: Some(1.0), ..figures(500.0, None) };
        let (verdict, told) = resource(&cell(1, 1, 0), &one);
        assert_eq!(verdict, CellVerdict::Bound);
        assert!(told.starts_with("workers: all 1 had work, an event took each 2.00 ms"), "{told}");
        assert!(resource(&cell(2, 10, 0), &figures(500.0, None)).1.starts_with("transactions: "));
    }

    #[test]
    fn what_nothing_explains_is_no_success() {
        let one = CellFigures { busy_workers_mean: Some(1.0), ..figures(5.0, Some(10.0)) };
        let (verdict, told) = resource(&cell(1, 1, 100_000), &one);
        assert_eq!(verdict, CellVerdict::Unexplained);
        assert!(told.contains("machine 30 % busy"), "{told}");
        let blind = CellFigures { busy_workers_mean: None, machine_busy: None, ..one };
        assert_eq!(resource(&cell(1, 1, 0), &blind).0, CellVerdict::Unexplained);
    }
}
