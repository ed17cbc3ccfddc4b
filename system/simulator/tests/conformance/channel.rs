//! The channel where its neighbours misbehave: a log that does not answer, rows that are held, commits and calls without an answer.
//!
//! In: a seed. Out: trials. Elsewhere: what they run on (`bench`), whole days (`bank`).

#[path = "channel/bench.rs"]
mod bench;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bankstorm_channel::{ChannelConfig, Sweeping};
use bankstorm_contracts::channel_api::{ChannelResponse, TransferStage};
use bankstorm_contracts::core_api::Purpose;
use bankstorm_contracts::{DigestRange, Digests, TransferId};
use bankstorm_outside::LockMode;
use bankstorm_outside::channel_store::{ChannelStore, ChannelTx};
use bankstorm_outside::core_api::CoreApi;
use bankstorm_outside::log::{ConsumerEvent, Record};
use bankstorm_simulator::model::hook::CommitFault;
use bankstorm_simulator::model::network::AnswerFault;
use libtest_mimic::Trial;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::{on_virtual_time, over_seeds};
use bench::{Bench, DEPTH, account, at, until};

/// Long enough for anything that nobody holds up.
const SOON: Duration = Duration::from_millis(500);
/// Long enough for anything that is tried again.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! list {
        ($($case:ident),* $(,)?) => {
            vec![$(over_seeds(concat!("channel::", stringify!($case)).to_owned(), |seed| on_virtual_time($case(seed)))),*]
        };
    }
    list![
        an_offset_commit_without_an_answer_holds_up_neither_records_nor_revocations,
        a_stop_ends_although_an_offset_commit_has_no_answer,
        a_partition_that_was_not_paused_is_paused_again_and_spoils_no_other,
        held_rows_do_not_stop_other_accounts,
        a_commit_without_an_answer_is_stamped_although_its_partition_is_lost,
        a_gap_counts_once_however_often_it_is_tried,
        a_killed_core_answers_nothing,
        a2_an_id_that_stands_for_a_deposit_is_rejected_although_the_refusal_is_lost,
    ]
}

async fn an_offset_commit_without_an_answer_holds_up_neither_records_nor_revocations(seed: u64) {
    let config = ChannelConfig::default();
    let revoke_limit = config.drain_limit + config.drain_commit;
    let bench = Bench::open(seed, config, 1).await;
    bench.ends.silent.store(true, Ordering::SeqCst);
    bench.assign(&[0]);
    bench.record(0, account(0), 2);
    until(SOON, "an offset commit", || bench.ends.begun.load(Ordering::SeqCst) == 1).await;
    bench.record(1, account(0), 3);
    bench.until_copied(SOON, account(0), 3).await;
    let (done, drained) = oneshot::channel();
    bench.send(ConsumerEvent::Revoked { partitions: vec![at(0)], done });
    let answer = timeout(revoke_limit + Duration::from_millis(5), drained).await;
    assert_eq!(answer, Ok(Ok(())), "the revocation is answered within its own limits");
    assert_eq!(bench.ends.most.load(Ordering::SeqCst), 1, "offset commits at once");
}

async fn a_stop_ends_although_an_offset_commit_has_no_answer(seed: u64) {
    let config = ChannelConfig::default();
    let stop_limit = config.drain_limit + config.commit_limit + config.close_limit;
    let bench = Bench::open(seed, config, 1).await;
    bench.ends.silent.store(true, Ordering::SeqCst);
    bench.assign(&[0]);
    bench.record(0, account(0), 2);
    until(SOON, "an offset commit", || bench.ends.begun.load(Ordering::SeqCst) == 1).await;
    assert!(timeout(stop_limit, bench.stop()).await.is_ok(), "limit of {stop_limit:?} hit");
}

async fn a_partition_that_was_not_paused_is_paused_again_and_spoils_no_other(seed: u64) {
    let bench = Bench::open(seed, ChannelConfig { span: 2, ..ChannelConfig::default() }, 1).await;
    bench.ends.refuse.lock().expect("nobody panicked with it").insert(0);
    bench.assign(&[0, 1]);
    // Records that name no account are never done: the span above them fills.
    for (partition, offset) in [(0, 0), (1, 0), (1, 1), (0, 1)] {
        let (key, value) = (b"who".to_vec(), b"?".to_vec());
        bench.send(ConsumerEvent::Record(Record { at: at(partition), offset, key, value }));
    }
    let both = || bench.ends.paused.lock().expect("nobody panicked with it").len() == 2;
    until(SOON, "both partitions to be paused", both).await;
}

