//! `latency.hlog`: an HDR interval log (V2, compressed), one-second intervals, tagged `<op>.<latency>.<phase>`; values in microseconds.
//!
//! In: rows of the load. Out: text that HDR plotters read. Elsewhere: exact figures (`figures`), where the file lies (`record::folder`).

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use bankstorm_record::clock::Origin;
use bankstorm_record::latency::{CutOffs, microseconds, value};
use bankstorm_record::rows::OperationRow;
use bankstorm_scenario::resolved::LatencyKind;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::figures::recorded;

/// Writes the log. An interval holds the operations that were due in it, misses at the cut-off of each latency included. Times are relative to the
/// origin's wall time, which the header names.
///
/// # Errors
/// What writing to `out` gives.
pub fn write(rows: &[OperationRow], origin: &Origin, cut_offs: &CutOffs, out: &mut impl Write) -> std::io::Result<()> {
    let base = UNIX_EPOCH + Duration::from_micros(u64::try_from(origin.wall_us).unwrap_or(0));
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[values in microseconds; tags are operation.latency.phase; an interval holds what was due in it]")
        .with_start_time(base)
        .with_base_time(base)
        .begin_log_with(out, &mut serializer)?;
    for ((second, tag), histogram) in histograms(rows, cut_offs) {
        let tag = Tag::new(&tag).expect("operations, latencies and phases are plain words");
        log.write_histogram(&histogram, Duration::from_secs(second), Duration::from_secs(1), Some(tag))
            .map_err(|error| std::io::Error::other(format!("{error:?}")))?;
    }
    Ok(())
}

fn histograms(rows: &[OperationRow], cut_offs: &CutOffs) -> BTreeMap<(u64, String), Histogram<u64>> {
    let mut histograms = BTreeMap::new();
    for row in rows {
        let second = u64::try_from(row.intended_ns / 1_000_000_000).unwrap_or(0);
        for kind in LatencyKind::ALL {
            if let Some(value) = value(row, recorded(kind), cut_offs) {
                let tag = format!("{}.{}.{}", row.kind, kind.as_str(), row.phase);
                histograms
                    .entry((second, tag))
                    .or_insert_with(|| Histogram::new(3).expect("3 digits are within the histogram's limits"))
                    .record(microseconds(value.ns))
                    .expect("the histogram resizes itself");
            }
        }
    }
    histograms
}

#[cfg(test)]
mod tests {
    use bankstorm_record::clock::Origin;
    use bankstorm_record::latency::CutOffs;
    use bankstorm_record::rows::OperationRow;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::write;
    use crate::figures::tests::{all_at, ok};

    /// Second and largest value, in microseconds, of each interval with this tag.
    fn intervals(rows: &[OperationRow], cut_offs: &CutOffs, wanted: &str) -> Vec<(u64, u64)> {
        let origin = Origin { monotonic_ns: 0, wall_us: 1_700_000_000_000_000 };
        let mut bytes = Vec::new();
        write(rows, &origin, cut_offs, &mut bytes).expect("memory takes all");
        let entries: Vec<_> = IntervalLogIterator::new(&bytes).collect::<Result<_, _>>().expect("a log");
        let tagged = entries.iter().filter_map(|entry| match entry {
            LogEntry::Interval(interval) if interval.tag().is_some_and(|tag| tag.as_str() == wanted) => {
                Some((interval.start_timestamp().as_secs(), interval.max() as u64))
            }
            _ => None,
        });
        tagged.collect()
    }

    /// Three digits are kept.
    fn near(found: u64, value: u64) -> bool {
        (value..=value + value / 1_000).contains(&found)
    }

    #[test]
    fn the_log_reads_back_by_second_and_tag() {
        let rows = [ok(0, 1_000, 5), ok(1, 1_500, 9), ok(2, 2_000, 7)];
        let responses = intervals(&rows, &all_at(9_000), "deposit.response.measure");
        let [(1, first), (2, second)] = responses[..] else { panic!("{responses:?}") };
        assert!(near(first, 9_000) && near(second, 7_000), "{responses:?}");
    }

    #[test]
    fn each_latency_has_its_own_cut_off_and_what_was_never_due_is_not_there() {
        const MS: i64 = 1_000_000;
        let unknown = |op, intended_ms| OperationRow {
            outcome: Some("unknown".to_owned()),
            visible_ns: None,
            ..ok(op, intended_ms, 1)
        };
        let never_due = OperationRow { outcome: None, sent_ns: None, acked_ns: None, ..unknown(1, 60_000) };
        let rows = [unknown(0, 1_000), never_due];
        let cut_offs = CutOffs { ended_ns: 2_000 * MS, load_ns: 3_000 * MS, visible_ns: 9_000 * MS };
        let responses = intervals(&rows, &cut_offs, "deposit.response.measure");
        let [(1, response)] = responses[..] else { panic!("{responses:?}") };
        let visibles = intervals(&rows, &cut_offs, "deposit.visible.measure");
        let [(1, visible)] = visibles[..] else { panic!("{visibles:?}") };
        assert!(near(response, 2_000_000) && near(visible, 8_000_000), "{response} {visible}");
    }
}
