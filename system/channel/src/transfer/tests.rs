//! A transfer from its request to its end, over stores in memory: what is durable when, and who settles it.
//!
//! In: scripts. Out: nothing but assertions. Elsewhere: the rules alone (`rules::tests`), the same over models that stall, crash and race
//! (`simulator`).

pub(crate) mod bench;
pub(crate) mod fakes;
mod limits;
mod protections;

use std::time::Duration;

use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse, SubmitTransfer, TransferStage};
use bankstorm_contracts::core_api::Verdict;
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{RejectReason, TransferState, WallMicros, Won};
use bankstorm_outside::channel_store::Source;
use bankstorm_outside::core_api::CallError;
use tokio::time::{Instant, sleep, timeout};

use self::bench::{
    AMOUNT, Bench, FROM, OPENED, SOON, accepted, debit, id, lost, posted, problem, refused, says, submit,
};
use self::fakes::End;
use crate::config::{ChannelConfig, NotStarted, Share};
use crate::markers;

#[tokio::test(start_paused = true)]
async fn a2_a_transfer_is_stored_and_sent_before_core_is_called_and_completed_with_its_row() {
    let bench = Bench::open(ChannelConfig::default()).core(says(posted(1, OPENED + 1)));
    let ChannelResponse::Created(view) = bench.submit(1).await else { panic!("201") };
    assert_eq!((view.state, view.seq, view.message), (TransferStage::Completed, Some(OPENED + 1), None));
    let asked = bench.fake.data().asked[0].clone();
    assert_eq!(bench.fake.data().stood, [TransferStage::Sent]);
    assert_eq!((asked.requested_at, asked.valid_for_ms), (WallMicros(77), 5_000));
    bench.assert_completed_with_its_row(1, OPENED + 1, Source::Answer);
    assert_eq!(bench.fake.data().visible, [(FROM, OPENED, OPENED + 1)]);
    assert_eq!(bench.fake.count(markers::SETTLED_BY_ANSWER), 1);
    bench.event(&debit(1, OPENED + 1));
    sleep(SOON).await;
    assert_eq!(bench.fake.count(markers::EVENT_AFTER_ANSWER), 1);
}

#[tokio::test(start_paused = true)]
async fn a2_a_customer_who_hangs_up_does_not_stop_his_transfer() {
    let bench = Bench::open(ChannelConfig::default()).core(says(posted(1, OPENED + 1)));
    assert!(timeout(Duration::from_millis(1), bench.submit(1)).await.is_err(), "he hung up");
    bench.until(SOON, 1, TransferStage::Completed).await;
}

