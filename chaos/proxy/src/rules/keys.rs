//! Which keys a rule picks, at their first request, and how often each came.
//!
//! In: keys as they come, some requests without one. Out: whether this request is picked, and how many keys were hit. Elsewhere: which
//! requests a rule names (`path`), where a key stands in a request (`http::key`).
//!
//! A share of keys hangs on the seed and the key's name alone. The hash is written out here, and never the standard library's: a rule must
//! mean the same in every build.
//!
//! Of a key no more is kept than is needed: which ones have come, where every so many-th new one is picked; how often one that is picked
//! came, where only the nth time counts; and which ones were hit.

use std::collections::BTreeMap;

use bankstorm_faults::rule::Keys;

/// What a rule knows of keys.
#[derive(Debug)]
pub(crate) struct KeyBook {
    which: Keys,
    nth: Option<u64>,
    /// Requests that bear no key so far, and where every so many-th new key is picked also the different keys.
    came: u64,
    met: BTreeMap<String, Met>,
    hits: u64,
}

/// A key that is remembered.
#[derive(Clone, Copy, Debug)]
struct Met {
    is_picked: bool,
    requests: u64,
    was_hit: bool,
}

impl KeyBook {
    pub(crate) const fn new(which: Keys, nth: Option<u64>) -> Self {
        Self { which, nth, came: 0, met: BTreeMap::new(), hits: 0 }
    }

    /// Whether this request is picked. One without a key has a key of its own, named by its number.
    pub(crate) fn picks(&mut self, key: Option<&str>) -> bool {
        let Some(key) = key else {
            self.came += 1;
            let name = self.came.to_string();
            return self.takes(&name) && self.nth.is_none_or(|nth| nth == 1);
        };
        let is_picked = self.picks_key(key);
        match self.nth {
            None => is_picked,
            Some(nth) => is_picked && self.counted(key) == nth,
        }
    }

    fn picks_key(&mut self, key: &str) -> bool {
        if !matches!(self.which, Keys::Every(_)) {
            return self.takes(key);
        }
        if let Some(met) = self.met.get(key) {
            return met.is_picked;
        }
        self.came += 1;
        let is_picked = self.takes(key);
        self.met.insert(key.to_owned(), Met { is_picked, requests: 0, was_hit: false });
        is_picked
    }

    /// The number of this request of a key that is picked.
    fn counted(&mut self, key: &str) -> u64 {
        let met = self.remembered(key);
        met.requests += 1;
        met.requests
    }

    /// What is known of a key that is picked.
    fn remembered(&mut self, key: &str) -> &mut Met {
        self.met.entry(key.to_owned()).or_insert(Met { is_picked: true, requests: 0, was_hit: false })
    }

    /// It was done to a request of this key.
    pub(crate) fn hit(&mut self, key: Option<&str>) {
        let is_first = key.is_none_or(|key| !std::mem::replace(&mut self.remembered(key).was_hit, true));
        self.hits += u64::from(is_first);
    }

    /// Different keys that were hit.
    pub(crate) const fn hits(&self) -> u64 {
        self.hits
    }

    /// Whether the key that is the latest to have come is one of those that are picked.
    fn takes(&self, name: &str) -> bool {
        match self.which {
            Keys::All => true,
            Keys::Every(every) => self.came.is_multiple_of(every),
            Keys::Share { probability, seed } => place(seed, name) < probability,
        }
    }
}

/// Where a name lies for a seed: 0 to below 1, evenly.
fn place(seed: u64, name: &str) -> f64 {
    let mixed = splitmix64(seed ^ fnv1a(name.as_bytes()));
    // As many bits as the fraction of a double has.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finish of SplitMix64: names that differ in one letter end far from each other.
const fn splitmix64(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::{KeyBook, Keys, fnv1a, place, splitmix64};

    #[test]
    fn the_hash_is_what_its_authors_publish() {
        assert_eq!(
            [fnv1a(b""), fnv1a(b"a"), fnv1a(b"foobar")],
            [0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8]
        );
        assert_eq!([splitmix64(0), splitmix64(0x9e37_79b9_7f4a_7c15)], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn a_share_is_near_what_was_asked_and_hangs_on_seed_and_name_alone() {
        let picked = |seed: u64, names: &mut dyn Iterator<Item = u32>| -> Vec<u32> {
            let mut book = KeyBook::new(Keys::Share { probability: 0.05, seed }, None);
            names.filter(|name| book.picks(Some(&format!("key-{name}")))).collect()
        };
        let forwards = picked(7, &mut (0..20_000));
        let mut backwards = picked(7, &mut (0..20_000).rev());
        backwards.reverse();
        assert_eq!(forwards, backwards, "not on when a key comes");
        assert!((900..1_100).contains(&forwards.len()), "{} of 20,000", forwards.len());
        assert_ne!(forwards, picked(8, &mut (0..20_000)));
        assert!((0..1_000).all(|name| (0.0..1.0).contains(&place(1, &name.to_string()))));
    }

    #[test]
    fn a_key_is_picked_once_and_for_all_and_each_without_one_is_its_own() {
        let mut every = KeyBook::new(Keys::Every(2), None);
        let came = ["a", "b", "a", "b", "c", "d"].map(|key| every.picks(Some(key)));
        assert_eq!(came, [false, true, false, true, false, true], "every second new key");
        assert_eq!([every.picks(None), every.picks(None)], [false, true]);
        let mut nth = KeyBook::new(Keys::All, Some(2));
        assert_eq!(["a", "b", "a", "a", "b"].map(|key| nth.picks(Some(key))), [false, false, true, false, true]);
        assert!(!nth.picks(None), "the second request of a key that comes once");
        for key in [Some("a"), Some("a"), Some("b"), None, None] {
            nth.hit(key);
        }
        assert_eq!(nth.hits(), 4);
    }

    #[test]
    fn no_more_keys_are_kept_than_are_needed() {
        let share = Keys::Share { probability: 0.05, seed: 7 };
        let kept = |which: Keys, nth: Option<u64>| {
            let mut book = KeyBook::new(which, nth);
            let picked = (0..10_000).filter(|name| book.picks(Some(&format!("key-{name}")))).count();
            (picked, book.met.len())
        };
        let (picked, none) = kept(share, None);
        assert_eq!((none, kept(Keys::All, None)), (0, (10_000, 0)), "picked by name alone");
        assert_eq!(kept(share, Some(1)), (picked, picked), "unpicked ones are not counted");
        assert_eq!(kept(Keys::Every(4), None), (2_500, 10_000), "a new key is told from one that came");
        let mut all = KeyBook::new(Keys::All, None);
        for key in ["a", "b", "a"] {
            assert!(all.picks(Some(key)));
            all.hit(Some(key));
        }
        assert_eq!((all.hits(), all.met.len()), (2, 2), "those that were hit");
    }
}
