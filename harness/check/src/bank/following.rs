//! How the channel of the good history follows core: an account whose records were committed, put aside and driven again, scrolls, the button,
//! reads with something in progress, and what core was asked for all that.
//!
//! In: a bank with its transfers. Out: account [`FOLLOWED`] with everything about it, reads of [`PAYER`], handles to both.
//!
//! The account's records stand on partition 2 alone, whose offsets are the only ones that the group committed: serial 4 at offset 0 up to serial 10
//! at offset 6. By when, in milliseconds: serials 4, 5, 6 in the copy at 200, 202, 206; offset 2 committed at 204; serial 7 put aside for good
//! at 208; offset 4 at 210; serials 7 and 8 fetched for the gap at 220; offset 5 at 225; serial 9 put aside at 230 after three attempts; offset
//! 6 at 235; serial 9 driven again at 300; serial 10 by the button at 400, whose record nobody reads.

use bankstorm_record::rows::{
    ApplyJournalRow, CoreAccessRow, CoreAccountRow, DeadLetterRow, DltRow, GroupCommitRow, OperationRow, PageRow,
    SyncRow, VisibleRow, pending_bytes,
};

use super::transfers::{LOST, PAYER};
use super::{Bank, ORIGIN_US, hash};

/// Serials 1 to 3 loaded, 4 to 10 posted; on a partition of its own.
pub(crate) const FOLLOWED: i64 = 1_000_202;
/// When the read of [`PAYER`] begins that must be fresh; it takes a millisecond.
pub(crate) const FRESH_AT: i64 = 100 * MS;

const MS: i64 = 1_000_000;
const PARTITION: i32 = 2;
const INSTANCE: &str = "channel-0";
/// The operation of the scroll's first page.
const SCROLL: u64 = 100;

/// The partition of an account's records.
pub(super) fn partition_of(account: i64) -> i32 {
    if account == FOLLOWED { PARTITION } else { (account % 2) as i32 }
}

fn wall(ms: i64) -> i64 {
    ORIGIN_US + ms * 1_000
}

impl Bank {
    /// The account and its copy.
    pub(super) fn add_followed(&mut self) {
        let balance = (1..=10).fold(0, |balance, seq| self.book(FOLLOWED, seq, balance, seq > 3));
        self.source.core_accounts.push(CoreAccountRow {
            account: FOLLOWED,
            kind: "customer".to_owned(),
            seq: 10,
            balance: Some(balance),
            loaded_seq: 3,
            status: "open".to_owned(),
            held: 0,
        });
        self.sort();
        self.copy(FOLLOWED, 3);
    }

    /// Everything else, once [`PAYER`] is there.
    pub(super) fn add_following(&mut self) {
        self.advances();
        self.letters();
        self.reads();
        self.scroll();
        self.button();
        self.accesses();
        self.sort_pages();
        self.sort_access();
    }

    /// The journal and the stamps, in place of those that `copy` made.
    fn advances(&mut self) {
        self.source.apply_journal.retain(|line| line.account != FOLLOWED);
        let advances = [
            (200, 3, 4, "event", Some((0, 1))),
            (202, 4, 5, "event", Some((1, 1))),
            (206, 5, 6, "event", Some((2, 1))),
            (220, 6, 8, "gap_fill", Some((4, 2))),
            (300, 8, 9, "redrive", None),
            (400, 9, 10, "manual_sync", None),
        ];
        for ((at_ms, from_seq, to_seq, source, record), number) in advances.into_iter().zip(100..) {
            self.source.apply_journal.push(ApplyJournalRow {
                journal_id: number,
                account: FOLLOWED,
                from_seq,
                to_seq,
                source: source.to_owned(),
                topic: record.map(|_| "core.entries".to_owned()),
                partition: record.map(|_| PARTITION),
                record_offset: record.map(|(offset, _)| offset),
                generation: record.map(|(_, generation)| generation),
                instance: INSTANCE.to_owned(),
                txid: number,
                commit: Some(number),
                committed_us: None,
            });
            let (at_ns, instance) = (at_ms * MS, INSTANCE.to_owned());
            self.source.visible.push(VisibleRow { account: FOLLOWED, from_seq, to_seq, at_ns, instance });
        }
    }

