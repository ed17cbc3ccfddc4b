//! The head sweep, and the rounds that take the place of events.

use std::time::Duration;

use bankstorm_contracts::Won;
use bankstorm_contracts::core_api::Purpose;
use bankstorm_outside::channel_store::Source;
use tokio::time::sleep;

use super::bench::{Bench, SOON, ms, quiet};
use super::fakes::{Call, Fake, account};
use crate::Channel;
use crate::config::{ChannelConfig, Sweeping, SyncMode};
use crate::markers;

const EVERY: Duration = Duration::from_secs(1);

/// Accounts 1 to 20 with three rows each; core has one more of account 7, and its event is lost.
fn tail_lost(fake: &Fake) {
    (1..=20).for_each(|number| fake.opened(account(number), 3));
    fake.book(account(7));
}

#[tokio::test(start_paused = true)]
async fn d43_the_lost_last_event_of_an_idle_account_is_healed_at_the_second_look() {
    let bench = Bench::open(ChannelConfig::default(), tail_lost);
    sleep(EVERY + SOON).await;
    assert_eq!((bench.fake.pulls(), bench.fake.stands(account(7))), (0, 3), "its event may be on its way");
    sleep(EVERY).await;
    assert_eq!((bench.fake.pulls(), bench.fake.stands(account(7))), (1, 4));
    assert_eq!(bench.fake.data().commits[0].journal[0].source, Source::Sweep);
    assert_eq!((bench.fake.count(markers::SWEEP_HEALED), bench.fake.count("channel_sweep_healed_total")), (1, 1));
    let asked = bench.fake.asked(Call::Heads, Some(Purpose::Sweep));
    sleep(10 * EVERY).await;
    assert_eq!(bench.fake.asked(Call::Heads, Some(Purpose::Sweep)), asked, "equal again: digests alone");
    assert!(bench.fake.asked(Call::Digests, None) > 10);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn d43_an_account_whose_events_come_is_left_to_them() {
    let bench = Bench::open(ChannelConfig::default(), |fake| fake.opened(account(7), 3));
    let mut late = bench.fake.book(account(7));
    for look in 1..=10 {
        sleep(if look == 1 { EVERY + SOON } else { EVERY }).await;
        // Always one behind when it is looked at, and never where it was.
        bench.event(&late);
        late = bench.fake.book(account(7));
    }
    assert!(bench.fake.count("channel_sweep_behind_total") >= 9);
    assert_eq!(bench.fake.pulls(), 0);
}

#[tokio::test(start_paused = true)]
async fn d43_an_account_that_only_core_knows_is_pulled() {
    let bench = Bench::open(ChannelConfig::default(), |fake| {
        fake.opened(account(1), 3);
        fake.book(account(9_999));
    });
    bench.until(3 * EVERY, account(9_999), 1).await;
}

#[tokio::test(start_paused = true)]
async fn d3_accounts_marked_dirty_come_first() {
    let bench = Bench::open(ChannelConfig { sweep_accounts: 2, ..ChannelConfig::default() }, |fake| {
        tail_lost(fake);
        fake.data().dirty.extend([account(7), account(9)]);
    });
    sleep(EVERY + SOON).await;
    assert_eq!((bench.fake.pulls(), bench.fake.stands(account(7))), (2, 4));
    assert!(bench.fake.data().dirty.is_empty(), "one that lacked nothing is not dirty either");
}

#[tokio::test(start_paused = true)]
async fn d3_accounts_that_cannot_be_healed_keep_no_others_from_it() {
    let bench = Bench::open(ChannelConfig { sweep_accounts: 2, ..ChannelConfig::default() }, |fake| {
        tail_lost(fake);
        fake.data().dirty.extend([account(1), account(2), account(7)]);
        // Core does not know these two.
        fake.data().booked.remove(&account(1));
        fake.data().booked.remove(&account(2));
    });
    bench.until(2 * EVERY + SOON, account(7), 4).await;
    assert!(bench.fake.count("channel_sweep_blocked_total") >= 2);
    sleep(4 * EVERY).await;
    assert_eq!(bench.fake.data().dirty.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn d3_accounts_that_core_cannot_answer_stop_the_sweep_for_nobody_else() {
    for stuck in [1, 2] {
        let bench = Bench::open(ChannelConfig::default(), |fake| {
            tail_lost(fake);
            // Not marked: found by the comparison.
            fake.book(account(12));
            fake.data().dirty.extend((1..=stuck).chain([7, 9]).map(account));
            fake.data().unanswered.extend((1..=stuck).map(account));
        });
        bench.until(2 * EVERY + SOON, account(12), 4).await;
        bench.until(4 * EVERY, account(7), 4).await;
        sleep(60 * EVERY).await;
        assert_eq!(bench.fake.data().dirty, (1..=stuck).map(account).collect());
        assert!(bench.fake.count("channel_sweep_unanswered_total") > 30);
        assert_eq!(bench.fake.count("channel_sweep_failures_total"), 0, "core answers");
        assert_eq!(bench.fake.count("channel_breaker_opened_total"), 0, "reads of others are not refused");
        bench.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn d3_core_down_a_look_asks_about_two_dirty_accounts_and_no_more() {
    let bench = Bench::open(ChannelConfig::default(), |fake| {
        tail_lost(fake);
        fake.data().dirty.extend((1..=20).map(account));
        fake.data().core_down = true;
    });
    sleep(EVERY + SOON).await;
    assert_eq!((bench.fake.pulls(), bench.fake.asked(Call::Digests, None)), (2, 1));
    assert_eq!(bench.fake.count("channel_sweep_failures_total"), 1);
    bench.fake.data().core_down = false;
    sleep(10 * EVERY).await;
    assert!(bench.fake.data().dirty.is_empty());
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn d3_instances_share_the_dirty_accounts_instead_of_each_pulling_all_of_them() {
    let config = |name: &str| ChannelConfig { sync: SyncMode::Poll(EVERY), ..quiet() }.of_instance(name);
    let bench = Bench::open(config("channel-0"), |fake| {
        tail_lost(fake);
        fake.data().dirty.extend((1..=20).map(account));
        fake.data().takes = ms(10);
    });
    let other = Channel::start(bench.fake.clone(), config("channel-1"));
    sleep(2 * EVERY).await;
    assert!(bench.fake.data().dirty.is_empty());
    let pulls = bench.fake.pulls();
    assert!((20..=24).contains(&pulls), "{pulls} pulls of 20 accounts");
    bench.stop().await;
    other.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn d43_looks_go_over_all_accounts_stretch_by_stretch_wherever_they_begin() {
    for sweep_salt in [0, 1, 77] {
        let config = ChannelConfig { sweep_accounts: 3, sweep_salt, ..ChannelConfig::default() };
        let bench = Bench::open(config, |fake| {
            (0..20).for_each(|number| fake.opened(account(1 + 700 * number), 3));
            for number in 0..20 {
                fake.book(account(1 + 700 * number));
            }
        });
        // Seven stretches, an empty look where it began beyond the last account, and one for the second look; three pulls in each.
        sleep(9 * (EVERY + SOON)).await;
        let behind = (0..20).filter(|number| bench.fake.stands(account(1 + 700 * number)) != 4).count();
        assert_eq!(behind, 0, "salt {sweep_salt}");
    }
}

#[tokio::test(start_paused = true)]
async fn d43_a_copy_that_contradicts_core_is_told_and_not_touched() {
    let bench = Bench::open(ChannelConfig::default(), |fake| {
        tail_lost(fake);
        fake.data().heads.get_mut(&account(2)).expect("a copy").balance = Won::new(31);
        fake.data().heads.get_mut(&account(3)).expect("a copy").seq = 4;
    });
    bench.until(3 * EVERY, account(7), 4).await;
    assert_eq!(bench.fake.count("channel_sweep_contradictions_total") % 2, 0);
    assert!(bench.fake.count("channel_sweep_contradictions_total") >= 2);
    assert_eq!(bench.fake.pulls(), 1, "account 7 alone");
}

#[tokio::test(start_paused = true)]
async fn d43_core_down_a_sweep_pauses_longer_and_longer_and_goes_on_when_it_is_back() {
    let bench = Bench::open(ChannelConfig::default(), |fake| {
        tail_lost(fake);
        fake.data().core_down = true;
    });
    sleep(Duration::from_secs(120)).await;
    let asked = bench.fake.data().asked.len();
    assert!((20..=60).contains(&asked), "{asked} questions in two minutes");
    bench.fake.data().core_down = false;
    bench.until(Duration::from_secs(8), account(7), 4).await;
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn p16_off_nobody_finds_the_lost_event_of_an_idle_account() {
    let bench = Bench::open(ChannelConfig { sweeping: Sweeping::Off, ..ChannelConfig::default() }, tail_lost);
    sleep(Duration::from_secs(600)).await;
    assert_eq!((bench.fake.stands(account(7)), bench.fake.data().asked.len()), (3, 0));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a20_rounds_take_the_place_of_events() {
    let every = Duration::from_secs(5);
    let config = ChannelConfig { sync: SyncMode::Poll(every), core_pulls: 3, sweep_accounts: 10, ..quiet() };
    let bench = Bench::open(config, |fake| {
        (1..=25).for_each(|number| fake.opened(account(number), 3));
        for number in 1..=20 {
            fake.book(account(number));
        }
        fake.data().dirty.insert(account(25));
        fake.data().takes = ms(10);
    });
    sleep(every - ms(1)).await;
    assert!(bench.fake.data().asked.is_empty());
    bench.until(Duration::from_secs(1), account(20), 4).await;
    sleep(SOON).await;
    assert!((1..=20).all(|number| bench.fake.stands(account(number)) == 4), "at their first look");
    assert!(bench.fake.data().dirty.is_empty());
    assert_eq!(bench.fake.data().most_in_flight, 3);
    assert_eq!(bench.fake.data().consumers, 0);
    assert_eq!(bench.fake.asked(Call::Digests, None), 3);
    bench.fake.book(account(1));
    bench.until(every + SOON, account(1), 5).await;
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a20_accounts_that_core_cannot_answer_stop_the_rounds_for_nobody_else() {
    let config = ChannelConfig { sync: SyncMode::Poll(EVERY), core_pulls: 1, ..quiet() };
    let bench = Bench::open(config, |fake| {
        (1..=20).for_each(|number| fake.opened(account(number), 3));
        for number in 1..=20 {
            fake.book(account(number));
        }
        fake.data().unanswered.extend([account(1), account(2)]);
    });
    sleep(6 * EVERY).await;
    assert!((3..=20).all(|number| bench.fake.stands(account(number)) == 4));
    assert_eq!(bench.fake.count("channel_sweep_failures_total"), 0);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a20_a_round_that_takes_longer_than_its_time_is_counted() {
    let config = ChannelConfig { sync: SyncMode::Poll(ms(100)), ..quiet() };
    let bench = Bench::open(config, |fake| {
        fake.opened(account(1), 3);
        fake.data().takes = ms(150);
    });
    sleep(Duration::from_secs(1)).await;
    assert!(bench.fake.count("channel_sweep_late_total") >= 4);
    bench.fake.data().core_down = true;
    sleep(Duration::from_secs(60)).await;
    assert!(bench.fake.count("channel_sweep_failures_total") <= 30, "pauses grow");
    bench.stop().await;
}