async fn held_rows_do_not_stop_other_accounts(seed: u64) {
    const HELD: i64 = 8;
    let config = ChannelConfig::default();
    assert!(SOON < config.lock_wait && i64::try_from(config.transactions).is_ok_and(|most| most < HELD));
    let bench = Bench::open(seed, config, HELD + 1).await;
    let held: Vec<_> = (0..HELD).map(account).collect();
    let mut holder = bench.outside.store.begin().await.expect("begun");
    holder.lock(&held, LockMode::SkipLocked).await.expect("locked");
    bench.assign(&[0]);
    for (offset, account) in (0..).zip(&held) {
        bench.record(offset, *account, 2);
    }
    sleep(Duration::from_millis(100)).await;
    bench.record(HELD, account(HELD), 2);
    bench.until_copied(SOON, account(HELD), 2).await;
    drop(holder);
    for account in held {
        bench.until_copied(LIMIT, account, 2).await;
    }
}

async fn a_commit_without_an_answer_is_stamped_although_its_partition_is_lost(seed: u64) {
    let bench = Bench::open(seed, ChannelConfig::default(), 1).await;
    let commits = bench.outside.store.commits();
    // The first one is that of the partition's new owner.
    commits.plan(2, CommitFault::UnknownAfter);
    bench.assign(&[0]);
    bench.record(0, account(0), 2);
    until(SOON, "a commit", || commits.fired() == 1).await;
    bench.send(ConsumerEvent::Lost(vec![at(0)]));
    let stamps = || bench.outside.visible.lines().iter().map(|line| (line.from_seq, line.to_seq)).collect::<Vec<_>>();
    until(LIMIT, "the stamp of what was committed", || stamps() == [(1, 2)]).await;
}

async fn a_gap_counts_once_however_often_it_is_tried(seed: u64) {
    let bench = Bench::open(seed, ChannelConfig::default(), 1).await;
    let answers = bench.outside.core.link().answers();
    (1..=2).for_each(|nth| answers.plan(nth, AnswerFault::Dropped));
    bench.assign(&[0]);
    bench.record(0, account(0), DEPTH);
    bench.until_copied(LIMIT, account(0), DEPTH).await;
    assert_eq!(answers.fired(), 2);
    assert_eq!(bench.outside.metrics.all().get("channel_gaps_total"), Some(&1));
}

async fn a2_an_id_that_stands_for_a_deposit_is_rejected_although_the_refusal_is_lost(seed: u64) {
    let config = ChannelConfig { sweeping: Sweeping::Off, ..ChannelConfig::default() };
    let bench = Bench::open(seed, config, 2).await;
    let id = TransferId(uuid::Uuid::from_u128(0xd0));
    // It makes the account's entry whose serial and balance a verdict on the id tells.
    bench.deposit(id, account(0)).await;
    bench.outside.core.link().answers_of("transfer").plan(1, AnswerFault::Dropped);
    let ChannelResponse::Accepted(view) = bench.submit(id).await else { panic!("202") };
    assert_eq!(view.state, TransferStage::Unknown);
    let store = &bench.outside.store;
    let stage = || store.committed().transfers.get(&id).map(|stored| stored.row.stage);
    until(LIMIT, "the poller's verdict", || stage().is_some_and(TransferStage::is_terminal)).await;
    assert_eq!(stage(), Some(TransferStage::Rejected), "core never posted it, and never will");
    assert_eq!(store.committed().heads[&account(0)].seq, 1, "nothing came into the copy by the other's verdict");
    let next = TransferId(uuid::Uuid::from_u128(0xd1));
    assert!(matches!(bench.submit(next).await, ChannelResponse::Created(_)), "the guard is free");
    assert_eq!(bench.outside.metrics.all().get("channel_contradictions_total"), None);
}

async fn a_killed_core_answers_nothing(seed: u64) {
    let bench = Bench::open(seed, ChannelConfig::default(), 1).await;
    let core = &bench.outside.core;
    let heads = core.heads(&[account(0)], Purpose::Sweep).await.expect("core is there");
    let digests = core.digests(DigestRange::ALL).await.expect("core is there");
    assert_eq!(digests, Digests { parts: DigestRange::ALL.parts(&heads), next: None });
    bench.core_process.kill();
    assert!(core.heads(&[account(0)], Purpose::Sweep).await.is_err());
    assert!(core.digests(DigestRange::ALL).await.is_err());
    assert!(core.entries(account(0), 0, 9, Purpose::GapFill).await.is_err());
}
