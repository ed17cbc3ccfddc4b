//! Markers and counters, as Prometheus text.
//!
//! In: names and numbers. Out: the body of `/metrics`: `bankstorm_<name>`, histograms of seconds, and `bankstorm_marker_total{name="..."}`.
//! Elsewhere: what is counted (each service's files say).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_outside::process::{Metrics, Points};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry as Exported;

/// The upper bounds of a histogram's buckets, in seconds: from 1 ms to 30 s, each about 1.3 times the one before. So a quantile is read
/// within 15 % of the truth: the geometric middle of a bucket is at most 1.14 times away from anything in it.
pub const BUCKETS_S: [f64; 42] = [
    0.001, 0.0013, 0.0017, 0.0022, 0.0028, 0.0036, 0.0047, 0.0061, 0.0079, 0.01, 0.013, 0.017, 0.022, 0.028, 0.036,
    0.047, 0.061, 0.079, 0.1, 0.13, 0.17, 0.22, 0.28, 0.36, 0.47, 0.61, 0.79, 1.0, 1.3, 1.7, 2.2, 2.8, 3.6, 4.7, 6.1,
    7.9, 10.0, 13.0, 17.0, 22.0, 26.0, 30.0,
];

type Marker = [(&'static str, &'static str); 1];

/// The process's counters, gauges and markers. Clones are the same registry.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    exported: Exported,
    counters: BTreeMap<&'static str, Counter>,
    gauges: BTreeMap<&'static str, Gauge>,
    histograms: BTreeMap<&'static str, Histogram>,
    markers: Family<Marker, Counter>,
}

impl Default for Inner {
    fn default() -> Self {
        let mut exported = Exported::with_prefix("bankstorm");
        let markers = Family::default();
        exported.register("marker", "How often the protocol passed a point", markers.clone());
        Self { exported, counters: BTreeMap::new(), gauges: BTreeMap::new(), histograms: BTreeMap::new(), markers }
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows these markers from the start, at zero.
    pub fn declare_markers(&self, markers: &[&'static str]) {
        let inner = self.inner();
        for marker in markers {
            drop(inner.markers.get_or_create(&[("name", *marker)]));
        }
    }

    /// The text of `/metrics`.
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.inner().exported).expect("a String takes whatever is written");
        text
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics for Registry {
    fn count(&self, name: &'static str, by: u64) {
        let mut inner = self.inner();
        let Inner { exported, counters, .. } = &mut *inner;
        let counter = counters.entry(name).or_insert_with(|| {
            let counter = Counter::default();
            // The encoder appends `_total` to every counter.
            exported.register(name.strip_suffix("_total").unwrap_or(name), name.replace('_', " "), counter.clone());
            counter
        });
        counter.inc_by(by);
    }

    fn gauge(&self, name: &'static str, value: i64) {
        let mut inner = self.inner();
        let Inner { exported, gauges, .. } = &mut *inner;
        let gauge = gauges.entry(name).or_insert_with(|| {
            let gauge = Gauge::default();
            exported.register(name, name.replace('_', " "), gauge.clone());
            gauge
        });
        gauge.set(value);
    }

    fn observe(&self, name: &'static str, value: Duration) {
        let mut inner = self.inner();
        let Inner { exported, histograms, .. } = &mut *inner;
        let histogram = histograms.entry(name).or_insert_with(|| {
            let histogram = Histogram::new(BUCKETS_S);
            exported.register(name, name.replace('_', " "), histogram.clone());
            histogram
        });
        histogram.observe(value.as_secs_f64());
    }
}

impl Points for Registry {
    fn reached(&self, marker: &'static str) {
        self.inner().markers.get_or_create(&[("name", marker)]).inc();
    }
}

#[cfg(test)]
mod documented;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bankstorm_outside::process::{Metrics, Points};

    use super::{BUCKETS_S, Registry};

    #[test]
    fn a_quantile_is_read_within_15_percent() {
        for pair in BUCKETS_S.windows(2) {
            let ratio: f64 = pair[1] / pair[0];
            assert!(ratio > 1.0 && ratio.sqrt() < 1.15, "{pair:?}");
        }
    }

    #[test]
    fn names_are_those_that_dashboards_know() {
        let registry = Registry::new();
        registry.declare_markers(&["core-tombstone"]);
        registry.count("core_batches_total", 2);
        registry.gauge("core_queue_depth", 7);
        registry.observe("core_posting_seconds", Duration::from_micros(1_500));
        registry.reached("core-replay");
        let text = registry.render();
        for line in [
            "bankstorm_core_batches_total 2",
            "bankstorm_core_queue_depth 7",
            "bankstorm_core_posting_seconds_bucket{le=\"0.0013\"} 0",
            "bankstorm_core_posting_seconds_bucket{le=\"0.0017\"} 1",
            "bankstorm_core_posting_seconds_bucket{le=\"+Inf\"} 1",
            "bankstorm_core_posting_seconds_count 1",
            "bankstorm_core_posting_seconds_sum 0.0015",
            "bankstorm_marker_total{name=\"core-replay\"} 1",
            "bankstorm_marker_total{name=\"core-tombstone\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
