//! When operations are due: constant and Poisson arrivals over warm-up and measure, or over a window of the latter.
//!
//! In: a load's rate and window, and the lengths of the phases. Out: due times in order, each with its phase. Elsewhere: what is done then (`plan`).

use std::time::Duration;

use bankstorm_scenario::resolved::{Arrivals, Load, Phases};
use rand_distr::{Distribution, Exp};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::plan::Phase;
use crate::seeds;

/// A due time and the phase it lies in.
pub type Arrival = (Duration, Phase);

/// The due times of one load, in order.
#[derive(Clone, Debug)]
pub struct ArrivalStream {
    shape: Shape,
    /// The load's time, in order.
    spans: Vec<Span>,
}

/// A time of one phase.
#[derive(Clone, Copy, Debug)]
struct Span {
    phase: Phase,
    from: Duration,
    length: Duration,
}

impl Span {
    fn end(&self) -> Duration {
        self.from + self.length
    }
}

#[derive(Clone, Debug)]
enum Shape {
    /// Each span counts from its own start, so that rate x time is exact in each, whatever the other's length.
    Constant { rate: f64, span: usize, next: u64 },
    /// Exponential gaps know no past, so the phases share one stream.
    Poisson { gaps: Exp<f64>, rng: Xoshiro256PlusPlus, at_s: f64 },
}

impl ArrivalStream {
    /// The due times of load number `index` under `seed`.
    pub fn new(load: &Load, phases: &Phases, seed: u64, index: u32) -> Self {
        let spans = match load.window {
            Some((from, until)) => {
                vec![Span { phase: Phase::Measure, from: phases.warm_up + from, length: until - from }]
            }
            None => vec![
                Span { phase: Phase::WarmUp, from: Duration::ZERO, length: phases.warm_up },
                Span { phase: Phase::Measure, from: phases.warm_up, length: phases.measure },
            ],
        };
        let shape = match load.arrivals {
            Arrivals::Constant => Shape::Constant { rate: load.rate_per_s, span: 0, next: 0 },
            Arrivals::Poisson => Shape::Poisson {
                gaps: Exp::new(load.rate_per_s).expect("a resolved rate is above 0"),
                rng: seeds::stream(seed, "arrivals", index),
                at_s: spans[0].from.as_secs_f64(),
            },
        };
        Self { shape, spans }
    }

    /// When the load ends: nothing of it is due then or later.
    pub fn end(&self) -> Duration {
        self.spans.last().map_or(Duration::ZERO, Span::end)
    }
}

impl Iterator for ArrivalStream {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        match &mut self.shape {
            Shape::Constant { rate, span, next } => loop {
                let Span { phase, from, length } = *self.spans.get(*span)?;
                if *next < constant_count(*rate, length) {
                    let within = Duration::from_nanos((*next as f64 * 1e9 / *rate) as u64);
                    *next += 1;
                    return Some((from + within, phase));
                }
                (*span, *next) = (*span + 1, 0);
            },
            Shape::Poisson { gaps, rng, at_s } => {
                *at_s += gaps.sample(rng);
                let due = Duration::from_nanos((*at_s * 1e9) as u64);
                let span = self.spans.iter().find(|span| due < span.end())?;
                Some((due, span.phase))
            }
        }
    }
}

/// How many constant arrivals lie in `[0, length)`: the first at 0. The millionth keeps rounding from adding one to a whole product.
fn constant_count(rate: f64, length: Duration) -> u64 {
    (rate * length.as_secs_f64() - 1e-6).ceil().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::constant_count;

    #[test]
    fn a_constant_count_is_rate_times_time() {
        let cases = [(300.0, 20, 6_000), (0.5, 20, 10), (0.3, 10, 3), (1_000.0 / 60.0, 60, 1_000), (300.0, 0, 0)];
        for (rate, seconds, expected) in cases {
            assert_eq!(constant_count(rate, Duration::from_secs(seconds)), expected, "{rate} for {seconds} s");
        }
        assert_eq!(constant_count(0.1, Duration::from_secs(5)), 1, "one arrival, at the start");
    }
}
