//! The harness's clocks: the host's monotonic clock, shared by all processes of a run, and wall time for labels.
//!
//! In: nothing. Out: nanoseconds and microseconds. Elsewhere: pacing (`load`), the services' own stamps (`adapters::visible`).
//!
//! A moment of a run is stored as nanoseconds since the run's [`Origin`]. Raw stamps of other processes are nanoseconds of the same
//! monotonic clock and are made relative when they are collected.

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Now, in nanoseconds of CLOCK_MONOTONIC.
pub fn monotonic_ns() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists on every host we run on");
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}

/// Now, in microseconds since the Unix epoch, by the host's wall clock.
pub fn wall_us() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).expect("CLOCK_REALTIME exists on every host we run on");
    now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000
}

/// A moment as RFC 3339, to the second, UTC.
pub fn rfc3339(wall_us: i64) -> String {
    let seconds = wall_us.div_euclid(1_000_000);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Days since 1970-01-01 as a date of the Gregorian calendar (Hinnant's algorithm).
const fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, doy - (153 * mp + 2) / 5 + 1)
}

/// The zero of a run's moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// CLOCK_MONOTONIC at the origin, in nanoseconds.
    pub monotonic_ns: i64,
    /// The wall clock at the same moment, in microseconds since the epoch.
    pub wall_us: i64,
}

impl Origin {
    /// An origin that is now.
    pub fn now() -> Self {
        Self { monotonic_ns: monotonic_ns(), wall_us: wall_us() }
    }

    /// A raw monotonic stamp as a moment of the run.
    pub const fn moment(&self, monotonic_ns: i64) -> i64 {
        monotonic_ns - self.monotonic_ns
    }

    /// Now, as a moment of the run.
    pub fn elapsed_ns(&self) -> i64 {
        self.moment(monotonic_ns())
    }
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn dates_are_civil() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400_000_000), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_795_327_199_999_999), "2026-11-22T05:59:59Z");
    }
}
