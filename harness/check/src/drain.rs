//! Drain (A14): all channels were away while core went on, and came back: how fast is the backlog worked off, and how fast should it be?
//!
//! In: faults and phases of run.json, visible stamps, samples. Out: [`DrainRecord`], and the objective on it. Elsewhere: how channels are
//! taken away (`faults`), how stamps are collected (`evidence::visible`).
//!
//! | figure | definition |
//! |---|---|
//! | away | every channel was killed and not back yet, at one moment at least, and none was back before load ended |
//! | sync | an advance of one account's copy, whatever it moved by: one visible stamp |
//! | rate | syncs between the 5th and the 95th percentile of their moments, divided by the time between these two |
//! | predicted | the lesser of all workers and busy accounts, divided by what a sync costs; nothing is predicted where it costs nothing |
//!
//! Its two ends are left out of the rate: there, partitions are still being given away, and the last accounts have no company.

use std::collections::{BTreeMap, BTreeSet};

use bankstorm_record::marks::SampleRow;
use bankstorm_record::rows::VisibleRow;
use bankstorm_record::run_json::{DrainRecord, FaultRecord, ObjectiveResult, PhaseSpan, SloVerdict, Unit};
use bankstorm_record::source::{ReadError, Rows};

use crate::objectives::Objective;

/// The first word of objectives on a backlog.
pub const DRAIN: &str = "drain";
/// The least syncs that make a rate.
pub const SYNCS_LEAST: usize = 40;

const MS: i64 = 1_000_000;
/// What channels say of their workers.
const GAUGES: [&str; 2] = ["channel_in_work", "channel_slots_used"];

/// What works a backlog off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Channel processes: `channel-0` and so on.
    pub channels: u32,
    /// Workers of all partitions together.
    pub total: u64,
    /// What a sync costs, in microseconds.
    pub sync_cost_us: u64,
}

/// A stamp of the backlog.
struct Stamp {
    at_ns: i64,
    account: i64,
    events: u64,
}

/// How the backlog was worked off; `None` unless all channels were away until load had ended.
///
/// # Errors
/// When the stamps cannot be read.
pub fn drain(
    faults: &[FaultRecord],
    phases: &[PhaseSpan],
    visible: Rows<'_, VisibleRow>,
    samples: &[SampleRow],
    workers: Workers,
) -> Result<Option<DrainRecord>, ReadError> {
    let Some(ended_ms) = phases.iter().find(|phase| phase.name == "measure").map(|phase| phase.end_ms) else {
        return Ok(None);
    };
    let Some(away_ms) = all_away_ms(faults, workers.channels, ended_ms) else { return Ok(None) };
    let mut stamps = Vec::new();
    for row in visible {
        let row = row?;
        // What the harness read itself says when it looked, not when it became visible.
        if row.at_ns > away_ms * MS && row.instance.starts_with("channel-") {
            let events = u64::try_from(row.to_seq - row.from_seq).unwrap_or(0);
            stamps.push(Stamp { at_ns: row.at_ns, account: row.account, events });
        }
    }
    stamps.sort_by_key(|stamp| stamp.at_ns);
    Ok(record(&stamps, samples, workers))
}

/// A moment at which every channel was down, none of them back before `ended_ms`.
fn all_away_ms(faults: &[FaultRecord], channels: u32, ended_ms: i64) -> Option<i64> {
    let away = (0..channels).map(|index| {
        let name = format!("channel-{index}");
        let killed = faults.iter().filter(|fault| fault.place == name && fault.kind == "node.kill");
        let until_the_end = killed.filter(|fault| fault.healed_ms.is_some_and(|healed| healed >= ended_ms));
        until_the_end.filter_map(|fault| fault.started_ms).min()
    });
    away.collect::<Option<Vec<i64>>>()?.into_iter().max()
}

