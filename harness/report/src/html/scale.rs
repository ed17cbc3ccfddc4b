//! The vertical scale of a chart: from 0, or logarithmic where a spike would flatten all else.
//!
//! In: a [`Chart`]. Out: heights of values, round values for ticks. Elsewhere: drawing (`html::chart`).

use crate::html::chart::{Chart, HEIGHT};

/// From values to the plot's own y.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// Logarithmic.
    pub(super) log: bool,
}

impl Scale {
    /// The scale that shows all of a chart.
    pub(super) fn of(chart: &Chart) -> Self {
        let values = || chart.lines.iter().flat_map(|line| line.values.iter().flatten().copied());
        let high = values().chain(chart.limits.iter().map(|(_, v)| *v)).fold(0.0, f64::max);
        let lowest = values().filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
        if chart.may_be_log && lowest.is_finite() && high > 30.0 * lowest {
            return Self { low: floor_125(lowest), high: ceil_125(high), log: true };
        }
        let high = if high > 0.0 { high } else { 1.0 };
        let step = ceil_125(high / 5.0);
        Self { low: 0.0, high: (high / step).ceil() * step, log: false }
    }

    /// 0 at the bottom, 1 at the top.
    pub(super) fn share(&self, value: f64) -> f64 {
        let share = match self.log {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        share.clamp(0.0, 1.0)
    }

    /// In the plot's own coordinates, from the top.
    pub(super) fn y(&self, value: f64) -> f64 {
        HEIGHT * (1.0 - self.share(value))
    }

    /// Round values along it.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if !self.log {
            let step = ceil_125(self.high / 5.0);
            return (0..=5).map(|i| f64::from(i) * step).filter(|v| *v <= self.high * 1.001).collect();
        }
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = if decades > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let mut ticks = Vec::new();
        let mut decade = 10_f64.powf(self.low.log10().floor());
        while decade <= self.high * 1.001 {
            ticks.extend(
                steps.iter().map(|s| s * decade).filter(|v| (self.low * 0.999..=self.high * 1.001).contains(v)),
            );
            decade *= 10.0;
        }
        ticks
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `value`.
fn ceil_125(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|s| s * decade).find(|v| *v >= value * 0.999_999).unwrap_or(10.0 * decade)
}

/// The largest of 1, 2, 5 times a power of ten that is not above `value`.
fn floor_125(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|s| s * decade).find(|v| *v <= value * 1.000_001).unwrap_or(decade)
}
