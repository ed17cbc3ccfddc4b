//! S7's part about scrolls: page after page, one exact slice of the history (P28, R21).
//!
//! In: the pages read. Out: `page-dup`, `page-miss`, `page-order`. Elsewhere: what is on a page (`no_visible_hole`).
//!
//! A page that was asked for again counts once. Serials make it exact: the next page begins one below where this one ended, whatever landed
//! meanwhile. Memory: 64 bytes a page of one account's scrolls.

use bankstorm_record::rows::PageRow;
use bankstorm_record::source::{ReadError, Source};

use crate::check::Tally;
use crate::following::Cursor;
use crate::ordered::pages;

const DUP: &str = "page-dup";
const MISS: &str = "page-miss";
const ORDER: &str = "page-order";
/// Pages of scrolls that were judged.
const SCROLLED: &str = "scrolled_pages";
/// Reads of such pages without an answer.
const FAILED: &str = "scroll_reads_failed";

/// A page of a scroll.
#[derive(Clone, Copy)]
struct Page {
    scroll: u64,
    number: u32,
    invoked_ns: i64,
    top: i64,
    bottom: i64,
    count: u32,
    is_contiguous: bool,
    next_cursor: Option<i64>,
}

pub(super) fn judge(source: &dyn Source, cursor: Cursor, tally: &mut Tally) -> Result<(), ReadError> {
    let mut served = pages(source);
    let mut scrolled: Vec<Page> = Vec::new();
    tally.count(SCROLLED, 0);
    tally.count(FAILED, 0);
    while let Some(account) = served.account()? {
        scrolled.clear();
        while let Some(row) = served.take_of(account)? {
            let is_scroll = row.page_no.is_some();
            if row.outcome == "ok" {
                tally.look();
                scrolled.extend(page(&row));
            } else {
                tally.count(FAILED, u64::from(is_scroll));
            }
        }
        scrolled.sort_unstable_by_key(|page| (page.scroll, page.number, page.invoked_ns));
        // Asked for again: the reader goes on from the answer that came last.
        scrolled.reverse();
        scrolled.dedup_by_key(|page| (page.scroll, page.number));
        scrolled.reverse();
        tally.count(SCROLLED, scrolled.len() as u64);
        for scroll in scrolled.chunk_by(|a, b| a.scroll == b.scroll) {
            whole(account, scroll)?;
            scroll.iter().for_each(|page| alone(account, page, cursor, tally));
            scroll.windows(2).for_each(|pair| together(account, &pair[0], &pair[1], tally));
        }
    }
    Ok(())
}

fn page(row: &PageRow) -> Option<Page> {
    Some(Page {
        scroll: row.op?,
        number: row.page_no?,
        invoked_ns: row.invoked_ns,
        top: row.top_seq,
        bottom: row.bottom_seq,
        count: row.count,
        is_contiguous: row.contiguous,
        next_cursor: row.next_cursor,
    })
}

/// Nobody gets to a page but from the one above it.
fn whole(account: i64, scroll: &[Page]) -> Result<(), ReadError> {
    match scroll.iter().zip(0..).find(|(page, number)| page.number != *number) {
        None => Ok(()),
        Some((page, number)) => {
            let problem = format!("{} is there without page {number}", page.told(account));
            Err(ReadError { file: "page".to_owned(), problem })
        }
    }
}

fn alone(account: i64, page: &Page, cursor: Cursor, tally: &mut Tally) {
    let fits = page.count == 0 || page.top.checked_sub(page.bottom) == Some(i64::from(page.count) - 1);
    if !page.is_contiguous || !fits {
        tally.violated(ORDER, || format!("{}: its {} serials do not fall by one", page.told(account), page.count));
    }
    if page.count == 0 {
        return;
    }
    match (page.next_cursor, cursor) {
        (None, _) if page.bottom != 1 => {
            tally.violated(MISS, || format!("{}: it is said to be the last", page.told(account)));
        }
        (Some(next), Cursor::Keyset) if next < page.bottom => {
            tally.violated(MISS, || format!("{}: the next one is to begin below seq {next}", page.told(account)));
        }
        (Some(next), Cursor::Keyset) if next > page.bottom => {
            tally.violated(DUP, || format!("{}: the next one is to begin below seq {next}", page.told(account)));
        }
        _ => {}
    }
}

fn together(account: i64, above: &Page, page: &Page, tally: &mut Tally) {
    // An empty page shows all that is left where nothing is.
    let top = if page.count == 0 { 0 } else { page.top };
    let bottom = if above.count == 0 { 1 } else { above.bottom };
    let name = match top.cmp(&(bottom - 1)) {
        std::cmp::Ordering::Equal => return,
        std::cmp::Ordering::Greater => DUP,
        std::cmp::Ordering::Less => MISS,
    };
    tally.violated(name, || format!("{}, and the page above it ended with seq {bottom}", page.told(account)));
}

