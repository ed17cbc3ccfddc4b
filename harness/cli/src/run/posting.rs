//! How long core took to post what it had admitted, by parts of the measured phase (A18): read from core's own histogram as it was sampled.
//!
//! In: samples, the measured phase, the loads with their windows. Out: [`PostingSpan`]s, [`Offer`]s. Elsewhere: what is
//! observed (`core::posting`), what is sampled (`evidence::sampler`), what a greater load did (`check::overload`).

use std::collections::BTreeSet;
use std::time::Duration;

use bankstorm_check::overload::Offer;
use bankstorm_record::marks::SampleRow;
use bankstorm_record::run_json::{PhaseSpan, PostingSpan};
use bankstorm_scenario::resolved::{Load, Op};

/// The histogram's buckets, as they are sampled.
const BUCKETS: &str = "core.core_posting_seconds_bucket{le=\"";
/// How long the bank has to be as before once a load has ended: what comes later is a part of its own.
const RECOVERED: Duration = Duration::from_secs(10);

/// The parts of the measured phase between which loads come and go.
pub(super) fn spans(samples: &[SampleRow], phases: &[PhaseSpan], loads: &[Load]) -> Vec<PostingSpan> {
    let Some(measure) = phases.iter().find(|phase| phase.name == "measure") else { return Vec::new() };
    let moment = |within: Duration| measure.start_ms + i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
    let mut bounds = BTreeSet::from([measure.start_ms, measure.end_ms]);
    for (from, until) in loads.iter().filter_map(|load| load.window) {
        bounds.extend([moment(from), moment(until), moment(until + RECOVERED)]);
    }
    let bounds: Vec<i64> = bounds.range(measure.start_ms..=measure.end_ms).copied().collect();
    let spans = bounds.windows(2).map(|pair| {
        let offered = loads
            .iter()
            .filter(|load| load.window.is_none_or(|(from, until)| moment(from) <= pair[0] && pair[1] <= moment(until)));
        PostingSpan {
            from_ms: pair[0],
            to_ms: pair[1],
            offered_per_s: offered.map(|load| load.rate_per_s).sum(),
            ..seen(samples, pair[0], pair[1])
        }
    });
    spans.filter(|span| span.admitted > 0).collect()
}

/// The loads as planned, if all are of deposits: core is asked for these directly.
pub(super) fn offers(loads: &[Load]) -> Vec<Offer> {
    if loads.iter().any(|load| load.op != Op::Deposit) {
        return Vec::new();
    }
    let millis = |moment: Duration| i64::try_from(moment.as_millis()).unwrap_or(i64::MAX);
    let offer = |load: &Load| Offer {
        rate_per_s: load.rate_per_s,
        window_ms: load.window.map(|(from, until)| (millis(from), millis(until))),
    };
    loads.iter().map(offer).collect()
}

/// What ended between the first and the last look within a part.
fn seen(samples: &[SampleRow], from_ms: i64, to_ms: i64) -> PostingSpan {
    let mut within = samples.iter().filter(|sample| (from_ms..=to_ms).contains(&sample.at_ms)).map(buckets);
    let mut looks = within.by_ref().filter(|buckets| !buckets.is_empty());
    let (Some(first), Some(last)) = (looks.next(), looks.last()) else { return PostingSpan::default() };
    let count = |buckets: &[(f64, u64)], le: f64| buckets.iter().find(|(bound, _)| *bound == le).map_or(0, |(_, n)| *n);
    // A core that was started again counts from zero.
    let is_new_life = last.last() < first.last();
    let grown: Vec<(f64, u64)> = last
        .iter()
        .map(|(le, now)| (*le, now.saturating_sub(if is_new_life { 0 } else { count(&first, *le) })))
        .collect();
    let admitted = grown.last().map_or(0, |(_, total)| *total);
    PostingSpan { admitted, p50_us: quantile(&grown, 500), p99_us: quantile(&grown, 990), ..PostingSpan::default() }
}

/// Upper bounds in seconds with how many values lie at or below each, in order; the last is endless.
fn buckets(sample: &SampleRow) -> Vec<(f64, u64)> {
    let bucket = |(name, count): (&String, &f64)| {
        let le = name.strip_prefix(BUCKETS)?.strip_suffix("\"}")?;
        let le = if le == "+Inf" { f64::INFINITY } else { le.parse().ok()? };
        Some((le, *count as u64))
    };
    let mut buckets: Vec<(f64, u64)> = sample.metrics.iter().filter_map(bucket).collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets
}

