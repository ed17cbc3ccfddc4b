//! What an operation contributes to a latency: the one rule behind figures, interval log and curves.
//!
//! In: a row of the load, and when the run stopped waiting ([`CutOffs`]). Out: a [`Value`], or none. Elsewhere: figures and interval log
//! (`load`), curves (`report`).
//!
//! Nothing that was due is missing: an operation without a value enters at the cut-off, with the time from its own start. That is so for
//! misses, for unknown outcomes and for failed ones, since a quick refusal must not make a percentile look better. What was never due,
//! because load was ended before, has no latency.

use crate::rows::OperationRow;
use crate::run_json::PhaseSpan;

/// The latencies of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Intended -> acknowledged.
    Response,
    /// Written -> acknowledged.
    Service,
    /// Intended -> written.
    SendLag,
    /// Acknowledged -> visible.
    SyncLag,
    /// Intended -> visible.
    Visible,
}

impl Kind {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Response, Self::Service, Self::SendLag, Self::SyncLag, Self::Visible];
}

/// When a run stopped waiting, in nanoseconds since its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOffs {
    /// When load ended: at its plan's end, or earlier. What was to be due later was never due.
    pub ended_ns: i64,
    /// From here on no answer was waited for: the cut-off of response, service and send lag.
    pub load_ns: i64,
    /// From here on no entry was waited for in the channel: the cut-off of sync lag and visible.
    pub visible_ns: i64,
}

impl CutOffs {
    /// From the phases of a run, which `run.json` keeps: load ends with `measure`, its answers are waited for until `resolve` begins,
    /// entries until `converge` ends. A phase that did not come to pass is taken to end with the one before; `None` without `measure`.
    pub fn of(phases: &[PhaseSpan]) -> Option<Self> {
        const MS: i64 = 1_000_000;
        let phase = |name: &str| phases.iter().find(|span| span.name == name);
        let measure = phase("measure")?;
        let load_ns = phase("resolve").map_or(measure.end_ms, |resolve| resolve.start_ms).saturating_mul(MS);
        let visible_ns = phase("converge").map_or(load_ns, |converge| converge.end_ms.saturating_mul(MS)).max(load_ns);
        // Moments of phases are whole milliseconds, rounded down: what was due within the last one was due.
        Some(Self { ended_ns: measure.end_ms.saturating_add(1).saturating_mul(MS), load_ns, visible_ns })
    }

    /// The cut-off of a latency.
    pub const fn at(&self, kind: Kind) -> i64 {
        match kind {
            Kind::Response | Kind::Service | Kind::SendLag => self.load_ns,
            Kind::SyncLag | Kind::Visible => self.visible_ns,
        }
    }
}

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

/// What `row` contributes to the latency `kind`; `None` where the latency has no meaning for it: what was never due, sync lag of what was
/// never acknowledged, visible time of what core rejected at once or of what only reads. A deposit in doubt that is rejected only by resolving it was waited
/// for, and is a miss of `Visible`.
pub fn value(row: &OperationRow, kind: Kind, cut_offs: &CutOffs) -> Option<Value> {
    if row.outcome.is_none() && row.intended_ns > cut_offs.ended_ns {
        return None;
    }
    if row.is_read() && matches!(kind, Kind::SyncLag | Kind::Visible) {
        return None;
    }
    let ok = row.outcome.as_deref() == Some("ok");
    let rejected = row.outcome.as_deref() == Some("rejected");
    let acked_ns = row.acked_ns.filter(|_| ok || rejected);
    let (from_ns, to_ns) = match kind {
        Kind::Response => (row.intended_ns, acked_ns),
        Kind::Service => (row.sent_ns.unwrap_or(row.intended_ns), acked_ns.filter(|_| row.sent_ns.is_some())),
        Kind::SendLag => (row.intended_ns, row.sent_ns),
        Kind::SyncLag if ok => (row.acked_ns?, row.visible_ns),
        Kind::SyncLag => return None,
        Kind::Visible if rejected => return None,
        Kind::Visible => (row.intended_ns, row.visible_ns),
    };
    let bounded = matches!(kind, Kind::SyncLag | Kind::Visible) && row.visible_is_upper_bound;
    // What is visible before its acknowledgement has arrived has no lag; it is a zero, not a gap.
    let span = |to_ns: i64| u64::try_from(to_ns - from_ns).unwrap_or(0);
    Some(match to_ns {
        Some(to_ns) => Value { ns: span(to_ns), missed: false, upper_bound: bounded },
        None => Value { ns: span(cut_offs.at(kind)), missed: true, upper_bound: true },
    })
}

/// The smallest value that at least `permille` of a thousand values do not exceed; 0 of none.
pub fn nearest_rank(sorted: &[u64], permille: u64) -> u64 {
    let rank = (sorted.len() as u64 * permille).div_ceil(1_000).max(1);
    sorted.get(usize::try_from(rank - 1).unwrap_or(usize::MAX)).copied().unwrap_or(0)
}

/// Microseconds of nanoseconds, rounded up, so that a figure never flatters.
pub const fn microseconds(ns: u64) -> u64 {
    ns.div_ceil(1_000)
}

#[cfg(test)]
mod tests;