impl Page {
    fn told(&self, account: i64) -> String {
        let Self { scroll, number, invoked_ns, top, bottom, .. } = self;
        format!(
            "account {account}: page {number} of scroll {scroll}, read at {invoked_ns} ns, shows {top} down to {bottom}"
        )
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::rows::PageRow;
    use bankstorm_record::run_json::GuaranteeVerdict;

    use crate::bank::{Bank, DECLARED, FOLLOWED, assert_only};
    use crate::check::{Check, Context};
    use crate::following::{Cursor, Following};

    fn scroll(bank: &Bank) -> Vec<usize> {
        (0..bank.source.pages.len()).filter(|index| bank.source.pages[*index].page_no.is_some()).collect()
    }

    /// One page of the scroll changed; page 1 failed once and was read again.
    fn changed(at: usize, change: impl FnOnce(&mut PageRow)) -> Bank {
        let mut bank = Bank::good();
        let pages = scroll(&bank);
        change(&mut bank.source.pages[pages[at]]);
        bank
    }

    #[test]
    fn a01_pages_of_a_scroll_are_one_piece() {
        let figures = Bank::good().result("S7").figures;
        assert_eq!((figures["scrolled_pages"], figures["scroll_reads_failed"]), (3, 1));
        // 10 to 7, then 6 to 3, then 2 and 1.
        let repeats = changed(2, |page| (page.top_seq, page.count) = (7, 5));
        repeats.assert_fires("S7", "page-dup: account 1000202: page 1 of scroll 100, read at ");
        repeats.assert_fires("S7", "shows 7 down to 3, and the page above it ended with seq 7");
        changed(2, |page| (page.top_seq, page.count) = (5, 3))
            .assert_fires("S7", "page-miss: account 1000202: page 1 of scroll 100");
        let empty = changed(3, |page| (page.top_seq, page.bottom_seq, page.count, page.rows_hash) = (0, 0, 0, 0));
        empty.assert_fires("S7", "page-miss: account 1000202: page 2 of scroll 100, read at ");
    }

    #[test]
    fn an_empty_page_below_the_first_entry_is_no_miss() {
        let mut bank = Bank::good();
        let last = scroll(&bank)[3];
        bank.source.pages[last].next_cursor = Some(1);
        let page = PageRow {
            invoked_ns: bank.source.pages[last].completed_ns,
            page_no: Some(3),
            cursor: Some(1),
            next_cursor: None,
            top_seq: 0,
            bottom_seq: 0,
            count: 0,
            rows_hash: 0,
            ..bank.source.pages[last].clone()
        };
        bank.source.pages.insert(last + 1, page);
        bank.assert_all_hold();
    }

    #[test]
    fn rows_of_a_page_fall_by_one() {
        changed(0, |page| page.contiguous = false)
            .assert_fires("S7", "page-order: account 1000202: page 0 of scroll 100");
        changed(0, |page| page.count = 2).assert_fires("S7", "its 2 serials do not fall by one");
    }

    #[test]
    fn the_last_page_ends_with_the_first_entry_and_no_other_says_it_is_the_last() {
        assert_only(
            &changed(2, |page| page.next_cursor = None),
            &[("S7", "page-miss: account 1000202: page 1 of scroll 100, read at ")],
        );
        assert_only(&changed(2, |page| page.next_cursor = Some(2)), &[("S7", "page-miss")]);
        assert_only(&changed(2, |page| page.next_cursor = Some(4)), &[("S7", "page-dup")]);
        changed(3, |page| page.next_cursor = Some(1)).assert_all_hold();
    }

    #[test]
    fn a_page_that_was_asked_for_again_counts_once() {
        let mut bank = changed(1, |page| {
            (page.outcome, page.contiguous, page.count) = ("ok".to_owned(), false, 9);
        });
        bank.assert_fires("S3", "visible-gap");
        assert_ne!(bank.result("S7").verdict, GuaranteeVerdict::Violated, "the reader went on from the second answer");
        let pages = scroll(&bank);
        bank.source.pages.remove(pages[2]);
        bank.assert_fires("S7", "page-order");
    }

    #[test]
    fn r21_offsets_shift_while_rows_land_and_serials_tell() {
        let context = || {
            let following = Following { cursor: Cursor::Offset, ..DECLARED.following.expect("declared") };
            Context { following: Some(following), ..DECLARED }
        };
        let verdict = |bank: &Bank| super::super::Scroll.run(&bank.source, &context());
        // Three pages by offsets while nothing lands.
        let mut bank = Bank::good();
        for (index, skip) in scroll(&bank).into_iter().zip([None, Some(4), Some(4), Some(8)]) {
            bank.source.pages[index].cursor = skip;
            bank.source.pages[index].next_cursor = Some(skip.unwrap_or(0) + 4);
        }
        assert_eq!(verdict(&bank).verdict, GuaranteeVerdict::Holds);
        let results = crate::guarantees::run_all(&bank.source, &context());
        assert_eq!(results.verdict, GuaranteeVerdict::Holds, "{:?}", results.checks);
        // One landed between the first and the second: its top is shown again.
        let second = scroll(&bank)[2];
        let page = &mut bank.source.pages[second];
        (page.top_seq, page.bottom_seq) = (7, 4);
        assert!(verdict(&bank).first.is_some_and(|first| first.starts_with("page-dup")));
    }

    #[test]
    fn a_page_without_the_one_above_it_is_broken_evidence() {
        let mut bank = Bank::good();
        let pages = scroll(&bank);
        bank.source.pages.remove(pages[2]);
        let found = bank.result("S7");
        assert_eq!(found.verdict, GuaranteeVerdict::Unknown);
        assert!(
            found.first.is_some_and(|first| first.contains("page 2 of scroll 100") && first.contains("without page 1"))
        );
    }

    #[test]
    fn a_run_of_deposits_scrolls_too() {
        let mut bank = changed(2, |page| (page.top_seq, page.count) = (7, 5));
        bank.source.pages.retain(|page| page.account == FOLLOWED);
        let context = Context { transfers: false, outbound: false, ..DECLARED };
        assert_eq!(super::super::Scroll.run(&bank.source, &context).verdict, GuaranteeVerdict::Violated);
    }
}
