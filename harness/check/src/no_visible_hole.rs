//! S3 no visible hole: what the copy holds, and every page it served, is a contiguous prefix of core's entries.
//!
//! In: the copy's heads and entries, the pages read, core's entries. Out: `visible-gap`. Elsewhere: fields of single rows
//! (`no_garbage`), doubled rows (`no_dup`), rows that are missing at the end (`converge`).
//!
//! A page carries the sum of its rows' hashes, which is held against prefix sums over core's. Memory: 16 bytes per entry of one account.

use bankstorm_record::rows::{ChannelAccountRow, ChannelEntryRow, CoreEntryRow, PageRow, entry_hash};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally};
use crate::following::Cursor;
use crate::ordered::{AccountKey, Ordered, channel_accounts, channel_entries, core_entries, lowest, pages};

/// S3.
pub struct NoVisibleHole;

const VIOLATION: &str = "visible-gap";

impl Check for NoVisibleHole {
    fn id(&self) -> &'static str {
        "S3"
    }

    fn name(&self) -> &'static str {
        "no_visible_hole"
    }

    fn explains(&self) -> &'static str {
        "The copy's rows are exactly 1..last_seq and end with its balance, and every page served is a contiguous piece of core's \
         entries that reaches up to what the copy said it had (visible-gap)."
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let cursor = context.following.unwrap_or_default().cursor;
        let mut heads = channel_accounts(source);
        let mut copy = channel_entries(source);
        let mut served = pages(source);
        let mut core = core_entries(source);
        let mut sums = PrefixSums::default();
        while let Some(account) = lowest([heads.account()?, copy.account()?, served.account()?]) {
            let last = rows_of(account, &mut copy, tally)?;
            let (head, _) = heads.last_of(account)?;
            judge_head(account, head.as_ref(), last, tally);
            while core.take_if(|key| key.0 < account)?.is_some() {}
            if served.account()? == Some(account) {
                sums.read(account, &mut core)?;
            }
            while let Some(page) = served.take_of(account)? {
                if page.outcome != "ok" {
                    continue;
                }
                tally.look();
                if let Some(problem) = page_problem(&page, &sums, cursor) {
                    tally.violated(VIOLATION, || format!("{}: {problem}", told(&page)));
                }
            }
        }
        core.drain()
    }
}

/// The last row of an account's copy: serial and balance.
type Last = Option<(i64, i64)>;

/// Reads the account's rows and notes each hole among them.
fn rows_of(
    account: i64,
    copy: &mut Ordered<'_, ChannelEntryRow, AccountKey>,
    tally: &mut Tally,
) -> Result<Last, ReadError> {
    let mut last: Last = None;
    while let Some(row) = copy.take_of(account)? {
        tally.look();
        let before = last.map_or(0, |(seq, _)| seq);
        // The same serial again is S2's finding.
        if row.seq != before.saturating_add(1) && (last.is_none() || row.seq != before) {
            tally.violated(VIOLATION, || {
                format!("account {account}: the copy has seq {} right after seq {before}", row.seq)
            });
        }
        last = Some((row.seq, row.balance_after));
    }
    Ok(last)
}

fn judge_head(account: i64, head: Option<&ChannelAccountRow>, last: Last, tally: &mut Tally) {
    let Some(head) = head else {
        if let Some((seq, _)) = last {
            tally.violated(VIOLATION, || format!("account {account}: rows up to seq {seq}, and no head of the copy"));
        }
        return;
    };
    tally.look();
    let (seq, balance) = last.unwrap_or((0, 0));
    if head.last_seq != seq {
        tally.violated(VIOLATION, || {
            format!("account {account}: the copy says last_seq {}, its last row is seq {seq}", head.last_seq)
        });
    } else if head.balance != balance {
        tally.violated(VIOLATION, || {
            format!("account {account}: the copy says balance {} won, its row at seq {seq} {balance} won", head.balance)
        });
    }
}

/// Hashes of one account's entries in core, summed up from the first.
#[derive(Default)]
struct PrefixSums {
    seqs: Vec<i64>,
    /// One more than `seqs`: the sum before each, and after the last.
    sums: Vec<u64>,
}

impl PrefixSums {
    fn read(&mut self, account: i64, core: &mut Ordered<'_, CoreEntryRow, AccountKey>) -> Result<(), ReadError> {
        self.seqs.clear();
        self.sums.clear();
        let mut sum: u64 = 0;
        self.sums.push(sum);
        while let Some(row) = core.take_of(account)? {
            let (Some(seq), Some(balance)) = (row.seq, row.balance_after) else { continue };
            sum = sum.wrapping_add(entry_hash(account, seq, row.transfer, row.amount, balance, &row.kind));
            self.seqs.push(seq);
            self.sums.push(sum);
        }
        Ok(())
    }

    fn last(&self) -> i64 {
        self.seqs.last().copied().unwrap_or(0)
    }

