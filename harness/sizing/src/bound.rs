//! What a cell came to: as predicted, or bound by something that was seen, or neither.
//!
//! In: a cell's figures, and the limits that were there whatever the cell: [`Limits`]. Out: a verdict with its evidence. Elsewhere: how the
//! figures were taken (`cli`), what is predicted (`predict`).
//!
//! | bound by | when |
//! |---|---|
//! | processors | the machine was 85 % busy or more, steal included, most of it with the bank and this harness |
//! | disk | the machine waited for a disk a quarter of the time or more |
//! | transactions | nine in ten of the transactions that channels may have open were open on average, and there are more workers |
//! | keys over workers | an account's hash picks its worker, and as many had work on average as chance of the hash gives (within 5 %) |
//! | records | fewer had work than chance gives, and as many had none while channels had hardly a record to give and the log had many |
//! | workers | nothing is predicted, nine in ten workers had work, and transactions were free |
//!
//! The first that applies is named, and only by what was seen. None of them, a machine that was busy with something else, or one that told
//! nothing: unexplained, which is no success.

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
/// The share of workers from which on all of them had work.
const WORKERS: f64 = 0.90;
/// The share of transactions from which on there were no more to be had.
const TRANSACTIONS: f64 = 0.90;
/// How near, as a share of the workers, those that were busy come to what chance gives if it is chance.
const CHANCE: f64 = 0.05;
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
        _ if figures.machine_busy.is_none() => {
            unexplained("how busy the machine was is not known, so nothing is named".to_owned())
        }
        _ if busy_otherwise(figures, limits.cores) => {
            unexplained(format!("the machine was busy with something else than the bank: {}", machine(figures)))
        }
        _ => match bound_by(cell, figures, limits) {
            Ok(bound_by) => Judged { verdict: CellVerdict::Bound, bound_by: Some(bound_by), reason: None },
            Err(reason) => unexplained(reason),
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

/// Processors that a process had on average between the looks.
fn cores(figures: &CellFigures, seconds: f64) -> f64 {
    figures.looked_s.filter(|looked| *looked > 0.0).map_or(0.0, |looked| seconds / looked)
}

/// Whether others than the bank and the harness had most of a machine that was busy.
fn busy_otherwise(figures: &CellFigures, of_machine: u32) -> bool {
    let own = cores(figures, figures.cpu_seconds.values().sum());
    taken(figures) >= PROCESSORS && own < OWN * taken(figures) * f64::from(of_machine)
}

/// What bound it; else all that was seen.
fn bound_by(cell: &CellKey, figures: &CellFigures, limits: Limits) -> Result<BoundBy, String> {
    let bound = |resource: &str, evidence| Ok(BoundBy { resource: resource.to_owned(), evidence });
    if taken(figures) >= PROCESSORS {
        return bound("processors", machine(figures));
    }
    if figures.machine_iowait.unwrap_or(0.0) >= DISK {
        return bound("disk", machine(figures));
    }
    let seen = Seen { figures, limit: limits.transactions, workers: workers_total(cell).min(figures.busy_keys) };
    match seen.resource() {
        Some((resource, evidence)) => bound(resource, format!("{evidence}; {}", machine(figures))),
        None => Err(format!("{}; {}", seen.told(), machine(figures))),
    }
}

/// What was seen inside the channels.
struct Seen<'a> {
    figures: &'a CellFigures,
    /// Transactions that may be open.
    limit: u64,
    /// Workers that could have work at once.
    workers: u64,
}

