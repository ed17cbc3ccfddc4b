//! Who shares whose pull, how many there are at once, and when core is left alone.

use std::time::Duration;

use bankstorm_contracts::core_api::Purpose;
use tokio::time::{Instant, sleep};

use super::bench::{Bench, SOON, ms, quiet, serials};
use super::fakes::{Call, account};
use crate::config::ChannelConfig;
use crate::markers;

#[tokio::test(start_paused = true)]
async fn g1_reads_of_one_account_that_come_together_ask_core_once() {
    let bench = Bench::open(quiet(), |fake| {
        fake.opened(account(1), 3);
        fake.in_progress(1, account(1));
        fake.book_transfer(1, account(1));
        fake.data().takes = ms(20);
    });
    let read = || bench.read(account(1));
    let pages = tokio::join!(biased; read(), read(), read());
    for page in [pages.0, pages.1, pages.2] {
        assert_eq!((page.as_of_seq, page.stale), (4, false));
    }
    assert_eq!(bench.fake.pulls(), 1);
    assert_eq!((bench.fake.count(markers::READ_JOINED), bench.fake.count("channel_pulls_total")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn s6_a_read_never_joins_a_pull_that_has_asked_already() {
    let bench = Bench::open(ChannelConfig { read_budget: Duration::from_secs(5), ..quiet() }, |fake| {
        fake.opened(account(1), 3);
        fake.in_progress(1, account(1));
        fake.book(account(1));
        fake.data().takes = ms(100);
    });
    let late = async {
        sleep(ms(50)).await;
        // Core's answer is on its way; this is acknowledged before the second and third read begin.
        bench.fake.book_transfer(1, account(1));
        tokio::join!(biased; bench.read(account(1)), bench.read(account(1)))
    };
    let (first, (second, third)) = tokio::join!(biased; bench.read(account(1)), late);
    assert_eq!((serials(&first)[0], first.stale, first.pending.len()), (4, false, 1));
    assert_eq!((serials(&second)[0], second.stale, second.pending.len()), (5, false, 0));
    assert_eq!(serials(&third), serials(&second), "these two share one");
    assert_eq!(bench.fake.pulls(), 2);
    let heads: Vec<_> =
        bench.fake.data().asked.iter().filter(|asked| asked.call == Call::Heads).map(|asked| asked.at).collect();
    assert!(heads[1] - heads[0] >= ms(200), "one after the other: {heads:?}");
}

#[tokio::test(start_paused = true)]
async fn a18_pulls_at_once_are_capped_and_the_wait_is_the_readers_own_time() {
    const ACCOUNTS: i64 = 10;
    let bench = Bench::open(ChannelConfig { core_pulls: 2, ..quiet() }, |fake| {
        for number in 1..=ACCOUNTS {
            fake.opened(account(number), 3);
            fake.in_progress(u32::try_from(number).expect("a number"), account(number));
        }
        fake.data().takes = ms(100);
    });
    let begun = Instant::now();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    for number in 1..=ACCOUNTS {
        let (channel, told) = (bench.channel.clone(), told.clone());
        bankstorm_outside::process::Scope::spawn(&bench.fake, "reader", async move {
            let request = bankstorm_contracts::channel_api::ChannelRequest::History {
                account: account(number),
                cursor: None,
                limit: 1,
            };
            let bankstorm_contracts::channel_api::ChannelResponse::History(page) = channel.handle(request).await else {
                panic!("a page")
            };
            told.send((page.stale, begun.elapsed())).expect("the test listens");
        });
    }
    drop(told);
    let mut stale = 0;
    while let Some((is_stale, took)) = heard.recv().await {
        stale += u32::from(is_stale);
        assert!(took <= ms(301), "{took:?}");
    }
    assert_eq!(bench.fake.data().most_in_flight, 2);
    // Two every 100 ms and a bit: two rounds end within 300 ms, the third is under way, the others have not asked and never do.
    assert_eq!((stale, bench.fake.pulls()), (6, 6));
    sleep(Duration::from_secs(5)).await;
    assert_eq!((bench.fake.pulls(), bench.fake.count("channel_pulls_left_total")), (6, 4));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn d4_after_failures_in_a_row_core_is_left_alone_and_one_sees_whether_it_answers_again() {
    let config = quiet();
    let (after, rest) = (config.breaker_after, config.breaker_rest);
    let bench = Bench::open(config, |fake| {
        fake.opened(account(1), 3);
        fake.in_progress(1, account(1));
        fake.book_transfer(1, account(1));
        fake.data().core_down = true;
    });
    for number in 1..=3 * after {
        assert!(bench.read(account(1)).await.stale);
        assert_eq!(bench.fake.pulls(), number.min(after) as usize);
    }
    assert_eq!((bench.fake.count(markers::BREAKER_OPEN), bench.fake.data().gauges["channel_breaker_open"]), (1, 1));
    assert_eq!(bench.fake.count("channel_pulls_refused_total"), u64::from(2 * after));

    sleep(rest).await;
    bench.fake.data().takes = ms(10);
    let (first, second) = tokio::join!(biased; bench.read(account(1)), async {
        sleep(ms(5)).await;
        bench.read(account(1)).await
    });
    assert!(first.stale && second.stale);
    assert_eq!(bench.fake.pulls(), after as usize + 1, "one alone looks");
    assert_eq!(bench.fake.count(markers::BREAKER_OPEN), 2, "and it is open for as long again");

    sleep(rest).await;
    bench.fake.data().core_down = false;
    let page = bench.read(account(1)).await;
    assert_eq!((page.stale, page.as_of_seq), (false, 4));
    assert_eq!(bench.fake.data().gauges["channel_breaker_open"], 0);
    assert_eq!(bench.fake.asked(Call::Heads, Some(Purpose::Read)), after as usize + 2);
}

#[tokio::test(start_paused = true)]
async fn r13_a_pull_that_events_overtake_changes_nothing() {
    let bench = Bench::open(ChannelConfig { read_budget: Duration::from_secs(5), ..quiet() }, |fake| {
        fake.opened(account(1), 3);
        fake.in_progress(1, account(1));
        fake.data().next_take.extend([ms(10), ms(500)]);
    });
    let entries = [bench.fake.book(account(1)), bench.fake.book_transfer(1, account(1))];
    let events = async {
        sleep(ms(100)).await;
        entries.iter().for_each(|entry| bench.event(entry));
    };
    let (page, ()) = tokio::join!(biased; bench.read(account(1)), events);
    assert_eq!((serials(&page), page.stale), (vec![5, 4, 3, 2, 1], false));
    assert_eq!(bench.fake.count(markers::SYNC_OVERTAKEN), 1);
    assert_eq!(bench.fake.data().entries[&account(1)].len(), 5, "each row once");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_pulls_that_have_not_asked() {
    let bench = Bench::open(ChannelConfig { core_pulls: 1, ..quiet() }, |fake| {
        for number in [1, 2] {
            fake.opened(account(number.into()), 3);
            fake.in_progress(number, account(number.into()));
        }
        fake.data().takes = ms(200);
    });
    let stop = async {
        sleep(ms(10)).await;
        bench.fake.stop();
    };
    let (first, second, ()) = tokio::join!(biased; bench.read(account(1)), bench.read(account(2)), stop);
    assert_eq!((first.stale, second.stale, bench.fake.pulls()), (false, true, 1));
    sleep(SOON).await;
    bench.stop().await;
}