    fn letters(&mut self) {
        let letters = [(3, 7, "permanent", "22003", 1, 208, 220), (5, 9, "transient", "store_error", 3, 230, 300)];
        for ((record_offset, seq, class, code, attempts, parked_ms, closed_ms), number) in letters.into_iter().zip(0..)
        {
            let letter = DeadLetterRow {
                partition: PARTITION,
                record_offset,
                account: Some(FOLLOWED),
                seq: Some(seq),
                class: class.to_owned(),
                code: Some(code.to_owned()),
                detail: None,
                attempts,
                redrives: number,
                parked_us: wall(parked_ms),
                closed_us: Some(wall(closed_ms)),
                closed_by: Some("advance".to_owned()),
            };
            self.source.dead_letter_topic.push(DltRow {
                partition: PARTITION,
                record_offset,
                dlt_partition: 0,
                dlt_offset: number,
                account: letter.account,
                seq: letter.seq,
                class: letter.class.clone(),
                code: letter.code.clone(),
                attempts,
                timestamp_us: wall(parked_ms) - 500,
            });
            self.source.dead_letters.push(letter);
        }
        for (committed_offset, at_ms) in [(2, 204), (4, 210), (5, 225), (6, 235)] {
            let at_us = wall(at_ms);
            self.source.group_commits.push(GroupCommitRow { partition: PARTITION, committed_offset, at_us });
        }
    }

    /// Three reads of the payer while a transfer of his is in progress, the last one while core is down.
    fn reads(&mut self) {
        let newest = self.pages_of(PAYER).pop().expect("a page");
        let newest = self.source.pages[newest].clone();
        for (at_ms, took_ms, stale) in [(100, 1, false), (500, 1, false), (600, 310, true)] {
            let (invoked_ns, pending) = (at_ms * MS, pending_bytes([LOST]));
            let completed_ns = invoked_ns + took_ms * MS;
            self.source.pages.push(PageRow { invoked_ns, completed_ns, stale, pending, ..newest.clone() });
        }
    }

    /// Down to the first entry in three pages, the second of which had to be asked for twice.
    fn scroll(&mut self) {
        let rows: Vec<_> = self.source.core_entries.iter().filter(|row| row.account == FOLLOWED).cloned().collect();
        let pages = [(0, 10, 7, "ok"), (1, 6, 3, "unknown"), (1, 6, 3, "ok"), (2, 2, 1, "ok")];
        for ((page_no, top_seq, bottom_seq, outcome), number) in pages.into_iter().zip(0..) {
            let invoked_ns = (800 + number) * MS;
            let page = PageRow {
                account: FOLLOWED,
                invoked_ns,
                completed_ns: invoked_ns + 500,
                instance: INSTANCE.to_owned(),
                op: Some(SCROLL),
                page_no: Some(page_no),
                cursor: (page_no > 0).then_some(top_seq + 1),
                next_cursor: (bottom_seq > 1).then_some(bottom_seq),
                outcome: outcome.to_owned(),
                top_seq,
                bottom_seq,
                count: (top_seq - bottom_seq + 1) as u32,
                contiguous: true,
                rows_hash: rows[bottom_seq as usize - 1..top_seq as usize].iter().map(hash).fold(0, u64::wrapping_add),
                as_of_seq: 10,
                ..PageRow::default()
            };
            let nothing = PageRow { top_seq: 0, bottom_seq: 0, count: 0, rows_hash: 0, as_of_seq: 0, ..page.clone() };
            self.source.pages.push(if outcome == "ok" { page } else { nothing });
            self.read_operation("scroll", number);
        }
    }