#[tokio::test(start_paused = true)]
async fn a4_a_lost_answer_is_unknown_until_the_event_settles_it() {
    let bench = Bench::open(ChannelConfig::default()).core(lost());
    assert_eq!(accepted(bench.submit(1).await).state, TransferStage::Unknown);
    let history = || bench.channel.handle(ChannelRequest::History { account: FROM, cursor: None, limit: 9 });
    let ChannelResponse::History(page) = history().await else { panic!("a page") };
    let pending: Vec<_> = page.pending.iter().map(|pending| pending.id).collect();
    assert_eq!((pending, page.items.len()), (vec![id(1)], 0));
    bench.event(&debit(1, OPENED + 1));
    bench.until(SOON, 1, TransferStage::Completed).await;
    let ChannelResponse::History(page) = history().await else { panic!("a page") };
    assert_eq!((page.pending.len(), page.items.len()), (0, 1), "shown once: as a row");
    bench.assert_completed_with_its_row(1, OPENED + 1, Source::Event);
    let ChannelResponse::Transfer(view) = bench.channel.handle(ChannelRequest::Transfer(id(1))).await else {
        panic!("200")
    };
    assert_eq!((view.state, view.seq), (TransferStage::Completed, Some(OPENED + 1)));
    let unknown = bench.channel.handle(ChannelRequest::Transfer(id(9))).await;
    assert_eq!(problem(unknown).0, ProblemKind::NotFound);
    assert_eq!((bench.fake.count(markers::UNKNOWN_SET), bench.fake.count(markers::SETTLED_BY_EVENT)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a5_one_transfer_in_progress_a_customer_and_one_meaning_an_id() {
    let bench = Bench::open(ChannelConfig::default()).core(lost());
    accepted(bench.submit(1).await);
    assert_eq!(problem(bench.submit(2).await), (ProblemKind::TransferPending, Some(id(1))));
    assert_eq!(accepted(bench.submit(1).await).id, id(1), "the same again: how it stands");
    let other = SubmitTransfer { amount: Won::new(AMOUNT + 1), ..submit(1) };
    let drifted = bench.channel.handle(ChannelRequest::Submit(other)).await;
    assert_eq!(problem(drifted).0, ProblemKind::ParamDrift);
    let bad = SubmitTransfer { amount: Won::ZERO, ..submit(3) };
    assert_eq!(problem(bench.channel.handle(ChannelRequest::Submit(bad)).await).0, ProblemKind::BadRequest);
    assert_eq!(bench.fake.data().transfers.len(), 1);
    assert_eq!(bench.fake.data().asked.len(), 1, "core was called once");
    let counts = [markers::GUARDED, markers::REPLAY, markers::DRIFT].map(|marker| bench.fake.count(marker));
    assert_eq!(counts, [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a5_a_double_click_calls_core_once() {
    let bench = Bench::open(ChannelConfig::default()).core(says(posted(1, OPENED + 1)));
    let (first, second) = tokio::join!(biased; bench.submit(1), bench.submit(1));
    assert!(matches!(first, ChannelResponse::Created(_)), "{first:?}");
    accepted(second);
    assert_eq!(bench.fake.data().asked.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a6_an_answer_ahead_of_the_copy_pulls_what_is_missing_first() {
    let bench = Bench::open(ChannelConfig::default()).core(says(posted(1, OPENED + 3)));
    let booked = [debit(8, OPENED + 1), debit(9, OPENED + 2), debit(1, OPENED + 3)];
    bench.fake.data().booked.extend(booked.clone());
    assert!(matches!(bench.submit(1).await, ChannelResponse::Created(_)));
    assert_eq!(bench.fake.data().entries, booked);
    bench.assert_completed_with_its_row(1, OPENED + 3, Source::Answer);
    assert_eq!((bench.fake.count("channel_answer_pulls_total"), bench.fake.count("channel_gaps_total")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn r8_an_answer_after_its_event_changes_nothing() {
    let (_, answer) = says(posted(1, OPENED + 1));
    let bench = Bench::open(ChannelConfig::default()).core((Duration::from_millis(500), answer));
    let event = async {
        bench.until(SOON, 1, TransferStage::Sent).await;
        bench.event(&debit(1, OPENED + 1));
        bench.until(SOON, 1, TransferStage::Completed).await;
    };
    let (response, ()) = tokio::join!(biased; bench.submit(1), event);
    assert!(matches!(response, ChannelResponse::Created(_)), "{response:?}");
    bench.assert_completed_with_its_row(1, OPENED + 1, Source::Event);
    assert_eq!(bench.fake.count(markers::ANSWER_AFTER_EVENT), 1);
    assert_eq!(bench.fake.count("channel_left_open_total"), 0);
}

/// The poller asks after three seconds; the answer and the event come before or after it, and before or after each other.
#[tokio::test(start_paused = true)]
async fn r8_answer_event_and_poller_settle_once_in_every_order() {
    for (answer_s, event_s) in [(1, 2), (2, 1), (1, 5), (5, 1), (5, 6), (6, 5), (1, 1), (4, 4)] {
        let (call_limit, validity) = (Duration::from_secs(9), Duration::from_secs(2));
        let config = ChannelConfig { call_limit, validity, ..ChannelConfig::default() };
        let (_, answer) = says(posted(1, OPENED + 1));
        let bench = Bench::open(config).core((Duration::from_secs(answer_s), answer));
        bench.fake.data().verdicts.insert(id(1), posted(1, OPENED + 1));
        let event = async {
            sleep(Duration::from_secs(event_s)).await;
            bench.event(&debit(1, OPENED + 1));
        };
        let (response, ()) = tokio::join!(biased; bench.submit(1), event);
        assert!(matches!(response, ChannelResponse::Created(_)), "{answer_s} {event_s}: {response:?}");
        sleep(SOON).await;
        let source = if event_s < answer_s.min(3) { Source::Event } else { Source::Answer };
        if answer_s != event_s {
            bench.assert_completed_with_its_row(1, OPENED + 1, source);
        }
        assert_eq!(bench.fake.data().entries, [debit(1, OPENED + 1)], "{answer_s} {event_s}");
        assert_eq!(bench.fake.count("channel_transfers_completed_total"), 1);
        assert_eq!(bench.fake.count("channel_contradictions_total") + bench.fake.count("channel_left_open_total"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a7_a_request_that_never_reached_core_fails_after_its_validity_and_frees_the_customer() {
    let bench = Bench::open(ChannelConfig::default()).core(lost()).core(says(posted(2, OPENED + 1)));
    let begun = Instant::now();
    bench.fake.data().verdicts.insert(id(1), refused(1, RejectReason::NotReceived));
    accepted(bench.submit(1).await);
    assert_eq!(problem(bench.submit(2).await).0, ProblemKind::TransferPending);
    bench.until(Duration::from_millis(6_300), 1, TransferStage::Failed).await;
    let asked = bench.fake.data().resolved[0] - begun;
    assert!(asked >= Duration::from_secs(6), "asked after {asked:?}: the validity is 5 s, the margin 1 s");
    assert!(matches!(bench.submit(2).await, ChannelResponse::Created(_)));
    assert_eq!([markers::FAILED_BY_TOMBSTONE, markers::RELEASED].map(|marker| bench.fake.count(marker)), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a7_the_poller_asks_with_growing_pauses_until_core_knows_and_the_event_comes_late() {
    let bench = Bench::open(ChannelConfig::default()).core(lost());
    accepted(bench.submit(1).await);
    let processing = Verdict { state: TransferState::Processing, ..refused(1, RejectReason::NotReceived) };
    sleep(Duration::from_secs(10)).await;
    bench.fake.data().verdicts.insert(id(1), processing);
    sleep(Duration::from_secs(50)).await;
    let asked = bench.fake.data().resolved.clone();
    let pauses: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let config = ChannelConfig::default();
    let most = config.poll_retry_most + config.poll_every + SOON;
    assert!(pauses.iter().all(|pause| (config.poll_retry_first / 2..most).contains(pause)), "{pauses:?}");
    assert!(asked.len() > 12 && pauses.last() > pauses.first(), "{pauses:?}");
    assert_eq!(bench.fake.stage(id(1)), Some(TransferStage::Unknown));
    bench.fake.data().verdicts.insert(id(1), posted(1, OPENED + 1));
    bench.until(most, 1, TransferStage::Completed).await;
    bench.assert_completed_with_its_row(1, OPENED + 1, Source::Answer);
    bench.event(&debit(1, OPENED + 1));
    sleep(SOON).await;
    assert_eq!(
        [markers::SETTLED_BY_POLLER, markers::EVENT_AFTER_POLLER].map(|marker| bench.fake.count(marker)),
        [1, 1]
    );
    assert!(bench.fake.count(markers::POLLED_IN_VAIN) > 1 && bench.fake.count(markers::POLLED_PROCESSING) > 1);
}

#[tokio::test(start_paused = true)]
async fn a4_a_refusal_is_stored_with_its_reason_and_frees_the_customer() {
    let bench = Bench::open(ChannelConfig::default());
    let reasons = [RejectReason::InsufficientFunds, RejectReason::Expired, RejectReason::NotReceived];
    for (number, reason) in (1..).zip(reasons) {
        bench.fake.data().answers.push_back(says(refused(number, reason)));
        let ChannelResponse::Transfer(view) = bench.submit(number).await else { panic!("200") };
        let stage = if reason == RejectReason::NotReceived { TransferStage::Failed } else { TransferStage::Rejected };
        assert_eq!((view.state, view.reason), (stage, Some(reason)));
    }
    assert_eq!(bench.fake.data().entries, []);
}

/// The transactions of one transfer: stored, sent, settled.
#[tokio::test(start_paused = true)]
async fn p17_errors_of_the_store_are_tried_again_while_settling() {
    for fault in [End::Failed, End::UnknownLost, End::UnknownDone] {
        for at in 1..3 {
            let bench = Bench::open(ChannelConfig::default()).core(says(posted(1, OPENED + 1)));
            bench.fake.data().ends.extend((0..at).map(|_| End::Ok).chain([fault]));
            let response = bench.submit(1).await;
            if at == 1 && matches!(fault, End::UnknownDone) {
                // Nobody can tell whose move to "sent" it was, so nobody calls core: the poller finds out that it never came.
                assert_eq!(accepted(response).state, TransferStage::Sent);
                assert!(bench.fake.data().asked.is_empty());
                continue;
            }
            assert!(matches!(response, ChannelResponse::Created(_)), "{fault:?} at {at}: {response:?}");
            bench.assert_completed_with_its_row(1, OPENED + 1, Source::Answer);
            assert_eq!(bench.fake.data().visible, [(FROM, OPENED, OPENED + 1)], "{fault:?} at {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a2_a_transfer_of_which_nobody_can_tell_whether_it_is_stored_is_stored_once() {
    for fault in [End::UnknownLost, End::UnknownDone] {
        let bench = Bench::open(ChannelConfig::default()).core(says(posted(1, OPENED + 1)));
        bench.fake.data().ends.push_back(fault);
        let response = bench.submit(1).await;
        assert!(matches!(response, ChannelResponse::Created(_)), "{fault:?}: {response:?}");
        bench.assert_completed_with_its_row(1, OPENED + 1, Source::Answer);
        assert_eq!(bench.fake.data().asked.len(), 1, "{fault:?}");
    }
    let bench = Bench::open(ChannelConfig::default());
    bench.fake.data().ends.push_back(End::Failed);
    assert_eq!(problem(bench.submit(1).await).0, ProblemKind::NotStarted);
    assert!(bench.fake.data().transfers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a7_what_cannot_be_stored_in_time_is_the_pollers() {
    let bench = Bench::open(ChannelConfig::default()).core(says(posted(1, OPENED + 1)));
    bench.fake.data().verdicts.insert(id(1), posted(1, OPENED + 1));
    // Longer than patience: 2 s of pauses that reach 500 ms.
    bench.fake.data().ends.extend([End::Ok, End::Ok].into_iter().chain((0..12).map(|_| End::Failed)));
    assert_eq!(accepted(bench.submit(1).await).state, TransferStage::Sent);
    assert_eq!(bench.fake.count("channel_left_to_poller_total"), 1);
    bench.until(Duration::from_secs(60), 1, TransferStage::Completed).await;
    bench.assert_completed_with_its_row(1, OPENED + 1, Source::Answer);
}

#[tokio::test(start_paused = true)]
async fn core_that_began_nothing_fails_the_transfer_or_is_fenced_off() {
    let not_started = || (Duration::ZERO, Err(CallError::NotStarted("full".to_owned())));
    let config = ChannelConfig { not_started: NotStarted::Final, ..ChannelConfig::default() };
    let bench = Bench::open(config).core(not_started()).core(says(posted(2, OPENED + 1)));
    assert_eq!(problem(bench.submit(1).await).0, ProblemKind::NotStarted);
    assert_eq!(bench.fake.stage(id(1)), Some(TransferStage::Failed));
    assert!(matches!(bench.submit(2).await, ChannelResponse::Created(_)));

    let bench = Bench::open(ChannelConfig::default()).core(not_started());
    assert_eq!(accepted(bench.submit(1).await).state, TransferStage::Unknown);

    let never_sent = (Duration::ZERO, Err(CallError::NotSent("down".to_owned())));
    let bench = Bench::open(ChannelConfig::default()).core(never_sent);
    assert_eq!(problem(bench.submit(1).await).0, ProblemKind::NotStarted);
    assert_eq!(bench.fake.stage(id(1)), Some(TransferStage::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_stop_awaits_what_is_submitted_and_takes_nothing_new() {
    let (_, answer) = says(posted(1, OPENED + 1));
    let bench = Bench::open(ChannelConfig::default()).core((Duration::from_millis(900), answer));
    let stop = async {
        bench.until(SOON, 1, TransferStage::Sent).await;
        bench.fake.stop();
        assert_eq!(problem(bench.submit(2).await).0, ProblemKind::NotStarted);
        bench.channel.stopped().await;
        assert_eq!(bench.fake.stage(id(1)), Some(TransferStage::Completed));
    };
    let (response, ()) = tokio::join!(biased; bench.submit(1), stop);
    assert!(matches!(response, ChannelResponse::Created(_)), "{response:?}");
}

#[tokio::test(start_paused = true)]
async fn a21_requests_about_an_account_of_another_database_are_told_so_and_begin_nothing() {
    let share = |index| Share::new(index, 2, 10).expect("a share");
    let other = Bench::open(ChannelConfig::default().sharing(share(0)));
    let history = ChannelRequest::History { account: FROM, cursor: None, limit: 9 };
    for request in [history.clone(), ChannelRequest::Sync(FROM)] {
        let ChannelResponse::Problem(problem) = other.channel.handle(request).await else { panic!("no such copy") };
        assert_eq!(problem.kind, ProblemKind::NotFound);
        assert_eq!(problem.detail.as_str(), "account 1000001 lies in database 1 of the channels");
    }
    let ChannelResponse::Problem(problem) = other.submit(1).await else { panic!("not this database's") };
    assert_eq!((problem.kind, problem.field.as_deref()), (ProblemKind::BadRequest, Some("from")));
    assert_eq!(other.fake.data().asked.len(), 0, "core was not called");
    let own = Bench::open(ChannelConfig::default().sharing(share(1)));
    assert!(matches!(own.channel.handle(history).await, ChannelResponse::History(_)));
}
