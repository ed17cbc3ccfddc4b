//! The button.

use std::time::Duration;

use bankstorm_contracts::channel_api::{ChannelRequest, SyncAnswer, SyncResult};
use bankstorm_contracts::core_api::Purpose;
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_outside::channel_store::Source;
use tokio::time::{Instant, sleep};

use super::bench::{Bench, SOON, ms, problem, quiet};
use super::fakes::{Call, account};
use crate::config::ChannelConfig;
use crate::markers;

fn answer(result: SyncResult, as_of_seq: i64) -> SyncAnswer {
    SyncAnswer { result, as_of_seq, retry_after_ms: None }
}

#[tokio::test(start_paused = true)]
async fn a16_the_button_makes_an_account_equal_to_core_with_nothing_in_progress() {
    let bench = Bench::open(quiet(), |fake| {
        fake.opened(account(1), 3);
        fake.book(account(1));
        fake.book(account(1));
    });
    assert_eq!(bench.press(account(1)).await, answer(SyncResult::Synced, 5));
    let in_core = bench.fake.data().booked[&account(1)][4].head();
    assert_eq!(bench.fake.data().heads[&account(1)], in_core);
    assert_eq!(bench.fake.asked(Call::Heads, Some(Purpose::Manual)), 1);
    assert_eq!(bench.fake.data().commits[0].journal[0].source, Source::ManualSync);
    assert_eq!(bench.fake.count(markers::MANUAL_SYNCED), 1);

    sleep(Duration::from_secs(1)).await;
    let commits = bench.fake.data().commits.len();
    assert_eq!(bench.press(account(1)).await, answer(SyncResult::Synced, 5));
    assert_eq!(bench.fake.data().commits.len(), commits, "core's head has not moved: nothing is written");
    assert_eq!(bench.fake.asked(Call::Entries, Some(Purpose::Manual)), 1);
}

#[tokio::test(start_paused = true)]
async fn a16_hammering_it_stays_under_the_cap_of_each_account() {
    let bench = Bench::open(quiet(), |fake| {
        fake.opened(account(1), 3);
        fake.opened(account(2), 3);
    });
    let mut results = Vec::new();
    for _ in 0..50 {
        results.push(bench.press(account(1)).await);
        sleep(ms(100)).await;
    }
    assert_eq!((bench.fake.pulls(), bench.fake.count(markers::MANUAL_LIMITED)), (5, 45));
    let limited = results[1];
    assert_eq!((limited.result, limited.as_of_seq), (SyncResult::RateLimited, 3));
    let left = limited.retry_after_ms.expect("when to press again");
    assert!((850..=900).contains(&left), "{left} ms");
    assert_eq!(bench.press(account(2)).await.result, SyncResult::Synced, "another's own");
}

#[tokio::test(start_paused = true)]
async fn d5_core_that_is_slow_is_stale_within_the_budget() {
    let bench = Bench::open(quiet(), |fake| {
        fake.opened(account(1), 3);
        fake.book(account(1));
        fake.data().takes = ms(1_200);
    });
    let begun = Instant::now();
    assert_eq!(bench.press(account(1)).await, answer(SyncResult::Stale, 3));
    let took = begun.elapsed();
    assert!(took >= ms(1_000) && took <= ms(1_001), "{took:?}");
    sleep(SOON).await;
    assert!(bench.fake.data().dirty.contains(&account(1)), "queued for the sweep");
    bench.until(Duration::from_secs(3), account(1), 4).await;
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn q2_core_down_the_button_says_so_and_the_sweep_heals_without_a_human() {
    let bench = Bench::open(ChannelConfig::default(), |fake| {
        fake.opened(account(1), 3);
        fake.book(account(1));
        fake.data().core_down = true;
    });
    let begun = Instant::now();
    assert_eq!(bench.press(account(1)).await, answer(SyncResult::CoreUnavailable, 3));
    assert!(begun.elapsed() < ms(1_000));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.fake.stands(account(1)), 3);
    assert!(bench.fake.data().dirty.contains(&account(1)));
    bench.fake.data().core_down = false;
    // The longest pause of a sweep that core ended.
    bench.until(Duration::from_secs(6), account(1), 4).await;
    sleep(SOON).await;
    assert!(bench.fake.data().dirty.is_empty());
    assert!(bench.fake.count(markers::SWEEP_HEALED) > 0);
    assert_eq!(bench.press(account(1)).await, answer(SyncResult::Synced, 4));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_button_of_unknown_accounts_and_where_it_is_off() {
    let bench = Bench::open(quiet(), |fake| fake.opened(account(1), 3));
    let unknown = bench.channel.handle(ChannelRequest::Sync(account(7))).await;
    assert_eq!(problem(unknown).0, ProblemKind::NotFound);
    bench.fake.data().store_down = true;
    let down = bench.channel.handle(ChannelRequest::Sync(account(1))).await;
    assert_eq!(problem(down).0, ProblemKind::NotStarted);

    let bench = Bench::open(ChannelConfig { manual_sync: false, ..quiet() }, |fake| {
        fake.opened(account(1), 3);
        fake.book(account(1));
    });
    for _ in 0..2 {
        assert_eq!(bench.press(account(1)).await, answer(SyncResult::Stale, 3));
    }
    assert!(bench.fake.data().asked.is_empty());
}
