//! How long each kind of node may take to become ready and to end, wherever it runs: one table for all environments.
//!
//! An orderly stop and the start after it fit together into what a fault's heal may take (60 s, `chaos/faults`), with seconds to spare: so
//! the error that ends a heal is the one from here, which names what was waited for and shows the log.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::environment::NodeKind;
use crate::reaper::Exit;

/// The limits of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// From the first start to ready, beside everything else that starts; a database is initialised, a broker formatted.
    pub(crate) first: Duration,
    /// From a later start to ready: a database replays its log first.
    pub(crate) again: Duration,
    /// For an orderly end; then comes SIGKILL.
    pub(crate) stop: Duration,
}

/// Services end within it, as the design promises; a broker whose quorum is gone never does.
pub(crate) const STOP: Duration = Duration::from_secs(10);

/// The row of `kind`.
pub(crate) const fn of(kind: NodeKind) -> Limits {
    let (first, again) = match kind {
        NodeKind::Database => (60, 45),
        NodeKind::Broker => (90, 40),
        NodeKind::Cache => (30, 15),
        NodeKind::Service => (30, 30),
    };
    Limits { first: Duration::from_secs(first), again: Duration::from_secs(again), stop: STOP }
}

/// The signal that asks a node of that kind to end in order. PostgreSQL's is its fast shutdown: clients are cut off, transactions rolled
/// back, a checkpoint written.
pub(crate) const fn stop_signal(kind: NodeKind) -> Signal {
    match kind {
        NodeKind::Database => Signal::SIGINT,
        NodeKind::Broker | NodeKind::Cache | NodeKind::Service => Signal::SIGTERM,
    }
}

/// What a witness adds about the life that was ended by `signal`: nothing when it ended as it should.
pub(crate) fn after_stop(exit: Exit, signal: Signal) -> String {
    if exit.is_orderly(signal) {
        return String::new();
    }
    if exit == Exit::Signal(Signal::SIGKILL as i32) {
        let seconds = STOP.as_secs();
        return format!(" (the one before did not end within {seconds} s of {signal} and was killed)");
    }
    format!(" (the one before: {exit})")
}

/// What is said of a service whose stop was not in order; `None` is one that did not end within the limit.
pub(crate) fn unclean_stop(service: &str, exit: Option<Exit>) -> Option<String> {
    match exit {
        Some(exit) if exit.is_orderly(Signal::SIGTERM) => None,
        Some(exit) => Some(format!("{service} ended with {exit} after SIGTERM, neither well nor by that signal")),
        None => Some(format!("{service} did not end within {} s of SIGTERM and was killed", STOP.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_and_the_start_after_it_fit_into_the_heal_of_a_fault() {
        for kind in [NodeKind::Database, NodeKind::Broker, NodeKind::Cache, NodeKind::Service] {
            let limits = of(kind);
            assert!(limits.stop + limits.again <= Duration::from_secs(55), "{kind:?}");
        }
    }

    #[test]
    fn a_service_that_ends_otherwise_than_asked_is_named() {
        assert_eq!(unclean_stop("core", Some(Exit::Code(0))), None);
        let panicked = unclean_stop("core", Some(Exit::Code(101))).expect("said");
        assert!(panicked.starts_with("core ended with exit code 101 after SIGTERM"), "{panicked}");
        assert!(unclean_stop("core", None).is_some_and(|late| late.contains("did not end within 10 s")));
    }

    #[test]
    fn a_witness_says_how_the_life_before_ended_when_that_was_out_of_order() {
        let after = |exit| after_stop(exit, Signal::SIGTERM);
        assert_eq!(after(Exit::Code(0)), "");
        assert_eq!(after(Exit::Signal(15)), "");
        assert_eq!(after(Exit::Code(101)), " (the one before: exit code 101)");
        assert!(after(Exit::Signal(9)).contains("did not end within 10 s of SIGTERM and was killed"));
    }
}