/// The value of that rank as Prometheus reckons it, in microseconds, rounded up: as if the values of its bucket were spread evenly over it,
/// from the bound below (0 below the first). Two p99 are compared, and whole buckets would make their ratio jump by 1.4.
fn quantile(buckets: &[(f64, u64)], permille: u64) -> Option<u64> {
    let total = buckets.last().map_or(0, |(_, total)| *total);
    let rank = (total * permille).div_ceil(1_000).max(1);
    let place = buckets.iter().position(|(_, below)| *below >= rank)?;
    let (upper, upto) = buckets[place];
    let (lower, below) = place.checked_sub(1).map_or((0.0, 0), |place| buckets[place]);
    let share = (rank - below) as f64 / (upto - below) as f64;
    upper.is_finite().then(|| ((lower + (upper - lower) * share) * 1e6).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use bankstorm_record::marks::SampleRow;
    use bankstorm_record::run_json::PhaseSpan;

    use super::{offers, spans};

    /// A look at a histogram with the buckets 1 ms, 10 ms and endless.
    fn look(at_ms: i64, counts: [u64; 3]) -> SampleRow {
        let names = ["0.001", "0.01", "+Inf"].map(|le| format!("core.core_posting_seconds_bucket{{le=\"{le}\"}}"));
        let metrics: BTreeMap<String, f64> = names.into_iter().zip(counts.map(|count| count as f64)).collect();
        SampleRow { at_ms, metrics, ..SampleRow::default() }
    }

    fn scenario(window: &str) -> bankstorm_scenario::Scenario {
        let text = format!(
            "[phases]\nmeasure = \"60s\"\n[[load]]\nop = \"deposit\"\nrate = \"100/s\"\n[[load]]\nop = \"deposit\"\nrate = \"900/s\"\n{window}\n"
        );
        bankstorm_scenario::parse("test.toml", &text, &[], None).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn each_part_counts_what_ended_in_it() {
        let phases = [PhaseSpan { name: "measure".to_owned(), start_ms: 1_000, end_ms: 61_000 }];
        let samples = [
            look(500, [0, 0, 0]),
            look(1_100, [100, 100, 100]),
            look(20_900, [2_100, 2_100, 2_100]),
            look(21_100, [2_200, 2_200, 2_200]),
            SampleRow { at_ms: 30_000, ..SampleRow::default() },
            look(40_900, [2_200, 5_000, 5_200]),
            look(52_000, [6_000, 6_000, 6_200]),
            look(60_900, [7_000, 7_000, 7_200]),
        ];
        let loads = scenario("window = [\"20s\", \"40s\"]").load;
        let found = spans(&samples, &phases, &loads);
        let parts: Vec<_> =
            found.iter().map(|span| (span.from_ms, span.to_ms, span.offered_per_s, span.admitted)).collect();
        let expected =
            [(1_000, 21_000, 100.0, 2_000), (21_000, 41_000, 1_000.0, 3_000), (51_000, 61_000, 100.0, 1_000)];
        assert_eq!(parts, expected);
        // The 1,980th of 2,000 in the bucket from 0 to 1 ms.
        assert_eq!(found[0].p99_us, Some(990));
        // The 1,500th of 2,800 in the bucket from 1 to 10 ms; the last 200 of 3,000 are beyond the last bound.
        assert_eq!((found[1].p50_us, found[1].p99_us), (Some(5_822), None));
        let whole = spans(&samples, &phases, &scenario("").load);
        assert_eq!(whole.len(), 1);
        assert_eq!((whole[0].admitted, whole[0].offered_per_s), (7_100, 1_000.0));
        assert_eq!(spans(&samples, &[], &loads), []);
        assert_eq!(loads[1].window, Some((Duration::from_secs(20), Duration::from_secs(40))));
        let planned: Vec<_> = offers(&loads).iter().map(|offer| (offer.rate_per_s, offer.window_ms)).collect();
        assert_eq!(planned, [(100.0, None), (900.0, Some((20_000, 40_000)))]);
    }
}
