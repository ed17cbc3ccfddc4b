//! A script from a seed.
//!
//! In: a seed. Out: a script. Elsewhere: what its steps do (`steps`).

use super::{MOST_MEMBERS, MOST_PARTITIONS, OnRevoke, Script, Step};

/// SplitMix64: this crate has no generator of random numbers, and needs no better one.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }
}

pub(super) fn script(seed: u64) -> Script {
    let mut draw = Draw(seed);
    // Most with several: with one partition nothing moves but all of it.
    let partitions = [1, 2, 2, 3, 3].get(draw.below(5)).copied().unwrap_or(MOST_PARTITIONS);
    let mut steps = vec![revocations(&mut draw), Step::Produce { producer: 0, partition: 0, count: 3 }, Step::Join];
    let mut members = 1;
    let mut paused = None;
    for _ in 0..8 + draw.below(5) {
        let step = match paused.filter(|_| draw.below(3) > 0) {
            // A pause shows only in what is sent during it and comes after it.
            Some((partition, false)) => Step::Produce { producer: draw.below(2), partition, count: 1 + draw.below(4) },
            Some((partition, true)) => Step::Resume { partition },
            None => step(&mut draw, partitions as usize, members),
        };
        paused = match step {
            Step::Pause { partition } => Some((partition, false)),
            Step::Produce { .. } => paused.map(|(partition, _)| (partition, true)),
            _ => None,
        };
        match step {
            Step::Join | Step::Stall { joins: true, .. } => members = (members + 1).min(MOST_MEMBERS),
            Step::Close { .. } | Step::Drop { .. } => members -= 1,
            _ => {}
        }
        steps.push(step);
    }
    Script { seed, partitions, steps }
}

fn revocations(draw: &mut Draw) -> Step {
    let all = [OnRevoke::AtOnce, OnRevoke::Drop, OnRevoke::Late, OnRevoke::Commit];
    Step::Revocations(all[draw.below(all.len())])
}

fn step(draw: &mut Draw, partitions: usize, members: usize) -> Step {
    let partition = draw.below(partitions);
    if members == 0 {
        return Step::Join;
    }
    match draw.below(27) {
        0..=4 => Step::Produce { producer: draw.below(2), partition, count: 1 + draw.below(4) },
        5..=6 => Step::Discard { producer: draw.below(2), partition, count: 1 + draw.below(4) },
        7..=9 if members < MOST_MEMBERS => Step::Join,
        7..=9 => Step::Close { partition },
        10 => Step::Take,
        11..=13 => Step::Commit { partition, less: draw.below(3) },
        14..=15 => Step::CommitOfAnother { partition },
        16..=17 => Step::Pause { partition },
        18 => Step::Resume { partition },
        19..=20 => revocations(draw),
        // Not too often the last one: with nobody there nothing moves.
        21..=22 if members > 1 => Step::Close { partition },
        21..=22 => Step::Join,
        23 => Step::Drop { partition },
        24 => Step::Stall { partition, joins: false },
        _ => Step::Stall { partition, joins: members < MOST_MEMBERS },
    }
}

#[cfg(test)]
mod tests {
    use super::script;

    #[test]
    fn a_seed_gives_its_script_again_and_another_seed_another() {
        assert_eq!(script(7), script(7));
        assert_ne!(script(7).steps, script(8).steps);
        let most = (0..200).map(|seed| script(seed).partitions).max();
        assert_eq!(most, Some(super::MOST_PARTITIONS));
    }
}
