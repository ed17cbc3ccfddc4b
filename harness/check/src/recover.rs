//! What faults did to the bank: how long it took to be itself again, and which part of the run an operation belongs to.
//!
//! In: operations, fault records, the measured phase. Out: [`RecoveryRecord`]s and [`Windows`]. Elsewhere: objectives on them
//! (`objectives`), figures of each part (`load::figures`), who strikes and heals (`faults`, `cli`).
//!
//! The three moments after a heal, each counted from it. The first two look at answers to operations that were *due* after the heal only:
//! the flood of answers to what had piled up is no sign of recovery.
//!
//! | moment | definition |
//! |---|---|
//! | first ok | the first answer ok to an operation that was due after the heal |
//! | rate 90 | the start of the first whole second with at least 90 % of the ok answers a second before the fault, counting answers to operations that were due after the heal |
//! | lag normal | the start of the first whole second in which something was answered ok and the p99 of sync lag of what was answered in it is at most the one before the fault, rounded up to a whole millisecond, the resolution of these times |
//!
//! Whole seconds slide by 100 ms and end before load does.
//!
//! "Before the fault" is the last [`BEFORE_NS`] of *quiet* time: of the measured phase, without the times from the beginning of every
//! earlier fault until the bank had recovered from it, however far that reaches back. What recovery was not reached from is never quiet
//! again. Nobody heals an unplanned death, and recovery from it is not measured: it disturbs for [`UNPLANNED_NS`] at most, or no later fault
//! could be compared with anything. With less than [`QUIET_LEAST_NS`] of quiet time, or without an answer ok in it, there is nothing to
//! compare with: rate 90 and lag normal are absent, and [`RecoveryRecord::baseline_ms`] is 0. The lag of what was not visible before a fault
//! began is left out. An operation that never became visible has endless lag after a fault, and is left out before it: neither flatters.

use bankstorm_record::latency::{Kind, microseconds, nearest_rank};
use bankstorm_record::rows::OperationRow;
use bankstorm_record::run_json::{FaultRecord, PhaseSpan, RecoveryRecord};

use crate::validity::Disturbed;

const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;
/// How far whole seconds slide.
const STEP: i64 = 100 * MS;
/// The most quiet time that is looked at before a fault, in nanoseconds.
pub const BEFORE_NS: i64 = 5 * SECOND;
/// The least quiet time that is something to compare with, in nanoseconds.
pub const QUIET_LEAST_NS: i64 = SECOND;
/// The longest that an unplanned fault disturbs quiet time, in nanoseconds.
pub const UNPLANNED_NS: i64 = 10 * SECOND;
/// The share of the rate before the fault that counts as recovered.
pub const RATE_SHARE: f64 = 0.9;

/// The measured phase, in nanoseconds since the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// When measuring began.
    pub from_ns: i64,
    /// When load ended.
    pub ended_ns: i64,
}

impl Measured {
    /// From the phases of a run; `None` for one that did not get so far.
    pub fn of(phases: &[PhaseSpan]) -> Option<Self> {
        let measure = phases.iter().find(|phase| phase.name == "measure")?;
        Some(Self { from_ns: measure.start_ms.saturating_mul(MS), ended_ns: measure.end_ms.saturating_mul(MS) })
    }
}

/// The recovery times after every planned fault that fired, in the order of `faults`. One that was never healed reached nothing.
pub fn recover(operations: &[OperationRow], faults: &[FaultRecord], measured: Measured) -> Vec<RecoveryRecord> {
    let acks = acks(operations);
    let mut strikes: Vec<(usize, Span)> =
        faults.iter().enumerate().filter_map(|(index, fault)| Some((index, Span::of(fault)?))).collect();
    // In the order of time: what was usual before a fault depends on when the bank had recovered from those before.
    strikes.sort_by_key(|(_, span)| span.from);
    let (mut disturbed, mut found) = (Vec::new(), Vec::new());
    for (index, span) in strikes {
        let fault = &faults[index];
        if !fault.planned {
            disturbed.push(Span { to: span.to.min(span.from.saturating_add(UNPLANNED_NS)), ..span });
            continue;
        }
        let before = Before::look(&acks, span, &disturbed, measured);
        let record = after(&acks, fault, span, before.as_ref(), measured);
        disturbed.push(Span { to: recovered_ns(span, Some(&record)), ..span });
        found.push((index, record));
    }
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, record)| record).collect()
}

/// The moments after one fault; none where it was never healed, since nothing comes after the end of time.
fn after(acks: &[Ack], fault: &FaultRecord, span: Span, before: Option<&Before>, measured: Measured) -> RecoveryRecord {
    let is_fresh = |ack: &&Ack| ack.intended_ns >= span.to;
    let has_rate = |acks: &[Ack], rate: f64| acks.iter().filter(is_fresh).count() as f64 >= rate * RATE_SHARE;
    RecoveryRecord {
        fault: fault.id.clone(),
        first_ok_ms: acks.iter().find(is_fresh).map(|ack| millis(ack.acked_ns - span.to)),
        rate_90_ms: before
            .and_then(|before| first_second(acks, span.to, measured, |acks| has_rate(acks, before.rate_per_s))),
        lag_normal_ms: before
            .and_then(|before| before.lag_p99_ns)
            .and_then(|lag| first_second(acks, span.to, measured, |acks| has_normal_lag(acks, lag))),
        baseline_ms: before.map_or(0, |before| before.quiet_ns / MS),
    }
}

