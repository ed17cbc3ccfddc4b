//! The watchdog: how long this process was not scheduled, and whether the wall clock kept step with the monotonic one.
//!
//! In: the host's clocks, every twenty milliseconds. Out: [`Watched`]. Elsewhere: the limits (`check::sane_harness`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bankstorm_record::clock::Origin;

use crate::error::CliError;

const EVERY: Duration = Duration::from_millis(20);

/// What the watchdog saw, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Longest time that it was not scheduled beyond its sleep.
    pub(crate) stall_max_us: u64,
    /// Largest jump of the wall clock against the monotonic one between two looks.
    pub(crate) wall_step_us: u64,
    /// Wall minus monotonic time since it began, without sign.
    pub(crate) wall_drift_us: u64,
}

/// A watchdog at work.
pub(crate) struct Watchdog {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Watchdog {
    /// Begins to watch, on a thread of its own.
    pub(crate) fn start() -> Result<Self, CliError> {
        let ended = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&ended);
        let thread = std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&watched));
        let thread = thread.map_err(|error| CliError::Environment(format!("thread watchdog: {error}")))?;
        Ok(Self { ended, thread })
    }

    /// Ends it; absent when its thread died.
    pub(crate) fn end(self) -> Option<Seen> {
        self.ended.store(true, Ordering::SeqCst);
        self.thread.join().ok()
    }
}

fn watch(ended: &AtomicBool) -> Seen {
    let origin = Origin::now();
    let mut seen = Seen::default();
    let mut before = origin;
    while !ended.load(Ordering::SeqCst) {
        #[expect(clippy::disallowed_methods, reason = "measures how late a sleep ends; a thread of the harness")]
        std::thread::sleep(EVERY);
        let now = Origin::now();
        let slept_ns = now.monotonic_ns - before.monotonic_ns;
        let late_us = slept_ns / 1_000 - EVERY.as_micros() as i64;
        seen.stall_max_us = seen.stall_max_us.max(u64::try_from(late_us).unwrap_or(0));
        seen.wall_step_us = seen.wall_step_us.max(apart_us(&before, &now));
        seen.wall_drift_us = apart_us(&origin, &now);
        before = now;
    }
    seen
}

/// How far the two clocks moved apart between two looks.
fn apart_us(from: &Origin, to: &Origin) -> u64 {
    let wall_us = to.wall_us - from.wall_us;
    let monotonic_us = (to.monotonic_ns - from.monotonic_ns) / 1_000;
    (wall_us - monotonic_us).unsigned_abs()
}
