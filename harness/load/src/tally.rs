//! Live counts of the load, for progress displays. Rows, not these, are what figures are made of.
//!
//! In: pacer and senders. Out: [`Counts`] at any moment. Elsewhere: how they are shown (`cli`).

use std::sync::atomic::{AtomicU64, Ordering};

use bankstorm_contracts::Outcome;

/// Counts that pacer and senders raise as they go.
#[derive(Debug, Default)]
pub struct Tally {
    due: AtomicU64,
    started: AtomicU64,
    sent: AtomicU64,
    ok: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
    missed: AtomicU64,
    never_sent: AtomicU64,
    lookups: AtomicU64,
}

/// The counts at one moment; they are read one after the other, so sums may be off by a few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations whose moment has come.
    pub due: u64,
    /// Written to a socket.
    pub sent: u64,
    /// Outcome ok.
    pub ok: u64,
    /// Outcome rejected.
    pub rejected: u64,
    /// Outcome failed.
    pub failed: u64,
    /// Outcome unknown.
    pub unknown: u64,
    /// Never started, or given up before a byte was written.
    pub missed: u64,
    /// On a connection, without an outcome yet.
    pub in_flight: u64,
    /// Lookups that have ended.
    pub lookups: u64,
}

/// What can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Due,
    Started,
    Sent,
    Ok,
    Rejected,
    Failed,
    Unknown,
    Missed,
    /// Started, and given up before a byte of it was written.
    NeverSent,
    Lookup,
}

impl Tally {
    /// All zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counts now.
    pub fn counts(&self) -> Counts {
        let [due, started, sent, ok, rejected, failed, unknown, missed, never_sent, lookups] = [
            &self.due,
            &self.started,
            &self.sent,
            &self.ok,
            &self.rejected,
            &self.failed,
            &self.unknown,
            &self.missed,
            &self.never_sent,
            &self.lookups,
        ]
        .map(|counter| counter.load(Ordering::Relaxed));
        let in_flight = started.saturating_sub(ok + rejected + failed + unknown + never_sent);
        let missed = missed + never_sent;
        Counts { due, sent, ok, rejected, failed, unknown, missed, in_flight, lookups }
    }

    /// What was begun has ended so; `is_sent` when a byte of it was written.
    pub(crate) fn ended(&self, is_sent: bool, outcome: Outcome) {
        if is_sent {
            self.add(Count::Sent);
        }
        self.add(match outcome {
            Outcome::Ok => Count::Ok,
            Outcome::Rejected => Count::Rejected,
            Outcome::Failed => Count::Failed,
            Outcome::Unknown => Count::Unknown,
        });
    }

    pub(crate) fn add(&self, what: Count) {
        let counter = match what {
            Count::Due => &self.due,
            Count::Started => &self.started,
            Count::Sent => &self.sent,
            Count::Ok => &self.ok,
            Count::Rejected => &self.rejected,
            Count::Failed => &self.failed,
            Count::Unknown => &self.unknown,
            Count::Missed => &self.missed,
            Count::NeverSent => &self.never_sent,
            Count::Lookup => &self.lookups,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Tally};

    #[test]
    fn what_was_started_and_never_sent_is_missed_and_no_longer_in_flight() {
        let tally = Tally::new();
        for what in [Count::Started, Count::Started, Count::NeverSent, Count::Missed] {
            tally.add(what);
        }
        assert_eq!((tally.counts().missed, tally.counts().in_flight), (2, 1));
    }
}
