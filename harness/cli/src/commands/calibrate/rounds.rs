//! Requests over several connections in turn, and how long each took.
//!
//! In: where to connect and what to say there, how long. Out: a [`Series`] of latencies for each. Elsewhere: what is said (`exchange`), what
//! answers (`echo`, behind `bare` or `hop`), what is made of it (`ways`).
//!
//! Plain blocking sockets: between writing a request and reading its answer nothing of our own stands. Who begins a round changes from
//! round to round, and connections are made anew now and then: which core the system gives to whom decides more than a proxy does.

use std::io::{BufReader, Error, Result};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bankstorm_record::calibrate_json::LatencyUs;
use bankstorm_record::clock::monotonic_ns;

use super::exchange::Exchange;

/// Nothing here takes long; whoever does is lost.
const LIMIT: Duration = Duration::from_secs(10);
/// Rounds on the same connections.
const BLOCK: usize = 500;

/// What is measured.
pub(super) struct Plan {
    pub(super) ends: Vec<End>,
    pub(super) warm_up_ns: u64,
    pub(super) measure_ns: u64,
}

/// One way's end, where a caller connects.
pub(super) struct End {
    /// Which way, for errors.
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) exchange: Arc<Exchange>,
}

/// The latencies of one connection, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Series(Vec<u64>);

/// Asks in turn until the time is over or `stop` says so; one series an end, in their order.
pub(super) fn run(plan: &Plan, stop: &dyn Fn() -> bool) -> Result<Vec<Series>> {
    let mut callers: Vec<Caller> = Vec::new();
    let mut series: Vec<Series> = plan.ends.iter().map(|_| Series::default()).collect();
    let start_ns = monotonic_ns();
    for round in 0_usize.. {
        let elapsed_ns = (monotonic_ns() - start_ns).unsigned_abs();
        if elapsed_ns >= plan.warm_up_ns + plan.measure_ns || stop() {
            break;
        }
        if round % BLOCK == 0 {
            callers = plan.ends.iter().map(Caller::connect).collect::<Result<_>>()?;
        }
        for turn in 0..callers.len() {
            let next = (round + turn) % callers.len();
            let took_ns = callers[next].ask()?;
            if elapsed_ns >= plan.warm_up_ns {
                series[next].0.push(took_ns);
            }
        }
    }
    Ok(series)
}

struct Caller<'a> {
    end: &'a End,
    to: TcpStream,
    from: BufReader<TcpStream>,
}

impl<'a> Caller<'a> {
    fn connect(end: &'a End) -> Result<Self> {
        let opened = TcpStream::connect(end.address).and_then(|to| {
            to.set_nodelay(true)?;
            to.set_read_timeout(Some(LIMIT))?;
            let mut caller = Self { end, from: BufReader::new(to.try_clone()?), to };
            end.exchange.open(&mut caller.from, &mut caller.to)?;
            Ok(caller)
        });
        let mut caller = opened.map_err(|error| end.failed(&error))?;
        // A first request opens the rest of the way, and is none that counts.
        caller.ask()?;
        Ok(caller)
    }

    fn ask(&mut self) -> Result<u64> {
        let start_ns = monotonic_ns();
        let answered = self.end.exchange.ask(&mut self.from, &mut self.to);
        let took_ns = (monotonic_ns() - start_ns).unsigned_abs();
        answered.map(|()| took_ns).map_err(|error| self.end.failed(&error))
    }
}

impl End {
    fn failed(&self, error: &Error) -> Error {
        Error::new(error.kind(), format!("{}: {error}", self.name))
    }
}

impl Series {
    /// Its figures; all zero where nothing was measured.
    pub(super) fn summary(&self) -> LatencyUs {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let us = |ns: u64| ns as f64 / 1_000.0;
        let at = |share: f64| us(sorted.get(rank(sorted.len(), share)).copied().unwrap_or(0));
        LatencyUs {
            count: sorted.len() as u64,
            min_us: at(0.0),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            max_us: at(1.0),
        }
    }
}

/// The place of a share among so many sorted values: the smallest that is no less than that share of all.
fn rank(count: usize, share: f64) -> usize {
    ((count as f64 * share).ceil() as usize).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::Series;

    #[test]
    fn figures_are_ranks_of_what_was_measured() {
        let series = Series((1..=200).rev().map(|us| us * 1_000).collect());
        let figures = series.summary();
        assert_eq!((figures.count, figures.min_us, figures.p50_us), (200, 1.0, 100.0));
        assert_eq!((figures.p90_us, figures.p99_us, figures.max_us), (180.0, 198.0, 200.0));
        assert_eq!(Series::default().summary().count, 0);
    }
}
