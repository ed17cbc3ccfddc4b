//! Requests over several connections in turn, and how long each took.
//!
//! In: addresses, how long. Out: a [`Series`] of latencies for each. Elsewhere: what answers (`echo`, `hop`), what is made of it
//! (`calibrate`).
//!
//! Plain blocking sockets: between writing a request and reading its answer nothing of our own stands. Who begins a round changes from
//! round to round, and connections are made anew now and then: which core the system gives to whom decides more than a proxy does.

use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bankstorm_record::calibrate_json::LatencyUs;
use bankstorm_record::clock::monotonic_ns;

/// About as large as a transfer.
pub(super) const BODY: &str = "{\"id\": \"0192a0b0-0000-7000-8000-00000000002a\", \"user\": 42, \"from\": 1000042, \
                               \"to\": {\"bank\": \"own\", \"account\": 1000043}, \"amount\": 12345}";
/// Nothing here takes long; whoever does is lost.
const LIMIT: Duration = Duration::from_secs(10);
/// Rounds on the same connections.
const BLOCK: usize = 500;

/// What is measured.
pub(super) struct Plan {
    /// The direct one first.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) warm_up_ns: u64,
    pub(super) measure_ns: u64,
}

/// The latencies of one connection, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Series(Vec<u64>);

/// Asks in turn until the time is over or `stop` says so.
pub(super) fn run(plan: &Plan, stop: &dyn Fn() -> bool) -> Result<Vec<Series>> {
    let mut callers: Vec<Caller> = Vec::new();
    let mut series: Vec<Series> = plan.addresses.iter().map(|_| Series::default()).collect();
    let start_ns = monotonic_ns();
    for round in 0_usize.. {
        let elapsed_ns = (monotonic_ns() - start_ns).unsigned_abs();
        if elapsed_ns >= plan.warm_up_ns + plan.measure_ns || stop() {
            break;
        }
        if round % BLOCK == 0 {
            callers = plan.addresses.iter().map(Caller::connect).collect::<Result<_>>()?;
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

struct Caller {
    to: TcpStream,
    from: BufReader<TcpStream>,
    request: String,
}

impl Caller {
    fn connect(address: &SocketAddr) -> Result<Self> {
        let to = TcpStream::connect(address)?;
        to.set_nodelay(true)?;
        to.set_read_timeout(Some(LIMIT))?;
        let head = format!("POST /v1/transfers HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
        let request = format!("{head}content-length: {}\r\n\r\n{BODY}", BODY.len());
        let mut caller = Self { from: BufReader::new(to.try_clone()?), to, request };
        // A first request opens the rest of the way, and is none that counts.
        caller.ask()?;
        Ok(caller)
    }

    fn ask(&mut self) -> Result<u64> {
        let start_ns = monotonic_ns();
        self.to.write_all(self.request.as_bytes())?;
        let body = read_message(&mut self.from)?;
        let took_ns = (monotonic_ns() - start_ns).unsigned_abs();
        if body == BODY.as_bytes() { Ok(took_ns) } else { Err(Error::other("another answer than what was sent")) }
    }
}

/// A request's or an answer's body. Its head must say how long it is.
pub(super) fn read_message(from: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().map_err(Error::other)?;
            }
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(body)
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
    use super::{BODY, Series, read_message};

    #[test]
    fn figures_are_ranks_of_what_was_measured() {
        let series = Series((1..=200).rev().map(|us| us * 1_000).collect());
        let figures = series.summary();
        assert_eq!((figures.count, figures.min_us, figures.p50_us), (200, 1.0, 100.0));
        assert_eq!((figures.p90_us, figures.p99_us, figures.max_us), (180.0, 198.0, 200.0));
        assert_eq!(Series::default().summary().count, 0);
    }

    #[test]
    fn a_message_is_read_to_its_end_and_no_further() {
        let one = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nx: y\r\n\r\n{BODY}", BODY.len());
        let mut two = std::io::Cursor::new([one.clone(), one].concat());
        for _ in 0..2 {
            assert_eq!(read_message(&mut two).expect("a message"), BODY.as_bytes());
        }
        assert!(read_message(&mut two).is_err());
    }
}
