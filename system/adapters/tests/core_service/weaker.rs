//! Core's weaker arms on PostgreSQL, as far as the database has a part in what they break.
//!
//! In: a cluster. Out: trials. Elsewhere: every arm over a stand-in (`core`), whole worlds with the checks (`simulator`).

use bankstorm_adapters::postgres::core::free_serials;
use bankstorm_contracts::core_api::{CoreRequest, Party, Transfer};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{TransferState, WallMicros, Won, event};
use bankstorm_core::CoreConfig;
use bankstorm_core::config::{AccountLock, KeyClaim, LockOrder, Outbox, Protections, RelayScan};
use bankstorm_outside::core_store::CoreStore;
use futures_util::future::{join, join_all};
use libtest_mimic::Trial;
use tokio::time::timeout;

use super::{Bench, account, id, problem, state};
use crate::Place;
use crate::database::{LIMIT, number, until, until_held_up, until_waiting};

pub(super) fn trials(place: &Place) -> Vec<Trial> {
    macro_rules! list {
        ($($name:ident),* $(,)?) => {
            vec![$(place.trial(concat!("core_service::", stringify!($name)).to_owned(), $name)),*]
        };
    }
    list![
        opposite_transfers_that_wait_for_their_payers_deadlock,
        without_the_accounts_lock_an_amount_is_lost,
        a_claim_beside_the_booking_posts_like_one_in_it,
        a_late_commit_is_found_by_being_unsent_and_skipped_by_a_watermark_p11_r10,
        records_beside_the_outbox_reach_the_log_like_those_in_it_p9_p10,
    ]
}

fn transfer(number: u128, from: i64, to: i64, amount: i64) -> CoreRequest {
    CoreRequest::Transfer(Transfer {
        id: id(number),
        from: account(from),
        to: Party::own(account(to)),
        amount: Won::new(amount),
        requested_at: WallMicros(1_700_000_000_000_000),
        valid_for_ms: 30_000,
    })
}

/// With the order of accounts off (P26) the database has to break the circle, and counts it.
async fn opposite_transfers_that_wait_for_their_payers_deadlock(place: Place) {
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    for (lock_order, circles) in [(LockOrder::ByAccount, 0), (LockOrder::PayerFirst, 1)] {
        let protections = Protections { lock_order, ..Protections::default() };
        let bench = Bench::new(&place, CoreConfig { protections, ..CoreConfig::default() }).await;
        bench.deposit(1, 1, 100).await;
        bench.deposit(2, 2, 100).await;
        bench.holder.batch_execute("BEGIN; SELECT 1 FROM account FOR UPDATE").await.expect("free rows");
        let both = join(bench.core.handle("a", transfer(3, 1, 2, 5)), bench.core.handle("b", transfer(4, 2, 1, 7)));
        let let_go = async {
            until_held_up(&bench.control, &bench.holder, if circles == 0 { 1 } else { 2 }).await;
            bench.let_go().await;
        };
        let ((one, other), ()) = timeout(LIMIT, join(both, let_go)).await.expect("answers");
        let not_started =
            [&one, &other].iter().filter(|answer| problem(answer) == Some(ProblemKind::NotStarted)).count();
        assert_eq!(not_started, circles, "{one:?} {other:?}");
        until(&bench.control, deadlocks, |count| count == i64::try_from(circles).expect("few")).await;
        bench.end().await;
    }
}

/// With the account's lock off (P25), and what stands behind it: two postings read one balance.
async fn without_the_accounts_lock_an_amount_is_lost(place: Place) {
    let protections = Protections { account_lock: AccountLock::None, ..Protections::default() };
    let config = CoreConfig { batch_max: 1, protections, ..CoreConfig::default() };
    let bench = Bench::new(&place, config).await;
    free_serials(&bench.url).await.expect("the tables are there");
    for round in 0..50 {
        join_all((1..=20).map(|number| bench.deposit(round * 20 + number, 1, 10))).await;
        let booked =
            number(&bench.control, "SELECT coalesce(sum(amount), 0)::bigint FROM entry WHERE seq IS NOT NULL").await;
        let balance = bench.store.heads(&[account(1)]).await.expect("read")[0].balance.get();
        if balance != booked {
            bench.end().await;
            return;
        }
    }
    panic!("a thousand deposits, four at once, and none read what another one wrote over");
}