/// When the bank had recovered from a fault; the end of time where that was not seen.
fn recovered_ns(span: Span, record: Option<&RecoveryRecord>) -> i64 {
    let recovered_ms = record.and_then(RecoveryRecord::recovered_ms);
    recovered_ms.map_or(i64::MAX, |ms| span.to.saturating_add(ms.saturating_mul(MS)))
}

/// A time in which a fault was in force, or in which the bank was not itself because of one.
#[derive(Clone, Copy)]
struct Span {
    from: i64,
    /// The end of time where it was never healed.
    to: i64,
}

impl Span {
    /// `None` for a fault that did not fire.
    fn of(fault: &FaultRecord) -> Option<Self> {
        let from = fault.started_ms.filter(|_| fault.fired)?.saturating_mul(MS);
        let to = fault.healed_ms.map_or(i64::MAX, |healed_ms| healed_ms.saturating_mul(MS));
        Some(Self { from, to })
    }

    const fn touches(&self, from: i64, to: i64) -> bool {
        from < self.to && self.from <= to
    }
}

/// An answer ok.
struct Ack {
    acked_ns: i64,
    intended_ns: i64,
    visible_ns: Option<i64>,
}

/// Every answer ok, in the order in which they came.
fn acks(operations: &[OperationRow]) -> Vec<Ack> {
    // Copies answer reads while core is gone: what a bank has recovered of is told by what it posts, unless it posts nothing.
    let posts = operations.iter().any(|row| !row.is_read());
    let told = operations.iter().filter(|row| !posts || !row.is_read());
    let ok = told.filter(|row| row.outcome.as_deref() == Some("ok"));
    let ack = |row: &OperationRow| {
        Some(Ack { acked_ns: row.acked_ns?, intended_ns: row.intended_ns, visible_ns: row.visible_ns })
    };
    let mut acks: Vec<Ack> = ok.filter_map(ack).collect();
    acks.sort_by_key(|ack| ack.acked_ns);
    acks
}

/// What came in `from..to`.
fn within(acks: &[Ack], from: i64, to: i64) -> &[Ack] {
    let index = |at: i64| acks.partition_point(|ack| ack.acked_ns < at);
    let from = index(from);
    &acks[from..index(to).max(from)]
}

/// What was usual before a fault.
struct Before {
    quiet_ns: i64,
    rate_per_s: f64,
    /// Absent where nothing became visible undisturbed.
    lag_p99_ns: Option<u64>,
}

impl Before {
    /// `disturbed` are the times of earlier faults. `None` where there is too little to go by.
    fn look(acks: &[Ack], fault: Span, disturbed: &[Span], measured: Measured) -> Option<Self> {
        let quiet = quiet(disturbed, measured.from_ns, fault.from);
        let quiet_ns = quiet.iter().map(|(from, to)| to - from).sum();
        let usual: Vec<&Ack> = quiet.iter().flat_map(|(from, to)| within(acks, *from, *to)).collect();
        if quiet_ns < QUIET_LEAST_NS || usual.is_empty() {
            return None;
        }
        let undisturbed_lag = |ack: &Ack| {
            let visible_ns = ack.visible_ns?;
            let touched = |span: &Span| span.touches(ack.acked_ns, visible_ns);
            (!touched(&fault) && !disturbed.iter().any(touched)).then(|| lag_ns(ack, visible_ns))
        };
        let mut lags: Vec<u64> = usual.iter().filter_map(|ack| undisturbed_lag(ack)).collect();
        lags.sort_unstable();
        Some(Self {
            quiet_ns,
            rate_per_s: usual.len() as f64 * SECOND as f64 / quiet_ns as f64,
            lag_p99_ns: (!lags.is_empty()).then(|| nearest_rank(&lags, 990)),
        })
    }
}

/// The last [`BEFORE_NS`] of `from..to` that none of the spans covers, the latest part first. Spans begin in the order given.
fn quiet(spans: &[Span], from: i64, to: i64) -> Vec<(i64, i64)> {
    let (mut gaps, mut upto) = (Vec::new(), from);
    for span in spans {
        gaps.push((upto, span.from));
        upto = upto.max(span.to);
    }
    gaps.push((upto, to));
    let mut left = BEFORE_NS;
    let mut latest = Vec::new();
    for (from, to) in gaps.into_iter().rev().filter(|(from, to)| from < to) {
        let from = from.max(to.saturating_sub(left));
        left -= to - from;
        latest.push((from, to));
    }
    latest
}

