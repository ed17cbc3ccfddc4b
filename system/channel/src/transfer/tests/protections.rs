//! What becomes of transfers with a protection off, and that nothing of it happens with it on.
//!
//! In: weaker settings. Out: nothing but assertions. Elsewhere: that the checkers see it (`simulator`).

use std::time::Duration;

use bankstorm_contracts::WallMicros;
use bankstorm_contracts::channel_api::{ChannelResponse, TransferStage};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_outside::channel_store::Clock;
use tokio::time::sleep;

use super::bench::{Bench, OPENED, accepted, debit, id, lost, posted, problem, says};
use crate::config::{ChannelConfig, DueClock, Guard, Polling, Settling};

#[tokio::test(start_paused = true)]
async fn p7_off_two_clicks_are_two_transfers() {
    for (guard, at_once, in_turn) in [(Guard::User, 1, 1), (Guard::None, 2, 2), (Guard::CheckThenInsert, 2, 1)] {
        let config = ChannelConfig { guard, ..ChannelConfig::default() };
        let bench = Bench::open(config.clone()).core(lost()).core(lost());
        tokio::join!(biased; bench.submit(1), bench.submit(2));
        assert_eq!(bench.fake.data().transfers.len(), at_once, "{guard:?}: at the same moment");

        let bench = Bench::open(config).core(lost()).core(lost());
        accepted(bench.submit(1).await);
        let second = bench.submit(2).await;
        assert_eq!(bench.fake.data().transfers.len(), in_turn, "{guard:?}: one after the other");
        if in_turn == 1 {
            assert_eq!(problem(second), (ProblemKind::TransferPending, Some(id(1))));
            assert_eq!(accepted(bench.submit(1).await).id, id(1), "the same again: how it stands");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p8_off_nobody_asks_for_a_transfer_without_a_verdict() {
    let config = ChannelConfig { polling: Polling::Off, ..ChannelConfig::default() };
    let bench = Bench::open(config).core(lost());
    bench.fake.data().verdicts.insert(id(1), posted(1, OPENED + 1));
    accepted(bench.submit(1).await);
    sleep(Duration::from_secs(600)).await;
    assert_eq!((bench.fake.stage(id(1)), bench.fake.data().resolved.len()), (Some(TransferStage::Unknown), 0));
    bench.fake.stop();
    bench.channel.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn p29_off_the_processs_own_clock_judges_when_the_poller_may_ask() {
    for (clock, judged_by) in
        [(DueClock::Database, Clock::Database), (DueClock::Process, Clock::Given(WallMicros(1_234)))]
    {
        let bench = Bench::open(ChannelConfig { clock, ..ChannelConfig::default() }).core(lost());
        bench.fake.data().wall_us = 1_234;
        accepted(bench.submit(1).await);
        sleep(Duration::from_secs(5)).await;
        let clocks = bench.fake.data().clocks.clone();
        assert!(clocks.len() > 5 && clocks.iter().all(|clock| *clock == judged_by), "{clock:?}: {clocks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p31_off_a_transfer_is_completed_before_its_row_is_stored() {
    for (settling, commits) in [(Settling::OneTransaction, 1), (Settling::Two, 2)] {
        for by_event in [false, true] {
            let config = ChannelConfig { settling, ..ChannelConfig::default() };
            let answer = if by_event { lost() } else { says(posted(1, OPENED + 1)) };
            let bench = Bench::open(config).core(answer);
            let response = bench.submit(1).await;
            assert_eq!(matches!(response, ChannelResponse::Created(_)), !by_event, "{response:?}");
            bench.event(&debit(1, OPENED + 1));
            bench.until(Duration::from_secs(1), 1, TransferStage::Completed).await;
            sleep(Duration::from_millis(100)).await;
            let data = bench.fake.data();
            assert_eq!(data.entries, [debit(1, OPENED + 1)]);
            let of_the_end = |writes: &&_| {
                let bankstorm_outside::channel_store::AdvanceWrites { entries, transfers, .. } = writes;
                !entries.is_empty() || transfers.iter().any(|moved| moved.stage == TransferStage::Completed)
            };
            let last: Vec<_> = data.commits.iter().filter(of_the_end).collect();
            assert_eq!(last.len(), commits, "{settling:?}, by its event: {by_event}");
            assert_eq!(last[0].entries.is_empty(), settling == Settling::Two);
        }
    }
}
