//! S7's part about transfers: nothing is shown twice, as in progress and as a row (D33).
//!
//! In: the pages read, core's entries, the channel's transfers and entries. Out: `double-shown`. Elsewhere: transfers that are told as
//! completed before their row is there (`released`), repeats and misses while scrolling (`slices`).
//!
//! A page lists what is in progress in the snapshot that it shows, so a transfer whose row that snapshot has must not be among them, whether or
//! not the row is on this very page. At the end the tables themselves are held to the same. Memory: 24 bytes per entry of one account that
//! has such a page, 32 bytes a transfer in progress.

use bankstorm_record::rows::{CoreEntryRow, PageRow, pending_ids};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Tally, uuid};
use crate::ordered::{AccountKey, Ordered, channel_entries, channel_transfers, core_entries, pages};

const VIOLATION: &str = "double-shown";
/// Pages that list anything as in progress: without any, only the tables at the end were judged.
const LISTING: &str = "pages_with_pending";

/// What pages showed.
pub(super) fn served(source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    let mut served = pages(source);
    let mut core = core_entries(source);
    let mut rows: Vec<(u128, i64)> = Vec::new();
    let mut of = None;
    tally.count(LISTING, 0);
    while let Some(page) = served.take()? {
        if page.outcome != "ok" {
            continue;
        }
        if page.pending.is_empty() {
            continue;
        }
        tally.count(LISTING, 1);
        if of != Some(page.account) {
            of = Some(page.account);
            read(page.account, &mut core, &mut rows)?;
        }
        judge(&page, &rows, tally);
    }
    core.drain()
}

/// The account's entries as (transfer, serial), by transfer.
fn read(
    account: i64,
    core: &mut Ordered<'_, CoreEntryRow, AccountKey>,
    rows: &mut Vec<(u128, i64)>,
) -> Result<(), ReadError> {
    rows.clear();
    while core.take_if(|key| key.0 < account)?.is_some() {}
    while let Some(row) = core.take_of(account)? {
        rows.extend(row.seq.map(|seq| (row.transfer, seq)));
    }
    rows.sort_unstable();
    Ok(())
}

fn judge(page: &PageRow, rows: &[(u128, i64)], tally: &mut Tally) {
    for id in pending_ids(&page.pending) {
        let from = rows.partition_point(|row| row.0 < id);
        let Some((_, seq)) = rows.get(from).filter(|row| row.0 == id && row.1 <= page.as_of_seq) else { continue };
        tally.violated(VIOLATION, || {
            format!(
                "account {}: page of {} at {} ns lists transfer {} as in progress; its row is seq {seq}, the page shows {} to {} of {}",
                page.account,
                page.instance,
                page.invoked_ns,
                uuid(id),
                page.top_seq,
                page.bottom_seq,
                page.as_of_seq
            )
        });
    }
}

/// What is stored as in progress at the end, against the copy's rows.
pub(super) fn at_rest(source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    let mut open: Vec<(i64, u128)> = Vec::new();
    let mut transfers = channel_transfers(source);
    while let Some(row) = transfers.take()? {
        tally.look();
        if !matches!(row.stage.as_str(), "completed" | "rejected" | "failed") {
            open.push((row.account, row.transfer));
        }
    }
    open.sort_unstable();
    let mut copy = channel_entries(source);
    while let Some(row) = copy.take()? {
        if open.binary_search(&(row.account, row.transfer)).is_ok() {
            tally.violated(VIOLATION, || {
                format!(
                    "account {}: transfer {} is stored as in progress, and as seq {}",
                    row.account,
                    uuid(row.transfer),
                    row.seq
                )
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bankstorm_record::rows::pending_bytes;

    use crate::bank::{Bank, LOST, PAYER, POSTED, assert_only};

    #[test]
    fn a_page_that_lists_what_it_shows() {
        let mut bank = Bank::good();
        let pages = bank.pages_of(PAYER);
        let last = bank.source.pages[pages[2]].as_of_seq;
        assert_eq!(last, 6);
        bank.source.pages[pages[2]].pending = pending_bytes([LOST, POSTED]);
        assert_only(&bank, &[("S7", "double-shown: account 1000100: page of channel-0 ")]);
        assert_eq!(bank.result("S7").violations, 1, "the one without a row may be listed");
        // One that was read before the row came may list it.
        let mut bank = Bank::good();
        assert_eq!(bank.source.pages[pages[0]].as_of_seq, 5);
        bank.source.pages[pages[0]].pending = pending_bytes([POSTED]);
        bank.assert_all_hold();
    }

    #[test]
    fn how_many_pages_could_have_shown_it_is_told() {
        let mut bank = Bank::good();
        let listing = |bank: &Bank| bank.result("S7").figures.get("pages_with_pending").copied();
        bank.source.pages.iter_mut().for_each(|page| page.pending.clear());
        assert_eq!(listing(&bank), Some(0), "told that there was none");
        let pages = bank.pages_of(PAYER);
        for index in [pages[0], pages[1]] {
            bank.source.pages[index].pending = pending_bytes([LOST]);
        }
        bank.source.pages[pages[1]].outcome = "unknown".to_owned();
        assert_eq!(listing(&bank), Some(1), "what is no page lists nothing");
    }

    #[test]
    fn a_row_whose_transfer_is_not_settled() {
        let mut bank = Bank::good();
        let row = bank.channel_transfer(POSTED);
        (row.stage, row.seq, row.settled_txid) = ("unknown".to_owned(), None, None);
        bank.assert_fires("S7", "is stored as in progress, and as seq 6");
    }
}
