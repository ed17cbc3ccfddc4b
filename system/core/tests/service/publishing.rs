//! From a booking to the log: what is written and produced when (P9 to P12), order while the log is away (D35), what a stop leaves.
//!
//! Elsewhere: whether whole runs show the damage to the checks (`simulator`), late commits on PostgreSQL (`adapters`).

use std::collections::BTreeSet;
use std::time::Duration;

use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, event};
use bankstorm_core::config::{Outbox, Protections, RecordKey, RelayScan};
use bankstorm_core::{CoreConfig, markers};
use futures_util::future::join;
use tokio::time::{Instant, sleep};

use crate::bank::Manner;
use crate::bench::*;
use crate::store::Fate;

const SOON: Duration = Duration::from_millis(100);

fn bench(protections: Protections) -> Bench {
    Bench::new(Manner::Credits, CoreConfig { protections, ..CoreConfig::default() })
}

fn waiting(outbox: Outbox) -> Bench {
    bench(Protections { outbox, ..Protections::default() })
}

fn scanning(relay_scan: RelayScan) -> Bench {
    bench(Protections { relay_scan, ..Protections::default() })
}

/// Account and serial of each record, in the order of the log.
fn published(bench: &Bench) -> Vec<(i64, i64)> {
    bench.log.entries().iter().map(|entry| (entry.account.get(), entry.seq)).collect()
}

/// How many customers' entries are committed.
fn booked(bench: &Bench) -> usize {
    bench.store.data().entries.len()
}

