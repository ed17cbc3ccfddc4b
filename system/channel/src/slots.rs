//! Which of a partition's fixed slots an account has: pure (D14).
//!
//! In: an account, how many slots there are. Out: a slot. Elsewhere: queues of slots (`keys`), the topic's partitioner (`adapters::kafka`).

use bankstorm_contracts::{AccountNo, event};

use crate::config::{SlotHash, scatter};

/// The slot of an account among `slots`, from 0. The one place that decides by which hash.
pub(crate) fn slot(hash: SlotHash, account: AccountNo, slots: usize) -> usize {
    let slots = slots.max(1) as u64;
    let number = match hash {
        SlotHash::Independent => scatter(account.get().cast_unsigned()),
        SlotHash::Partitioner => u64::from(partition_hash(&event::key(account))),
    };
    usize::try_from(number % slots).unwrap_or(0)
}

/// What the topic's partitioner makes of a key before it takes the remainder: Kafka's murmur2 without its sign.
fn partition_hash(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c ^ length;
    let chunks = key.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0u32, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    (hash ^ (hash >> 15)) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bankstorm_contracts::{AccountNo, event};

    use super::{partition_hash, slot};
    use crate::config::SlotHash;

    /// The values that Kafka's own tests of its murmur2 pin.
    #[test]
    fn the_partitioners_hash_is_kafkas() {
        for (key, hash) in
            [("21", -973_932_308_i32), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536)]
        {
            assert_eq!(partition_hash(key.as_bytes()), hash.cast_unsigned() & 0x7fff_ffff, "{key}");
        }
    }

    #[test]
    fn d14_with_the_partitioners_own_hash_ninety_of_a_hundred_slots_never_run() {
        let used = |hash| {
            let mut used: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
            for account in (1_000_001..1_020_001).map(AccountNo::new) {
                let partition = partition_hash(&event::key(account)) % 10;
                used.entry(partition).or_default().insert(slot(hash, account, 100));
            }
            used.into_values().map(|slots| slots.len()).collect::<Vec<_>>()
        };
        assert_eq!(used(SlotHash::Partitioner), [10; 10]);
        let independent = used(SlotHash::Independent);
        assert!(independent.len() == 10 && independent.iter().all(|slots| *slots > 95), "{independent:?}");
    }
}
