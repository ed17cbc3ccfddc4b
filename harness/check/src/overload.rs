//! Overload (A18): while far more is offered than core sustains, is it as fast as before to what it takes on, does it refuse the rest before
//! anything is begun, and does the bank come back?
//!
//! In: operations, core's posting spans, the planned loads. Out: [`OverloadRecord`]. Elsewhere: whether objectives on it are met (`judge`),
//! how spans are read from samples (`cli::run::posting`).
//!
//! | figure | definition |
//! |---|---|
//! | window | the one part of the measured phase in which more deposits are planned |
//! | sustained | deposits posted a second in the best [`SUSTAINED_NS`] of the window: what core posts when it never lacks work |
//! | before | from the start of the measured phase to the window |
//! | as before | of a whole second: the p99 response of the deposits due in it is at most [`RESPONSE_GROWTH`] times the one before |
//! | recovered | the first moment from the window's end on, in steps of 100 ms, that begins [`SETTLED`] whole seconds as before |
//! | posted | ended with a verdict, whichever |
//! | not started | refused with 503 `not-started` |
//!
//! To a deposit that was not posted the response is endless: a second in which more than one of a hundred is refused is not as before.

mod judge;

use bankstorm_record::latency::{microseconds, nearest_rank};
use bankstorm_record::rows::OperationRow;
use bankstorm_record::run_json::{DepositEndings, OverloadRecord, PostingSpan};

use crate::recover::Measured;

pub(crate) use judge::judge;
pub use judge::{ADMITTED_LEAST, OFFERED_LEAST, OVERLOAD, QUIET_SHARE};

const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;
/// How far whole seconds, and what core sustains, slide.
const STEP: i64 = 100 * MS;
/// How long core must post at a rate that counts as sustained, in nanoseconds.
pub const SUSTAINED_NS: i64 = 5 * SECOND;
/// How many whole seconds one after the other must be as before.
pub const SETTLED: i64 = 3;
/// How much longer a response may be than before.
pub const RESPONSE_GROWTH: u64 = 3;
/// The least deposits before the window that are something to compare with.
pub const RESPONSES_LEAST: usize = 100;

/// A planned load of deposits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    /// Deposits a second.
    pub rate_per_s: f64,
    /// From when to when, in milliseconds since the start of the measured phase; the whole run if absent.
    pub window_ms: Option<(i64, i64)>,
}

/// What the greater load did; `None` unless exactly one part of the measured phase has one.
pub fn overload(
    operations: &[OperationRow],
    posting: &[PostingSpan],
    offers: &[Offer],
    measured: Measured,
) -> Option<OverloadRecord> {
    let mut windows = offers.iter().filter_map(|offer| offer.window_ms);
    let (from, to) = windows.next()?;
    if windows.any(|other| other != (from, to)) {
        return None;
    }
    let quiet_per_s = offers.iter().filter(|offer| offer.window_ms.is_none()).map(|offer| offer.rate_per_s).sum();
    let zero_ms = measured.from_ns / MS;
    let (from_ms, to_ms) = (zero_ms + from, zero_ms + to);
    let deposits = Deposits::of(operations);
    let response_before_ns = deposits.p99_ns(measured.from_ns, from_ms * MS, RESPONSES_LEAST);
    let limit_ns = response_before_ns.map(|before| before * RESPONSE_GROWTH);
    let recovered_ns = limit_ns.and_then(|limit| deposits.recovered(to_ms * MS, measured.ended_ns, limit));
    let (seconds_after, seconds_disturbed) =
        recovered_ns.zip(limit_ns).map_or((0, 0), |(from, limit)| deposits.disturbed(from, measured.ended_ns, limit));
    let (in_window, outside) = endings(operations, from_ms * MS, to_ms * MS);
    Some(OverloadRecord {
        from_ms,
        to_ms,
        quiet_per_s,
        offered_per_s: offers.iter().map(|offer| offer.rate_per_s).sum(),
        sustained_per_s: sustained_per_s(operations, from_ms * MS, to_ms * MS),
        before: posting.iter().find(|span| span.to_ms == from_ms && span.from_ms == zero_ms).cloned(),
        within: posting.iter().find(|span| (span.from_ms, span.to_ms) == (from_ms, to_ms)).cloned(),
        after: posting.last().filter(|span| span.from_ms > to_ms).cloned(),
        response_before_us: response_before_ns.map(microseconds),
        recovered_ms: recovered_ns.map(|at| (at - to_ms * MS) / MS),
        seconds_after,
        seconds_disturbed,
        in_window,
        outside,
    })
}

