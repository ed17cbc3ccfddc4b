//! The changes of one field that each file's rows may get, by the name under which `UNGUARDED` may list them.

use bankstorm_record::rows::{
    ApplyJournalRow, BankNetworkRow, ChannelAccountRow, ChannelEntryRow, ChannelTransferRow, CoreAccountRow,
    CoreEntryRow, CoreHoldRow, CoreTransferRow, DatabaseRow, OperationRow, PageRow, TopicRow, TransferReadRow,
    pending_bytes,
};

use crate::bank::FIRST_OWN;

pub(super) type Change<T> = (&'static str, fn(&mut T, i64));

pub(super) const OPERATION: &[Change<OperationRow>] = &[
    ("op", |row, by| row.op = row.op.wrapping_add_signed(by)),
    ("kind", |row, _| row.kind.push('x')),
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs())),
    ("account", |row, by| row.account += by),
    ("amount", |row, by| row.amount += by),
    ("params_hash", |row, _| row.params_hash[31] ^= 1),
    ("outcome", |row, _| row.outcome = Some("unknown".to_owned())),
    ("resolved", |row, _| row.resolved = None),
    ("verdict", |row, _| (row.outcome, row.resolved) = (Some("unknown".to_owned()), Some("failed".to_owned()))),
    ("verdict", |row, _| (row.outcome, row.resolved) = (Some("rejected".to_owned()), Some("rejected".to_owned()))),
    ("seq", |row, by| row.seq = row.seq.map(|seq| seq + by)),
    ("no seq", |row, _| row.seq = None),
    ("balance_after", |row, by| row.balance_after = row.balance_after.map(|balance| balance + by)),
    ("times", |row, by| row.acked_ns = row.acked_ns.map(|at| at + by)),
    ("user", |row, by| row.user = Some(row.user.unwrap_or(0) + by)),
    ("to", |row, _| row.to_bank = Some("777".to_owned())),
    ("to", |row, _| row.to_account = Some("777".to_owned())),
    ("intent", |row, by| row.intent = Some(by.unsigned_abs())),
    ("attempts", |row, _| row.attempts = Some(9)),
];

pub(super) const CORE_ACCOUNT: &[Change<CoreAccountRow>] = &[
    ("account", |row, by| row.account += by),
    ("kind", |row, _| row.kind.push('x')),
    ("seq", |row, by| row.seq += by),
    ("balance", |row, by| row.balance = Some(row.balance.unwrap_or(0) + by)),
    ("loaded_seq", |row, by| row.loaded_seq += by),
    ("status", |row, _| row.status = "closed".to_owned()),
    ("held", |row, by| row.held += by),
];

pub(super) const CORE_ENTRY: &[Change<CoreEntryRow>] = &[
    ("account", |row, by| row.account += by.abs().min(900)),
    ("seq", |row, by| row.seq = Some(row.seq.unwrap_or(0) + by)),
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs())),
    ("amount", |row, by| row.amount += by),
    ("balance_after", |row, by| row.balance_after = Some(row.balance_after.unwrap_or(0) + by)),
    ("kind", |row, _| row.kind.push('x')),
    ("posted_at_us", |row, by| row.posted_at_us += by),
];

pub(super) const CORE_TRANSFER: &[Change<CoreTransferRow>] = &[
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs())),
    ("state", |row, _| row.state = "rejected".to_owned()),
];

