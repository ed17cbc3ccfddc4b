//! One number for everything that happened in a world.
//!
//! In: evidence, markers, virtual time. Out: SHA-256. Elsewhere: digests of many worlds (`batch`).
//!
//! Two runs of one plan that differ anywhere, be it by one microsecond of one stamp, have different digests.

use std::collections::BTreeMap;
use std::time::Duration;

use bankstorm_record::source::MemorySource;
use sha2::{Digest, Sha256};

use super::Violation;

/// The digest.
pub(crate) fn digest(
    source: &MemorySource,
    markers: &BTreeMap<&'static str, u64>,
    struck: &[Option<Duration>],
    violations: &[Violation],
    time: Duration,
) -> [u8; 32] {
    let mut hash = Fields(Sha256::new());
    books(&mut hash, source);
    copies(&mut hash, source);
    transfers(&mut hash, source);
    following(&mut hash, source);
    for (marker, count) in markers {
        hash.texts([Some(marker)]);
        hash.all([count.cast_signed()]);
    }
    for at in struck {
        hash.some([at.map(nanos)]);
    }
    for violation in violations {
        hash.texts([Some(&violation.check), Some(&violation.name), Some(&violation.first)]);
        hash.all([violation.count.cast_signed()]);
    }
    hash.all([nanos(time)]);
    hash.0.finalize().into()
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// What customers heard, and core's books.
fn books(hash: &mut Fields, source: &MemorySource) {
    hash.lengths([source.operations.len(), source.core_accounts.len(), source.core_entries.len()]);
    hash.lengths([source.core_transfers.len(), source.core_outbox.len()]);
    for row in &source.operations {
        hash.wide(row.transfer);
        hash.all([row.op as i64, row.account, row.amount, row.intended_ns]);
        hash.some([row.sent_ns, row.acked_ns, row.seq, row.balance_after]);
        hash.texts([row.outcome.as_deref(), row.resolved.as_deref()]);
    }
    for row in &source.core_accounts {
        hash.all([row.account, row.seq]);
        hash.some([row.balance]);
    }
    for row in &source.core_entries {
        hash.wide(row.transfer);
        hash.all([row.account, row.amount, row.posted_at_us]);
        hash.some([row.seq, row.balance_after]);
    }
    for row in &source.core_transfers {
        hash.wide(row.transfer);
        hash.some([row.account, row.amount, row.seq, row.balance_after]);
        hash.texts([Some(&row.state), row.reason.as_deref()]);
    }
    for row in &source.core_outbox {
        hash.all([row.account, row.seq]);
    }
}

/// The copy, what was seen of it, and the topic.
fn copies(hash: &mut Fields, source: &MemorySource) {
    hash.lengths([source.channel_entries.len(), source.channel_accounts.len(), source.apply_journal.len()]);
    hash.lengths([source.visible.len(), source.pages.len(), source.topic.len()]);
    for row in &source.channel_entries {
        hash.wide(row.transfer);
        hash.all([row.account, row.seq, row.amount, row.balance_after, row.posted_at_us]);
    }
    for row in &source.channel_accounts {
        hash.all([row.account, row.last_seq, row.balance]);
    }
    for row in &source.apply_journal {
        hash.all([row.account, row.journal_id, row.from_seq, row.to_seq, row.txid]);
        hash.some([row.partition.map(i64::from), row.record_offset, row.generation.map(i64::from)]);
        hash.texts([Some(&row.source)]);
    }
    for row in &source.visible {
        hash.all([row.account, row.from_seq, row.to_seq, row.at_ns]);
        hash.texts([Some(&row.instance)]);
    }
    for row in &source.pages {
        hash.all([row.account, row.invoked_ns, row.completed_ns, row.top_seq, row.bottom_seq, row.as_of_seq]);
        hash.all([row.rows_hash.cast_signed(), i64::from(row.count), i64::from(row.contiguous), i64::from(row.stale)]);
        hash.some([row.cursor, row.next_cursor, row.page_no.map(i64::from)]);
        hash.bytes(&row.pending);
        hash.texts([Some(&row.outcome), Some(&row.instance)]);
    }
    for row in &source.topic {
        hash.wide(row.transfer);
        hash.all([i64::from(row.partition), row.record_offset, row.account, row.seq, row.amount, row.balance_after]);
    }
    for row in &source.databases {
        hash.all([row.at_ns, row.deadlocks]);
    }
}

/// How transfers stand everywhere, and what was told of them.
fn transfers(hash: &mut Fields, source: &MemorySource) {
    hash.lengths([source.core_holds.len(), source.channel_transfers.len(), source.bank_network.len()]);
    hash.lengths([source.transfer_reads.len()]);
    for row in &source.core_holds {
        hash.wide(row.transfer);
        hash.all([row.account, row.amount, row.placed_seq, row.placed_at_us]);
        hash.some([row.ended_seq]);
        hash.texts([Some(&row.state)]);
    }
    for row in &source.channel_transfers {
        hash.wide(row.transfer);
        hash.all([row.user, row.account, row.amount, row.created_at_us, row.attempts]);
        hash.some([row.seq, row.settled_txid, row.opened_commit, row.settled_commit]);
        hash.texts([Some(&row.stage), row.reason.as_deref()]);
    }
    for row in &source.bank_network {
        hash.wide(row.transfer);
        hash.all([i64::from(row.credited)]);
        hash.some([row.amount]);
        hash.texts([Some(&row.state)]);
    }
    for row in &source.transfer_reads {
        hash.wide(row.transfer);
        hash.all([row.invoked_ns, row.completed_ns]);
        hash.some([row.seq]);
        hash.texts([Some(&row.instance), Some(&row.outcome), row.stage.as_deref(), row.reason.as_deref()]);
    }
}

/// How copies followed core.
fn following(hash: &mut Fields, source: &MemorySource) {
    hash.lengths([source.core_access.len(), source.syncs.len(), source.dead_letters.len()]);
    hash.lengths([source.dead_letter_topic.len(), source.group_commits.len()]);
    for row in &source.core_access {
        hash.all([row.begun_ns, row.ended_ns, row.status.into()]);
        hash.some([row.account]);
        hash.texts([Some(&row.caller), Some(&row.call), row.purpose.as_deref()]);
    }
    for row in &source.syncs {
        hash.all([row.account, row.invoked_ns, row.completed_ns, row.as_of_seq]);
        hash.texts([Some(&row.instance), Some(&row.outcome), row.result.as_deref()]);
    }
    for row in &source.dead_letters {
        hash.all([row.partition.into(), row.record_offset, row.attempts, row.redrives, row.parked_us]);
        hash.some([row.account, row.seq, row.closed_us]);
        hash.texts([Some(&row.class), row.code.as_deref(), row.detail.as_deref(), row.closed_by.as_deref()]);
    }
    for row in &source.dead_letter_topic {
        hash.all([row.partition.into(), row.record_offset, row.dlt_partition.into(), row.dlt_offset]);
        hash.all([row.attempts, row.timestamp_us]);
        hash.some([row.account, row.seq]);
        hash.texts([Some(&row.class), row.code.as_deref()]);
    }
    for row in &source.group_commits {
        hash.all([row.partition.into(), row.committed_offset, row.at_us]);
    }
}

struct Fields(Sha256);

impl Fields {
    fn wide(&mut self, number: u128) {
        self.0.update(number.to_le_bytes());
    }

    fn all<const N: usize>(&mut self, numbers: [i64; N]) {
        let mut bytes = [[0; 8]; N];
        for (bytes, number) in bytes.iter_mut().zip(numbers) {
            *bytes = number.to_le_bytes();
        }
        self.0.update(bytes.as_flattened());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.all([bytes.len() as i64]);
        self.0.update(bytes);
    }

    fn lengths<const N: usize>(&mut self, lengths: [usize; N]) {
        self.all(lengths.map(|length| i64::try_from(length).unwrap_or(i64::MAX)));
    }

    fn some<const N: usize>(&mut self, numbers: [Option<i64>; N]) {
        for number in numbers {
            self.all([i64::from(number.is_some()), number.unwrap_or(0)]);
        }
    }

    fn texts<const N: usize>(&mut self, texts: [Option<&str>; N]) {
        for text in texts {
            let text = text.unwrap_or("-");
            self.all([text.len() as i64]);
            self.0.update(text.as_bytes());
        }
    }
}