fn measured_deposits(operations: &[OperationRow]) -> impl Iterator<Item = &OperationRow> {
    operations.iter().filter(|row| row.phase == "measure" && row.kind == "deposit")
}

/// How a deposit ended.
enum Ending {
    Posted,
    NotStarted,
    /// By outcome and status.
    Other(String),
}

fn ending(row: &OperationRow) -> Ending {
    match (row.outcome.as_deref(), row.http_status) {
        (Some("ok"), _) | (Some("rejected"), Some(200..=202)) => Ending::Posted,
        (Some("failed"), Some(503)) => Ending::NotStarted,
        (Some(outcome), Some(status)) => Ending::Other(format!("{outcome}, status {status}")),
        (Some(outcome), None) => Ending::Other(format!("{outcome}, no answer")),
        (None, _) => Ending::Other("never sent".to_owned()),
    }
}

/// Those due in the window, and all others of the measured phase.
fn endings(operations: &[OperationRow], from_ns: i64, to_ns: i64) -> (DepositEndings, DepositEndings) {
    let (mut in_window, mut outside) = (DepositEndings::default(), DepositEndings::default());
    for row in measured_deposits(operations) {
        let counts = if (from_ns..to_ns).contains(&row.intended_ns) { &mut in_window } else { &mut outside };
        match ending(row) {
            Ending::Posted => counts.posted += 1,
            Ending::NotStarted => counts.not_started += 1,
            Ending::Other(how) => *counts.others.entry(how).or_default() += 1,
        }
    }
    (in_window, outside)
}

fn sustained_per_s(operations: &[OperationRow], from_ns: i64, to_ns: i64) -> f64 {
    let posted = measured_deposits(operations).filter(|row| matches!(ending(row), Ending::Posted));
    let mut posted: Vec<i64> = posted.filter_map(|row| row.acked_ns).collect();
    posted.sort_unstable();
    let upto = |at: i64| posted.partition_point(|posted| *posted < at);
    let steps = (0..).map(|step| from_ns + step * STEP).take_while(|from| from + SUSTAINED_NS <= to_ns);
    let most = steps.map(|from| upto(from + SUSTAINED_NS) - upto(from)).max().unwrap_or(0);
    most as f64 * SECOND as f64 / SUSTAINED_NS as f64
}

/// Deposits in the order in which they were due, each with its response; that of one that was not posted is endless.
struct Deposits(Vec<(i64, u64)>);

impl Deposits {
    fn of(operations: &[OperationRow]) -> Self {
        let response = |row: &OperationRow| match (ending(row), row.acked_ns) {
            (Ending::Posted, Some(acked_ns)) => u64::try_from(acked_ns - row.intended_ns).unwrap_or(0),
            _ => u64::MAX,
        };
        let mut all: Vec<_> = measured_deposits(operations).map(|row| (row.intended_ns, response(row))).collect();
        all.sort_unstable();
        Self(all)
    }

    /// The p99 response of what was due in `from..to`; `None` for fewer than `least`, or if it is endless.
    fn p99_ns(&self, from: i64, to: i64, least: usize) -> Option<u64> {
        let index = |at: i64| self.0.partition_point(|(intended_ns, _)| *intended_ns < at);
        let mut responses: Vec<u64> =
            self.0[index(from)..index(to).max(index(from))].iter().map(|(_, ns)| *ns).collect();
        responses.sort_unstable();
        let is_enough = responses.len() >= least.max(1);
        is_enough.then(|| nearest_rank(&responses, 990)).filter(|p99| *p99 < u64::MAX)
    }

    fn is_as_before(&self, second: i64, limit_ns: u64) -> bool {
        self.p99_ns(second, second + SECOND, 1).is_some_and(|p99| p99 <= limit_ns)
    }

    /// When the bank had recovered.
    fn recovered(&self, from: i64, ended_ns: i64, limit_ns: u64) -> Option<i64> {
        let mut starts = (0..).map(|step| from + step * STEP).take_while(|start| start + SETTLED * SECOND <= ended_ns);
        starts.find(|start| (0..SETTLED).all(|second| self.is_as_before(start + second * SECOND, limit_ns)))
    }

    /// Whole seconds of a time, and those that were not as before.
    fn disturbed(&self, from: i64, ended_ns: i64, limit_ns: u64) -> (u64, u64) {
        let seconds = (0..).map(|second| from + second * SECOND).take_while(|start| start + SECOND <= ended_ns);
        seconds.fold((0, 0), |(all, disturbed), start| {
            (all + 1, disturbed + u64::from(!self.is_as_before(start, limit_ns)))
        })
    }
}

#[cfg(test)]
mod tests;
