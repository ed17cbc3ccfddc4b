//! A component's random stream, and the pauses it draws.
//!
//! In: a seed and the component's name. Out: numbers and pauses. Elsewhere: nothing else in a model may be random.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// One stream. Clones share it, so that the order of calls alone decides what is drawn.
#[derive(Clone, Debug)]
pub struct Chance {
    stream: Arc<Mutex<Xoshiro256PlusPlus>>,
}

impl Chance {
    /// The stream of one component of a seed.
    pub fn new(seed: u64, component: &str) -> Self {
        // FNV-1a: the standard hasher is seeded anew in each process.
        let mut mixed = seed ^ 0xcbf2_9ce4_8422_2325;
        for byte in component.bytes() {
            mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self { stream: Arc::new(Mutex::new(Xoshiro256PlusPlus::seed_from_u64(mixed))) }
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        let drawn = self.stream.lock().unwrap_or_else(PoisonError::into_inner).next_u64();
        if bound == 0 { 0 } else { drawn % bound }
    }

    /// The pause before an effect or an answer: 0 to 3 yields, or 1 to 4 ms. Timers have a grain of 1 ms and fire in the order of their
    /// registration within it, so delays alone would never swap two neighbours.
    pub async fn pause(&self) {
        match self.below(8) {
            yields @ 0..=3 => {
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
            }
            millis => tokio::time::sleep(Duration::from_millis(millis - 3)).await,
        }
    }
}

#[cfg(test)]
mod tests {
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
}
