//! How busy each thread of the generator was over the measured phase.
//!
//! In: threads that say who they are, and two moments. Out: CPU and wall time between the two. Elsewhere: which threads and moments
//! (`run`), the limit (`check`).
//!
//! The warm-up and the wait for last answers are quiet; a share over a thread's whole life would hide a generator that was too busy while
//! it mattered. So the thread's CPU clock is read from outside, when measuring begins and when load ends.

use std::sync::{Mutex, OnceLock, PoisonError};

use bankstorm_record::clock::monotonic_ns;
use nix::time::{ClockId, clock_gettime};

/// The CPU clock of one thread, read by another at the two ends of a span.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    clock: OnceLock<ClockId>,
    /// What the thread had used when it ended; its clock ends with it.
    total_ns: OnceLock<u64>,
    span: Mutex<(Reading, Reading)>,
}

/// CPU time of a thread at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    /// CPU time so far, in nanoseconds; 0 where it cannot be read.
    cpu_ns: u64,
    /// The moment, by CLOCK_MONOTONIC.
    at_ns: i64,
}

impl Meter {
    /// Called by the thread itself, before its work: until a later call of [`Self::open`] the span begins here.
    pub(crate) fn begin(&self) {
        if let Some(clock) = own_clock() {
            let _ = self.clock.set(clock);
        }
        self.open();
    }

    /// Called by the thread itself, after its work.
    pub(crate) fn end(&self) {
        let _ = self.total_ns.set(cpu_ns(ClockId::CLOCK_THREAD_CPUTIME_ID));
    }

    /// The span begins now.
    pub(crate) fn open(&self) {
        self.span.lock().unwrap_or_else(PoisonError::into_inner).0 = self.read();
    }

    /// The span ends now.
    pub(crate) fn close(&self) {
        self.span.lock().unwrap_or_else(PoisonError::into_inner).1 = self.read();
    }

    /// CPU time and wall time of the span, in nanoseconds.
    pub(crate) fn span_ns(&self) -> (u64, u64) {
        let (from, to) = *self.span.lock().unwrap_or_else(PoisonError::into_inner);
        (to.cpu_ns.saturating_sub(from.cpu_ns), u64::try_from(to.at_ns - from.at_ns).unwrap_or(0))
    }

    /// CPU time of the thread now, or when it ended.
    fn read(&self) -> Reading {
        let total_ns = self.total_ns.get().copied();
        let cpu_ns = total_ns.or_else(|| self.clock.get().map(|clock| cpu_ns(*clock)));
        Reading { cpu_ns: cpu_ns.unwrap_or(0), at_ns: monotonic_ns() }
    }
}

fn cpu_ns(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| u64::try_from(time.tv_sec() * 1_000_000_000 + time.tv_nsec()).unwrap_or(0))
}

/// The calling thread's CPU clock under a number that other threads of this process can use as well: the kernel's thread id, inverted,
/// with the two bits of a thread's scheduler clock (`man 3 pthread_getcpuclockid`, for which there is no safe wrapper).
#[cfg(target_os = "linux")]
fn own_clock() -> Option<ClockId> {
    const PER_THREAD: i32 = 4;
    const SCHEDULED: i32 = 2;
    Some(ClockId::from_raw((!nix::unistd::gettid().as_raw() << 3) | PER_THREAD | SCHEDULED))
}

/// Elsewhere a thread's time is known only when it has ended.
#[cfg(not(target_os = "linux"))]
fn own_clock() -> Option<ClockId> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use nix::time::ClockId;

    use super::{Meter, cpu_ns};

    const BURNT_NS: u64 = 30_000_000;

    /// Uses this much CPU time of the calling thread.
    fn burn() {
        let from_ns = cpu_ns(ClockId::CLOCK_THREAD_CPUTIME_ID);
        while cpu_ns(ClockId::CLOCK_THREAD_CPUTIME_ID) < from_ns + BURNT_NS {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn what_was_used_outside_of_the_span_is_not_in_it() {
        let meter = Arc::new(Meter::default());
        let (say, said) = channel();
        let (go, may_go) = channel::<()>();
        let thread = std::thread::spawn({
            let meter = Arc::clone(&meter);
            move || {
                meter.begin();
                for _ in 0..3 {
                    burn();
                    say.send(()).expect("awaited");
                    may_go.recv().expect("told");
                }
                meter.end();
            }
        });
        let burnt = || said.recv().expect("a burn");
        burnt();
        // The thread waits to be told while the span begins, and again while it ends.
        meter.open();
        go.send(()).expect("waiting");
        burnt();
        meter.close();
        let (used_ns, wall_ns) = meter.span_ns();
        go.send(()).expect("waiting");
        burnt();
        go.send(()).expect("waiting");
        thread.join().expect("no panic");
        let total_ns = meter.read().cpu_ns;
        assert!(used_ns >= BURNT_NS && wall_ns >= BURNT_NS, "{used_ns} {wall_ns}");
        // Its clock is gone, what it had used is not; two burns of three were outside.
        assert!(total_ns >= used_ns + 2 * BURNT_NS, "{total_ns} {used_ns}");
    }
}
