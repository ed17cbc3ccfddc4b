//! A small good history for tests: every file agrees with every other. Tests change one thing and say which checks fire.
//!
//! In: sizes. Out: [`Bank`], with handles to single rows and assertions on verdicts. Each account has an opening, some loaded deposits and
//! some deposits posted in the run; two more accounts have transfers (`bank/transfers.rs`); the copy is complete; pages were read while it
//! moved.

mod assertions;
mod changes;
mod following;
mod transfers;

use std::collections::BTreeMap;

use bankstorm_record::rows::{
    ApplyJournalRow, ChannelAccountRow, ChannelEntryRow, CoreAccountRow, CoreEntryRow, CoreTransferRow, DatabaseRow,
    OperationRow, PageRow, TopicRow, entry_hash,
};
use bankstorm_record::source::MemorySource;

use crate::check::{Context, Subject};
use crate::following::{Cursor, Following, History, ReadSync};

pub(crate) use assertions::assert_only;
use following::partition_of;
pub(crate) use following::{FOLLOWED, FRESH_AT};
pub(crate) use transfers::{FIRST_OWN, LOST, PAYEE, PAYER, POSTED, REFUSED, VALIDITY_MS, VOIDED};

/// What the load of the good history has.
pub(crate) const DECLARED: Context = Context {
    floor_won: 0,
    incomplete: false,
    transfers: true,
    outbound: true,
    guard: Some(Subject::User),
    validity_ms: Some(VALIDITY_MS),
    following: Some(Following {
        read_sync: ReadSync::Pending,
        history: History::Copy,
        cursor: Cursor::Keyset,
        read_budget_ms: 300,
        core_pulls: 8,
        manual_every_ms: 1_000,
        tidies: true,
        attempts: 3,
        databases: 1,
        button: true,
        calm: true,
        origin_wall_us: Some(ORIGIN_US),
        commits_are_moments: false,
    }),
    no_tombstones: false,
    topic_grew: false,
    leaps: Vec::new(),
};

/// The wall clock at the origin.
const ORIGIN_US: i64 = 1_700_000_000_000_000;

const FIRST: i64 = 1_000_000;
const SETTLEMENT: i64 = 1;
const OPENING: i64 = 2;

/// A history in memory.
#[derive(Clone, Debug)]
pub(crate) struct Bank {
    pub(crate) source: MemorySource,
}

impl Bank {
    /// Accounts 1000000 to 1000002, each with serials 1 to 3 loaded and 4 and 5 posted; 1000000 and 1000002 are on partition 0.
    pub(crate) fn good() -> Self {
        Self::of(3, 3, 2)
    }

    /// The same without transfers, as runs before them were.
    pub(crate) fn deposits() -> Self {
        let mut bank = Self::with_deposits(3, 3, 2);
        bank.publish();
        bank.ask_databases();
        bank
    }

    pub(crate) fn of(accounts: i64, loaded: i64, posted: i64) -> Self {
        let mut bank = Self::with_deposits(accounts, loaded, posted);
        bank.add_followed();
        bank.add_transfers();
        bank.add_following();
        bank.publish();
        bank.ask_databases();
        bank
    }

    fn with_deposits(accounts: i64, loaded: i64, posted: i64) -> Self {
        let mut bank = Self { source: MemorySource::default() };
        for account in [SETTLEMENT, OPENING] {
            let (kind, status) = ("internal".to_owned(), "open".to_owned());
            bank.source.core_accounts.push(CoreAccountRow { account, kind, status, ..CoreAccountRow::default() });
        }
        for account in FIRST..FIRST + accounts {
            let mut balance = 0;
            for seq in 1..=loaded + posted {
                balance = bank.book(account, seq, balance, seq > loaded);
            }
            bank.source.core_accounts.push(CoreAccountRow {
                account,
                kind: "customer".to_owned(),
                seq: loaded + posted,
                balance: Some(balance),
                loaded_seq: loaded,
                status: "open".to_owned(),
                held: 0,
            });
            bank.copy(account, loaded);
        }
        bank.sort();
        bank
    }

    /// Both servers are asked before and after; what they had counted before the run is no finding.
    fn ask_databases(&mut self) {
        for (database, at_ns) in [("channel", 0), ("channel", 9_000), ("core", 0), ("core", 9_000)] {
            self.source.databases.push(DatabaseRow { database: database.to_owned(), at_ns, deadlocks: 1, logged: 3 });
        }
    }

