//! What customers do besides: they click twice, use an id again, send from a second device.
//!
//! In: a load's shares and a stream of randomness. Out: what follows each transfer, and how soon. Elsewhere: what is sent then (`plan`),
//! what follows an outcome (`load`).
//!
//! All of it is planned: none of it waits for an answer, which is what makes it hurt.

use std::time::Duration;

use bankstorm_scenario::resolved::Load;
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::seeds;

/// How soon the next request follows, in milliseconds: a button that bounces, a finger, an app that is in two places.
const GAP_MS: std::ops::Range<u64> = 1..100;

/// What follows a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The same again, under an id of its own.
    DoubleClick,
    /// Its id, for another amount.
    ReuseKey,
    /// Another transfer of the same customer.
    TwoDevices,
}

impl Follow {
    /// The word in displays.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DoubleClick => "double_click",
            Self::ReuseKey => "reuse_key",
            Self::TwoDevices => "two_devices",
        }
    }
}

/// What follows each transfer of one load, in order.
#[derive(Clone, Debug)]
pub struct Followers {
    shares: [(Follow, f64); 3],
    rng: Xoshiro256PlusPlus,
}

impl Followers {
    /// Of load number `index` under `seed`.
    pub fn new(load: &Load, seed: u64, index: u32) -> Self {
        let behaviour = &load.behaviour;
        let shares = [
            (Follow::DoubleClick, behaviour.double_click),
            (Follow::ReuseKey, behaviour.reuse_key),
            (Follow::TwoDevices, behaviour.two_devices),
        ];
        Self { shares, rng: seeds::stream(seed, "behaviour", index) }
    }

    /// What follows the next transfer that was due at `due`, and when; nothing follows once the load has ended. To be asked once for each
    /// transfer that follows none itself.
    pub fn follow(&mut self, due: Duration, end: Duration) -> Option<(Follow, Duration)> {
        let drawn: f64 = self.rng.random();
        let then = due + Duration::from_millis(self.rng.random_range(GAP_MS));
        let mut below = 0.0;
        let follow = self.shares.iter().find(|(_, share)| {
            below += share;
            drawn < below
        })?;
        (then < end).then_some((follow.0, then))
    }
}