    /// Pressed twice, then too soon, then while core is down.
    fn button(&mut self) {
        let uses = [(400, "synced"), (500, "synced"), (502, "rate_limited"), (600, "core_unavailable")];
        for ((at_ms, result), number) in uses.into_iter().zip(10..) {
            self.source.syncs.push(SyncRow {
                account: FOLLOWED,
                invoked_ns: at_ms * MS,
                completed_ns: (at_ms + 1) * MS,
                instance: INSTANCE.to_owned(),
                op: Some(SCROLL + number as u64),
                outcome: "ok".to_owned(),
                result: Some(result.to_owned()),
                as_of_seq: 10,
            });
            self.read_operation("sync", number);
        }
    }

    /// An operation that moves no money.
    fn read_operation(&mut self, kind: &str, number: i64) {
        let due = (800 + number) * MS;
        self.source.operations.push(OperationRow {
            op: SCROLL + number as u64,
            load: 2,
            kind: kind.to_owned(),
            phase: "measure".to_owned(),
            account: FOLLOWED,
            params_hash: vec![0; 32],
            intended_ns: due,
            sent_ns: Some(due),
            acked_ns: Some(due + 500),
            outcome: Some("ok".to_owned()),
            http_status: Some(200),
            ..OperationRow::default()
        });
    }

    fn accesses(&mut self) {
        let calls = [
            (100_200, 100_400, PAYER, "heads", Some("read"), 200),
            (100_500, 100_700, PAYER, "entries", Some("read"), 200),
            (500_200, 500_400, PAYER, "heads", Some("read"), 200),
            (600_200, 920_000, PAYER, "heads", Some("read"), 503),
            (219_000, 219_500, FOLLOWED, "entries", Some("gap_fill"), 200),
            (299_000, 299_500, FOLLOWED, "entries", Some("redrive"), 200),
            (400_200, 400_400, FOLLOWED, "heads", Some("manual"), 200),
            (400_500, 400_600, FOLLOWED, "entries", Some("manual"), 200),
            (500_200, 500_400, FOLLOWED, "heads", Some("manual"), 200),
            (700_000, 700_100, FOLLOWED, "entries", None, 200),
        ];
        for (begun_us, ended_us, account, call, purpose, status) in calls {
            self.source.core_access.push(CoreAccessRow {
                begun_ns: begun_us * 1_000,
                ended_ns: ended_us * 1_000,
                caller: INSTANCE.to_owned(),
                call: call.to_owned(),
                account: Some(account),
                purpose: purpose.map(str::to_owned),
                status,
            });
        }
        self.source.core_access.push(CoreAccessRow {
            begun_ns: 650 * MS,
            ended_ns: 651 * MS,
            caller: INSTANCE.to_owned(),
            call: "digests".to_owned(),
            purpose: Some("sweep".to_owned()),
            status: 200,
            ..CoreAccessRow::default()
        });
    }
}

/// Handles and orders.
impl Bank {
    /// The read of [`PAYER`] at [`FRESH_AT`].
    pub(crate) fn fresh_page(&mut self) -> &mut PageRow {
        let is_it = |row: &&mut PageRow| !row.pending.is_empty();
        self.source.pages.iter_mut().find(is_it).expect("a page with something in progress")
    }

    pub(crate) fn sync_of(&mut self, index: usize) -> &mut SyncRow {
        &mut self.source.syncs[index]
    }

    pub(crate) fn group_commit(&mut self, index: usize) -> &mut GroupCommitRow {
        &mut self.source.group_commits[index]
    }

    pub(crate) fn sort_pages(&mut self) {
        self.source.pages.sort_by_key(|row| (row.account, row.invoked_ns));
    }

    pub(crate) fn sort_access(&mut self) {
        self.source.core_access.sort_by_key(|row| (row.account, row.begun_ns));
    }

    pub(crate) fn sort_stamps(&mut self) {
        self.source.visible.sort_by_key(|row| (row.account, row.to_seq, row.at_ns));
    }
}
