//! A component's random stream, and the pauses it draws.
//!
//! In: a seed and the component's name. Out: numbers and pauses. Elsewhere: nothing else in a model may be random.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The longest pause of a stream whose pace nobody chose, in milliseconds.
const PACE_MS: u64 = 4;

/// The most pauses of one world: a sound one needs some hundred thousand. Beyond them something goes round and round without time passing,
/// which no limit in virtual time would ever end.
const MOST_PAUSES: u64 = 30_000_000;

thread_local! {
    static PAUSES: Cell<u64> = const { Cell::new(0) };
}

/// A world begins on this thread.
pub(crate) fn new_world() {
    PAUSES.set(0);
}

/// One stream. Clones share it, so that the order of calls alone decides what is drawn.
#[derive(Clone, Debug)]
pub struct Chance {
    stream: Arc<Mutex<Xoshiro256PlusPlus>>,
    pace_ms: u64,
}

impl Chance {
    /// The stream of one component of a seed, with pauses of up to 4 ms.
    pub fn new(seed: u64, component: &str) -> Self {
        Self::paced(seed, component, PACE_MS)
    }

    /// The stream of one component of a seed, with pauses of up to `pace_ms` milliseconds; of yields only when that is 0.
    pub fn paced(seed: u64, component: &str, pace_ms: u64) -> Self {
        // FNV-1a: the standard hasher is seeded anew in each process.
        let mut mixed = seed ^ 0xcbf2_9ce4_8422_2325;
        for byte in component.bytes() {
            mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self { stream: Arc::new(Mutex::new(Xoshiro256PlusPlus::seed_from_u64(mixed))), pace_ms }
    }

    fn draw(&self) -> u64 {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        let drawn = self.draw();
        if bound == 0 { 0 } else { drawn % bound }
    }

    /// The pause before an effect or an answer: 0 to 3 yields, or 1 ms up to the pace, each half of the time. Timers have a grain of 1 ms
    /// and fire in the order of their registration within it, so delays alone would never swap two neighbours.
    ///
    /// # Panics
    /// Beyond [`MOST_PAUSES`] since the world began on this thread.
    pub async fn pause(&self) {
        PAUSES.set(PAUSES.get() + 1);
        assert!(PAUSES.get() <= MOST_PAUSES, "no-liveness: {MOST_PAUSES} pauses, and the world goes on");
        let drawn = self.draw();
        let (waits, rest) = (drawn & 4 != 0, drawn >> 3);
        if waits && self.pace_ms > 0 {
            tokio::time::sleep(Duration::from_millis(1 + rest % self.pace_ms)).await;
        } else {
            for _ in 0..(drawn & 3) {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Chance;

    #[test]
    fn a_stream_repeats_and_differs_from_its_neighbours() {
        let draw = |seed, name| {
            let chance = Chance::new(seed, name);
            (0..4).map(|_| chance.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, "log"), draw(1, "log"));
        assert_ne!(draw(1, "log"), draw(2, "log"));
        assert_ne!(draw(1, "log"), draw(1, "store"));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_keep_to_their_pace() {
        for (pace_ms, longest) in [(0, 0), (1, 1), (7, 7)] {
            let chance = Chance::paced(3, "store", pace_ms);
            let mut seen = Duration::ZERO;
            for _ in 0..200 {
                let before = Instant::now();
                chance.pause().await;
                seen = seen.max(before.elapsed());
            }
            assert_eq!(seen, Duration::from_millis(longest), "pace {pace_ms}");
        }
    }
}
