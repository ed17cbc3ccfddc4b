//! How many workers have work where nothing but chance decides who gets how much.
//!
//! In: a cell, its number of events. Out: the workers that are busy on average while most of the backlog is there. Elsewhere: how many were
//! seen busy (`cli`), what follows from both (`bound`).
//!
//! An account's hash picks its place: in `slots` one worker, in `serial` and the keyed modes a partition. Every place works its load off
//! one by one (a partition as many at once as it has workers), all of them as fast as each other; those with fewer events than others are
//! through before them. The throw has a seed of its own, the same for every cell.

use bankstorm_record::sweep_json::CellKey;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const SEED: u64 = 18;

/// Workers of all partitions that are busy on average, from a twentieth of `events` to nineteen of them; 0 without events.
pub fn busy_workers(cell: &CellKey, events: u64) -> f64 {
    let (places, at_once) = places(cell);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut loads = vec![0; places];
    for _ in 0..events {
        loads[random.random_range(0..places)] += 1;
    }
    worked_off(loads, at_once, events)
}

/// How many places there are, and how many events each has in work at once.
fn places(cell: &CellKey) -> (usize, u64) {
    let (partitions, workers) = (cell.partitions.max(1), cell.workers.max(1));
    match cell.worker_mode.as_str() {
        "slots" => (partitions as usize * workers as usize, 1),
        "serial" => (partitions as usize, 1),
        _ => (partitions as usize, workers.into()),
    }
}

/// The mean of those in work over the rounds of which the looks at a cell tell; over all rounds where there is none of them.
fn worked_off(mut loads: Vec<u64>, at_once: u64, events: u64) -> f64 {
    let (mut done, mut all, mut within) = (0, Vec::new(), Vec::new());
    loop {
        loads.retain(|load| *load > 0);
        let busy: u64 = loads.iter().map(|load| at_once.min(*load)).sum();
        if busy == 0 {
            break;
        }
        if done * 20 >= events && done * 20 <= events * 19 {
            within.push(busy);
        }
        all.push(busy);
        done += busy;
        loads.iter_mut().for_each(|load| *load -= at_once.min(*load));
    }
    let rounds = if within.is_empty() { all } else { within };
    rounds.iter().sum::<u64>() as f64 / rounds.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use bankstorm_record::sweep_json::CellKey;

    use super::{busy_workers, worked_off};
    use crate::fixture::cell;

    #[test]
    fn a_place_with_more_than_others_is_alone_at_the_end() {
        // Rounds of 2, 2 and 1; before the first nothing is done yet, which is less than a twentieth.
        assert_eq!(worked_off(vec![2, 3], 1, 5), 1.5);
        assert_eq!(worked_off(vec![4, 4], 1, 8), 2.0);
        assert_eq!(worked_off(vec![5], 2, 5), 1.5, "two at once, then two, then one");
        assert_eq!(worked_off(vec![1, 1, 1], 1, 3), 3.0, "one round");
        assert_eq!(worked_off(Vec::new(), 1, 0), 0.0);
    }

    #[test]
    fn many_events_to_a_worker_leave_little_to_chance_and_few_leave_much() {
        assert_eq!(busy_workers(&cell(1, 1, 0), 1_000), 1.0);
        let share = |events| busy_workers(&cell(20, 100, 100_000), events) / 2_000.0;
        assert!((0.90..0.96).contains(&share(100_000)), "fifty to a worker: {}", share(100_000));
        assert!((0.70..0.85).contains(&share(20_000)), "ten: {}", share(20_000));
        assert!(share(2_000_000) > 0.98, "a thousand: {}", share(2_000_000));
        assert_eq!(busy_workers(&cell(20, 100, 0), 20_000), busy_workers(&cell(20, 100, 0), 20_000), "the same again");
    }

    #[test]
    fn without_slots_a_partition_is_the_place() {
        let keyed = CellKey { worker_mode: "keyed".to_owned(), ..cell(2, 100, 100_000) };
        assert!(busy_workers(&keyed, 20_000) > 195.0, "a worker takes whatever its partition has");
        let serial = CellKey { worker_mode: "serial".to_owned(), ..keyed };
        assert!((1.9..=2.0).contains(&busy_workers(&serial, 20_000)));
    }
}
