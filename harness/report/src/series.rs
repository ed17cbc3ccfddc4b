//! Figures per second, from the operations.
//!
//! In: an iterator of `OperationRow`s, read once. Out: one [`SecondPoint`] a second, without holes. Elsewhere: the exact figures of the
//! whole run (`run.json`), drawing (`html::chart`).
//!
//! Latencies are counted in the second the operation was *due*, so a stall shows when it began; `sent`, `ok` and `not_ok` in the second
//! they happened, so that the rates are what the bank saw and did. What enters a latency, and which value is a percentile, is the rule of
//! the figures in `run.json` (`record::latency`).

use std::collections::BTreeMap;

use bankstorm_record::latency::{CutOffs, Kind, microseconds, nearest_rank, value};
use bankstorm_record::rows::OperationRow;

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
    /// In nanoseconds.
    response: Vec<u64>,
    visible: Vec<u64>,
}

/// Counts `rows` into seconds since `zero_ns` (the start of measuring; the first row's moment where that is not known). Operations without
/// a value enter at `cut_offs`; where those are not known they enter no latency. Stops at the first row that cannot be read and gives its
/// error beside what was counted so far.
pub fn seconds<E>(
    rows: impl Iterator<Item = Result<OperationRow, E>>,
    zero_ns: Option<i64>,
    cut_offs: Option<CutOffs>,
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
        count(&mut bins, &row, zero, cut_offs.as_ref());
    }
    (points(bins), failed)
}

fn count(bins: &mut BTreeMap<i64, Bin>, row: &OperationRow, zero_ns: i64, cut_offs: Option<&CutOffs>) {
    let second = |ns: i64| ns.saturating_sub(zero_ns).div_euclid(1_000_000_000);
    let due = bins.entry(second(row.intended_ns)).or_default();
    due.planned += 1;
    // The measured phase wins in the second where both phases are due.
    if due.phase.as_deref() != Some("measure") {
        due.phase = Some(row.phase.clone());
    }
    due.response.extend(latency(row, Kind::Response, cut_offs));
    due.visible.extend(latency(row, Kind::Visible, cut_offs));
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

/// In nanoseconds.
fn latency(row: &OperationRow, kind: Kind, cut_offs: Option<&CutOffs>) -> Option<u64> {
    match cut_offs {
        Some(cut_offs) => value(row, kind, cut_offs).map(|value| value.ns),
        None => {
            let unknown = CutOffs { ended_ns: i64::MAX, load_ns: i64::MAX, visible_ns: i64::MAX };
            value(row, kind, &unknown).filter(|value| !value.missed).map(|value| value.ns)
        }
    }
}

/// Median and 99th percentile, in microseconds; `None` of none.
fn percentiles(mut values: Vec<u64>) -> [Option<u64>; 2] {
    values.sort_unstable();
    [500, 990].map(|permille| (!values.is_empty()).then(|| microseconds(nearest_rank(&values, permille))))
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
        let [response_p50_us, response_p99_us] = percentiles(bin.response);
        let [visible_p50_us, visible_p99_us] = percentiles(bin.visible);
        points.push(SecondPoint {
            second,
            phase: bin.phase.unwrap_or_else(|| "after".to_owned()),
            planned: bin.planned,
            sent: bin.sent,
            ok: bin.ok,
            not_ok: bin.not_ok,
            missed: bin.missed,
            response_p50_us,
            response_p99_us,
            visible_p50_us,
            visible_p99_us,
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
        with(rows, zero, None)
    }

    fn with(rows: Vec<OperationRow>, zero: Option<i64>, cut_offs: Option<CutOffs>) -> Vec<SecondPoint> {
        let (points, error) = seconds(rows.into_iter().map(Ok::<_, String>), zero, cut_offs);
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
        assert_eq!(points[0].response_p99_us, Some(2_500_000));
        assert_eq!(points[2].response_p99_us, None);
    }

    #[test]
    fn warm_up_is_before_zero_and_a_miss_is_counted_where_it_was_due() {
        let warm = operation(0, "warm_up", 9 * SECOND);
        let points = series(vec![warm, not_sent(1, 10 * SECOND)], Some(10 * SECOND));
        assert_eq!((points[0].second, points[0].phase.as_str()), (-1, "warm_up"));
        assert_eq!((points[1].planned, points[1].sent, points[1].missed, points[1].not_ok), (1, 0, 1, 0));
    }

    fn not_sent(op: u64, intended_ns: i64) -> OperationRow {
        let row = operation(op, "measure", intended_ns);
        OperationRow { sent_ns: None, acked_ns: None, visible_ns: None, outcome: None, resolved: None, ..row }
    }

    #[test]
    fn misses_are_in_the_curves_as_they_are_in_the_table() {
        // Half of a second's operations had no answer: the one below was given up, the other was in doubt and rejected by resolving it.
        let unknown = OperationRow {
            outcome: Some("unknown".to_owned()),
            resolved: Some("rejected".to_owned()),
            visible_ns: None,
            ..operation(2, "measure", 10 * SECOND)
        };
        let rows = vec![
            operation(0, "measure", 10 * SECOND),
            operation(1, "measure", 10 * SECOND),
            not_sent(3, 10 * SECOND),
            unknown,
        ];
        let cut_offs = CutOffs { ended_ns: 15 * SECOND, load_ns: 16 * SECOND, visible_ns: 19 * SECOND };
        let points = with(rows.clone(), Some(10 * SECOND), Some(cut_offs));
        assert_eq!((points[0].response_p50_us, points[0].response_p99_us), (Some(3_000), Some(6_000_000)));
        assert_eq!((points[0].visible_p50_us, points[0].visible_p99_us), (Some(9_000), Some(9_000_000)));
        // Where nobody knows when the run stopped waiting, a miss has no length.
        let points = series(rows, Some(10 * SECOND));
        assert_eq!((points[0].response_p99_us, points[0].visible_p99_us), (Some(3_000), Some(9_000)));
    }

    #[test]
    fn what_was_never_due_is_in_no_curve_of_latency() {
        let cut_offs = CutOffs { ended_ns: 15 * SECOND, load_ns: 16 * SECOND, visible_ns: 19 * SECOND };
        let points = with(vec![not_sent(0, 15 * SECOND), not_sent(1, 17 * SECOND)], Some(15 * SECOND), Some(cut_offs));
        let told: Vec<_> = points.iter().map(|p| (p.planned, p.missed, p.response_p99_us)).collect();
        assert_eq!(told, [(1, 1, Some(1_000_000)), (0, 0, None), (1, 1, None)]);
    }

    #[test]
    fn an_unreadable_row_ends_the_series_and_is_told() {
        let rows = vec![Ok(operation(0, "measure", 0)), Err("torn page"), Ok(operation(1, "measure", SECOND))];
        let (points, error) = seconds(rows.into_iter(), None, None);
        assert_eq!((points.len(), error), (1, Some("torn page")));
    }

    #[test]
    fn no_rows_no_points() {
        assert_eq!(series(vec![], None), []);
    }
}
