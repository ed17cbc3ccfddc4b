//! Numbers and places made simpler.

use super::{at_the_first, shorter, smaller};

#[test]
fn numbers_become_smaller_and_rounder() {
    assert_eq!(smaller(50_449, 0), [0, 1, 10, 100, 1_000, 10_000, 25_224, 50_000, 50_400, 50_440, 50_448]);
    assert_eq!(shorter(50_449, 20_000), [25_224, 50_000, 50_400, 50_440]);
    assert_eq!((smaller(1, 0), smaller(3, 1), smaller(5, 5)), (vec![0], vec![1, 2], vec![]));
}

#[test]
fn what_was_at_a_channel_that_is_gone_is_at_the_first() {
    for (place, moved) in [
        ("channel-2", "channel-0"),
        ("channel-2>core", "channel-0>core"),
        ("channel-2>core:entries", "channel-0>core:entries"),
        ("customers>channel-2:history", "customers>channel-0:history"),
        ("channel-21", "channel-21"),
        ("kafka", "kafka"),
    ] {
        assert_eq!(at_the_first(place, "channel-2"), moved);
    }
}
