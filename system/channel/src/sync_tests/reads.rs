//! Reads that ask core, and those that do not.

use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::core_api::Purpose;
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_outside::channel_store::Source;
use tokio::time::{Instant, sleep};

use super::bench::{Bench, SOON, ms, problem, quiet, serials};
use super::fakes::{Call, Fake, account, id};
use crate::config::{ChannelConfig, ReadSync};
use crate::markers;

/// Transfer 1 of account 1 is in progress, and core has booked it: the copy lacks serial 4.
fn booked_unseen(fake: &Fake) {
    fake.opened(account(1), 3);
    fake.in_progress(1, account(1));
    fake.book_transfer(1, account(1));
}

#[tokio::test(start_paused = true)]
async fn a1_nothing_in_progress_never_calls_core_at_any_depth_and_core_may_be_down() {
    let bench = Bench::open(quiet(), |fake| {
        fake.opened(account(1), 1_000);
        fake.book(account(1));
        fake.data().core_down = true;
    });
    let (mut cursor, mut seen) = (None, Vec::new());
    loop {
        let page = bench.page(account(1), cursor, 7).await;
        assert_eq!((page.stale, page.as_of_seq, page.pending.len()), (false, 1_000, 0));
        seen.extend(serials(&page));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert!(seen.iter().copied().eq((1..=1_000).rev()));
    assert!(bench.fake.data().asked.is_empty());
    assert_eq!(bench.fake.count("channel_core_calls_total"), 0);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a12_a_read_with_a_transfer_in_progress_shows_what_core_had_when_it_began() {
    let bench = Bench::open(quiet(), |fake| {
        booked_unseen(fake);
        fake.data().takes = ms(20);
    });
    let page = bench.read(account(1)).await;
    assert_eq!((serials(&page), page.as_of_seq, page.stale), (vec![4, 3, 2, 1], 4, false));
    assert!(page.pending.is_empty(), "shown once: as a row");
    {
        let data = bench.fake.data();
        assert_eq!(data.transfers[&id(1)].stage, TransferStage::Completed);
        let calls: Vec<_> = data.asked.iter().map(|asked| (asked.call, asked.purpose)).collect();
        assert_eq!(calls, [(Call::Heads, Some(Purpose::Read)), (Call::Entries, Some(Purpose::Read))]);
        let sources: Vec<_> = data.commits.iter().flat_map(|writes| &writes.journal).map(|line| line.source).collect();
        assert_eq!(sources, [Source::ReadSync]);
    }
    assert_eq!(bench.fake.count(markers::READ_SYNCED), 1);
    assert_eq!(bench.read(account(1)).await.as_of_seq, 4);
    assert_eq!(bench.fake.data().asked.len(), 2, "nothing is in progress any more");
}

#[tokio::test(start_paused = true)]
async fn a12_a_copy_that_has_everything_is_not_stale_and_nothing_is_written() {
    let bench = Bench::open(quiet(), |fake| {
        fake.opened(account(1), 3);
        fake.in_progress(1, account(1));
    });
    let page = bench.read(account(1)).await;
    assert_eq!((page.stale, page.pending.len(), page.as_of_seq), (false, 1, 3));
    assert!(bench.fake.data().commits.is_empty());
    assert_eq!(bench.fake.data().asked.len(), 1, "its head and no more");
}

#[tokio::test(start_paused = true)]
async fn a12_pages_further_down_are_exact_without_core() {
    let bench = Bench::open(quiet(), booked_unseen);
    let page = bench.page(account(1), Some(3), 20).await;
    assert_eq!((serials(&page), page.stale, page.pending.len()), (vec![2, 1], false, 1));
    assert!(bench.fake.data().asked.is_empty());
}

#[tokio::test(start_paused = true)]
async fn d4_silent_core_costs_a_read_its_budget_and_no_more() {
    let bench = Bench::open(quiet(), |fake| {
        booked_unseen(fake);
        fake.data().takes = Duration::from_secs(600);
        fake.data().page_takes = ms(40);
    });
    let begun = Instant::now();
    let page = bench.read(account(1)).await;
    let took = begun.elapsed();
    let budget = ChannelConfig::default().read_budget;
    assert!(took >= budget && took <= budget + ms(1), "{took:?}: the first page counts too");
    assert_eq!((serials(&page), page.as_of_seq, page.stale), (vec![3, 2, 1], 3, true));
    let [pending] = page.pending.as_slice() else { panic!("drawn in: {:?}", page.pending) };
    assert_eq!((pending.id, pending.message.as_str()), (id(1), "처리 중"));
    sleep(SOON).await;
    assert!(bench.fake.data().dirty.contains(&account(1)), "queued for the sweep");
    assert_eq!((bench.fake.count(markers::READ_STALE), bench.fake.count("channel_reads_late_total")), (1, 1));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn q1_core_down_a_read_answers_at_once_with_what_there_is() {
    let bench = Bench::open(quiet(), |fake| {
        booked_unseen(fake);
        fake.data().core_down = true;
        fake.data().takes = ms(2);
    });
    let begun = Instant::now();
    let page = bench.read(account(1)).await;
    assert!(begun.elapsed() < ms(10), "{:?}", begun.elapsed());
    assert_eq!((page.stale, page.as_of_seq, page.pending.len()), (true, 3, 1));
    assert_eq!(bench.fake.count("channel_reads_unanswered_total"), 1);
    sleep(SOON).await;
    // The next page shows nothing new; the mark alone says that it may be behind.
    bench.fake.data().transfers.clear();
    let page = bench.read(account(1)).await;
    assert_eq!((page.stale, bench.fake.data().asked.len()), (true, 1), "dirty, and core is left alone");
}

#[tokio::test(start_paused = true)]
async fn d4_what_a_read_began_goes_on_behind_its_back() {
    let bench = Bench::open(quiet(), |fake| {
        booked_unseen(fake);
        fake.data().takes = ms(400);
    });
    assert!(bench.read(account(1)).await.stale);
    sleep(SOON).await;
    assert!(bench.fake.data().dirty.contains(&account(1)));
    bench.until(Duration::from_secs(1), account(1), 4).await;
    assert!(!bench.fake.data().dirty.contains(&account(1)), "healed with the pull");
    let page = bench.read(account(1)).await;
    assert_eq!((page.stale, page.as_of_seq), (false, 4));
}

#[tokio::test(start_paused = true)]
async fn d4_only_the_channels_own_database_is_a_5xx() {
    let bench = Bench::open(quiet(), |fake| {
        booked_unseen(fake);
        fake.data().store_down = true;
    });
    assert_eq!(problem(bench.ask(account(1), None, 20).await).0, ProblemKind::NotStarted);
    assert!(bench.fake.data().asked.is_empty());
    bench.fake.data().store_down = false;
    assert_eq!(problem(bench.ask(account(7), None, 20).await).0, ProblemKind::NotFound);
    for (cursor, limit, field) in [(None, 0, "limit"), (None, 10_000, "limit"), (Some(0), 1, "cursor")] {
        let told = problem(bench.ask(account(1), cursor, limit).await);
        assert_eq!(told, (ProblemKind::BadRequest, Some(field.to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn d6_the_weaker_and_the_wider_rule_of_whom_core_is_asked_about() {
    for (read_sync, pending, dirty, asked) in [
        (ReadSync::Pending, false, true, 0),
        (ReadSync::Suspect, false, true, 2),
        (ReadSync::Suspect, false, false, 0),
        (ReadSync::Suspect, true, false, 2),
        (ReadSync::Off, true, true, 0),
    ] {
        let bench = Bench::open(ChannelConfig { read_sync, ..quiet() }, |fake| {
            fake.opened(account(1), 3);
            fake.book_transfer(1, account(1));
            if pending {
                fake.in_progress(1, account(1));
            }
            if dirty {
                fake.data().dirty.insert(account(1));
            }
        });
        let page = bench.read(account(1)).await;
        assert_eq!(bench.fake.data().asked.len(), asked, "{read_sync:?} {pending} {dirty}");
        assert_eq!(page.as_of_seq, if asked > 0 { 4 } else { 3 });
        assert_eq!(page.stale, asked == 0 && dirty);
    }
}
