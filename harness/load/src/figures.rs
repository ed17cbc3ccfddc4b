//! Latency figures and counts of the measured phase.
//!
//! In: rows of the load, with visible times where they are known. Out: the figures of `run.json`. Elsewhere: what they must not exceed
//! (`check`), curves (`report::series`), the interval log (`hlog`).
//!
//! Nothing planned is missing: an operation without a value enters at the run's cut-off, with the time from its own start. That is so
//! for misses, for unknown outcomes and for failed ones, since a quick refusal must not make a percentile look better. Figures are exact:
//! nearest rank over all values, never capped.

use bankstorm_record::rows::OperationRow;
use bankstorm_record::run_json::{Latency, LoadCounts};
use bankstorm_scenario::resolved::{Figure, LatencyKind};

/// A value that enters a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// In nanoseconds, never negative.
    pub ns: u64,
    /// There was no value: this is the time to the cut-off.
    pub missed: bool,
    /// It may be less than this.
    pub upper_bound: bool,
}

/// What `row` contributes to the latency `kind`; `None` where the latency has no meaning for it: sync lag of what was never
/// acknowledged, visible time of what was rejected for good.
pub fn value(row: &OperationRow, kind: LatencyKind, cut_off_ns: i64) -> Option<Value> {
    let ok = row.outcome.as_deref() == Some("ok");
    let rejected = row.resolved.as_deref() == Some("rejected");
    let answered = ok || row.outcome.as_deref() == Some("rejected");
    let acked_ns = row.acked_ns.filter(|_| answered);
    let (from_ns, to_ns) = match kind {
        LatencyKind::Response => (row.intended_ns, acked_ns),
        LatencyKind::Service => (row.sent_ns.unwrap_or(row.intended_ns), acked_ns.filter(|_| row.sent_ns.is_some())),
        LatencyKind::SendLag => (row.intended_ns, row.sent_ns),
        LatencyKind::SyncLag if ok => (row.acked_ns?, row.visible_ns),
        LatencyKind::SyncLag => return None,
        LatencyKind::Visible if rejected => return None,
        LatencyKind::Visible => (row.intended_ns, row.visible_ns),
    };
    let bounded = matches!(kind, LatencyKind::SyncLag | LatencyKind::Visible) && row.visible_is_upper_bound;
    // What is visible before its acknowledgement has arrived has no lag; it is a zero, not a gap.
    let span = |to_ns: i64| u64::try_from(to_ns - from_ns).unwrap_or(0);
    Some(match to_ns {
        Some(to_ns) => Value { ns: span(to_ns), missed: false, upper_bound: bounded },
        None => Value { ns: span(cut_off_ns), missed: true, upper_bound: true },
    })
}

/// The figures of one latency over the measured phase. `cut_off_ns` is where the run stopped waiting: for visible times that is the end
/// of the converge phase, not of the load.
pub fn latency(rows: &[OperationRow], kind: LatencyKind, cut_off_ns: i64) -> Latency {
    let values: Vec<Value> = measured(rows).filter_map(|row| value(row, kind, cut_off_ns)).collect();
    let mut all = figures(values.iter().copied());
    if values.iter().any(|value| value.missed) {
        all.without_missed = Some(Box::new(figures(values.into_iter().filter(|value| !value.missed))));
    }
    all
}

/// The counts of the measured phase.
pub fn counts(rows: &[OperationRow]) -> LoadCounts {
    let mut counts = LoadCounts::default();
    for row in measured(rows) {
        counts.planned += 1;
        counts.sent += u64::from(row.sent_ns.is_some());
        match row.outcome.as_deref() {
            Some("ok") => counts.ok += 1,
            Some("rejected") => counts.rejected += 1,
            Some("failed") => counts.failed += 1,
            Some(_) => {
                counts.unknown += 1;
                counts.unresolved += u64::from(row.resolved.is_none());
            }
            None => counts.missed += 1,
        }
        counts.visible_upper_bound += u64::from(row.visible_is_upper_bound);
    }
    counts
}

/// One figure of a latency, in microseconds; the mean is rounded up.
pub fn figure(latency: &Latency, figure: Figure) -> u64 {
    match figure {
        Figure::Mean => latency.mean.ceil() as u64,
        Figure::P50 => latency.p50,
        Figure::P90 => latency.p90,
        Figure::P99 => latency.p99,
        Figure::P999 => latency.p999,
        Figure::Max => latency.max,
    }
}

fn measured(rows: &[OperationRow]) -> impl Iterator<Item = &OperationRow> {
    rows.iter().filter(|row| row.phase == "measure")
}

fn figures(values: impl Iterator<Item = Value>) -> Latency {
    let mut upper_bound = 0;
    let mut sorted: Vec<u64> = values
        .map(|value| {
            upper_bound += u64::from(value.upper_bound);
            value.ns
        })
        .collect();
    sorted.sort_unstable();
    let sum: u128 = sorted.iter().map(|ns| u128::from(*ns)).sum();
    let count = sorted.len() as u64;
    let at = |permille: u64| microseconds(nearest_rank(&sorted, permille));
    Latency {
        count,
        upper_bound,
        mean: if count == 0 { 0.0 } else { sum as f64 / count as f64 / 1_000.0 },
        p50: at(500),
        p90: at(900),
        p99: at(990),
        p999: at(999),
        max: at(1_000),
        without_missed: None,
    }
}

/// The smallest value that at least `permille` of a thousand values do not exceed; 0 of none.
pub(crate) fn nearest_rank(sorted: &[u64], permille: u64) -> u64 {
    let rank = (sorted.len() as u64 * permille).div_ceil(1_000).max(1);
    sorted.get(usize::try_from(rank - 1).unwrap_or(usize::MAX)).copied().unwrap_or(0)
}

/// Rounded up, so that a figure never flatters.
pub(crate) const fn microseconds(ns: u64) -> u64 {
    ns.div_ceil(1_000)
}

#[cfg(test)]
pub(crate) mod tests;