impl Seen<'_> {
    fn resource(&self) -> Option<(&'static str, String)> {
        if self.transactions_are_full() {
            return Some(("transactions", self.took()));
        }
        let busy = self.figures.busy_workers_mean?;
        if self.is_chance(busy) {
            return Some(("keys over workers", self.told()));
        }
        if self.lacks_records(busy) {
            return Some(("records", format!("workers were short of records: {}", self.told())));
        }
        let transactions_known = self.workers <= self.limit || self.figures.transactions_mean.is_some();
        let all_had_work = busy >= WORKERS * self.workers as f64;
        let is_workers = self.figures.predicted_per_s.is_none() && all_had_work && transactions_known;
        is_workers.then(|| ("workers", self.took()))
    }

    fn transactions_are_full(&self) -> bool {
        let full = |open: f64| open >= TRANSACTIONS * self.limit as f64;
        self.workers > self.limit && self.figures.transactions_mean.is_some_and(full)
    }

    /// Whether chance leaves workers without work, and no more than were seen without; where a rate is predicted, it must explain that too.
    fn is_chance(&self, busy: f64) -> bool {
        let Some(chance) = self.figures.busy_by_chance else { return false };
        let (workers, near) = (self.workers as f64, CHANCE * self.workers as f64);
        let explains = match self.figures.predicted_per_s {
            Some(predicted) => self.figures.events_per_s >= predicted * chance / workers * (1.0 - TOLERANCE),
            None => busy < WORKERS * workers,
        };
        chance < workers - near && (busy - chance).abs() <= near && explains
    }

    /// Whether idle workers had nothing to take because it was still in the log.
    fn lacks_records(&self, busy: f64) -> bool {
        let workers = self.workers as f64;
        let (Some(chance), Some(short)) = (self.figures.busy_by_chance, self.figures.short_mean) else { return false };
        busy < WORKERS * workers && busy < chance && busy + short >= chance - CHANCE * workers
    }

    /// What a worker took for an event, by Little's law, and what was open meanwhile.
    fn took(&self) -> String {
        let busy = self.figures.busy_workers_mean.unwrap_or_default();
        format!("an event took a worker {:.2} ms; {}", busy / self.figures.events_per_s * 1e3, self.told())
    }

    fn told(&self) -> String {
        let mean = |mean: Option<f64>| mean.map_or("?".to_owned(), |mean| format!("{mean:.1}"));
        let Self { figures, limit, workers } = self;
        let [busy, chance] = [figures.busy_workers_mean, figures.busy_by_chance].map(mean);
        let [open, waiting, in_log] = [figures.transactions_mean, figures.waiting_mean, figures.in_log_mean].map(mean);
        let short = mean(figures.short_mean);
        format!(
            "{busy} of {workers} workers had work on average (chance of the hash alone gives {chance}), {open} of {limit} transactions were \
             open, {waiting} records waited in channels and {in_log} in the log, for want of which {short} workers were idle"
        )
    }
}