pub(super) const POSTED_TRANSFER: &[Change<CoreTransferRow>] = &[
    ("kind", |row, _| row.kind.push('x')),
    ("params_hash", |row, _| row.params_hash[0] ^= 1),
    ("account", |row, by| row.account = row.account.map(|account| account + by)),
    ("amount", |row, by| row.amount = row.amount.map(|amount| amount + by)),
    ("seq", |row, by| row.seq = row.seq.map(|seq| seq + by)),
    ("balance_after", |row, _| row.balance_after = None),
    ("reason", |row, _| row.reason = Some("unknown_account".to_owned())),
    ("party", |row, _| row.party_bank = Some("777".to_owned())),
    ("party", |row, _| row.party_account = Some("777".to_owned())),
    ("times", |row, by| row.created_at_us = row.created_at_us.map(|at| at + by)),
    ("times", |row, by| row.posted_at_us = row.posted_at_us.map(|at| at + by)),
    ("times", |row, by| row.requested_at_us = row.requested_at_us.map(|at| at + by)),
    ("valid_for_ms", |row, by| row.valid_for_ms = row.valid_for_ms.map(|for_ms| for_ms + by)),
];

pub(super) const HOLD: &[Change<CoreHoldRow>] = &[
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs()) << 8),
    ("account", |row, by| row.account += by),
    ("amount", |row, by| row.amount += by),
    ("state", |row, _| row.state = "held".to_owned()),
    ("state", |row, _| row.state = if row.state == "posted" { "voided" } else { "posted" }.to_owned()),
    ("placed_seq", |row, by| row.placed_seq += by),
    ("placed_at_us", |row, by| row.placed_at_us += by),
    ("ended_seq", |row, by| row.ended_seq = row.ended_seq.map(|seq| seq + by)),
];

pub(super) const CREDIT: &[Change<BankNetworkRow>] = &[
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs()) << 8),
    ("state", |row, _| row.state = if row.state == "credited" { "refused" } else { "credited" }.to_owned()),
    ("to_bank", |row, _| row.to_bank = Some("777".to_owned())),
    ("to_account", |row, _| row.to_account = Some("777".to_owned())),
    ("amount", |row, by| row.amount = row.amount.map(|amount| amount + by)),
    ("credited", |row, _| row.credited += 1),
];

pub(super) const CHANNEL_TRANSFER: &[Change<ChannelTransferRow>] = &[
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs()) << 8),
    ("parties", |row, by| row.user += by),
    ("parties", |row, by| row.account += by),
    ("parties", |row, _| row.to_bank.push('x')),
    ("parties", |row, _| row.to_account.push('x')),
    ("parties", |row, by| row.amount += by),
    ("params_hash", |row, _| row.params_hash[7] ^= 1),
    ("stage", |row, _| row.stage = "unknown".to_owned()),
    ("stage", |row, _| row.stage = if row.stage == "rejected" { "failed" } else { "rejected" }.to_owned()),
    ("reason", |row, _| row.reason = Some("account_closed".to_owned())),
    ("seq", |row, by| row.seq = Some(row.seq.unwrap_or(0) + by)),
    ("times", |row, by| row.created_at_us += by),
    ("times", |row, by| row.attempts += by),
    ("settled_txid", |row, by| row.settled_txid = row.settled_txid.map(|txid| txid + by)),
    ("no settled_txid", |row, _| row.settled_txid = None),
    ("commits", |row, by| row.opened_commit = row.opened_commit.map(|at| at + by)),
    ("commits", |row, by| row.settled_commit = row.settled_commit.map(|at| at + by)),
];

pub(super) const READ: &[Change<TransferReadRow>] = &[
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs()) << 8),
    ("asked", |row, by| row.invoked_ns += by.abs().min(50)),
    ("asked", |row, by| row.completed_ns += by.abs()),
    ("asked", |row, _| row.instance.push('x')),
    ("asked", |row, _| row.via.push('x')),
    ("store", |row, _| row.store.push('x')),
    ("asked", |row, _| row.store = "core".to_owned()),
    ("params_hash", |row, _| row.params_hash = Some(vec![9; 32])),
    ("outcome", |row, _| row.outcome.push('x')),
    ("stage", |row, _| row.stage = Some("pending".to_owned())),
    ("verdict", |row, _| {
        let is_posted = matches!(row.stage.as_deref(), Some("completed" | "sent"));
        let other = if is_posted { "failed" } else { "completed" };
        row.stage = Some(other.to_owned());
    }),
    ("reason", |row, _| row.reason = Some("expired".to_owned())),
    ("seq", |row, by| row.seq = Some(row.seq.unwrap_or(0) + by)),
];

