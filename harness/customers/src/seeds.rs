//! Streams of randomness, all derived from the scenario's seed.
//!
//! In: the seed, a purpose, a number. Out: generators and mixed bits. Elsewhere: what is drawn from them (`plan`, `opening`).

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use sha2::{Digest, Sha256};

/// A generator for one purpose of one load. Purposes do not share a stream, so that a change of one leaves the others as they were.
pub(crate) fn stream(seed: u64, purpose: &str, load: u32) -> Xoshiro256PlusPlus {
    let mut hasher = Sha256::new();
    hasher.update(b"bankstorm/stream/1");
    hasher.update(seed.to_be_bytes());
    hasher.update(load.to_be_bytes());
    hasher.update(purpose.as_bytes());
    Xoshiro256PlusPlus::from_seed(hasher.finalize().into())
}

/// Ten bytes that depend on every bit of the seed and the number: what is random in a transfer's id.
pub(crate) fn id_bytes(seed: u64, number: u64) -> [u8; 10] {
    let mut hasher = Sha256::new();
    hasher.update(b"bankstorm/id/1");
    hasher.update(seed.to_be_bytes());
    hasher.update(number.to_be_bytes());
    let digest = hasher.finalize();
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&digest[..10]);
    bytes
}

/// SplitMix64's finisher: one number in, one well-mixed number out, and no two inputs share an output.
pub(crate) const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number as a share, 0 to below 1: its upper 53 bits, mixed.
pub(crate) const fn share(number: u64) -> f64 {
    (mix(number) >> 11) as f64 / (1_u64 << 53) as f64
}