#[tokio::test(start_paused = true)]
async fn what_a_kill_finds_unpublished_is_published_by_the_next_start_and_out_of_memory_it_is_lost_p9_r9() {
    for (outbox, rows, published) in [(Outbox::InTheBooking, 3, 3), (Outbox::DirectProduce, 0, 0)] {
        let bench = waiting(outbox);
        bench.log.goes_away();
        created(&bench.ask(deposit(1, A, 10)).await);
        created(&bench.ask(transfer(2, A, B, 5)).await);
        sleep(SOON).await;
        assert_eq!((booked(&bench), bench.store.unsent_count(), bench.published()), (3, rows, 0), "{outbox:?}");
        let bench = bench.crash().await;
        bench.log.comes_back();
        sleep(SOON).await;
        assert_eq!((booked(&bench), bench.published()), (3, published), "{outbox:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn out_of_memory_records_go_in_order_and_again_as_long_as_the_process_lives_p9() {
    let bench = waiting(Outbox::DirectProduce);
    bench.log.goes_away();
    for number in 1..=5 {
        created(&bench.ask(deposit(number, A, 1)).await);
    }
    bench.log.refuses_once();
    created(&bench.ask(outbound(6, A, 1)).await);
    sleep(Duration::from_secs(40)).await;
    bench.log.comes_back();
    sleep(Duration::from_secs(40)).await;
    assert_eq!(published(&bench), (2..=7).map(|seq| (A, seq)).collect::<Vec<_>>(), "holds that end go the same way");
    assert_eq!(bench.store.unsent_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_nobody_answers_is_published_from_its_rows_and_forgotten_by_memory_p9() {
    for (outbox, published) in [(Outbox::InTheBooking, 1), (Outbox::DirectProduce, 0)] {
        let bench = waiting(outbox);
        bench.store.data().fates.push_back(Fate::DoneUnanswered);
        assert_eq!(problem(&bench.ask(deposit(1, A, 10)).await), ProblemKind::Unknown);
        sleep(SOON).await;
        assert_eq!((booked(&bench), bench.published()), (1, published), "{outbox:?}");
        assert_eq!(bench.counted("core_direct_forgotten_total"), 1 - published as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_booking_that_is_rolled_back_leaves_no_record_unless_it_was_produced_before_p10() {
    let cases = [(Outbox::InTheBooking, 0), (Outbox::DirectProduce, 0), (Outbox::ProduceBeforeCommit, 1)];
    for (outbox, phantoms) in cases {
        let bench = waiting(outbox);
        bench.store.data().fates.push_back(Fate::RolledBack);
        assert_eq!(problem(&bench.ask(deposit(1, A, 10)).await), ProblemKind::NotStarted);
        sleep(SOON).await;
        assert_eq!((booked(&bench), bench.published()), (0, phantoms), "{outbox:?}");
        // Another deposit takes the serial that the record of the first one has.
        created(&bench.ask(deposit(2, A, 20)).await);
        sleep(SOON).await;
        let amounts: Vec<_> = bench.log.entries().iter().map(|entry| (entry.seq, entry.amount.get())).collect();
        assert_eq!(amounts, [(2, 10), (2, 20)][1 - phantoms..], "{outbox:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_ends_is_published_in_the_same_way_as_any_booking_p9_p10() {
    let cases = [(Outbox::InTheBooking, 0), (Outbox::DirectProduce, 0), (Outbox::ProduceBeforeCommit, 1)];
    for (outbox, early) in cases {
        let bench = waiting(outbox);
        // The hold is placed, and the transaction that ends it is rolled back, once.
        bench.store.data().fates.extend([Fate::Done, Fate::RolledBack]);
        created(&bench.ask(outbound(1, A, 300)).await);
        sleep(SOON).await;
        assert_eq!((booked(&bench), bench.published()), (1, 1 + early), "{outbox:?}");
        assert_eq!(bench.counted("core_produced_early_total"), 2 * early as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn without_its_log_core_books_and_a_core_that_produces_first_does_not_p10() {
    let bench = waiting(Outbox::InTheBooking);
    bench.log.goes_away();
    created(&bench.ask(deposit(1, A, 10)).await);
    let bench = waiting(Outbox::ProduceBeforeCommit);
    bench.log.goes_away();
    let asked = Instant::now();
    let refused = bench.ask(deposit(1, A, 10)).await;
    assert_eq!((problem(&refused), asked.elapsed()), (ProblemKind::NotStarted, CoreConfig::default().produce_wait));
    assert!(format!("{refused:?}").contains("produce_wait"), "{refused:?}");
    bench.log.comes_back();
    sleep(SOON).await;
    assert_eq!((booked(&bench), bench.published()), (0, 1), "it arrives all the same");
}

#[tokio::test(start_paused = true)]
async fn after_a_record_that_is_refused_the_next_booking_takes_another_producer_p10() {
    let bench = waiting(Outbox::ProduceBeforeCommit);
    created(&bench.ask(deposit(1, A, 10)).await);
    let before = bench.log.producers();
    bench.log.refuses_once();
    assert_eq!(problem(&bench.ask(deposit(2, A, 10)).await), ProblemKind::NotStarted);
    created(&bench.ask(deposit(2, A, 10)).await);
    assert_eq!((bench.log.producers() - before, published(&bench)), (1, vec![(A, 2), (A, 3)]));
    assert_eq!(bench.counted("core_produced_early_errors_total"), 1);
}

/// One booking whose commit takes long, and one that is published meanwhile.
async fn with_a_late_committer(relay_scan: RelayScan) -> Bench {
    let bench = scanning(relay_scan);
    bench.store.data().commits_take.push_back(Duration::from_secs(1));
    let (late, early) = join(bench.ask(deposit(1, A, 10)), async {
        sleep(SOON).await;
        bench.ask(deposit(2, B, 10)).await
    })
    .await;
    created(&late);
    created(&early);
    sleep(Duration::from_secs(60)).await;
    bench
}

#[tokio::test(start_paused = true)]
async fn whoever_commits_late_is_found_by_being_unsent_and_skipped_by_a_watermark_p11_r10() {
    let bench = with_a_late_committer(RelayScan::UnsentRows).await;
    assert_eq!((published(&bench), bench.store.unsent_count()), (vec![(B, 2), (A, 2)], 0));

    let bench = with_a_late_committer(RelayScan::IdWatermark).await;
    assert_eq!((published(&bench), bench.store.unsent_count()), (vec![(B, 2)], 1), "its row stays");
    created(&bench.ask(deposit(3, A, 10)).await);
    sleep(SOON).await;
    assert_eq!((published(&bench), bench.store.unsent_count()), (vec![(B, 2), (A, 3)], 1));
    let bench = bench.crash().await;
    sleep(SOON).await;
    assert_eq!(published(&bench).last(), Some(&(A, 2)), "a start begins with the lowest id that is unsent");
    assert_eq!(bench.store.unsent_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_watermark_rises_with_acknowledgements_only_p11() {
    let bench = scanning(RelayScan::IdWatermark);
    bench.log.refuses_once();
    for number in 1..=3 {
        created(&bench.ask(deposit(number, A, 10)).await);
    }
    sleep(SOON).await;
    assert_eq!((published(&bench), bench.store.unsent_count()), (vec![(A, 2), (A, 3), (A, 4)], 0));
}

#[tokio::test(start_paused = true)]
async fn an_accounts_records_share_a_key_unless_each_has_another_one_p12() {
    for (record_key, keys) in [(RecordKey::Account, 1), (RecordKey::Random, 5)] {
        let bench = bench(Protections { record_key, ..Protections::default() });
        for number in 1..=4 {
            created(&bench.ask(deposit(number, A, 1)).await);
        }
        created(&bench.ask(outbound(5, A, 1)).await);
        sleep(SOON).await;
        let records = bench.log.records();
        let distinct: BTreeSet<_> = records.iter().map(|record| record.key.clone()).collect();
        assert_eq!((records.len(), distinct.len()), (5, keys), "{record_key:?}");
        let by_account = records.iter().filter(|record| record.key == event::key(AccountNo::new(A))).count();
        assert_eq!(by_account, if keys == 1 { 5 } else { 0 });
    }
}

/// The log is away for longer than librdkafka's own five minutes.
#[tokio::test(start_paused = true)]
async fn d35_after_six_minutes_without_a_log_the_outbox_drains_in_each_accounts_order() {
    let bench = bench(Protections::default());
    created(&bench.ask(deposit(1, A, 1)).await);
    bench.log.goes_away();
    for minute in 0..6 {
        for number in 0..60 {
            let account = if number % 3 == 0 { B } else { A };
            created(&bench.ask(deposit(2 + minute * 60 + number, account, 1)).await);
            sleep(Duration::from_secs(1)).await;
        }
        let rows = usize::try_from(minute + 1).expect("few") * 60;
        assert_eq!((bench.store.unsent_count(), bench.published()), (rows, 1), "postings go on, the outbox grows");
    }
    assert!(bench.reached(markers::RELAY_RESTARTED) >= 11, "nothing waits for ever for an acknowledgement");
    bench.log.comes_back();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.store.unsent_count(), 0);
    for (account, count) in [(A, 241), (B, 120)] {
        let seqs: Vec<_> = published(&bench).into_iter().filter(|(no, _)| *no == account).map(|(_, seq)| seq).collect();
        assert_eq!(seqs, (2..2 + count).collect::<Vec<_>>(), "each once and in order");
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_stop_the_relay_finishes_what_is_in_flight_within_its_limit() {
    for (back_after, left) in [(Duration::from_millis(700), 0), (Duration::from_secs(5), 2)] {
        for outbox in [Outbox::InTheBooking, Outbox::DirectProduce] {
            let bench = waiting(outbox);
            bench.log.goes_away();
            created(&bench.ask(deposit(1, A, 1)).await);
            created(&bench.ask(deposit(2, A, 1)).await);
            sleep(SOON).await;
            bench.stop();
            sleep(back_after).await;
            bench.log.comes_back();
            sleep(SOON).await;
            assert_eq!(bench.running(), 0, "every task ended by itself");
            assert_eq!(bench.published(), 2 - left, "{outbox:?} {back_after:?}");
            let rows = if outbox == Outbox::InTheBooking { left } else { 0 };
            assert_eq!(bench.store.unsent_count(), rows, "the next start goes on with these");
        }
    }
}
