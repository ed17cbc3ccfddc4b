//! What the samples of a span say together.
//!
//! In: samples, from and to in milliseconds since the origin. Out: [`SamplerSummary`]. Pure, so that a stored run gives it again.

use std::collections::BTreeMap;

use bankstorm_record::marks::SampleRow;

/// What the samples of a span say together. What was never seen is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplerSummary {
    /// How many samples.
    pub samples: u64,
    /// From the first to the last of them, in seconds.
    pub span_s: f64,
    /// Process -> processor seconds between its first and its last sample of the span.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Process -> most processors it used in one second; 1.0 is one core.
    pub cpu_cores_max: BTreeMap<String, f64>,
    /// Process -> most resident memory, in bytes.
    pub rss_max_bytes: BTreeMap<String, u64>,
    /// Highest lag, in records.
    pub lag_max: Option<u64>,
    /// The lag of the last sample, in records; absent when that sample could not read it.
    pub lag_end: Option<u64>,
    /// Mean share of all cores that was busy, 0 to 1.
    pub machine_busy_mean: Option<f64>,
    /// Highest share of all cores that was busy in one second, 0 to 1.
    pub machine_busy_max: Option<f64>,
    /// Mean share of all cores that was stolen, 0 to 1.
    pub machine_steal_mean: Option<f64>,
    /// Highest share of all cores that was stolen in one second, 0 to 1.
    pub machine_steal_max: Option<f64>,
    /// Highest share of all cores that waited for a disk in one second, 0 to 1.
    pub machine_iowait_max: Option<f64>,
    /// Highest value of every metric (`process.name`), counters included.
    pub metrics_max: BTreeMap<String, f64>,
    /// Samples in which something could not be read.
    pub incomplete: u64,
    /// What went wrong with the sampling itself, and the first sentence of an incomplete sample.
    pub problems: Vec<String>,
}

impl SamplerSummary {
    pub(super) fn failed(problem: String) -> Self {
        Self { problems: vec![problem], ..Self::default() }
    }
}

/// Sums up the samples from `from_ms` to `to_ms`, both included.
pub fn summarise(samples: &[SampleRow], from_ms: i64, to_ms: i64) -> SamplerSummary {
    let span = || samples.iter().filter(|sample| (from_ms..=to_ms).contains(&sample.at_ms));
    let mut summary = SamplerSummary::default();
    let mut first_cpu: BTreeMap<&str, f64> = BTreeMap::new();
    let mut first_at_ms = None;
    for sample in span() {
        summary.samples += 1;
        for (name, seconds) in &sample.process_cpu_seconds {
            let first = *first_cpu.entry(name).or_insert(*seconds);
            summary.cpu_seconds.insert(name.clone(), seconds - first);
        }
        for (name, percent) in &sample.process_cpu_percent {
            raise(&mut summary.cpu_cores_max, name, percent / 100.0);
        }
        for (name, bytes) in &sample.process_rss_bytes {
            let most = summary.rss_max_bytes.entry(name.clone()).or_insert(0);
            *most = (*most).max(*bytes);
        }
        for (name, value) in &sample.metrics {
            raise(&mut summary.metrics_max, name, *value);
        }
        summary.lag_max = summary.lag_max.max(sample.lag_records);
        summary.lag_end = sample.lag_records;
        let first_ms = *first_at_ms.get_or_insert(sample.at_ms);
        summary.span_s = (sample.at_ms - first_ms) as f64 / 1_000.0;
        if let Some(problem) = sample.problems.first() {
            summary.incomplete += 1;
            if summary.problems.is_empty() {
                summary.problems.push(format!("at {} ms: {problem}", sample.at_ms));
            }
        }
    }
    (summary.machine_busy_mean, summary.machine_busy_max) = mean_and_max(span().filter_map(|one| one.cpu_percent));
    (summary.machine_steal_mean, summary.machine_steal_max) = mean_and_max(span().filter_map(|one| one.steal_percent));
    (_, summary.machine_iowait_max) = mean_and_max(span().filter_map(|one| one.iowait_percent));
    summary
}

fn raise(highest: &mut BTreeMap<String, f64>, name: &str, value: f64) {
    let most = highest.entry(name.to_owned()).or_insert(value);
    *most = most.max(value);
}

/// Of percentages, as shares.
fn mean_and_max(percents: impl Iterator<Item = f64>) -> (Option<f64>, Option<f64>) {
    let shares: Vec<f64> = percents.map(|percent| percent / 100.0).collect();
    let mean = (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64);
    (mean, shares.into_iter().reduce(f64::max))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bankstorm_record::marks::SampleRow;

    use super::{SamplerSummary, summarise};

    fn sample(at_ms: i64, lag_records: Option<u64>, cpu_s: f64, busy: f64) -> SampleRow {
        let core = |value: f64| BTreeMap::from([("core".to_owned(), value)]);
        SampleRow {
            at_ms,
            lag_records,
            cpu_percent: Some(busy * 100.0),
            steal_percent: Some(busy * 10.0),
            process_cpu_seconds: core(cpu_s),
            process_cpu_percent: core(cpu_s * 10.0),
            process_rss_bytes: BTreeMap::from([("core".to_owned(), 5)]),
            metrics: BTreeMap::from([("core.core_queue_depth".to_owned(), -cpu_s)]),
            problems: if lag_records.is_none() { vec!["lag: no answer".to_owned()] } else { Vec::new() },
            ..SampleRow::default()
        }
    }

    #[test]
    fn only_the_span_counts() {
        let samples = [
            sample(0, Some(900), 1.0, 1.0),
            sample(1_000, Some(5), 2.0, 0.5),
            sample(2_000, Some(7), 4.0, 0.25),
            sample(3_000, None, 5.0, 0.75),
            sample(4_000, Some(900), 9.0, 1.0),
        ];
        let summary = summarise(&samples, 1_000, 3_000);
        assert_eq!((summary.samples, summary.incomplete), (3, 1));
        assert_eq!(summary.cpu_seconds["core"], 3.0);
        assert_eq!(summary.cpu_cores_max["core"], 0.5);
        assert_eq!(
            (summary.lag_max, summary.lag_end, summary.span_s),
            (Some(7), None, 2.0),
            "the last sample saw no lag"
        );
        assert_eq!((summary.machine_busy_mean, summary.machine_busy_max), (Some(0.5), Some(0.75)));
        assert_eq!((summary.machine_steal_max, summary.machine_iowait_max), (Some(0.075), None));
        assert_eq!(summary.rss_max_bytes["core"], 5);
        assert_eq!(summary.metrics_max["core.core_queue_depth"], -2.0);
        assert_eq!(summary.problems, ["at 3000 ms: lag: no answer"]);
        assert_eq!(summarise(&samples, 10_000, 20_000), SamplerSummary::default());
    }
}
