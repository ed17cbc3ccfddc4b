//! What a thread of the generator asks of the system: exact wake-ups, and to run before others where that is permitted.
//!
//! In: the calling thread. Out: what was granted, for the report. Elsewhere: who asks (`pacer`, `sender`).

use nix::time::{ClockId, clock_gettime};

/// What the calling thread was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// `fifo`, `nice` or `normal`.
    pub(crate) priority: &'static str,
    /// In nanoseconds; `None` where it could not be set.
    pub(crate) timer_slack_ns: Option<u64>,
}

impl Granted {
    /// Of a thread that asks for nothing.
    pub(crate) const NONE: Self = Self { priority: "normal", timer_slack_ns: None };
}

/// Asks for real-time priority, else for a better nice value, and for exact timers. It never fails: what was granted is reported.
#[cfg(target_os = "linux")]
pub(crate) fn raise(fifo_priority: i32) -> Granted {
    let timer_slack_ns = nix::sys::prctl::set_timerslack(1).ok().map(|()| 1);
    let priority = if set_fifo(fifo_priority) {
        "fifo"
    } else if set_nice(-15) {
        "nice"
    } else {
        "normal"
    };
    Granted { priority, timer_slack_ns }
}

/// Elsewhere nothing is asked for, and the report says so.
#[cfg(not(target_os = "linux"))]
pub(crate) fn raise(_: i32) -> Granted {
    Granted::NONE
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe wrapper of sched_setscheduler is among our libraries")]
fn set_fifo(priority: i32) -> bool {
    let parameters = nix::libc::sched_param { sched_priority: priority };
    // SAFETY: the pointer is to a live, initialised sched_param; pid 0 is the calling thread.
    unsafe { nix::libc::sched_setscheduler(0, nix::libc::SCHED_FIFO, &raw const parameters) == 0 }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe wrapper of setpriority is among our libraries")]
fn set_nice(nice: i32) -> bool {
    // SAFETY: it takes plain numbers; on Linux PRIO_PROCESS with 0 is the calling thread.
    unsafe { nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, nice) == 0 }
}

/// CPU time of the calling thread so far, in nanoseconds; 0 where it cannot be read.
pub(crate) fn thread_cpu_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0, |time| u64::try_from(time.tv_sec() * 1_000_000_000 + time.tv_nsec()).unwrap_or(0))
}