    /// Books one entry and gives the new balance.
    fn book(&mut self, account: i64, seq: i64, before: i64, in_run: bool) -> i64 {
        let (kind, amount) =
            if seq == 1 { ("opening", 1_000) } else { ("deposit", 59 + seq + (account - FIRST - 1) * 10) };
        let balance = before + amount;
        // Ids are not in the order of accounts: sorting by id is another order.
        let transfer = (0x0192_u128 << 112) | (((seq * 7919) % 101) as u128) << 32 | (account as u128);
        let params_hash = vec![(seq + account % 100) as u8; 32];
        let kind = kind.to_owned();
        self.legs(account, seq, transfer, amount, balance, &kind);
        self.source.core_transfers.push(CoreTransferRow {
            transfer,
            kind: kind.clone(),
            state: "completed".to_owned(),
            params_hash: params_hash.clone(),
            account: Some(account),
            amount: Some(amount),
            reason: None,
            seq: Some(seq),
            balance_after: Some(balance),
            ..CoreTransferRow::default()
        });
        if in_run {
            let op = self.source.operations.len() as u64;
            self.source.operations.push(operation(op, account, seq, transfer, amount, balance, kind, params_hash));
        }
        balance
    }

    fn legs(&mut self, account: i64, seq: i64, transfer: u128, amount: i64, balance: i64, kind: &str) {
        let customer = CoreEntryRow {
            account,
            seq: Some(seq),
            transfer,
            amount,
            balance_after: Some(balance),
            kind: kind.to_owned(),
            posted_at_us: 1_700_000_000_000_000 + seq,
        };
        let other = if kind == "opening" { OPENING } else { SETTLEMENT };
        let internal =
            CoreEntryRow { account: other, seq: None, amount: -amount, balance_after: None, ..customer.clone() };
        self.source.core_entries.extend([customer, internal]);
    }

    /// Copies the account as it stands in core, with journal and pages.
    fn copy(&mut self, account: i64, loaded: i64) {
        let rows: Vec<CoreEntryRow> =
            self.source.core_entries.iter().filter(|row| row.account == account).cloned().collect();
        for row in &rows {
            self.source.channel_entries.push(copied(row));
        }
        let last = rows.last().expect("at least an opening");
        let (last_seq, balance) = (last.seq.expect("a customer's"), last.balance_after.expect("a customer's"));
        self.source.channel_accounts.push(ChannelAccountRow { account, last_seq, balance, dirty: false });
        for to_seq in loaded + 1..=last_seq {
            self.journal(account, to_seq);
        }
        let page = |read: i64, top: i64, cursor: Option<i64>, as_of_seq: i64| PageRow {
            account,
            invoked_ns: read * 1_000,
            completed_ns: read * 1_000 + 500,
            instance: format!("channel-{}", account % 2),
            op: None,
            cursor,
            outcome: "ok".to_owned(),
            top_seq: top,
            bottom_seq: 1,
            count: top as u32,
            contiguous: true,
            rows_hash: rows.iter().take(top as usize).map(hash).fold(0, u64::wrapping_add),
            as_of_seq,
            ..PageRow::default()
        };
        // While the copy was one behind, then scrolled further down, then the newest again.
        let pages = [
            page(1, last_seq - 1, None, last_seq - 1),
            page(2, 2, Some(3), last_seq),
            page(3, last_seq, None, last_seq),
        ];
        self.source.pages.extend(pages);
    }

    fn journal(&mut self, account: i64, to_seq: i64) {
        let journal_id = self.source.apply_journal.len() as i64 + 1;
        self.source.apply_journal.push(ApplyJournalRow {
            journal_id,
            account,
            from_seq: to_seq - 1,
            to_seq,
            source: "event".to_owned(),
            topic: Some("core.entries".to_owned()),
            partition: Some(partition_of(account)),
            record_offset: Some(journal_id),
            generation: Some(1),
            instance: format!("channel-{}", account % 2),
            txid: journal_id,
            commit: Some(journal_id),
            committed_us: None,
        });
    }

    /// The entries of all deposits of the run, then those of transfers, each on its account's partition.
    fn publish(&mut self) {
        let of_deposits = self.source.operations.iter().filter(|op| op.kind == "deposit");
        let of_deposits = of_deposits.map(|op| (op.account, op.seq)).collect::<Vec<_>>();
        let is_posted = |row: &&CoreEntryRow| matches!(row.account, PAYER | PAYEE) && row.seq > Some(3);
        let of_transfers = self.source.core_entries.iter().filter(is_posted);
        let of_transfers = of_transfers.map(|row| (row.account, row.seq)).collect::<Vec<_>>();
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        for (account, seq) in of_deposits.into_iter().chain(of_transfers) {
            let partition = partition_of(account);
            let offset = next.entry(partition).or_default();
            let row = self.core_entry(account, seq.expect("posted")).clone();
            self.source.topic.push(TopicRow {
                partition,
                record_offset: *offset,
                key_account: Some(account),
                account,
                seq: seq.expect("posted"),
                transfer: row.transfer,
                amount: row.amount,
                balance_after: row.balance_after.expect("a customer's"),
                timestamp_us: 1_700_000_000_000_000,
            });
            *offset += 1;
        }
        self.sort();
    }