/// The start of the first whole second after `healed` that is as wanted, in milliseconds since then.
fn first_second(acks: &[Ack], healed: i64, measured: Measured, wanted: impl Fn(&[Ack]) -> bool) -> Option<i64> {
    let mut from = healed;
    while from.saturating_add(SECOND) <= measured.ended_ns {
        if wanted(within(acks, from, from + SECOND)) {
            return Some(millis(from - healed));
        }
        from += STEP;
    }
    None
}

fn has_normal_lag(acks: &[Ack], p99_before_ns: u64) -> bool {
    let limit_ns = p99_before_ns.div_ceil(MS as u64).max(1) * MS as u64;
    let lags = acks.iter().map(|ack| ack.visible_ns.map_or(u64::MAX, |visible_ns| lag_ns(ack, visible_ns)));
    let mut lags: Vec<u64> = lags.collect();
    lags.sort_unstable();
    !lags.is_empty() && nearest_rank(&lags, 990) <= limit_ns
}

/// What is visible before its answer has arrived has no lag.
fn lag_ns(ack: &Ack, visible_ns: i64) -> u64 {
    u64::try_from(visible_ns - ack.acked_ns).unwrap_or(0)
}

/// Rounded up, so that a time never flatters.
fn millis(ns: i64) -> i64 {
    ns.max(0).saturating_add(MS - 1) / MS
}

/// A part of the measured phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum During {
    /// No planned fault was in force, and the bank had recovered from those before.
    Steady,
    /// A planned fault was in force.
    Fault,
    /// Healed, but not yet recovered.
    Recovery,
}

impl During {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 3] = [Self::Steady, Self::Fault, Self::Recovery];

    /// The word in `run.json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Fault => "fault",
            Self::Recovery => "recovery",
        }
    }
}

/// When planned faults were in force, and when the bank recovered from them.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    faults: Vec<(i64, i64)>,
    recoveries: Vec<(i64, i64)>,
}

/// The windows of a run. A fault that was never healed, and a recovery that did not reach all three moments, last to the end.
pub fn windows(faults: &[FaultRecord], recovery: &[RecoveryRecord]) -> Windows {
    let mut windows = Windows::default();
    for fault in faults.iter().filter(|fault| fault.planned) {
        let Some(span) = Span::of(fault) else { continue };
        windows.faults.push((span.from, span.to));
        let record = recovery.iter().find(|record| record.fault == fault.id);
        windows.recoveries.push((span.to, recovered_ns(span, record)));
    }
    windows
}

impl Windows {
    /// Whether no planned fault fired: then the run has no parts.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The part in which a moment lies. While one fault is in force, recovering from another does not matter.
    pub fn of(&self, at_ns: i64) -> During {
        let is_in = |spans: &[(i64, i64)]| spans.iter().any(|(from, to)| (*from..*to).contains(&at_ns));
        if is_in(&self.faults) {
            During::Fault
        } else if is_in(&self.recoveries) {
            During::Recovery
        } else {
            During::Steady
        }
    }

    /// The part to which an operation belongs with the latency `kind`: by the moment at which it was due, but to a fault that began while
    /// it was under way. Otherwise a few such operations, each as slow as the fault was long, would be the whole tail of the steady part.
    ///
    /// Under way is, for response, service and send lag, what was not answered yet, and for sync lag and visible what was not visible yet:
    /// a fault that only delayed an entry does not excuse the answer before it. A visible time that is an upper bound proves nothing of
    /// when the wait ended, so the answer counts there too. What never ended counts by when it was due, so that no fault excuses it.
    pub fn part_of(&self, row: &OperationRow, kind: Kind) -> During {
        let end_ns = match kind {
            Kind::SyncLag | Kind::Visible if !row.visible_is_upper_bound => row.visible_ns,
            Kind::Response | Kind::Service | Kind::SendLag | Kind::SyncLag | Kind::Visible => row.acked_ns,
        };
        let is_under_way =
            |(from, _): &(i64, i64)| row.intended_ns < *from && end_ns.is_some_and(|end_ns| *from <= end_ns);
        if self.faults.iter().any(is_under_way) { During::Fault } else { self.of(row.intended_ns) }
    }

    /// What of all operations is not the generator's own doing. An operation holds its connection until it is answered, so that counts.
    pub fn disturbed(&self, operations: &[OperationRow]) -> Disturbed {
        let mut disturbed = Disturbed::default();
        let mut lags = Vec::new();
        for row in operations.iter().filter(|row| self.part_of(row, Kind::Response) != During::Steady) {
            disturbed.planned += 1;
            disturbed.sent += u64::from(row.sent_ns.is_some());
            disturbed.missed += u64::from(row.outcome.is_none());
            lags.extend(row.sent_ns.map(|sent_ns| u64::try_from(sent_ns - row.intended_ns).unwrap_or(0)));
        }
        lags.sort_unstable();
        disturbed.send_lag_p99_us = (!lags.is_empty()).then(|| microseconds(nearest_rank(&lags, 990)));
        disturbed
    }
}

#[cfg(test)]
mod tests;
