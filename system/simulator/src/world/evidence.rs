//! What is left of a world, as the rows that checkers read.
//!
//! In: a bank that has come to rest, what customers know. Out: a [`MemorySource`], sorted as `record::rows` says. Elsewhere: rows of
//! transfers (`evidence::transfers`) and of how copies follow core (`evidence::following`), the same rows of real runs (`harness/evidence`), the checkers (`check`).

mod following;
mod transfers;

use bankstorm_contracts::event::{self, ENTRIES_TOPIC};
use bankstorm_contracts::{AccountNo, Entry, Leg, TransferId};
use bankstorm_outside::core_store::TransferRecord;
use bankstorm_record::rows::{
    ApplyJournalRow, ChannelAccountRow, ChannelEntryRow, CoreAccountRow, CoreEntryRow, CoreHoldRow, CoreOutboxRow,
    CoreTransferRow, DatabaseRow, TopicRow, VisibleRow,
};
use bankstorm_record::source::MemorySource;
use tokio::time::Instant;

use super::bank::Bank;
use super::ledger::Ledger;
use crate::model::channel_store::StoredLine;
use crate::model::core_store::{CoreData, HoldRow};

/// Collects everything. `deadlocks` are the databases' counts before load, core's first.
pub(crate) fn collect(bank: &Bank, ledger: &Ledger, born: Instant, deadlocks: [u64; 2]) -> MemorySource {
    let (operations, pages, transfer_reads) = ledger.rows();
    let mut source = MemorySource { operations, pages, transfer_reads, ..MemorySource::default() };
    core(bank, &mut source);
    channel(bank, born, &mut source);
    source.channel_transfers = transfers::in_channel(bank);
    source.bank_network = transfers::abroad(bank);
    source.core_access = following::core_access(bank, born);
    source.syncs = ledger.syncs();
    source.dead_letters = following::dead_letters(bank, born);
    source.dead_letter_topic = following::dead_letter_topic(bank, born);
    source.group_commits = following::group_commits(bank, born);
    source.topic = topic(bank, born);
    source.visible = visible(bank, born);
    source.databases = databases(bank, ledger.now_ns(), deadlocks);
    source
}

fn core(bank: &Bank, source: &mut MemorySource) {
    // The opening entry is the first; an account that is opened with nothing has none.
    let loaded_seq = i64::from(bank.topology.opening_won > 0);
    bank.core_store.with(|data| {
        source.core_entries = data.legs.iter().map(core_entry).collect();
        let mut internal: Vec<i64> = Vec::new();
        for account in [AccountNo::SETTLEMENT, AccountNo::OPENING] {
            if data.legs.iter().any(|leg| leg.account == account) {
                internal.push(account.get());
            }
        }
        let of_bank = internal.into_iter().map(|account| CoreAccountRow {
            account,
            kind: "internal".to_owned(),
            seq: 0,
            balance: None,
            loaded_seq: 0,
            status: "open".to_owned(),
            held: 0,
        });
        let customers = data.heads.values().map(|head| CoreAccountRow {
            account: head.account.get(),
            kind: "customer".to_owned(),
            seq: head.seq,
            balance: Some(head.balance.get()),
            loaded_seq,
            status: data.statuses.get(&head.account).copied().unwrap_or_default().as_str().to_owned(),
            held: data.held.get(&head.account).map_or(0, |held| held.get()),
        });
        source.core_accounts = of_bank.chain(customers).collect();
        source.core_transfers = data.transfers.values().map(|record| core_transfer(data, record)).collect();
        source.core_holds = data.holds.iter().map(|(id, row)| core_hold(*id, row)).collect();
        let unsent = data.outbox.values().map(|entry| CoreOutboxRow {
            account: entry.account.get(),
            seq: entry.seq,
            transfer: entry.transfer.0.as_u128(),
        });
        source.core_outbox = unsent.collect();
    });
    source.core_accounts.sort_by_key(|row| row.account);
    source.core_entries.sort_by_key(|row| (row.account, row.seq, row.transfer, row.amount));
    source.core_outbox.sort_by_key(|row| (row.account, row.seq));
}

fn core_transfer(data: &CoreData, record: &TransferRecord) -> CoreTransferRow {
    let asked = data.asked.get(&record.id);
    let claim = asked.map(|asked| &asked.claim);
    let party = claim.and_then(|claim| claim.party.as_ref());
    let promise = claim.and_then(|claim| claim.promise);
    CoreTransferRow {
        transfer: record.id.0.as_u128(),
        kind: record.kind.as_str().to_owned(),
        state: record.state.as_str().to_owned(),
        params_hash: record.params_hash.0.to_vec(),
        account: claim.and_then(|claim| claim.account).map(AccountNo::get),
        amount: claim.and_then(|claim| claim.amount).map(|amount| amount.get()),
        reason: record.reason.map(|reason| reason.as_str().to_owned()),
        seq: record.seq,
        balance_after: record.balance_after.map(|balance| balance.get()),
        party_bank: party.map(|party| party.bank.clone()),
        party_account: party.map(|party| party.account.clone()),
        created_at_us: asked.map(|asked| asked.at.0),
        posted_at_us: record.posted_at.map(|at| at.0),
        requested_at_us: promise.map(|promise| promise.requested_at.0),
        valid_for_ms: promise.map(|promise| promise.valid_for_ms.into()),
    }
}

