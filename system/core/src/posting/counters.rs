//! The names of posting's counters: one for each event of each kind of request.
//!
//! In: kinds, events. Out: names. Elsewhere: when an event happens (`answers`).

use bankstorm_contracts::TransferKind;

/// What happened to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Posted.
    Completed,
    /// Refused for good.
    Rejected,
    /// Its money is held.
    Held,
    /// Met its own verdict.
    Replayed,
    /// Met its id with other parameters.
    Drifted,
    /// Told that its id is in work.
    Processing,
    /// Nobody could tell how its commit ended.
    Unknown,
    /// Told that nothing was done.
    NotStarted,
    /// Left its batch.
    Skipped,
    /// Its turn did not come in time.
    Late,
}

macro_rules! names {
    ($kind:literal, $event:expr) => {
        match $event {
            Event::Completed => concat!("core_", $kind, "_completed_total"),
            Event::Rejected => concat!("core_", $kind, "_rejected_total"),
            Event::Held => concat!("core_", $kind, "_held_total"),
            Event::Replayed => concat!("core_", $kind, "_replayed_total"),
            Event::Drifted => concat!("core_", $kind, "_drifted_total"),
            Event::Processing => concat!("core_", $kind, "_processing_total"),
            Event::Unknown => concat!("core_", $kind, "_unknown_total"),
            Event::NotStarted => concat!("core_", $kind, "_not_started_total"),
            Event::Skipped => concat!("core_", $kind, "_skipped_total"),
            Event::Late => concat!("core_", $kind, "_late_total"),
        }
    };
}

/// The counter of this event.
pub(super) const fn name(kind: TransferKind, event: Event) -> &'static str {
    match kind {
        TransferKind::Transfer => names!("transfers", event),
        TransferKind::Outbound => names!("outbounds", event),
        // Neither an opening nor a tombstone is ever ordered.
        TransferKind::Deposit | TransferKind::Opening | TransferKind::Tombstone => names!("deposits", event),
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::TransferKind;

    use super::{Event, name};

    #[test]
    fn each_kind_has_its_own_names() {
        assert_eq!(name(TransferKind::Deposit, Event::Completed), "core_deposits_completed_total");
        assert_eq!(name(TransferKind::Transfer, Event::Late), "core_transfers_late_total");
        assert_eq!(name(TransferKind::Outbound, Event::Held), "core_outbounds_held_total");
    }
}
