//! An id that a stranger's transaction has claimed: how long the others of its batch wait for it, and what it is told itself.
//!
//! Elsewhere: held rows (`transfers`), the database's own waits (`adapters`).

use std::time::Duration;

use bankstorm_contracts::core_api::CoreResponse;
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_core::{CoreConfig, markers};
use futures_util::future::{join, join_all};
use tokio::time::{Instant, sleep};

use crate::bank::Manner;
use crate::bench::*;

/// A full batch.
const BATCH: u128 = 200;
/// Those of it whose ids are in work elsewhere.
const IN_WORK: [u128; 4] = [1, 37, 111, 200];

/// The answer to each deposit of a full batch, and how long it took.
async fn a_batch(bench: &Bench) -> Vec<(u128, CoreResponse, Duration)> {
    let begun = Instant::now();
    let asked = (1..=BATCH).map(|number| async move {
        let answer = bench.ask(deposit(number, A, 1)).await;
        (number, answer, begun.elapsed())
    });
    join_all(asked).await
}

fn bench() -> Bench {
    let config = CoreConfig { posting_slots: 1, ..CoreConfig::default() };
    let bench = Bench::new(Manner::Credits, config);
    bench.store.data().in_work = IN_WORK.map(id).into();
    bench
}

#[tokio::test(start_paused = true)]
async fn an_id_in_work_holds_up_the_others_of_its_batch_for_one_short_wait_a18() {
    let bench = bench();
    let config = CoreConfig::default();
    // Four ids, each at most eight halvings away from standing alone, and each of these a wait of its own.
    let most = config.batch_claim_wait + 4 * 8 * config.claim_again_wait;
    assert!(most < 2 * config.batch_claim_wait);
    for (number, answer, took) in a_batch(&bench).await {
        if IN_WORK.contains(&number) {
            assert_eq!(problem(&answer), ProblemKind::Processing, "{number}");
            // Alone they are waited for together, once.
            assert!(took < most + config.lock_timeout + most, "{number} was told after {took:?}");
        } else {
            created(&answer);
            assert!(took <= most, "{number} was posted after {took:?}, limit {most:?}");
        }
    }
    assert!(bench.reached(markers::BATCH_SPLIT) > 0);
    assert_eq!(bench.store.row(A), (1 + 196, 1_000 + 196, 0));
}

#[tokio::test(start_paused = true)]
async fn an_id_that_comes_free_is_posted_once_with_the_others_before_it() {
    let bench = bench();
    let release = async {
        sleep(Duration::from_millis(300)).await;
        bench.store.data().in_work.clear();
    };
    let (answers, ()) = join(a_batch(&bench), release).await;
    for (number, answer, took) in answers {
        created(&answer);
        assert_eq!(took >= Duration::from_millis(300), IN_WORK.contains(&number), "{number} took {took:?}");
    }
    assert_eq!(bench.store.row(A), (1 + 200, 1_000 + 200, 0));
}
