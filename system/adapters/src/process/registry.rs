//! Markers and counters, as Prometheus text.
//!
//! In: names and numbers. Out: the body of `/metrics`: `bankstorm_<name>` and `bankstorm_marker_total{name="..."}`. Elsewhere: what is
//! counted (each service's files say).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bankstorm_outside::process::{Metrics, Points};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry as Exported;

type Marker = [(&'static str, &'static str); 1];

/// The process's counters, gauges and markers. Clones are the same registry.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    exported: Exported,
    counters: BTreeMap<&'static str, Counter>,
    gauges: BTreeMap<&'static str, Gauge>,
    markers: Family<Marker, Counter>,
}

impl Default for Inner {
    fn default() -> Self {
        let mut exported = Exported::with_prefix("bankstorm");
        let markers = Family::default();
        exported.register("marker", "How often the protocol passed a point", markers.clone());
        Self { exported, counters: BTreeMap::new(), gauges: BTreeMap::new(), markers }
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
}

impl Points for Registry {
    fn reached(&self, marker: &'static str) {
        self.inner().markers.get_or_create(&[("name", marker)]).inc();
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_outside::process::{Metrics, Points};

    use super::Registry;

    #[test]
    fn names_are_those_that_dashboards_know() {
        let registry = Registry::new();
        registry.declare_markers(&["core-tombstone"]);
        registry.count("core_batches_total", 2);
        registry.gauge("core_queue_depth", 7);
        registry.reached("core-replay");
        let text = registry.render();
        for line in [
            "bankstorm_core_batches_total 2",
            "bankstorm_core_queue_depth 7",
            "bankstorm_marker_total{name=\"core-replay\"} 1",
            "bankstorm_marker_total{name=\"core-tombstone\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
