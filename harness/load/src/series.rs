//! The load second by second, for curves.
//!
//! In: rows of the load. Out: one [`Second`] per second of the plan, by the time operations were due. Elsewhere: drawing (`report`).

use bankstorm_record::rows::OperationRow;
use bankstorm_scenario::resolved::LatencyKind;
use serde::Serialize;

use crate::figures::{microseconds, nearest_rank, value};

/// One second of the plan: what became of the operations that were due in it. Latencies in microseconds, absent where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Second {
    /// From the start of the plan.
    pub second: u32,
    /// Operations due.
    pub planned: u64,
    /// Of them, written to a socket.
    pub sent: u64,
    /// First outcome ok.
    pub ok: u64,
    /// First outcome failed.
    pub failed: u64,
    /// First outcome unknown.
    pub unknown: u64,
    /// Never begun.
    pub missed: u64,
    /// Median of intended to acknowledged.
    pub response_p50_us: Option<u64>,
    /// 99th percentile of it.
    pub response_p99_us: Option<u64>,
    /// Median of intended to visible.
    pub visible_p50_us: Option<u64>,
    /// 99th percentile of it.
    pub visible_p99_us: Option<u64>,
}

/// The seconds from `started_ns` on, warm-up included. Misses enter at `cut_off_ns`, as in [`crate::figures`].
pub fn per_second(rows: &[OperationRow], started_ns: i64, cut_off_ns: i64) -> Vec<Second> {
    let second_of = |row: &OperationRow| (row.intended_ns - started_ns).max(0) / 1_000_000_000;
    // Rows are sorted by op, which is the order of due times.
    rows.chunk_by(|a, b| second_of(a) == second_of(b))
        .map(|rows| one_second(u32::try_from(second_of(&rows[0])).unwrap_or(u32::MAX), rows, cut_off_ns))
        .collect()
}

fn one_second(second: u32, rows: &[OperationRow], cut_off_ns: i64) -> Second {
    let with = |word: &str| rows.iter().filter(|row| row.outcome.as_deref() == Some(word)).count() as u64;
    let sorted = |kind| {
        let mut values: Vec<u64> = rows.iter().filter_map(|row| value(row, kind, cut_off_ns)).map(|v| v.ns).collect();
        values.sort_unstable();
        values
    };
    let at = |sorted: &[u64], permille| (!sorted.is_empty()).then(|| microseconds(nearest_rank(sorted, permille)));
    let response = sorted(LatencyKind::Response);
    let visible = sorted(LatencyKind::Visible);
    Second {
        second,
        planned: rows.len() as u64,
        sent: rows.iter().filter(|row| row.sent_ns.is_some()).count() as u64,
        ok: with("ok"),
        failed: with("failed"),
        unknown: with("unknown"),
        missed: rows.iter().filter(|row| row.outcome.is_none()).count() as u64,
        response_p50_us: at(&response, 500),
        response_p99_us: at(&response, 990),
        visible_p50_us: at(&visible, 500),
        visible_p99_us: at(&visible, 990),
    }
}

#[cfg(test)]
mod tests {
    use super::per_second;
    use crate::figures::tests::ok;

    #[test]
    fn operations_belong_to_the_second_in_which_they_were_due() {
        let rows = [ok(0, 1_000, 5), ok(1, 1_999, 2_000), ok(2, 3_000, 7)];
        let seconds = per_second(&rows, 1_000_000_000, 9_000_000_000);
        let figures: Vec<_> = seconds.iter().map(|s| (s.second, s.ok, s.response_p99_us)).collect();
        assert_eq!(figures, [(0, 2, Some(2_000_000)), (2, 1, Some(7_000))]);
        assert_eq!(seconds[0].visible_p50_us, Some(10_000));
    }
}
