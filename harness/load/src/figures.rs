//! Latency figures and counts of the measured phase.
//!
//! In: rows of the load, with visible times where they are known (reads have none). Out: the figures of `run.json`. Elsewhere: what an operation contributes
//! (`record::latency`), what the figures must not exceed (`check`), curves (`report::series`), the interval log (`hlog`).
//!
//! Figures are exact: nearest rank over all values, never capped.

use bankstorm_record::latency::{CutOffs, Kind, Value, microseconds, nearest_rank, value};
use bankstorm_record::rows::OperationRow;
use bankstorm_record::run_json::{Latency, LoadCounts};
use bankstorm_scenario::resolved::{Figure, LatencyKind};

/// The figures of one latency over the measured phase, or over a part of it: give those rows only.
pub fn latency<'a>(rows: impl IntoIterator<Item = &'a OperationRow>, kind: LatencyKind, cut_offs: &CutOffs) -> Latency {
    let kind = recorded(kind);
    let values: Vec<Value> = measured(rows).filter_map(|row| value(row, kind, cut_offs)).collect();
    let mut all = figures(values.iter().copied());
    if values.iter().any(|value| value.missed) {
        all.without_missed = Some(Box::new(figures(values.into_iter().filter(|value| !value.missed))));
    }
    all
}

/// The counts of the measured phase.
pub fn counts<'a>(rows: impl IntoIterator<Item = &'a OperationRow>) -> LoadCounts {
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

/// The most operations of the measured phase that were under way at once. Each holds a connection, so that one more would have waited for
/// one when there are no more than these.
pub fn in_flight_max<'a>(rows: impl IntoIterator<Item = &'a OperationRow>) -> u64 {
    let mut changes: Vec<(i64, i64)> = Vec::new();
    for row in measured(rows) {
        if let (Some(sent_ns), Some(acked_ns)) = (row.sent_ns, row.acked_ns) {
            changes.extend([(sent_ns, 1), (acked_ns, -1)]);
        }
    }
    // A connection that is free again takes the next at the same moment: ends come first.
    changes.sort_unstable();
    let (mut now, mut most) = (0_i64, 0_i64);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    u64::try_from(most).unwrap_or(0)
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

/// The scenario's word for a latency as what rows are read by.
pub const fn recorded(kind: LatencyKind) -> Kind {
    match kind {
        LatencyKind::Response => Kind::Response,
        LatencyKind::Service => Kind::Service,
        LatencyKind::SendLag => Kind::SendLag,
        LatencyKind::SyncLag => Kind::SyncLag,
        LatencyKind::Visible => Kind::Visible,
    }
}

fn measured<'a>(rows: impl IntoIterator<Item = &'a OperationRow>) -> impl Iterator<Item = &'a OperationRow> {
    rows.into_iter().filter(|row| row.phase == "measure")
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

#[cfg(test)]
pub(crate) mod tests;