    /// The sum over serials `bottom..=top`.
    fn between(&self, bottom: i64, top: i64) -> u64 {
        let from = self.seqs.partition_point(|seq| *seq < bottom);
        let to = self.seqs.partition_point(|seq| *seq <= top);
        if to < from { 0 } else { self.sums[to].wrapping_sub(self.sums[from]) }
    }
}

fn page_problem(page: &PageRow, core: &PrefixSums, cursor: Cursor) -> Option<String> {
    let expected_top = match (page.cursor, cursor) {
        (None, _) => page.as_of_seq,
        (Some(cursor), Cursor::Keyset) => page.as_of_seq.min(cursor.saturating_sub(1)),
        // Counted from the newest row, whichever that was: where it had to begin is S7's to say.
        (Some(_), Cursor::Offset) => page.top_seq,
    }
    .max(0);
    if page.as_of_seq > core.last() {
        return Some(format!("core's last entry is seq {}", core.last()));
    }
    if page.top_seq != expected_top {
        return Some(format!("it should begin at seq {expected_top}"));
    }
    if page.count == 0 {
        let empty = page.top_seq == 0 && page.bottom_seq == 0 && page.rows_hash == 0;
        return (!empty).then(|| "no row, and yet serials or a hash".to_owned());
    }
    if !page.contiguous {
        return Some("its serials do not fall by one".to_owned());
    }
    if page.bottom_seq < 1 || page.top_seq.checked_sub(page.bottom_seq) != Some(i64::from(page.count) - 1) {
        return Some("its count does not fit its serials".to_owned());
    }
    let sum = core.between(page.bottom_seq, page.top_seq);
    (sum != page.rows_hash)
        .then(|| format!("its rows are not core's (hash {:016x}, core's {sum:016x})", page.rows_hash))
}

fn told(page: &PageRow) -> String {
    let op = page.op.map_or_else(|| "no op".to_owned(), |op| format!("op {op}"));
    let cursor = page.cursor.map_or_else(|| "newest".to_owned(), |cursor| format!("before seq {cursor}"));
    format!(
        "account {}: page of {} read at {} ns ({op}, {cursor}): seqs {} down to {}, {} rows, as of seq {}",
        page.account, page.instance, page.invoked_ns, page.top_seq, page.bottom_seq, page.count, page.as_of_seq
    )
}

#[cfg(test)]
mod tests {
    use bankstorm_record::rows::PageRow;

    use crate::bank::{Bank, PAYEE, assert_only};

    #[test]
    fn a_row_missing_in_the_middle_of_the_copy() {
        let mut bank = Bank::good();
        bank.source.channel_entries.retain(|row| (row.account, row.seq) != (1_000_001, 3));
        assert_only(
            &bank,
            &[("S3", "visible-gap: account 1000001: the copy has seq 4 right after seq 2"), ("S5", "lost-copy")],
        );
    }

    #[test]
    fn a_head_that_promises_more_than_there_is() {
        let mut bank = Bank::good();
        bank.source.channel_entries.retain(|row| (row.account, row.seq) != (1_000_001, 5));
        bank.assert_fires("S3", "the copy says last_seq 5, its last row is seq 4");
    }

    #[test]
    fn a_balance_that_its_rows_do_not_end_with() {
        let mut bank = Bank::good();
        bank.channel_account(1_000_001).balance += 1;
        assert_only(&bank, &[("S3", "visible-gap: account 1000001: the copy says balance")]);
    }

    #[test]
    fn pages_that_cannot_come_from_a_contiguous_prefix() {
        type Change = fn(&mut PageRow);
        let changes: [(&str, Change); 6] = [
            ("do not fall by one", |page| page.contiguous = false),
            ("its rows are not core's", |page| page.rows_hash ^= 1),
            ("its count does not fit", |page| page.count -= 1),
            ("it should begin at seq 5", |page| page.top_seq = 4),
            ("core's last entry is seq 5", |page| {
                page.as_of_seq = 6;
                page.top_seq = 6;
            }),
            ("it should begin at seq 2", |page| page.cursor = Some(3)),
        ];
        for (told, change) in changes {
            let mut bank = Bank::good();
            let last = bank.source.pages.iter().rposition(|page| page.account == 1_000_001).expect("a page");
            change(&mut bank.source.pages[last]);
            assert_only(&bank, &[("S3", told)]);
        }
    }

    #[test]
    fn an_empty_newest_page_of_an_account_with_entries() {
        let mut bank = Bank::good();
        let page = bank.source.pages.iter_mut().rfind(|page| page.account == PAYEE).expect("a page");
        (page.top_seq, page.bottom_seq, page.count, page.rows_hash) = (0, 0, 0, 0);
        assert_only(&bank, &[("S3", "it should begin at seq 5")]);
    }

    #[test]
    fn a_failed_read_says_nothing() {
        let mut bank = Bank::good();
        let page = bank.source.pages.iter_mut().rfind(|page| page.account == PAYEE).expect("a page");
        page.outcome = "unknown".to_owned();
        (page.top_seq, page.bottom_seq, page.count, page.rows_hash, page.as_of_seq) = (0, 0, 0, 0, 0);
        bank.assert_all_hold();
    }
}