fn core_hold(id: TransferId, row: &HoldRow) -> CoreHoldRow {
    CoreHoldRow {
        transfer: id.0.as_u128(),
        account: row.hold.account.get(),
        amount: row.hold.amount.get(),
        state: row.ended.map_or("held", |ended| ended.end.as_str()).to_owned(),
        placed_seq: row.hold.placed_seq,
        placed_at_us: row.hold.placed_at.0,
        ended_seq: row.ended.map(|ended| ended.ended_seq),
    }
}

fn core_entry(leg: &Leg) -> CoreEntryRow {
    CoreEntryRow {
        account: leg.account.get(),
        seq: leg.seq,
        transfer: leg.transfer.0.as_u128(),
        amount: leg.amount.get(),
        balance_after: leg.balance_after.map(|balance| balance.get()),
        kind: leg.kind.as_str().to_owned(),
        posted_at_us: leg.posted_at.0,
    }
}

fn channel(bank: &Bank, born: Instant, source: &mut MemorySource) {
    bank.channel_store.with(|data| {
        source.channel_entries = data.entries.values().chain(&data.doubled).map(channel_entry).collect();
        let accounts = data.heads.values().map(|head| ChannelAccountRow {
            account: head.account.get(),
            last_seq: head.seq,
            balance: head.balance.get(),
            dirty: data.marks_of(head.account).dirty,
        });
        source.channel_accounts = accounts.collect();
        source.apply_journal = data.journal.iter().zip(1..).map(|line| journal_row(born, line)).collect();
    });
    source.channel_entries.sort_by_key(|row| (row.account, row.seq));
    source.apply_journal.sort_by_key(|row| (row.account, row.journal_id));
}

fn journal_row(
    born: Instant,
    (StoredLine { line, stored_by, commit, at }, journal_id): (&StoredLine, i64),
) -> ApplyJournalRow {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let cause = line.cause.as_ref();
    ApplyJournalRow {
        journal_id,
        account: line.account.get(),
        from_seq: line.from_seq,
        to_seq: line.to_seq,
        source: line.source.as_str().to_owned(),
        topic: cause.map(|cause| cause.topic.clone()),
        partition: cause.map(|cause| cause.partition),
        record_offset: cause.map(|cause| cause.offset),
        generation: cause.and_then(|cause| cause.generation),
        instance: "channel".to_owned(),
        txid: number(*stored_by),
        commit: Some(number(*commit)),
        committed_us: Some(following::wall_us(born, *at)),
    }
}

fn channel_entry(entry: &Entry) -> ChannelEntryRow {
    ChannelEntryRow {
        account: entry.account.get(),
        seq: entry.seq,
        transfer: entry.transfer.0.as_u128(),
        amount: entry.amount.get(),
        balance_after: entry.balance_after.get(),
        kind: entry.kind.as_str().to_owned(),
        posted_at_us: entry.posted_at.0,
    }
}

fn topic(bank: &Bank, born: Instant) -> Vec<TopicRow> {
    let mut rows = Vec::new();
    for (record, at) in bank.log.records(ENTRIES_TOPIC).into_iter().zip(bank.log.appended_at(ENTRIES_TOPIC)) {
        // What core publishes can be read, or it is a bug that T1 sees as a lost record.
        let Ok(entry) = event::decode(&record.value) else { continue };
        rows.push(TopicRow {
            partition: record.at.partition,
            record_offset: record.offset,
            key_account: std::str::from_utf8(&record.key).ok().and_then(|key| key.parse().ok()),
            account: entry.account.get(),
            seq: entry.seq,
            transfer: entry.transfer.0.as_u128(),
            amount: entry.amount.get(),
            balance_after: entry.balance_after.get(),
            timestamp_us: following::wall_us(born, at),
        });
    }
    rows.sort_by_key(|row| (row.partition, row.record_offset));
    rows
}

fn visible(bank: &Bank, born: Instant) -> Vec<VisibleRow> {
    let mut rows = Vec::new();
    for process in &bank.channels {
        process.visible.with(|lines| {
            rows.extend(lines.iter().map(|line| VisibleRow {
                account: line.account.get(),
                from_seq: line.from_seq,
                to_seq: line.to_seq,
                at_ns: i64::try_from((line.at - born).as_nanos()).unwrap_or(i64::MAX),
                instance: process.name.to_owned(),
            }));
        });
    }
    rows.sort_by(|a, b| (a.account, a.to_seq, a.at_ns, &a.instance).cmp(&(b.account, b.to_seq, b.at_ns, &b.instance)));
    rows
}

fn databases(bank: &Bank, now_ns: i64, before: [u64; 2]) -> Vec<DatabaseRow> {
    let row = |database: &str, at_ns, deadlocks: u64| {
        let deadlocks = i64::try_from(deadlocks).unwrap_or(i64::MAX);
        DatabaseRow { database: database.to_owned(), at_ns, deadlocks, logged: deadlocks }
    };
    let (core, channel) = (bank.core_store.database().deadlocks(), bank.channel_store.database().deadlocks());
    vec![
        row("channel", 0, before[1]),
        row("channel", now_ns, channel),
        row("core", 0, before[0]),
        row("core", now_ns, core),
    ]
}
