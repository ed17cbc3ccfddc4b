//! The markers that a batch of worlds must all have met: a protection that is never needed is not shown to protect.
//!
//! In: the processes' counts. Out: declared markers with their counts. Elsewhere: what each means (`core::markers`,
//! `channel::markers`, `banks::markers`, the tables of counters in the services' files).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use bankstorm_contracts::{Entry, event};
use bankstorm_record::source::MemorySource;

use super::bank::Bank;

/// A process was killed while transactions of its database were open (R20).
pub(crate) const KILLED_IN_A_TRANSACTION: &str = "world-killed-in-a-transaction";
/// Core was killed while committed entries were not published (R9).
pub(crate) const KILLED_BEFORE_PUBLISHING: &str = "world-killed-before-publishing";
/// A transaction committed outbox rows with numbers below those of rows that were committed before it (R10).
pub(crate) const LATE_COMMITTER: &str = "world-late-committer";
/// Core was killed while holds were open (D39).
pub(crate) const KILLED_WITH_AN_OPEN_HOLD: &str = "world-killed-with-an-open-hold";
/// A channel was killed while transfers were open (A2).
pub(crate) const KILLED_WITH_AN_OPEN_TRANSFER: &str = "world-killed-with-an-open-transfer";
/// A customer read "being checked", and later that it was completed (A4).
pub(crate) const UNKNOWN_THEN_COMPLETED: &str = "world-unknown-then-completed";
/// A payment sent anew under another id was stored, after the end of the one before it.
pub(crate) const SENT_ANEW: &str = "world-payment-sent-anew";
/// The button brought an account to what core had (A16).
pub(crate) const SYNCED_BY_HAND: &str = "world-synced-by-hand";
/// A command had dead letters driven again (D2).
pub(crate) const REDRIVEN_BY_COMMAND: &str = "world-redriven-by-command";
/// Entries were stored between two pages of one scroll (R21).
pub(crate) const SCROLL_MET_ROWS: &str = "world-scroll-met-new-rows";
/// The last record of an account was lost, and nothing came after it (R11).
pub(crate) const TAIL_LOST: &str = "world-tail-lost";
/// A record lies in the log twice, and its account has it once (R18).
pub(crate) const PUBLISHED_TWICE: &str = "world-published-twice";
/// One record has two letters on the topic (R17).
pub(crate) const PARKED_TWICE: &str = "world-parked-twice";
/// What the world itself sees.
const WORLD: &[&str] = &[
    KILLED_IN_A_TRANSACTION,
    KILLED_BEFORE_PUBLISHING,
    LATE_COMMITTER,
    KILLED_WITH_AN_OPEN_HOLD,
    KILLED_WITH_AN_OPEN_TRANSFER,
    UNKNOWN_THEN_COMPLETED,
    SENT_ANEW,
    SYNCED_BY_HAND,
    REDRIVEN_BY_COMMAND,
    SCROLL_MET_ROWS,
    TAIL_LOST,
    PUBLISHED_TWICE,
    PARKED_TWICE,
];
/// Counters of core that a batch must have seen above 0, besides its markers.
const CORE: &[&str] = &[
    "core_transfers_late_total",
    "core_transfers_not_started_total",
    "core_transfers_skipped_total",
    "core_outbound_silent_total",
    "core_outbound_deferred_total",
    "core_deposits_late_total",
    "core_deposits_not_started_total",
    "core_relay_errors_total",
    "core_not_admitted_total",
];
/// Counters of the channel, likewise.
const CHANNEL: &[&str] = &[
    "channel_given_up_total",
    "channel_lock_skips_total",
    "channel_offset_commit_failures_total",
    "channel_outage_retries_total",
    "channel_contention_retries_total",
    "channel_unreadable_total",
    "channel_drain_limit_total",
    "channel_submits_refused_total",
    "channel_submits_unsure_total",
    "channel_settle_retries_total",
    "channel_left_to_poller_total",
    "channel_answer_pulls_total",
    "channel_gaps_total",
];
/// Counters of the other banks, likewise.
const BANKS: &[&str] = &["banks_callbacks_total", "banks_callbacks_lost_total"];

/// What only shows once everything is over.
fn in_evidence(bank: &Bank, source: &MemorySource) -> [(&'static str, u64); 4] {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let mut last_pages: BTreeMap<u64, i64> = BTreeMap::new();
    let grown = source.pages.iter().filter(|page| page.outcome == "ok" && page.page_no.is_some()).filter(|page| {
        let before = page.op.and_then(|op| last_pages.insert(op, page.as_of_seq));
        before.is_some_and(|before| before < page.as_of_seq)
    });
    let grown = number(grown.count());
    let doubled = |places: &mut dyn Iterator<Item = (i64, i64)>| {
        let mut met = BTreeSet::new();
        number(places.filter(|place| !met.insert(*place)).count())
    };
    let published = doubled(&mut source.topic.iter().map(|row| (row.account, row.seq)));
    let parked = &source.dead_letter_topic;
    let parked = doubled(&mut parked.iter().map(|row| (row.partition.into(), row.record_offset)));
    let is_last = |entry: &Entry| {
        bank.core_store.with(|data| data.heads.get(&entry.account).is_some_and(|head| head.seq == entry.seq))
    };
    let lost = bank.log.lost().into_iter().filter_map(|record| event::decode(&record.value).ok());
    let tails = number(lost.filter(is_last).count());
    [(SCROLL_MET_ROWS, grown), (PUBLISHED_TWICE, published), (PARKED_TWICE, parked), (TAIL_LOST, tails)]
}

/// Every declared marker with its count in this world.
pub(crate) fn count(bank: &Bank, source: &MemorySource) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for marker in bankstorm_core::markers::ALL.iter().chain(CORE) {
        counts.insert(*marker, bank.core.metrics.reached_count(marker));
    }
    for marker in bankstorm_channel::markers::ALL.iter().chain(CHANNEL) {
        counts.insert(*marker, bank.channels.iter().map(|channel| channel.metrics.reached_count(marker)).sum());
    }
    for marker in bankstorm_banks::markers::ALL.iter().chain(BANKS) {
        counts.insert(*marker, bank.banks.metrics.reached_count(marker));
    }
    let seen = bank.seen.lock().unwrap_or_else(PoisonError::into_inner);
    for marker in WORLD {
        let of_world = seen.get(marker).copied().unwrap_or(0);
        let late = if *marker == LATE_COMMITTER { bank.core_store.with(|data| data.late_commits) } else { 0 };
        counts.insert(*marker, of_world + late);
    }
    counts.extend(in_evidence(bank, source));
    counts
}