/// How busy the machine was, and with what.
fn machine(figures: &CellFigures) -> String {
    let percent = |share: Option<f64>| share.map_or("?".to_owned(), |share| format!("{:.0}", share * 100.0));
    let [busy, steal, wait] = [figures.machine_busy, figures.machine_steal, figures.machine_iowait].map(percent);
    let mut most: Vec<(&String, &f64)> = figures.cpu_seconds.iter().collect();
    most.sort_by(|a, b| b.1.total_cmp(a.1));
    let of = |(name, seconds): (&String, &f64)| format!("{name} {:.2}", cores(figures, *seconds));
    let most: Vec<String> = most.into_iter().take(NAMED).map(of).collect();
    format!(
        "machine {busy} % busy, {steal} % taken by the hypervisor, {wait} % waiting for a disk; cores of {}",
        most.join(", ")
    )
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
            busy_workers_mean: Some(19.0),
            busy_by_chance: Some(19.4),
            transactions_mean: Some(1.5),
            in_log_mean: Some(0.0),
            waiting_mean: Some(4_000.0),
            short_mean: Some(0.0),
            cpu_seconds: BTreeMap::from([
                ("channel-0".to_owned(), 3.0),
                ("kafka-1".to_owned(), 0.2),
                ("postgres-channel".to_owned(), 4.0),
                ("core".to_owned(), 0.05),
            ]),
            // Half as long as the cell: the first look came late.
            looked_s: Some(5.0),
            machine_busy: Some(0.30),
            machine_steal: Some(0.02),
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
    fn a_machine_that_is_full_is_named_with_who_filled_it() {
        let (grid, slow) = (cell(2, 10, 100_000), figures(150.0, Some(200.0)));
        let busy = CellFigures { machine_busy: Some(0.80), machine_steal: Some(0.06), ..slow.clone() };
        let (verdict, told) = resource(&grid, &busy);
        assert_eq!(verdict, CellVerdict::Bound);
        assert!(told.starts_with("processors: machine 80 % busy, 6 % taken by the hypervisor, 5 % waiting"), "{told}");
        assert!(told.ends_with("cores of postgres-channel 0.80, channel-0 0.60, kafka-1 0.04"), "{told}");
        // A compiler beside it, say: the bank had a tenth of what the machine did.
        let others = CellFigures { cpu_seconds: BTreeMap::from([("core".to_owned(), 0.8)]), ..busy };
        let (verdict, told) = resource(&grid, &others);
        assert_eq!(verdict, CellVerdict::Unexplained);
        assert!(told.starts_with("the machine was busy with something else than the bank"), "{told}");
        let disk = CellFigures { machine_iowait: Some(0.3), ..slow };
        assert!(resource(&grid, &disk).1.starts_with("disk: "));
    }

    #[test]
    fn transactions_are_named_where_they_were_open_and_not_where_workers_are_many() {
        let full = CellFigures { transactions_mean: Some(3.7), ..figures(150.0, Some(200.0)) };
        let (verdict, told) = resource(&cell(2, 10, 100_000), &full);
        assert_eq!(verdict, CellVerdict::Bound);
        assert!(told.starts_with("transactions: an event took a worker 126.67 ms"), "{told}");
        assert!(told.contains("3.7 of 4 transactions were open"), "{told}");
        for mean in [Some(3.5), None] {
            let told = resource(&cell(2, 10, 100_000), &CellFigures { transactions_mean: mean, ..full.clone() });
            assert_eq!(told.0, CellVerdict::Unexplained, "{told:?}");
        }
        let few = CellFigures { busy_workers_mean: Some(4.0), predicted_per_s: None, ..full };
        assert!(resource(&cell(1, 4, 0), &few).1.starts_with("workers: "), "each can have one of its own");
    }

    #[test]
    fn idle_workers_are_chance_only_where_chance_gives_as_many() {
        // 20 x 100 at 100 ms, as it was measured.
        let grid = cell(20, 100, 100_000);
        let seen = |busy, per_s| CellFigures {
            busy_keys: 100_000,
            busy_workers_mean: Some(busy),
            busy_by_chance: Some(1_859.0),
            ..figures(per_s, Some(20_000.0))
        };
        let (verdict, told) = resource(&grid, &seen(1_800.0, 17_200.0));
        assert_eq!(verdict, CellVerdict::Bound);
        assert!(told.starts_with("keys over workers: 1800.0 of 2000 workers had work on average"), "{told}");
        assert!(told.contains("(chance of the hash alone gives 1859.0)"), "{told}");
        // Chance leaves seven in a hundred idle, and thirty were.
        let (verdict, told) = resource(&grid, &seen(1_369.0, 13_128.0));
        assert_eq!(verdict, CellVerdict::Unexplained, "{told}");
        assert!(told.contains("1369.0 of 2000") && told.contains("gives 1859.0"), "{told}");
        assert_eq!(resource(&grid, &seen(1_800.0, 13_000.0)).0, CellVerdict::Unexplained, "chance is not all of it");
        let unknown = CellFigures { busy_by_chance: None, ..seen(1_800.0, 17_200.0) };
        assert_eq!(resource(&grid, &unknown).0, CellVerdict::Unexplained);
    }

    #[test]
    fn workers_are_short_of_records_where_the_log_has_them_and_channels_have_none() {
        let short = CellFigures {
            busy_workers_mean: Some(27.0),
            busy_by_chance: Some(97.0),
            in_log_mean: Some(9_000.0),
            waiting_mean: Some(12.0),
            short_mean: Some(68.0),
            ..figures(15_000.0, None)
        };
        let (verdict, told) = resource(&cell(1, 100, 0), &short);
        assert_eq!(verdict, CellVerdict::Bound);
        assert!(told.starts_with("records: workers were short of records: 27.0 of 100 workers had work"), "{told}");
        assert!(told.contains("gives 97.0") && told.contains("12.0 records waited in channels and 9000.0 in the log"));
        assert!(told.contains("for want of which 68.0 workers were idle"), "{told}");
        for other in [
            // A third of those who had nothing would have had nothing anyway.
            CellFigures { short_mean: Some(45.0), ..short.clone() },
            CellFigures { short_mean: None, ..short.clone() },
            CellFigures { busy_by_chance: None, ..short.clone() },
        ] {
            assert_eq!(resource(&cell(1, 100, 0), &other).0, CellVerdict::Unexplained, "{other:?}");
        }
    }

    #[test]
    fn without_cost_workers_bind_where_all_had_work_and_transactions_were_free() {
        let one = CellFigures { busy_workers_mean: Some(1.0), busy_by_chance: Some(1.0), ..figures(500.0, None) };
        let (verdict, told) = resource(&cell(1, 1, 0), &one);
        assert_eq!(verdict, CellVerdict::Bound);
        assert!(told.starts_with("workers: an event took a worker 2.00 ms; 1.0 of 1 workers had work"), "{told}");
        assert!(resource(&cell(2, 10, 0), &figures(500.0, None)).1.starts_with("workers: "));
        let unknown = CellFigures { transactions_mean: None, ..figures(500.0, None) };
        assert_eq!(resource(&cell(2, 10, 0), &unknown).0, CellVerdict::Unexplained);
    }

    #[test]
    fn what_nothing_explains_is_no_success() {
        let one = CellFigures { busy_workers_mean: Some(1.0), ..figures(5.0, Some(10.0)) };
        let (verdict, told) = resource(&cell(1, 1, 100_000), &one);
        assert_eq!(verdict, CellVerdict::Unexplained);
        assert!(told.contains("machine 30 % busy, 2 % taken by the hypervisor"), "{told}");
        let blind = CellFigures { busy_workers_mean: None, ..one.clone() };
        assert_eq!(resource(&cell(1, 1, 0), &blind).0, CellVerdict::Unexplained);
        // All workers had work, and yet nobody knows what the machine did.
        let dark = CellFigures { machine_busy: None, predicted_per_s: None, ..one };
        let (verdict, told) = resource(&cell(1, 1, 0), &dark);
        assert_eq!(verdict, CellVerdict::Unexplained);
        assert!(told.contains("how busy the machine was is not known"), "{told}");
    }
}
