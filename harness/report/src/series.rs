//! Figures per second, from the operations.
//!
//! In: an iterator of `OperationRow`s, read once. Out: one [`SecondPoint`] a second, without holes. Elsewhere: the exact figures of the
//! whole run (`run.json`), drawing (`html::chart`).
//!
//! Latencies are counted in the second the operation was *due*, so a stall shows when it began; `sent`, `ok` and `not_ok` in the second
//! they happened, so that the rates are what the bank saw and did. Percentiles are good to 1 %.

use std::collections::BTreeMap;

use bankstorm_record::rows::OperationRow;
use hdrhistogram::Histogram;

/// One second of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SecondPoint {
    /// Seconds since measuring began; negative in the warm-up.
    pub second: i64,
    /// `warm_up`, `measure`, or `after` for answers that came when nothing was due any more.
    pub phase: String,
    /// Due in this second.
    pub planned: u64,
    /// Written to a socket in this second.
    pub sent: u64,
    /// Answered ok in this second.
    pub ok: u64,
    /// Answered otherwise, or given up, in this second.
    pub not_ok: u64,
    /// Due in this second and never sent.
    pub missed: u64,
    /// Median response of operations due in this second, in microseconds.
    pub response_p50_us: Option<u64>,
    /// 99th percentile of the same.
    pub response_p99_us: Option<u64>,
    /// Median time to visible of operations due in this second, in microseconds.
    pub visible_p50_us: Option<u64>,
    /// 99th percentile of the same.
    pub visible_p99_us: Option<u64>,
}

/// A second while it is being counted.
#[derive(Default)]
struct Bin {
    phase: Option<String>,
    planned: u64,
    sent: u64,
    ok: u64,
    not_ok: u64,
    missed: u64,
    response: Option<Histogram<u32>>,
    visible: Option<Histogram<u32>>,
}

/// Counts `rows` into seconds since `zero_ns` (the start of measuring; the first row's moment where that is not known). Stops at the first
/// row that cannot be read and gives its error beside what was counted so far.
pub fn seconds<E>(
    rows: impl Iterator<Item = Result<OperationRow, E>>,
    zero_ns: Option<i64>,
) -> (Vec<SecondPoint>, Option<E>) {
    let mut bins: BTreeMap<i64, Bin> = BTreeMap::new();
    let mut zero = zero_ns;
    let mut failed = None;
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        let zero = *zero.get_or_insert(row.intended_ns);
        count(&mut bins, &row, zero);
    }
    (points(bins), failed)
}

fn count(bins: &mut BTreeMap<i64, Bin>, row: &OperationRow, zero_ns: i64) {
    let second = |ns: i64| (ns - zero_ns).div_euclid(1_000_000_000);
    let due = bins.entry(second(row.intended_ns)).or_default();
    due.planned += 1;
    // The measured phase wins in the second where both phases are due.
    if due.phase.as_deref() != Some("measure") {
        due.phase = Some(row.phase.clone());
    }
    if let Some(acked) = row.acked_ns {
        record(&mut due.response, acked - row.intended_ns);
    }
    if let Some(visible) = row.visible_ns {
        record(&mut due.visible, visible - row.intended_ns);
    }
    match row.sent_ns {
        None => due.missed += 1,
        Some(sent) => bins.entry(second(sent)).or_default().sent += 1,
    }
    if let Some(acked) = row.acked_ns {
        let bin = bins.entry(second(acked)).or_default();
        match row.outcome.as_deref() {
            Some("ok") => bin.ok += 1,
            _ => bin.not_ok += 1,
        }
    }
}

fn record(histogram: &mut Option<Histogram<u32>>, ns: i64) {
    let histogram = histogram.get_or_insert_with(|| Histogram::new(2).expect("two digits are a legal precision"));
    // A moment before it was due cannot happen; clocks being what they are, it counts as 0 and is not lost.
    histogram.record(u64::try_from(ns / 1000).unwrap_or(0)).expect("a histogram that resizes itself takes every value");
}

fn points(bins: BTreeMap<i64, Bin>) -> Vec<SecondPoint> {
    let mut points: Vec<SecondPoint> = Vec::with_capacity(bins.len());
    for (second, bin) in bins {
        // Seconds in which nothing happened are seconds too, up to an hour; a wider hole is a broken row, and stays a hole.
        if let Some(last) = points.last().filter(|last| second - last.second <= 3600) {
            let quiet = (last.second + 1..second).map(|second| SecondPoint {
                second,
                phase: "after".into(),
                ..Default::default()
            });
            let quiet: Vec<_> = quiet.collect();
            points.extend(quiet);
        }
        let at =
            |histogram: &Option<Histogram<u32>>, quantile| histogram.as_ref().map(|h| h.value_at_quantile(quantile));
        points.push(SecondPoint {
            second,
            phase: bin.phase.unwrap_or_else(|| "after".to_owned()),
            planned: bin.planned,
            sent: bin.sent,
            ok: bin.ok,
            not_ok: bin.not_ok,
            missed: bin.missed,
            response_p50_us: at(&bin.response, 0.5),
            response_p99_us: at(&bin.response, 0.99),
            visible_p50_us: at(&bin.visible, 0.5),
            visible_p99_us: at(&bin.visible, 0.99),
        });
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::operation;

    const SECOND: i64 = 1_000_000_000;

    fn series(rows: Vec<OperationRow>, zero: Option<i64>) -> Vec<SecondPoint> {
        let (points, error) = seconds(rows.into_iter().map(Ok::<_, String>), zero);
        assert_eq!(error, None);
        points
    }

    #[test]
    fn latency_belongs_to_the_second_it_was_due_and_rates_to_when_they_happened() {
        let mut slow = operation(0, "measure", 10 * SECOND);
        slow.acked_ns = Some(12 * SECOND + SECOND / 2);
        let points = series(vec![slow], Some(10 * SECOND));
        let counts: Vec<_> = points.iter().map(|p| (p.second, p.phase.as_str(), p.planned, p.sent, p.ok)).collect();
        assert_eq!(counts, [(0, "measure", 1, 1, 0), (1, "after", 0, 0, 0), (2, "after", 0, 0, 1)]);
        let response = points[0].response_p99_us.expect("due in this second");
        assert!(response.abs_diff(2_500_000) <= 25_000, "{response}");
        assert_eq!(points[2].response_p99_us, None);
    }

    #[test]
    fn warm_up_is_before_zero_and_a_miss_is_counted_where_it_was_due() {
        let warm = operation(0, "warm_up", 9 * SECOND);
        let mut missed = operation(1, "measure", 10 * SECOND);
        (missed.sent_ns, missed.acked_ns, missed.visible_ns, missed.outcome) = (None, None, None, None);
        let points = series(vec![warm, missed], Some(10 * SECOND));
        assert_eq!((points[0].second, points[0].phase.as_str()), (-1, "warm_up"));
        assert_eq!((points[1].planned, points[1].sent, points[1].missed, points[1].not_ok), (1, 0, 1, 0));
    }

    #[test]
    fn an_unreadable_row_ends_the_series_and_is_told() {
        let rows = vec![Ok(operation(0, "measure", 0)), Err("torn page"), Ok(operation(1, "measure", SECOND))];
        let (points, error) = seconds(rows.into_iter(), None);
        assert_eq!((points.len(), error), (1, Some("torn page")));
    }

    #[test]
    fn no_rows_no_points() {
        assert_eq!(series(vec![], None), []);
    }
}
