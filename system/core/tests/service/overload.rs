//! More than core can do, on virtual time (A18): who is taken on waits for no more than was taken on before him, the others are told at once.
//!
//! Elsewhere: the same on real processes (`scenarios/overload.toml`), where refusals take part of the machine too.

use std::time::Duration;

use bankstorm_contracts::core_api::CoreResponse;
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_core::CoreConfig;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::bank::Manner;
use crate::bench::*;

/// What a posting costs: core sustains 250 a second.
const COST: Duration = Duration::from_millis(4);

fn bench(admitted_max: usize) -> Bench {
    let config = CoreConfig {
        posting_slots: 1,
        batch_max: 1,
        posting_cost: COST,
        admitted_max,
        caller_max: admitted_max,
        ..CoreConfig::default()
    };
    Bench::new(Manner::Credits, config)
}

/// Deposits at a steady rate, for a second: what each was told, and how long that took.
async fn offer(bench: &Bench, first: u128, per_second: u32) -> Vec<(CoreResponse, Duration)> {
    let apart = Duration::from_secs(1) / per_second;
    let asked = (0..per_second).map(|place| async move {
        sleep(apart * place).await;
        let begun = Instant::now();
        (bench.ask(deposit(first + u128::from(place), A, 1)).await, begun.elapsed())
    });
    join_all(asked).await
}

#[tokio::test(start_paused = true)]
async fn of_ten_times_what_core_sustains_it_takes_on_what_it_can_post_soon_a18() {
    let bench = bench(2);
    let before = offer(&bench, 1, 125).await;
    assert!(before.iter().all(|(answer, took)| matches!(answer, CoreResponse::Created(_)) && *took == COST));

    let during = offer(&bench, 1_000, 2_500).await;
    let (posted, refused): (Vec<_>, Vec<_>) =
        during.into_iter().partition(|(answer, _)| matches!(answer, CoreResponse::Created(_)));
    assert!((250..=252).contains(&posted.len()), "{}", posted.len());
    for (_, took) in &posted {
        assert!(*took <= 2 * COST, "taken on, and posted after {took:?}");
    }
    for (answer, took) in &refused {
        assert_eq!((problem(answer), *took), (ProblemKind::NotStarted, Duration::ZERO));
    }

    let after = offer(&bench, 10_000, 125).await;
    assert!(after.iter().all(|(answer, took)| matches!(answer, CoreResponse::Created(_)) && *took == COST));
}

/// What the bound is for: without one everybody is taken on, and waits for all.
#[tokio::test(start_paused = true)]
async fn with_room_for_everybody_everybody_waits_a18() {
    let bench = bench(10_000);
    let during = offer(&bench, 1, 1_000).await;
    let longest = during.iter().map(|(_, took)| *took).max().expect("some");
    assert!(longest > 500 * COST, "{longest:?}");
}
