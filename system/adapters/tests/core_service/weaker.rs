//! Core's weaker arms on PostgreSQL, as far as the database has a part in what they break.
//!
//! In: a cluster. Out: trials. Elsewhere: every arm over a stand-in (`core`), whole worlds with the checks (`simulator`).

use bankstorm_adapters::postgres::core::free_serials;
use bankstorm_contracts::core_api::{CoreRequest, Party, Transfer};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{TransferState, WallMicros, Won};
use bankstorm_core::CoreConfig;
use bankstorm_core::config::{AccountLock, KeyClaim, LockOrder, Protections};
use bankstorm_outside::core_store::CoreStore;
use futures_util::future::{join, join_all};
use libtest_mimic::Trial;
use tokio::time::timeout;

use super::{Bench, account, id, problem, state};
use crate::Place;
use crate::database::{LIMIT, number, until, until_held_up};

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
