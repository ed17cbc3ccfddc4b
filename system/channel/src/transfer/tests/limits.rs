//! What is not done any more once it took too long, and what is answered where nobody can tell.
//!
//! In: stores that are held, slow or contended. Out: nothing but assertions. Elsewhere: transfers that find everything free (`tests`).

use std::time::Duration;

use bankstorm_contracts::channel_api::{ChannelResponse, TransferStage};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{RejectReason, TransferState};
use bankstorm_outside::StoreError;
use bankstorm_outside::channel_store::{ChannelStore, Source};
use tokio::time::{Instant, sleep, timeout};

use super::bench::{Bench, OPENED, SOON, accepted, debit, id, lost, posted, problem, refused, says};
use super::fakes::Met;
use crate::config::ChannelConfig;

/// More than patience.
const LONG: Duration = Duration::from_secs(4);

#[tokio::test(start_paused = true)]
async fn a2_a_request_that_finds_no_place_in_time_begins_nothing_later() {
    let bench = Bench::open(ChannelConfig { transfer_transactions: 1, ..ChannelConfig::default() });
    let held = bench.fake.begin().await.expect("begun");
    let begun = Instant::now();
    // The first one has the place, and waits for the store that is held.
    let (_, second) = tokio::join!(
        biased;
        timeout(LONG, bench.submit(1)),
        async {
            let answer = timeout(LONG, bench.submit(2)).await.expect("bounded by store_patience");
            assert!(begun.elapsed() < LONG - Duration::from_secs(1), "{:?}", begun.elapsed());
            answer
        }
    );
    assert_eq!(problem(second).0, ProblemKind::NotStarted);
    assert_eq!(bench.fake.count("channel_slot_waits_in_vain_total"), 1);
    bench.fake.data().answers.push_back(lost());
    drop(held);
    sleep(LONG).await;
    assert_eq!(bench.fake.stage(id(2)), None, "nothing is begun later");
}

#[tokio::test(start_paused = true)]
async fn a4_an_id_that_somebody_else_may_be_storing_is_unknown_and_not_refused() {
    let bench = Bench::open(ChannelConfig::default());
    bench.fake.data().met.extend((0..40).map(|_| Met::Error(StoreError::LockTimeout)));
    assert_eq!(problem(bench.submit(1).await).0, ProblemKind::Unknown);
    let bench = Bench::open(ChannelConfig::default());
    bench.fake.data().met.push_back(Met::Error(StoreError::Unavailable("down".to_owned())));
    assert_eq!(problem(bench.submit(1).await).0, ProblemKind::NotStarted);
}

#[tokio::test(start_paused = true)]
async fn a5_a_transfer_does_not_stand_in_its_own_way() {
    let bench = Bench::open(ChannelConfig::default()).core(says(posted(1, OPENED + 1)));
    bench.fake.data().met.push_back(Met::Guarded(id(1)));
    assert!(matches!(bench.submit(1).await, ChannelResponse::Created(_)));
}

#[tokio::test(start_paused = true)]
async fn a7_what_was_stored_too_long_ago_is_not_sent() {
    let bench = Bench::open(ChannelConfig::default());
    // Stored by the first commit; the move to "sent" takes longer than the margin.
    bench.fake.data().slow.extend([Duration::ZERO, Duration::from_millis(1_200)]);
    assert_eq!(problem(bench.submit(1).await).0, ProblemKind::NotStarted);
    assert_eq!((bench.fake.stage(id(1)), bench.fake.data().asked.len()), (Some(TransferStage::Failed), 0));
    assert_eq!(bench.fake.count("channel_sends_too_late_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn a2_an_id_that_core_bound_to_something_else_is_rejected_by_the_poller_and_frees_the_customer() {
    for state in [TransferState::Completed, TransferState::Processing] {
        let bench = Bench::open(ChannelConfig::default()).core(lost()).core(says(posted(2, OPENED + 1)));
        let mut verdict = posted(1, OPENED + 1);
        verdict.state = state;
        verdict.params_hash = posted(2, OPENED + 1).params_hash.map(|mut hash| {
            hash.0[0] ^= 1;
            hash
        });
        bench.fake.data().verdicts.insert(id(1), verdict);
        accepted(bench.submit(1).await);
        bench.until(Duration::from_secs(7), 1, TransferStage::Rejected).await;
        assert!(bench.fake.data().entries.is_empty());
        assert!(matches!(bench.submit(2).await, ChannelResponse::Created(_)));
    }
    let bench = Bench::open(ChannelConfig::default()).core(lost());
    bench.fake.data().verdicts.insert(id(1), refused(1, RejectReason::NotReceived));
    accepted(bench.submit(1).await);
    bench.until(Duration::from_secs(7), 1, TransferStage::Failed).await;
}

/// Chunks of 500 entries that core takes a second each for.
#[tokio::test(start_paused = true)]
async fn p17_a_long_pull_ends_with_patience_and_the_next_one_goes_on() {
    const MISSING: i64 = 4_999;
    let bench = Bench::open(ChannelConfig::default()).core(says(posted(1, OPENED + MISSING + 1)));
    let booked: Vec<_> = (1..=MISSING + 1).map(|seq| debit(if seq > MISSING { 1 } else { 9 }, OPENED + seq)).collect();
    bench.fake.data().booked.extend(booked);
    bench.fake.data().pull_takes = Duration::from_secs(1);
    bench.fake.data().verdicts.insert(id(1), posted(1, OPENED + MISSING + 1));
    let begun = Instant::now();
    assert_eq!(accepted(bench.submit(1).await).state, TransferStage::Sent);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(bench.fake.data().entries.len() >= 1_000, "what was pulled stands");
    bench.until(Duration::from_secs(60), 1, TransferStage::Completed).await;
    bench.assert_completed_with_its_row(1, OPENED + MISSING + 1, Source::Answer);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_long_pull() {
    const MISSING: i64 = 4_999;
    let bench = Bench::open(ChannelConfig { store_patience: Duration::from_secs(60), ..ChannelConfig::default() })
        .core(says(posted(1, OPENED + MISSING + 1)));
    let booked: Vec<_> = (1..=MISSING + 1).map(|seq| debit(if seq > MISSING { 1 } else { 9 }, OPENED + seq)).collect();
    bench.fake.data().booked.extend(booked);
    bench.fake.data().pull_takes = Duration::from_secs(1);
    let stop = async {
        sleep(SOON).await;
        bench.fake.stop();
        let stopped = timeout(Duration::from_secs(2), bench.channel.stopped());
        assert!(stopped.await.is_ok(), "limit hit");
    };
    let (response, ()) = tokio::join!(biased; bench.submit(1), stop);
    assert_eq!(accepted(response).state, TransferStage::Sent);
}
