//! What a cursor means, and pages that come from core.

use bankstorm_contracts::Seq;
use bankstorm_contracts::core_api::{MAX_ENTRIES, Purpose};
use bankstorm_contracts::problem::ProblemKind;

use super::bench::{Bench, SOON, problem, quiet, serials};
use super::fakes::{Call, account, id};
use crate::config::{ChannelConfig, Cursor, HistorySource};

#[tokio::test(start_paused = true)]
async fn p28_rows_that_land_between_two_pages_shift_those_that_count_rows() {
    for (cursor, second) in [(Cursor::Keyset, [4, 3]), (Cursor::Offset, [5, 4])] {
        let bench = Bench::open(ChannelConfig { cursor, ..quiet() }, |fake| fake.opened(account(1), 6));
        let page = bench.page(account(1), None, 2).await;
        assert_eq!(serials(&page), [6, 5]);
        bench.event(&bench.fake.book(account(1)));
        bench.until(SOON, account(1), 7).await;
        let page = bench.page(account(1), page.next_cursor, 2).await;
        assert_eq!(serials(&page), second, "{cursor:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p28_both_arms_come_to_the_beginning_when_nothing_lands() {
    for cursor in [Cursor::Keyset, Cursor::Offset] {
        for rows in [0, 1, 5, 6] {
            let bench = Bench::open(ChannelConfig { cursor, ..quiet() }, |fake| fake.opened(account(1), rows));
            assert_eq!(scroll(&bench, 3).await, (1..=rows).rev().collect::<Vec<_>>(), "{cursor:?} {rows}");
        }
    }
    let bench = Bench::open(ChannelConfig { cursor: Cursor::Offset, ..quiet() }, |fake| fake.opened(account(1), 1));
    let far = problem(bench.ask(account(1), Some(1 << 40), 3).await);
    assert_eq!(far, (ProblemKind::BadRequest, Some("cursor".to_owned())));
}

async fn scroll(bench: &Bench, limit: u32) -> Vec<Seq> {
    let mut seen = Vec::new();
    let mut page = bench.page(account(1), None, limit).await;
    loop {
        seen.extend(serials(&page));
        let Some(cursor) = page.next_cursor else { return seen };
        page = bench.page(account(1), Some(cursor), limit).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a19_every_page_goes_through_to_core_and_the_copy_is_not_consulted() {
    let config = ChannelConfig { history_source: HistorySource::CoreByPeriod, ..quiet() };
    let bench = Bench::open(config, |fake| {
        fake.opened(account(1), 5);
        fake.in_progress(1, account(1));
        fake.in_progress(2, account(1));
        fake.book(account(1));
        fake.book_transfer(1, account(1));
    });
    let page = bench.page(account(1), None, 3).await;
    assert_eq!((serials(&page), page.as_of_seq, page.stale), (vec![7, 6, 5], 7, false));
    let pending: Vec<_> = page.pending.iter().map(|transfer| transfer.id).collect();
    assert_eq!(pending, [id(2)], "what core shows as a row is in progress no more");
    let page = bench.page(account(1), page.next_cursor, 3).await;
    assert_eq!((serials(&page), page.as_of_seq), (vec![4, 3, 2], 7));
    assert_eq!(scroll(&bench, 3).await, [7, 6, 5, 4, 3, 2, 1]);
    let asked = [Call::Heads, Call::Entries].map(|call| bench.fake.asked(call, Some(Purpose::History)));
    assert_eq!(
        (asked, bench.fake.data().asked.len()),
        ([5, 7], 12),
        "a head and entries for each page, and those below the newest one for what is in progress"
    );
    assert!(bench.fake.data().commits.is_empty());

    assert_eq!(problem(bench.ask(account(7), None, 3).await).0, ProblemKind::NotFound);
    bench.fake.data().core_down = true;
    for cursor in [None, Some(3)] {
        assert_eq!(problem(bench.ask(account(1), cursor, 3).await).0, ProblemKind::NotStarted);
    }
}

#[tokio::test(start_paused = true)]
async fn d33_pages_of_core_show_no_transfer_twice_however_deep_its_debit_lies() {
    let config = ChannelConfig { history_source: HistorySource::CoreByPeriod, ..quiet() };
    let bench = Bench::open(config, |fake| {
        fake.opened(account(1), 5);
        fake.in_progress(1, account(1));
        fake.in_progress(2, account(1));
        fake.book_transfer(1, account(1));
        for _ in 0..5 {
            fake.book(account(1));
        }
    });
    let page = bench.page(account(1), None, 3).await;
    let pending: Vec<_> = page.pending.iter().map(|transfer| transfer.id).collect();
    assert_eq!((serials(&page), pending), (vec![11, 10, 9], vec![id(2)]), "the debit is the row of serial 6");
    let mut cursor = page.next_cursor;
    while cursor.is_some() {
        let page = bench.page(account(1), cursor, 3).await;
        assert_eq!(page.pending, [], "what is in progress stands above the newest rows alone");
        cursor = page.next_cursor;
    }
    for _ in 0..MAX_ENTRIES {
        bench.fake.book(account(1));
    }
    let asked = bench.fake.asked(Call::Entries, Some(Purpose::History));
    let page = bench.page(account(1), None, 3).await;
    let pending: Vec<_> = page.pending.iter().map(|transfer| transfer.id).collect();
    assert_eq!(pending, [id(1), id(2)], "deeper than what is looked at");
    assert_eq!(bench.fake.asked(Call::Entries, Some(Purpose::History)) - asked, 2, "and bounded");
}