/// Without a failure between its two commits nobody sees it (P2).
async fn a_claim_beside_the_booking_posts_like_one_in_it(place: Place) {
    for key in [KeyClaim::BeforeTheBooking, KeyClaim::AfterTheBooking] {
        let protections = Protections { key, ..Protections::default() };
        let bench = Bench::new(&place, CoreConfig { protections, ..CoreConfig::default() }).await;
        let answers = join_all((1..=60).map(|number| bench.deposit(number, 1 + (number % 3) as i64, 10))).await;
        assert!(answers.iter().all(|answer| state(answer) == (TransferState::Completed, None)), "{answers:?}");
        let again = bench.deposit(7, 2, 10).await;
        assert_eq!(state(&again), (TransferState::Completed, None));
        assert_eq!(number(&bench.control, "SELECT count(*) FROM entry WHERE seq IS NOT NULL").await, 60, "{key:?}");
        bench.end().await;
    }
}

/// Makes the commits of account 1 alone wait for advisory lock 1, which the bench's control connection holds.
async fn stall_the_first(bench: &Bench) {
    let stall = format!(
        "CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER stall AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW WHEN (NEW.account = {}) EXECUTE FUNCTION stall(); \
         SELECT pg_advisory_lock(1)",
        account(1)
    );
    bench.control.batch_execute(&stall).await.expect("a trigger");
}

/// Ids are drawn when rows are written: whoever commits late has one below those that were published before (R10).
async fn a_late_commit_is_found_by_being_unsent_and_skipped_by_a_watermark_p11_r10(place: Place) {
    for (relay_scan, second, left) in [(RelayScan::UnsentRows, 1, 0), (RelayScan::IdWatermark, 3, 1)] {
        let protections = Protections { relay_scan, ..Protections::default() };
        let bench = Bench::new(&place, CoreConfig { protections, ..CoreConfig::default() }).await;
        stall_the_first(&bench).await;
        let meanwhile = async {
            until_waiting(&bench.control, 1).await;
            let early = bench.deposit(2, 2, 10).await;
            timeout(LIMIT, bench.log.reaches(1)).await.expect("its record");
            bench.control.batch_execute("SELECT pg_advisory_unlock(1)").await.expect("held");
            early
        };
        let (late, early) = join(bench.deposit(1, 1, 10), meanwhile).await;
        assert_eq!([state(&late), state(&early)], [(TransferState::Completed, None); 2]);
        if relay_scan == RelayScan::IdWatermark {
            // Its record shows that the relay has looked again.
            assert_eq!(state(&bench.deposit(3, 3, 10).await), (TransferState::Completed, None));
        }
        let records = timeout(LIMIT, bench.log.reaches(2)).await.expect("two records");
        let keys: Vec<_> = records.iter().map(|record| record.key.clone()).collect();
        assert_eq!(keys, [2, second].map(|place| event::key(account(place))), "{relay_scan:?}");
        until(&bench.control, "SELECT count(*) FROM outbox", |rows| rows == left).await;
        let late = format!("SELECT count(*) FROM outbox WHERE account = {}", account(1));
        assert_eq!(number(&bench.control, &late).await, left, "what is left behind is its row");
        bench.end().await;
    }
}

/// Without a failure nobody sees it (P9, P10).
async fn records_beside_the_outbox_reach_the_log_like_those_in_it_p9_p10(place: Place) {
    for outbox in [Outbox::DirectProduce, Outbox::ProduceBeforeCommit] {
        let protections = Protections { outbox, ..Protections::default() };
        let bench = Bench::new(&place, CoreConfig { protections, ..CoreConfig::default() }).await;
        let answers = join_all((1..=60).map(|number| bench.deposit(number, 1 + (number % 3) as i64, 10))).await;
        assert!(answers.iter().all(|answer| state(answer) == (TransferState::Completed, None)), "{answers:?}");
        let records = timeout(LIMIT, bench.log.reaches(60)).await.expect("a record each");
        assert_eq!(records.len(), 60, "{outbox:?}");
        let rows = "SELECT count(*) FROM pg_sequences WHERE sequencename = 'outbox_id_seq' AND last_value IS NOT NULL";
        assert_eq!(number(&bench.control, rows).await, 0, "no row was ever written");
        bench.end().await;
    }
}
