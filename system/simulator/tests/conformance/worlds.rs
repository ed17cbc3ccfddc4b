//! Whole worlds: the services as they are in production, customers, faults, and the checkers of real runs.
//!
//! In: seeds. Out: trials. Elsewhere: many more of them (`bankstorm simulate`), stored plans (`plans`), bugs on purpose (`planted`).

use bankstorm_simulator::batch::{self, Batch};
use bankstorm_simulator::draw::draw;
use bankstorm_simulator::plan::Plan;
use bankstorm_simulator::world::{Options, run};
use libtest_mimic::Trial;

#[path = "worlds/clocks.rs"]
mod clocks;
#[path = "worlds/core_down.rs"]
mod core_down;
#[path = "worlds/following.rs"]
mod following;
#[path = "worlds/races.rs"]
mod races;
#[path = "worlds/silence.rs"]
mod silence;
#[path = "worlds/tiny.rs"]
mod tiny;

use crate::{over_seeds, seeds};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = races::trials();
    trials.extend(following::trials());
    trials.extend(silence::trials());
    trials.extend(core_down::trials());
    trials.extend(clocks::trials());
    trials.extend(drawn());
    trials
}

fn drawn() -> Vec<Trial> {
    vec![
        over_seeds("worlds::a_drawn_world_holds".to_owned(), |seed| {
            for seed in seed * WORLDS..(seed + 1) * WORLDS {
                let outcome = run(&draw(seed), &Options::default());
                assert!(outcome.holds(), "world {seed}: {:?}", outcome.violations);
            }
        }),
        over_seeds("worlds::the_same_plan_lives_the_same_life".to_owned(), |seed| {
            let plan = draw(seed);
            let (first, again) = (run(&plan, &Options::default()), run(&plan, &Options::default()));
            assert_eq!(first, again);
        }),
        over_seeds("worlds::another_order_of_things_is_another_life".to_owned(), |seed| {
            let plan = draw(seed);
            let other = Plan { chance: plan.chance.wrapping_add(1), ..plan.clone() };
            assert_ne!(run(&plan, &Options::default()).digest, run(&other, &Options::default()).digest);
        }),
        over_seeds("worlds::without_faults_nothing_fails".to_owned(), |seed| {
            let plan = Plan { faults: Vec::new(), ..draw(seed) };
            let outcome = run(&plan, &Options::default());
            assert!(outcome.holds(), "{:?}", outcome.violations);
            for quiet in ["core-relay-restarted", "core-commit-unknown", "channel_gaps_total", "channel-chain-break"] {
                assert_eq!(outcome.markers.get(quiet), Some(&0), "{quiet}");
            }
        }),
        Trial::test("worlds::the_digest_of_a_batch_does_not_depend_on_its_threads".to_owned(), || {
            let of = |jobs| {
                let batch = Batch { seeds: seeds(), jobs, planted: None, keep: 1 };
                batch::run(&batch, &|_| {}, &std::sync::atomic::AtomicBool::new(false)).digest
            };
            assert_eq!(of(1), of(3));
            Ok(())
        }),
    ]
}

/// Worlds of one seed of the trial.
const WORLDS: u64 = 10;
