//! What a thread of the generator asks of the system: exact wake-ups, and to run before others where that is permitted.
//!
//! In: the calling thread. Out: what was granted, for the report. Elsewhere: who asks (`pacer`, `sender`, `run`).

use nix::sys::resource::{Resource, getrlimit, setrlimit};

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

/// Raises this process's soft limit of open files to its hard limit, since every connection is one. What is in force then; `None` where it
/// cannot be read. It never fails: connections that cannot be opened say so themselves.
pub(crate) fn raise_open_files() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return Some(hard);
    }
    Some(soft)
}

#[cfg(test)]
mod tests {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    use super::raise_open_files;

    #[test]
    fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        // Low enough to be raised, and never below what other tests have open.
        setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard.saturating_sub(1)), hard)
            .expect("a lower soft limit is always granted");
        assert_eq!(raise_open_files(), Some(hard));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((hard, hard)));
    }
}