    fn sort(&mut self) {
        self.source.core_accounts.sort_by_key(|row| row.account);
        self.source.channel_accounts.sort_by_key(|row| row.account);
        self.source.core_entries.sort_by_key(|row| (row.account, row.seq, row.transfer, row.amount));
        self.source.core_transfers.sort_by_key(|row| row.transfer);
        self.source.channel_entries.sort_by_key(|row| (row.account, row.seq));
        self.source.apply_journal.sort_by_key(|row| (row.account, row.journal_id));
        self.source.topic.sort_by_key(|row| (row.partition, row.record_offset));
    }
}

#[expect(clippy::too_many_arguments, reason = "a row has that many fields")]
fn operation(
    op: u64,
    account: i64,
    seq: i64,
    transfer: u128,
    amount: i64,
    balance: i64,
    kind: String,
    params_hash: Vec<u8>,
) -> OperationRow {
    let due = op as i64 * 1_000_000;
    OperationRow {
        op,
        load: 0,
        kind,
        phase: "measure".to_owned(),
        transfer,
        account,
        amount,
        params_hash,
        intended_ns: due,
        sent_ns: Some(due + 10),
        acked_ns: Some(due + 1_000),
        visible_ns: Some(due + 5_000),
        visible_is_upper_bound: false,
        outcome: Some("ok".to_owned()),
        resolved: Some("ok".to_owned()),
        seq: Some(seq),
        balance_after: Some(balance),
        detail: None,
        http_status: Some(201),
        ..OperationRow::default()
    }
}

fn copied(row: &CoreEntryRow) -> ChannelEntryRow {
    ChannelEntryRow {
        account: row.account,
        seq: row.seq.expect("a customer's"),
        transfer: row.transfer,
        amount: row.amount,
        balance_after: row.balance_after.expect("a customer's"),
        kind: row.kind.clone(),
        posted_at_us: row.posted_at_us,
    }
}

fn hash(row: &CoreEntryRow) -> u64 {
    let row = copied(row);
    entry_hash(row.account, row.seq, row.transfer, row.amount, row.balance_after, &row.kind)
}

/// Handles to single rows.
impl Bank {
    pub(crate) fn core_account(&mut self, account: i64) -> &mut CoreAccountRow {
        self.source.core_accounts.iter_mut().find(|row| row.account == account).expect("an account")
    }

    pub(crate) fn core_entry(&mut self, account: i64, seq: i64) -> &mut CoreEntryRow {
        let is_it = |row: &&mut CoreEntryRow| (row.account, row.seq) == (account, Some(seq));
        self.source.core_entries.iter_mut().find(is_it).expect("an entry")
    }

    pub(crate) fn internal_leg(&mut self, account: i64, seq: i64) -> &mut CoreEntryRow {
        let id = self.core_entry(account, seq).transfer;
        let is_it = |row: &&mut CoreEntryRow| row.transfer == id && row.seq.is_none();
        self.source.core_entries.iter_mut().find(is_it).expect("a leg")
    }

    pub(crate) fn transfer_of(&mut self, account: i64, seq: i64) -> &mut CoreTransferRow {
        let id = self.core_entry(account, seq).transfer;
        self.source.core_transfers.iter_mut().find(|row| row.transfer == id).expect("a transfer")
    }

    pub(crate) fn operation_of(&mut self, account: i64, seq: i64) -> &mut OperationRow {
        let is_it = |row: &&mut OperationRow| (row.account, row.seq) == (account, Some(seq));
        self.source.operations.iter_mut().find(is_it).expect("an operation")
    }

    pub(crate) fn channel_entry(&mut self, account: i64, seq: i64) -> &mut ChannelEntryRow {
        let is_it = |row: &&mut ChannelEntryRow| (row.account, row.seq) == (account, seq);
        self.source.channel_entries.iter_mut().find(is_it).expect("a copied entry")
    }

    pub(crate) fn channel_account(&mut self, account: i64) -> &mut ChannelAccountRow {
        self.source.channel_accounts.iter_mut().find(|row| row.account == account).expect("a head")
    }

    pub(crate) fn journal_line(&mut self, account: i64, to_seq: i64) -> &mut ApplyJournalRow {
        let is_it = |row: &&mut ApplyJournalRow| (row.account, row.to_seq) == (account, to_seq);
        self.source.apply_journal.iter_mut().find(is_it).expect("a journal line")
    }

    pub(crate) fn pages_of(&self, account: i64) -> Vec<usize> {
        (0..self.source.pages.len()).filter(|index| self.source.pages[*index].account == account).collect()
    }

    pub(crate) fn record_at(&self, account: i64, seq: i64) -> usize {
        self.source.topic.iter().position(|row| (row.account, row.seq) == (account, seq)).expect("a record")
    }
}
