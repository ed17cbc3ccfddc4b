//! What a process lends its services: spawning, a clock, markers, counters, the visible log, the access log.
//!
//! In: futures, names, numbers. Out: nothing but effects. Elsewhere: tokio, Prometheus and files (`adapters`), crashes (`simulator`).

use std::future::Future;
use std::time::Duration;

use bankstorm_contracts::core_api::Purpose;
use bankstorm_contracts::{AccountNo, Seq, WallMicros};

/// The only way a service starts a task: everything in a scope ends with the process.
pub trait Scope: Clone + Send + Sync + 'static {
    /// Starts a task. `name` is what logs call it. A panic in it ends the process.
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static);

    /// Completes when the process was asked to stop; at once if it was already.
    fn stopping(&self) -> impl Future<Output = ()> + Send;

    /// Whether the process was asked to stop.
    fn is_stopping(&self) -> bool;
}

/// The clock of the process's machine. It may be wrong, and may be set either way: what has to be right goes by other clocks (P29).
pub trait WallClock: Clone + Send + Sync + 'static {
    /// What it says now.
    fn now(&self) -> WallMicros;
}

/// Points that the protocol passes: `sometimes` markers that must have fired at least once where a scenario declares them.
pub trait Points: Clone + Send + Sync + 'static {
    /// The protocol passed here.
    fn reached(&self, marker: &'static str);
}

/// Counters and gauges for `/metrics`. Names are Prometheus names without the `bankstorm_` prefix.
pub trait Metrics: Clone + Send + Sync + 'static {
    /// Adds to a counter.
    fn count(&self, name: &'static str, by: u64);
    /// Sets a gauge.
    fn gauge(&self, name: &'static str, value: i64);
    /// Adds an observation to a histogram of seconds.
    fn observe(&self, name: &'static str, value: Duration);
}

/// The log of what became visible when (D44). The implementation stamps the host's monotonic clock.
pub trait VisibleLog: Clone + Send + Sync + 'static {
    /// Called after the commit of an advance returned: serials `from_seq + 1 ..= to_seq` of each account are visible now.
    fn visible(&self, advances: &[(AccountNo, Seq, Seq)]);
}

/// A call by which a channel reads what its copy should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessCall {
    /// `entries`.
    Entries,
    /// `heads`.
    Heads,
    /// `digests`.
    Digests,
}

impl AccessCall {
    /// The word in the log and in the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Heads => "heads",
            Self::Digests => "digests",
        }
    }
}

/// One call as the access log keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// Who asked.
    pub caller: &'a str,
    /// What.
    pub call: AccessCall,
    /// Of which account; `None` where several were asked for, or none.
    pub account: Option<AccountNo>,
    /// What for, as the caller said.
    pub purpose: Option<Purpose>,
    /// The HTTP status of the answer; 0 where none was given, since the caller was gone.
    pub status: u16,
}

/// Core's log of who read from it (G1). The implementation stamps the host's monotonic clock.
pub trait AccessLog: Clone + Send + Sync + 'static {
    /// The moment at which a call began.
    type Begun: Copy + Send + Sync + 'static;

    /// A call begins now.
    fn begun(&self) -> Self::Begun;

    /// It ends now: answered, or its caller gone. Called once for each call that began, whatever its answer.
    fn ended(&self, begun: Self::Begun, access: &Access<'_>);
}
