//! How long core took to post what it had admitted, by parts of the measured phase.
//!
//! In: `run.json`. Out: a row for each part, compared with the first. Elsewhere: how it is measured (`cli::run::posting`).

use bankstorm_record::run_json::{PostingSpan, RunJson};

use super::{Row, TextTable, columns, measured};
use crate::words::{count, ms};

/// Without a load that comes and goes there is one part.
pub(crate) fn posting(run: &RunJson) -> TextTable {
    let head = columns(&[
        ("seconds", false),
        ("offered/s", true),
        ("posted", true),
        ("p50, ms", true),
        ("p99, ms", true),
        ("p99 to first", true),
    ]);
    let zero_ms = measured(run).from_ms;
    let first = run.posting.first().and_then(|span| span.p99_us);
    let rows = run.posting.iter().map(|span| row(span, zero_ms, first)).collect();
    TextTable { head, rows }
}

fn row(span: &PostingSpan, zero_ms: i64, first: Option<u64>) -> Row {
    let seconds = |at_ms: i64| (at_ms - zero_ms) as f64 / 1_000.0;
    let time = |us: Option<u64>| us.map_or_else(|| "beyond the last bucket".to_owned(), ms);
    let growth = span.p99_us.zip(first).map(|(p99, first)| format!("{:.1}x", p99 as f64 / first.max(1) as f64));
    Row::plain(vec![
        format!("{:.1} to {:.1}", seconds(span.from_ms), seconds(span.to_ms)),
        format!("{:.0}", span.offered_per_s),
        count(span.admitted),
        time(span.p50_us),
        time(span.p99_us),
        growth.unwrap_or_else(|| "-".to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::PostingSpan;

    use super::posting;

    #[test]
    fn parts_are_compared_with_the_first() {
        let mut run = crate::fixture::held();
        assert_eq!(posting(&run).rows, []);
        let span = |from_ms, offered_per_s, p99_us| PostingSpan {
            from_ms,
            to_ms: from_ms + 20_000,
            offered_per_s,
            admitted: 15_000,
            p50_us: Some(4_000),
            p99_us,
        };
        run.posting =
            vec![span(0, 750.0, Some(10_000)), span(20_000, 15_750.0, Some(25_000)), span(40_000, 750.0, None)];
        let cells: Vec<Vec<String>> = posting(&run).rows.into_iter().map(|row| row.cells[1..].to_vec()).collect();
        assert_eq!(cells[0], ["750", "15,000", "4.00", "10.0", "1.0x"]);
        assert_eq!(cells[1][4], "2.5x");
        assert_eq!(cells[2][3..], ["beyond the last bucket", "-"]);
    }
}
