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
//! | as before | of a whole second: of the deposits due in it a share was posted that is at most [`SHARE_LESS`] below the one before, and their p99 response is at most [`RESPONSE_GROWTH`] times the one before |
//! | recovered | the first moment from the window's end on, in steps of 100 ms, that begins [`SETTLED`] whole seconds as before |
//! | posted | ended with a verdict, whichever |
//! | not started | refused with 503 `not-started` within [`REFUSED_WITHIN_NS`] of being sent; later is another ending |
//!
//! With less than [`SHARE_LEAST`] posted before, or too few, there is nothing to compare with.

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
/// How much less of a second's deposits may be posted than before, as a share of them.
pub const SHARE_LESS: f64 = 0.01;
/// The least share posted before the window that is something to compare with.
pub const SHARE_LEAST: f64 = 0.9;
/// The least deposits before the window that are something to compare with.
pub const RESPONSES_LEAST: usize = 100;

/// How long after it was sent a refusal may come at the latest: whoever hears it later has waited as for a posting.
pub const REFUSED_WITHIN_NS: i64 = SECOND;

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
    let before = deposits
        .served(measured.from_ns, from_ms * MS)
        .filter(|before| before.due >= RESPONSES_LEAST && before.share >= SHARE_LEAST);
    let recovered_ns = before.and_then(|before| deposits.recovered(to_ms * MS, measured.ended_ns, before));
    let (seconds_after, seconds_disturbed) =
        recovered_ns.zip(before).map_or((0, 0), |(from, before)| deposits.disturbed(from, measured.ended_ns, before));
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
        response_before_us: before.map(|before| microseconds(before.p99_ns)),
        posted_before: before.map(|before| before.share),
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
    /// So many nanoseconds after it was sent.
    NotStarted {
        after_ns: i64,
        is_late: bool,
    },
    /// By outcome and status.
    Other(String),
}

fn ending(row: &OperationRow) -> Ending {
    match (row.outcome.as_deref(), row.http_status) {
        (Some("ok"), _) | (Some("rejected"), Some(200..=202)) => Ending::Posted,
        (Some("failed"), Some(503)) => {
            let sent_ns = row.sent_ns.unwrap_or(row.intended_ns);
            let after_ns = row.acked_ns.map_or(0, |acked_ns| acked_ns - sent_ns);
            // Each attempt, and each pause before one, has as long.
            let spans = 2 * i64::from(row.attempts.unwrap_or(1).max(1)) - 1;
            Ending::NotStarted { after_ns, is_late: after_ns > spans * REFUSED_WITHIN_NS }
        }
        (Some(outcome), Some(status)) => Ending::Other(format!("{outcome}, status {status}")),
        (Some(outcome), None) => Ending::Other(format!("{outcome}, no answer")),
        (None, _) => Ending::Other("never sent".to_owned()),
    }
}

/// Those due in the window, and all others of the measured phase.
fn endings(operations: &[OperationRow], from_ns: i64, to_ns: i64) -> (DepositEndings, DepositEndings) {
    let is_within = |row: &&OperationRow| (from_ns..to_ns).contains(&row.intended_ns);
    let of = |within: bool| endings_of(measured_deposits(operations).filter(|row| is_within(row) == within));
    (of(true), of(false))
}

fn endings_of<'a>(deposits: impl Iterator<Item = &'a OperationRow>) -> DepositEndings {
    let mut counts = DepositEndings::default();
    let (mut late, mut refusals_ns) = (0, Vec::new());
    for row in deposits {
        match ending(row) {
            Ending::Posted => counts.posted += 1,
            Ending::NotStarted { after_ns, is_late } => {
                refusals_ns.push(u64::try_from(after_ns).unwrap_or(0));
                let count = if is_late { &mut late } else { &mut counts.not_started };
                *count += 1;
            }
            Ending::Other(how) => *counts.others.entry(how).or_default() += 1,
        }
    }
    if late > 0 {
        refusals_ns.sort_unstable();
        let [slowest, p99] = [1_000, 990].map(|rank| nearest_rank(&refusals_ns, rank) as f64 / SECOND as f64);
        let how = format!(
            "refused as not-started only after more than {} s (of all refusals the slowest after {slowest:.2} s, p99 {p99:.2} s)",
            REFUSED_WITHIN_NS / SECOND
        );
        counts.others.insert(how, late);
    }
    counts
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

/// How the deposits due in some time were served.
#[derive(Clone, Copy)]
struct Served {
    due: usize,
    /// Of them, posted.
    share: f64,
    /// The response to these.
    p99_ns: u64,
}

/// Deposits in the order in which they were due, each with its response if it was posted.
struct Deposits(Vec<(i64, Option<u64>)>);

impl Deposits {
    fn of(operations: &[OperationRow]) -> Self {
        let response = |row: &OperationRow| match (ending(row), row.acked_ns) {
            (Ending::Posted, Some(acked_ns)) => Some(u64::try_from(acked_ns - row.intended_ns).unwrap_or(0)),
            _ => None,
        };
        let mut all: Vec<_> = measured_deposits(operations).map(|row| (row.intended_ns, response(row))).collect();
        all.sort_unstable();
        Self(all)
    }

    /// What was due in `from..to`; `None` if nothing of it was posted.
    fn served(&self, from: i64, to: i64) -> Option<Served> {
        let index = |at: i64| self.0.partition_point(|(intended_ns, _)| *intended_ns < at);
        let due = &self.0[index(from)..index(to).max(index(from))];
        let mut responses: Vec<u64> = due.iter().filter_map(|(_, response)| *response).collect();
        responses.sort_unstable();
        let share = responses.len() as f64 / due.len().max(1) as f64;
        (!responses.is_empty()).then(|| Served { due: due.len(), share, p99_ns: nearest_rank(&responses, 990) })
    }

    fn is_as_before(&self, second: i64, before: Served) -> bool {
        self.served(second, second + SECOND).is_some_and(|now| {
            now.share >= before.share - SHARE_LESS && now.p99_ns <= before.p99_ns.saturating_mul(RESPONSE_GROWTH)
        })
    }

    /// When the bank had recovered.
    fn recovered(&self, from: i64, ended_ns: i64, before: Served) -> Option<i64> {
        let mut starts = (0..).map(|step| from + step * STEP).take_while(|start| start + SETTLED * SECOND <= ended_ns);
        starts.find(|start| (0..SETTLED).all(|second| self.is_as_before(start + second * SECOND, before)))
    }

    /// Whole seconds of a time, and those that were not as before.
    fn disturbed(&self, from: i64, ended_ns: i64, before: Served) -> (u64, u64) {
        let seconds = (0..).map(|second| from + second * SECOND).take_while(|start| start + SECOND <= ended_ns);
        seconds
            .fold((0, 0), |(all, disturbed), start| (all + 1, disturbed + u64::from(!self.is_as_before(start, before))))
    }
}

#[cfg(test)]
mod tests;
