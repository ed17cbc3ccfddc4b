//! The markers that a batch of worlds must all have met: a protection that is never needed is not shown to protect.
//!
//! In: the processes' counts. Out: declared markers with their counts. Elsewhere: what each means (`core::markers`,
//! `channel::markers`, the tables of counters in the services' files).

use std::collections::BTreeMap;

use super::bank::Bank;

/// Counters of core that a batch must have seen above 0, besides its markers.
const CORE: &[&str] = &["core_deposits_late_total", "core_deposits_not_started_total", "core_relay_errors_total"];
/// Counters of the channel, likewise.
const CHANNEL: &[&str] = &[
    "channel_given_up_total",
    "channel_lock_skips_total",
    "channel_offset_commit_failures_total",
    "channel_outage_retries_total",
    "channel_contention_retries_total",
    "channel_unreadable_total",
];

/// Every declared marker with its count in this world.
pub(crate) fn count(bank: &Bank) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for marker in bankstorm_core::markers::ALL.iter().chain(CORE) {
        counts.insert(*marker, bank.core.metrics.reached_count(marker));
    }
    for marker in bankstorm_channel::markers::ALL.iter().chain(CHANNEL) {
        counts.insert(*marker, bank.channels.iter().map(|channel| channel.metrics.reached_count(marker)).sum());
    }
    counts
}
