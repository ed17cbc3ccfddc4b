//! From a seed to a plan.
//!
//! In: a seed. Out: a [`Plan`]. Elsewhere: what the plan means (`plan`), carrying it out (`world`).
//!
//! Each seed first draws what exists at all (how many accounts, how skewed, which kinds of fault), then how much of it: a world with two
//! accounts and stalled commits sees other things than one with four hundred and a slow link.

mod faults;
mod operations;
mod terms;

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::plan::{
    Following, NotStarted, Plan, Protections, ReadSyncWhen, Repair, SCHEMA, Topology, WorkerMode, repeats_transfers,
};

/// Draws a plan: the same for the same seed, on every machine.
pub fn draw(seed: u64) -> Plan {
    let mut dice = Dice::new(seed);
    let mut topology = topology(&mut dice);
    let operations = operations::draw(&mut dice, &topology);
    let faults = faults::draw(&mut dice, &topology);
    if faults.iter().any(repeats_transfers) {
        topology.transfers.not_started = NotStarted::Fenced;
    }
    let chance = dice.bits();
    topology.transfers.deadline = terms::deadline(&mut dice, &faults);
    Plan { schema: SCHEMA, seed, chance, planted: None, topology, faults, operations }
}

fn topology(dice: &mut Dice) -> Topology {
    let accounts = dice.one_of(&[1, 2, 5, 20, 100, 400]);
    Topology {
        accounts,
        opening_won: dice.one_of(&[1, 1_000, 1_000_000]),
        partitions: dice.one_of(&[1, 2, 3, 5, 8]),
        channels: dice.one_of(&[1, 2, 2, 3, 4]),
        load_ms: dice.one_of(&[30_000, 60_000, 120_000, 180_000]),
        pace_ms: dice.one_of(&[0, 2, 4, 10, 30]),
        connections: dice.one_of(&[6, 10, 13, 16]),
        posting_slots: dice.one_of(&[1, 2, 4, 4, 8]),
        batch_max: dice.one_of(&[1, 3, 20, 200, 200]),
        relay_poll_ms: dice.one_of(&[100, 300, 1_000]),
        relay_rows: dice.one_of(&[1, 5, 50, 1_000, 1_000]),
        worker_mode: dice.one_of(&[
            WorkerMode::Serial,
            WorkerMode::Slots,
            WorkerMode::Keyed,
            WorkerMode::KeyedBatched,
            WorkerMode::KeyedBatched,
        ]),
        workers: dice.one_of(&[1, 3, 100]),
        transactions: dice.one_of(&[1, 2, 4, 4]),
        batch_accounts: dice.one_of(&[1, 5, 100]),
        span: dice.one_of(&[2, 20, 10_000, 10_000]),
        commit_every_ms: dice.one_of(&[200, 500, 2_000]),
        sync_cost_ms: dice.one_of(&[0, 0, 0, 20]),
        tight_limits: dice.percent(15),
        transfers: terms::draw(dice, accounts),
        following: following(dice, accounts),
        repair: Repair::ON,
        protections: Protections::default(),
    }
}

/// Tight settings as often as ample ones; nothing is looked at so often that worlds take long.
fn following(dice: &mut Dice, accounts: u32) -> Following {
    // A round over all accounts must end well within what the world waits for the copy.
    let least = if accounts > 20 { 100 } else { 7 };
    Following {
        read_sync: dice.one_of(&[ReadSyncWhen::Pending, ReadSyncWhen::Pending, ReadSyncWhen::Suspect]),
        read_budget_ms: dice.one_of(&[50, 300, 300, 2_000]),
        core_pulls: dice.one_of(&[1, 2, 8, 8]),
        manual_every_ms: dice.one_of(&[200, 1_000]),
        sweep_every_ms: dice.one_of(&[5_000, 5_000, 10_000]),
        sweep_accounts: dice.one_of(&[least, 100, 1_000]),
        attempts: dice.one_of(&[1, 2, 3, 3]),
        attempts_for_ms: dice.one_of(&[200, 1_000, 5_000]),
        redrive_every_ms: dice.one_of(&[5_000, 10_000]),
        redrive_most: dice.one_of(&[0, 2, 5]),
    }
}

/// One seed's stream.
pub(crate) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, which is above 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    /// A number of `from..=to`.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// A number of `1..=most`, small ones as often as large ones: every doubling is equally likely.
    fn up_to(&mut self, most: u64) -> u64 {
        let doublings = u64::from(most.max(1).ilog2()) + 1;
        let low = 1 << self.below(doublings);
        self.between(low, (low * 2 - 1).min(most.max(1)))
    }

    /// Whether something of so many percent happens.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("an index")]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::draw;
    use crate::plan::{Deadline, Kind, read, write};

    #[test]
    fn the_same_seed_draws_the_same_plan_and_every_plan_can_be_read_back() {
        for seed in 0..200 {
            let plan = draw(seed);
            assert_eq!(plan, draw(seed));
            assert_eq!(read(&write(&plan)).as_ref(), Ok(&plan), "seed {seed}");
        }
        assert_ne!(draw(1).operations, draw(2).operations);
    }

    #[test]
    fn plans_have_at_least_five_hundred_operations_and_four_kinds_of_fault_and_all_kinds_are_drawn() {
        let mut kinds = BTreeSet::new();
        for seed in 0..500 {
            let plan = draw(seed);
            assert!(plan.operations.len() >= 500, "seed {seed}");
            assert!(plan.fault_kinds() >= 4, "seed {seed}: {}", plan.fault_kinds());
            kinds.extend(plan.faults.iter().map(|fault| fault.kind));
        }
        assert_eq!(kinds.len(), Kind::ALL.len(), "{kinds:?}");
    }

    #[test]
    fn validities_are_judged_by_two_clocks_only_where_nobody_sets_one_d31() {
        let mut absolute = 0;
        for seed in 0..500 {
            let plan = draw(seed);
            if plan.topology.transfers.deadline == Deadline::Absolute {
                absolute += 1;
                assert!(plan.faults.iter().all(|fault| fault.kind != Kind::ClockStep), "seed {seed}");
            }
        }
        assert!(absolute > 50, "{absolute} of 500");
    }
}