fn record(stamps: &[Stamp], samples: &[SampleRow], workers: Workers) -> Option<DrainRecord> {
    let (first, last) = (stamps.first()?, stamps.last()?);
    let (from_ms, to_ms) = (first.at_ns / MS, last.at_ns / MS);
    let busy_keys = stamps.iter().map(|stamp| stamp.account).collect::<BTreeSet<_>>().len() as u64;
    let cost_s = workers.sync_cost_us as f64 / 1e6;
    let predicted = (cost_s > 0.0).then(|| workers.total.min(busy_keys) as f64 / cost_s);
    let (syncs_per_s, events_per_s) = rates(stamps).unzip();
    // The looks of the second before and after: a drain may be shorter than the time between two.
    let within = || samples.iter().filter(|row| (from_ms - 1_000..=to_ms + 1_000).contains(&row.at_ms));
    let gauges = gauges(within());
    let busy = within().filter_map(|row| row.cpu_percent).fold((0.0, 0_u32), |(sum, n), one| (sum + one, n + 1));
    Some(DrainRecord {
        from_ms,
        to_ms,
        events: stamps.iter().map(|stamp| stamp.events).sum(),
        syncs: stamps.len() as u64,
        busy_keys,
        syncs_per_s,
        events_per_s,
        workers_total: workers.total,
        sync_cost_us: workers.sync_cost_us,
        predicted_per_s: predicted,
        busy_workers: GAUGES.iter().find_map(|gauge| gauges.get(*gauge).copied()),
        gauges,
        cpu_seconds: cpu_seconds(within()),
        machine_busy: (busy.1 > 0).then(|| busy.0 / f64::from(busy.1) / 100.0),
    })
}

/// Syncs and entries a second, between the 5th and the 95th percentile of the syncs' moments.
fn rates(stamps: &[Stamp]) -> Option<(f64, f64)> {
    if stamps.len() < SYNCS_LEAST {
        return None;
    }
    let (from, to) = (stamps.len() / 20, stamps.len() * 19 / 20);
    let seconds = (stamps[to].at_ns - stamps[from].at_ns) as f64 / 1e9;
    let events: u64 = stamps[from..to].iter().map(|stamp| stamp.events).sum();
    (seconds > 0.0).then(|| ((to - from) as f64 / seconds, events as f64 / seconds))
}

/// The highest sum over the channels of each gauge, labels aside, in any one sample.
fn gauges<'a>(samples: impl Iterator<Item = &'a SampleRow>) -> BTreeMap<String, u64> {
    let mut highest: BTreeMap<String, u64> = BTreeMap::new();
    for sample in samples {
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for (name, value) in &sample.metrics {
            let Some((process, metric)) = name.split_once('.') else { continue };
            let metric = metric.split('{').next().unwrap_or(metric);
            if process.starts_with("channel-") && GAUGES.contains(&metric) {
                *sums.entry(metric).or_default() += value;
            }
        }
        for (metric, sum) in sums {
            let most = highest.entry(metric.to_owned()).or_default();
            *most = (*most).max(sum as u64);
        }
    }
    highest
}

fn cpu_seconds<'a>(samples: impl Iterator<Item = &'a SampleRow>) -> BTreeMap<String, f64> {
    let mut first: BTreeMap<&str, f64> = BTreeMap::new();
    let mut used = BTreeMap::new();
    for sample in samples {
        for (process, seconds) in &sample.process_cpu_seconds {
            let before = *first.entry(process).or_insert(*seconds);
            used.insert(process.clone(), (seconds - before).max(0.0));
        }
    }
    used
}

