//! The real services over the models: a core, two channels, 500 deposits, and faults of every kind that the models lend.
//!
//! In: a seed. Out: trials. Elsewhere: the world (`world`), what it must look like in the end (`verdict`).

#[path = "bank/verdict.rs"]
mod verdict;
#[path = "bank/world.rs"]
mod world;

use std::time::Duration;

use libtest_mimic::Trial;

use crate::{caught, on_virtual_time, over_seeds};
use world::{Faults, World};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        over_seeds("bank::a_quiet_day_ends_with_equal_books".to_owned(), |seed| {
            run(seed, Faults::None);
        }),
        over_seeds("bank::a_day_of_faults_ends_with_equal_books".to_owned(), |seed| {
            run(seed, Faults::Many);
        }),
        over_seeds("bank::the_same_seed_gives_the_same_day".to_owned(), |seed| {
            assert_eq!(run(seed, Faults::Many), run(seed, Faults::Many), "digests of two runs");
        }),
        over_seeds("bank::another_seed_gives_another_day".to_owned(), |seed| {
            assert_ne!(run(seed, Faults::None), run(seed + 1, Faults::None), "digests of two seeds");
        }),
        caught("bank::a_log_that_swallows_a_record_is_caught".to_owned(), |seed| {
            run(seed, Faults::Swallow);
        }),
    ]
}

/// Runs a day; the digest of its entries, journal and outcomes.
fn run(seed: u64, faults: Faults) -> String {
    on_virtual_time(async {
        let mut world = World::open(seed);
        world.plan(faults);
        let outcomes = world.spend_the_day(faults).await;
        world.settle(Duration::from_secs(120)).await;
        let digest = verdict::judge(&world, &outcomes, faults);
        world.close().await;
        digest
    })
}
