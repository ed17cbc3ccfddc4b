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
