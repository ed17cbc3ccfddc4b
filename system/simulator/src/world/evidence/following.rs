//! What is left of how copies followed core: what core was asked, dead letters, committed offsets.
//!
//! In: core's access log, the channel's database, the log. Out: rows, sorted as `record::rows` says. Elsewhere: uses of the button
//! (`ledger`), the rest (`evidence`).

use bankstorm_contracts::event::{DEAD_LETTERS_TOPIC, ENTRIES_TOPIC};
use bankstorm_contracts::{AccountNo, dead_letter};
use bankstorm_record::rows::{CoreAccessRow, DeadLetterRow, DltRow, GroupCommitRow};
use tokio::time::Instant;

use crate::model::channel_store::StoredLetter;
use crate::model::database::EPOCH;
use crate::model::process::AccessLine;
use crate::world::bank::Bank;
use crate::world::conductor::GROUP;

fn nanos(born: Instant, at: Instant) -> i64 {
    i64::try_from((at - born).as_nanos()).unwrap_or(i64::MAX)
}

/// Behind all that customers noted in the same moment, and before the next: what happens at once they number in its nanoseconds, and a call
/// that a read causes must not seem to come before it.
const BEHIND_CUSTOMERS_NS: i64 = 500_000;

/// A moment as clocks on walls show it that nobody has set: those of databases begin with the world.
pub(super) fn wall_us(born: Instant, at: Instant) -> i64 {
    EPOCH.0.saturating_add(i64::try_from((at - born).as_micros()).unwrap_or(i64::MAX))
}

pub(super) fn core_access(bank: &Bank, born: Instant) -> Vec<CoreAccessRow> {
    let row = |line: &AccessLine| CoreAccessRow {
        begun_ns: nanos(born, line.begun) + BEHIND_CUSTOMERS_NS,
        ended_ns: nanos(born, line.ended) + BEHIND_CUSTOMERS_NS,
        caller: line.caller.clone(),
        call: line.call.as_str().to_owned(),
        account: line.account.map(AccountNo::get),
        purpose: line.purpose.map(|purpose| purpose.as_str().to_owned()),
        status: line.status.into(),
    };
    let mut rows: Vec<_> = bank.core.access.with(|lines| lines.iter().map(row).collect());
    rows.sort_by_key(|row| (row.account, row.begun_ns));
    rows
}

pub(super) fn dead_letters(bank: &Bank, born: Instant) -> Vec<DeadLetterRow> {
    let row = |StoredLetter { letter, at, redrives, closed, .. }: &StoredLetter| DeadLetterRow {
        partition: letter.partition,
        record_offset: letter.offset,
        account: letter.account.map(AccountNo::get),
        seq: letter.seq,
        class: letter.class.as_str().to_owned(),
        code: Some(letter.code.clone()),
        detail: Some(letter.detail.clone()),
        attempts: letter.attempts.into(),
        redrives: (*redrives).into(),
        // Held against commits of the group, which no set clock changes.
        parked_us: wall_us(born, *at),
        closed_us: closed.map(|(at, _)| at.0),
        closed_by: closed.map(|(_, by)| by.to_owned()),
    };
    let mut rows: Vec<_> = bank.channel_store.with(|data| data.letters.iter().map(row).collect());
    rows.sort_by_key(|row| (row.partition, row.record_offset));
    rows
}

pub(super) fn dead_letter_topic(bank: &Bank, born: Instant) -> Vec<DltRow> {
    let mut rows = Vec::new();
    let records = bank.log.records(DEAD_LETTERS_TOPIC).into_iter();
    for (record, at) in records.zip(bank.log.appended_at(DEAD_LETTERS_TOPIC)) {
        // What channels write can be read, or it is a bug that T4 sees as a lost letter.
        let Ok(letter) = dead_letter::decode(&record.value) else { continue };
        rows.push(DltRow {
            partition: letter.partition,
            record_offset: letter.offset,
            dlt_partition: record.at.partition,
            dlt_offset: record.offset,
            account: letter.account.map(AccountNo::get),
            seq: letter.seq,
            class: letter.class.as_str().to_owned(),
            code: Some(letter.code),
            attempts: letter.attempts.into(),
            timestamp_us: wall_us(born, at),
        });
    }
    rows.sort_by_key(|row| (row.partition, row.record_offset, row.dlt_partition, row.dlt_offset));
    rows
}

pub(super) fn group_commits(bank: &Bank, born: Instant) -> Vec<GroupCommitRow> {
    let commits = bank.log.commits_of(GROUP).into_iter().filter(|(at, ..)| at.topic == ENTRIES_TOPIC);
    let row = |(at, committed_offset, moment): (bankstorm_outside::log::TopicPartition, i64, Instant)| GroupCommitRow {
        partition: at.partition,
        committed_offset,
        at_us: wall_us(born, moment),
    };
    let mut rows: Vec<_> = commits.map(row).collect();
    rows.sort_by_key(|row| (row.partition, row.at_us));
    rows
}