pub(super) const CHANNEL_ENTRY: &[Change<ChannelEntryRow>] = &[
    ("account", |row, by| row.account += by),
    ("seq", |row, by| row.seq += by),
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs())),
    ("amount", |row, by| row.amount += by),
    ("balance_after", |row, by| row.balance_after += by),
    ("kind", |row, _| row.kind.push('x')),
    ("posted_at_us", |row, by| row.posted_at_us += by),
];

pub(super) const CHANNEL_ACCOUNT: &[Change<ChannelAccountRow>] = &[
    ("account", |row, by| row.account += by),
    ("last_seq", |row, by| row.last_seq += by),
    ("balance", |row, by| row.balance += by),
    ("dirty", |row, _| row.dirty = !row.dirty),
];

pub(super) const JOURNAL: &[Change<ApplyJournalRow>] = &[
    ("journal_id", |row, by| row.journal_id += by),
    ("account", |row, by| row.account += by),
    ("from_seq", |row, by| row.from_seq += by),
    ("to_seq", |row, by| row.to_seq += by),
    ("transaction", |row, by| row.txid += by),
    ("generation", |row, by| row.generation = row.generation.map(|generation| generation + by.abs() as i32)),
    ("no generation", |row, _| row.generation = None),
    ("transaction", |row, by| row.commit = row.commit.map(|at| at + by)),
    ("cause", |row, by| row.record_offset = row.record_offset.map(|offset| offset + by)),
    ("cause", |row, _| (row.topic, row.partition, row.record_offset) = (None, None, None)),
];

pub(super) const PAGE: &[Change<PageRow>] = &[
    ("account", |row, by| row.account += by),
    ("read", |row, by| row.completed_ns += by.abs().min(400)),
    ("read", |row, _| row.instance.push('x')),
    ("cursor", |row, _| row.cursor = if row.cursor.is_none() { Some(2) } else { None }),
    ("outcome", |row, _| row.outcome = "failed".to_owned()),
    ("top_seq", |row, by| row.top_seq += by),
    ("bottom_seq", |row, by| row.bottom_seq += by),
    ("count", |row, by| row.count = row.count.wrapping_add_signed(by as i32)),
    ("contiguous", |row, _| row.contiguous = false),
    ("rows_hash", |row, by| row.rows_hash = row.rows_hash.wrapping_add_signed(by)),
    ("as_of_seq", |row, by| row.as_of_seq += by),
    ("pending", |row, _| row.pending = pending_bytes([FIRST_OWN])),
    ("stale", |row, _| row.stale = true),
    ("scroll", |row, by| row.page_no = row.page_no.map(|page_no| page_no.wrapping_add_signed(by as i32))),
    ("scroll left", |row, _| row.page_no = None),
    ("scroll", |row, by| row.next_cursor = Some(row.next_cursor.unwrap_or(row.bottom_seq) + by)),
];

pub(super) const TOPIC: &[Change<TopicRow>] = &[
    ("partition", |row, by| row.partition += by as i32),
    ("record_offset", |row, by| row.record_offset += by),
    ("key_account", |row, by| row.key_account = row.key_account.map(|key| key + by)),
    ("account", |row, by| row.account += by),
    ("seq", |row, by| row.seq += by),
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs())),
    ("amount", |row, by| row.amount += by),
    ("balance_after", |row, by| row.balance_after += by),
    ("timestamp_us", |row, by| row.timestamp_us += by),
];

pub(super) const DATABASE: &[Change<DatabaseRow>] = &[
    ("database", |row, _| row.database.push('x')),
    ("at_ns", |row, by| row.at_ns += by),
    ("deadlocks", |row, by| row.deadlocks += by),
    ("logged", |row, by| row.logged += by),
];