/// Whether `drain.of_predicted` is met: a share that must be reached, in thousandths. `record` is absent where the run is not valid, or had
/// no backlog.
pub(crate) fn judge(objective: &Objective, record: Option<&DrainRecord>) -> ObjectiveResult {
    let measured = record.and_then(DrainRecord::of_predicted);
    let verdict = match measured {
        None => SloVerdict::Unmeasured,
        Some(share) if share >= objective.limit_us => SloVerdict::Met,
        Some(_) => SloVerdict::Missed,
    };
    let per_s = |rate: Option<f64>| rate.map_or_else(|| "nothing".to_owned(), |rate| format!("{rate:.1} syncs/s"));
    let note = record.map(|record| {
        let (measured, predicted) = (per_s(record.syncs_per_s), per_s(record.predicted_per_s));
        format!("the least share that must be reached; {measured} measured, {predicted} predicted")
    });
    ObjectiveResult { measured_us: measured, verdict, note, ..objective.unmeasured(Unit::Permille) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bankstorm_record::marks::SampleRow;
    use bankstorm_record::rows::VisibleRow;
    use bankstorm_record::run_json::{FaultRecord, PhaseSpan, SloVerdict};

    use super::{DRAIN, MS, Workers, drain, judge};
    use crate::objectives::Objective;

    const WORKERS: Workers = Workers { channels: 2, total: 10, sync_cost_us: 100_000 };

    fn kill(place: &str, started_ms: i64, healed_ms: Option<i64>) -> FaultRecord {
        let kind = "node.kill".to_owned();
        FaultRecord { kind, place: place.to_owned(), started_ms: Some(started_ms), healed_ms, ..FaultRecord::default() }
    }

    fn phases() -> [PhaseSpan; 1] {
        [PhaseSpan { name: "measure".to_owned(), start_ms: 0, end_ms: 10_000 }]
    }

    /// One entry an account, one every ten milliseconds from second 12 on.
    fn stamps(count: i64) -> Vec<VisibleRow> {
        let stamp = |n: i64| VisibleRow {
            account: n % 200,
            from_seq: n / 200,
            to_seq: n / 200 + 1,
            at_ns: (12_000 + n * 10) * MS,
            instance: "channel-1".to_owned(),
        };
        (0..count).map(stamp).collect()
    }

    fn sample(at_ms: i64, busy: f64, cpu_s: f64) -> SampleRow {
        let gauge = |name: &str| (format!("{name}.channel_in_work"), busy);
        SampleRow {
            at_ms,
            cpu_percent: Some(50.0),
            process_cpu_seconds: BTreeMap::from([("channel-0".to_owned(), cpu_s)]),
            metrics: BTreeMap::from([gauge("channel-0"), gauge("channel-1")]),
            ..SampleRow::default()
        }
    }

    #[test]
    fn a14_the_rate_leaves_both_ends_out_and_is_held_against_workers_by_cost() {
        let faults = [kill("channel-0", 1_000, Some(11_500)), kill("channel-1", 2_000, Some(11_900))];
        let mut rows = stamps(400);
        // Slow ends, and what the harness saw, change nothing.
        rows[0].at_ns = 11_000 * MS;
        rows.push(VisibleRow {
            account: 7,
            to_seq: 9,
            at_ns: 60_000 * MS,
            instance: "harness".to_owned(),
            ..rows[0].clone()
        });
        let samples = [sample(12_500, 3.0, 1.0), sample(13_500, 5.0, 2.5), sample(60_000, 9.0, 9.0)];
        let visible = || Box::new(rows.iter().cloned().map(Ok));
        let found = drain(&faults, &phases(), visible(), &samples, WORKERS).expect("readable").expect("a backlog");
        assert_eq!((found.events, found.syncs, found.busy_keys), (400, 400, 200));
        assert_eq!((found.syncs_per_s, found.predicted_per_s), (Some(100.0), Some(100.0)));
        assert_eq!((found.busy_workers, found.cpu_seconds["channel-0"]), (Some(10), 1.5));
        assert_eq!((found.of_predicted(), found.machine_busy), (Some(1_000), Some(0.5)));
        let free = Workers { sync_cost_us: 0, ..WORKERS };
        let free = drain(&faults, &phases(), visible(), &samples, free).expect("readable").expect("a backlog");
        assert_eq!(
            (free.predicted_per_s, free.of_predicted()),
            (None, None),
            "nothing is predicted of what costs nothing"
        );
    }

    #[test]
    fn without_a_moment_at_which_all_were_away_there_is_no_backlog() {
        let rows = stamps(400);
        for faults in [
            vec![kill("channel-0", 1_000, Some(11_500))],
            vec![kill("channel-0", 1_000, Some(11_500)), kill("channel-1", 2_000, Some(9_000))],
            vec![kill("channel-0", 1_000, Some(11_500)), kill("channel-1", 2_000, None)],
        ] {
            let visible = Box::new(rows.iter().cloned().map(Ok));
            assert_eq!(drain(&faults, &phases(), visible, &[], WORKERS), Ok(None), "{faults:?}");
        }
    }

    #[test]
    fn a_share_is_reached_or_not() {
        let faults = [kill("channel-0", 1_000, Some(11_500)), kill("channel-1", 2_000, Some(11_900))];
        let visible = Box::new(stamps(400).into_iter().map(Ok));
        let found = drain(&faults, &phases(), visible, &[], WORKERS).expect("readable");
        let objective = |limit_us| Objective {
            name: "drain.of_predicted".to_owned(),
            op: DRAIN.to_owned(),
            latency: "of_predicted".to_owned(),
            figure: String::new(),
            limit_us,
            during: DRAIN.to_owned(),
        };
        assert_eq!(judge(&objective(900), found.as_ref()).verdict, SloVerdict::Met);
        assert_eq!(judge(&objective(1_100), found.as_ref()).verdict, SloVerdict::Missed);
        assert_eq!(judge(&objective(900), None).verdict, SloVerdict::Unmeasured);
    }
}
