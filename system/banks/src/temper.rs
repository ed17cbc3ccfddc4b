//! What the banks make of a credit: what they decide, and how they tell it.
//!
//! In: settings and a transfer's id. Out: [`Temper`]. Elsewhere: carrying it out (`service`).
//!
//! A pure function of seed and id: whoever asks again meets the same temper, in this process and in the next.

use std::time::Duration;

use bankstorm_contracts::TransferId;
use bankstorm_contracts::banks_api::CreditState;

use crate::config::BanksConfig;

/// What becomes of one credit, unless it is cancelled first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Temper {
    /// What they decide.
    pub state: CreditState,
    /// How they tell it.
    pub manner: Manner,
}

/// How the banks tell what they decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// At once.
    Prompt,
    /// Taken on; decided and told after this long.
    Late(Duration),
    /// The first request learns nothing, and nobody is called back. Whoever asks again gets the answer.
    Never {
        /// Whether it is decided nevertheless, silently; otherwise the request is as good as lost.
        decided: bool,
        /// Whether the request is answered at all: taken on, they say.
        answered: bool,
    },
    /// Decided at once; core is called back at once and again after `again`.
    Twice {
        /// Whether the request is answered with the decision too; otherwise it is told that it was taken on.
        answered: bool,
        /// The time between the callbacks.
        again: Duration,
    },
}

/// The temper that a credit meets.
pub fn temper(config: &BanksConfig, id: TransferId) -> Temper {
    let draw = |stream: u64| draw(config.seed, id, stream);
    let refused = draw(0) % 1_000 < u64::from(config.refused_permille);
    let coins = draw(2);
    let [first, second] = [coins & 1 == 1, coins & 2 == 2];
    let delay = within(config, draw(3));
    let share = draw(1) % 1_000;
    let late = u64::from(config.late_permille);
    let never = late + u64::from(config.never_permille);
    let twice = never + u64::from(config.twice_permille);
    let manner = if share < late {
        Manner::Late(delay)
    } else if share < never {
        Manner::Never { decided: first, answered: second }
    } else if share < twice {
        Manner::Twice { answered: first, again: delay }
    } else {
        Manner::Prompt
    };
    Temper { state: if refused { CreditState::Refused } else { CreditState::Credited }, manner }
}

/// A moment of `late_for`, to the microsecond.
fn within(config: &BanksConfig, number: u64) -> Duration {
    let (from, to) = (*config.late_for.start(), *config.late_for.end());
    let span = u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX);
    from + Duration::from_micros(number % span.saturating_add(1).max(1))
}

/// One of several independent numbers of an id.
fn draw(seed: u64, id: TransferId, stream: u64) -> u64 {
    let (high, low) = id.0.as_u64_pair();
    scatter(scatter(scatter(scatter(seed) ^ high) ^ low) ^ stream)
}

/// SplitMix64's finaliser: neighbouring numbers land far apart.
const fn scatter(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bankstorm_contracts::TransferId;
    use bankstorm_contracts::banks_api::CreditState;
    use uuid::Uuid;

    use super::{Manner, temper};
    use crate::config::BanksConfig;

    fn config() -> BanksConfig {
        BanksConfig {
            late_permille: 200,
            never_permille: 100,
            twice_permille: 50,
            refused_permille: 30,
            seed: 7,
            ..BanksConfig::default()
        }
    }

    #[test]
    fn shares_are_kept_and_every_kind_of_silence_occurs() {
        let config = config();
        let tempers: Vec<_> = (0..20_000).map(|number| temper(&config, TransferId(Uuid::from_u128(number)))).collect();
        let count = |met: fn(&Manner) -> bool| tempers.iter().filter(|temper| met(&temper.manner)).count();
        for (found, expected) in [
            (count(|manner| matches!(manner, Manner::Late(_))), 4_000),
            (count(|manner| matches!(manner, Manner::Never { decided: false, answered: false })), 500),
            (count(|manner| matches!(manner, Manner::Never { decided: true, answered: false })), 500),
            (count(|manner| matches!(manner, Manner::Never { decided: false, answered: true })), 500),
            (count(|manner| matches!(manner, Manner::Never { decided: true, answered: true })), 500),
            (count(|manner| matches!(manner, Manner::Twice { answered: true, .. })), 500),
            (count(|manner| matches!(manner, Manner::Twice { answered: false, .. })), 500),
            (tempers.iter().filter(|temper| temper.state == CreditState::Refused).count(), 600),
        ] {
            assert!(found.abs_diff(expected) < 120, "{found} of about {expected}");
        }
        let delays: Vec<_> = tempers
            .iter()
            .filter_map(|temper| if let Manner::Late(delay) = temper.manner { Some(delay) } else { None })
            .collect();
        assert!(delays.iter().all(|delay| config.late_for.contains(delay)));
        assert!(delays.iter().max() > Some(&Duration::from_millis(1_900)), "the whole range is used");
    }

    #[test]
    fn a_temper_is_a_function_of_seed_and_id_alone() {
        let id = TransferId(Uuid::from_u128(0x0192_1234_0000_7000_8000_0000_0000_0001));
        let met = temper(&config(), id);
        // Pinned: a stored plan means the same in every build.
        assert_eq!(met.manner, temper(&config(), id).manner);
        let others = (0..64).map(|seed| temper(&BanksConfig { seed, ..config() }, id));
        assert!(others.into_iter().any(|other| other != met), "the seed matters");
    }

    #[test]
    fn one_moment_is_a_range_too() {
        let only = Duration::from_millis(3);
        let config = BanksConfig { late_permille: 1_000, late_for: only..=only, ..config() };
        assert_eq!(temper(&config, TransferId(Uuid::from_u128(1))).manner, Manner::Late(only));
    }
}
