use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{DigestPart, DigestRange, Digests, HeadsDigest, MAX_DIGEST_WIDTH};
use crate::account::{AccountNo, Head};
use crate::money::Won;

const FIRST: i64 = AccountNo::FIRST_CUSTOMER;

fn head(account: i64, seq: i64, balance: i64) -> Head {
    Head { account: AccountNo::new(account), seq, balance: Won::new(balance) }
}

fn range(from: i64, to: i64, width: u32) -> DigestRange {
    DigestRange { from: AccountNo::new(from), to: AccountNo::new(to), width }
}

fn numbers(parts: &[DigestPart]) -> Vec<(i64, i64, u32)> {
    parts.iter().map(|part| (part.first.get(), part.last.get(), part.accounts)).collect()
}

/// Computed apart from this code.
#[test]
fn digests_are_what_they_always_were() {
    let heads = [head(1_000_000, 0, 0), head(1_000_001, 7, -500), head(i64::MAX, i64::MAX, i64::MAX)];
    let each = heads.map(|head| HeadsDigest::of([&head]).get());
    assert_eq!(each, [0xf52f_3860_f3e7_c307, 0x462c_0302_e863_125f, 0xa2b7_d1ce_40d3_37c6]);
    let all = HeadsDigest::of(&heads);
    assert_eq!(all.get(), 0xde13_0d32_1d1e_0d2c);
    assert_eq!(serde_json::to_string(&all).expect("text"), r#""de130d321d1e0d2c""#);
    assert_eq!(serde_json::to_string(&HeadsDigest::NONE).expect("text"), r#""0000000000000000""#);
}

#[test]
fn a_digest_is_read_from_its_one_form_only() {
    let read = |text: &str| serde_json::from_str::<HeadsDigest>(&format!("{text:?}"));
    assert_eq!(read("de130d321d1e0d2c").expect("a digest").get(), 0xde13_0d32_1d1e_0d2c);
    for wrong in ["", "de130d321d1e0d2", "de130d321d1e0d2c0", "DE130D321D1E0D2C", "+e130d321d1e0d2c", "xyz"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn parts_are_cut_by_numbers_and_end_with_the_stretch() {
    let heads = [0, 1, 9, 10, 24, 25, 26].map(|place| head(FIRST + place, 1, 1));
    let asked = range(FIRST + 1, FIRST + 25, 10);
    let expected = [(FIRST + 1, FIRST + 10, 3), (FIRST + 21, FIRST + 25, 2)];
    assert_eq!(numbers(&asked.parts(&heads)), expected, "what lies beside the stretch does not count");
    assert_eq!(asked.parts(&heads)[1].digest, HeadsDigest::of(&heads[4..6]));
    assert_eq!(asked.parts(&heads[1..]), asked.parts(heads[1..].iter().rev()), "in any order");
    assert_eq!(asked.parts(&[]), []);
}

#[test]
fn parts_at_the_last_number_there_is_do_not_overflow() {
    let heads = [head(i64::MAX - 1, 1, 1), head(i64::MAX, 1, 1)];
    let all = DigestRange::ALL.parts(&heads);
    assert_eq!(all.iter().map(|part| part.accounts).sum::<u32>(), 2);
    assert_eq!(all.last().map(|part| part.last.get()), Some(i64::MAX));
    assert_eq!(numbers(&range(i64::MAX, i64::MAX, 1_000).parts(&heads)), [(i64::MAX, i64::MAX, 1)]);
    assert_eq!(range(i64::MIN, i64::MAX, 7).parts(&heads).len(), 1, "not even where nobody checked");
}

#[test]
fn a_wrong_stretch_is_told_its_field() {
    let cases = [
        (DigestRange::ALL, None),
        (range(FIRST, FIRST, 1), None),
        (range(FIRST - 1, FIRST, 1), Some("from")),
        (range(i64::MIN, FIRST, 1), Some("from")),
        (range(FIRST + 1, FIRST, 1), Some("to")),
        (range(FIRST, FIRST, 0), Some("width")),
        (range(FIRST, FIRST, MAX_DIGEST_WIDTH + 1), Some("width")),
    ];
    for (asked, field) in cases {
        let told = asked.validate().err();
        assert_eq!(told.as_ref().and_then(|problem| problem.field.as_deref()), field, "{asked:?} {told:?}");
    }
}

#[test]
fn a_part_that_only_one_side_has_differs() {
    let (asked, one, other) = (range(FIRST, FIRST + 29, 10), head(FIRST + 3, 1, 5), head(FIRST + 14, 1, 5));
    let core = Digests { parts: asked.parts([&one]), next: None };
    let place = |from, to| (AccountNo::new(FIRST + from), AccountNo::new(FIRST + to));
    assert_eq!(core.unequal(&asked, &[one]), []);
    assert_eq!(core.unequal(&asked, &[]), [place(0, 9)], "the channel lacks an account");
    assert_eq!(core.unequal(&asked, &[one, other]), [place(10, 19)], "core lacks it");
    let cut = Digests { next: Some(AccountNo::new(FIRST + 10)), ..core };
    assert_eq!(cut.unequal(&asked, &[one, other]), [], "nothing is said of what lies beyond the cut");
}

/// Heads of some of 40 accounts, with serials and balances of which many are equal.
fn heads() -> impl Strategy<Value = Vec<Head>> {
    prop::collection::btree_map(0..40_i64, (0..3_i64, 0..3_i64), 0..40)
        .prop_map(|drawn| drawn.into_iter().map(|(place, (seq, balance))| head(FIRST + place, seq, balance)).collect())
}

/// What stands in each part, compared head by head.
fn by_hand(asked: &DigestRange, heads: &[Head]) -> BTreeMap<AccountNo, Vec<(AccountNo, i64, Won)>> {
    let mut parts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for head in heads {
        if let Some((first, _)) = asked.part_of(head.account) {
            parts.entry(first).or_default().push((head.account, head.seq, head.balance));
        }
    }
    parts
}

proptest! {
    #[test]
    fn digests_are_equal_where_heads_are_and_nowhere_else(
        core in heads(),
        own in heads(),
        same in prop::collection::btree_set(0..40_i64, 0..40),
        (from, length, width) in (0..10_i64, 0..40_i64, 1..15_u32),
    ) {
        // Some accounts stand alike, so that there are parts of both sorts.
        let alike = |head: &Head| same.contains(&(head.account.get() - FIRST));
        let mut own: Vec<_> = own.into_iter().filter(|head| !alike(head)).collect();
        own.extend(core.iter().filter(|head| alike(head)));
        own.sort_by_key(|head| head.account);
        let asked = range(FIRST + from, FIRST + from + length, width);
        let (there, here) = (by_hand(&asked, &core), by_hand(&asked, &own));
        let firsts: BTreeSet<_> = there.keys().chain(here.keys()).copied().collect();
        let differ: Vec<_> = firsts.into_iter().filter(|first| there.get(first) != here.get(first)).collect();
        let answer = Digests { parts: asked.parts(&core), next: None };
        let told: Vec<_> = answer.unequal(&asked, &own).into_iter().map(|(first, _)| first).collect();
        prop_assert_eq!(told, differ);
    }

    #[test]
    fn one_field_of_one_head_always_shows(
        (account, seq, balance) in (any::<i64>(), any::<i64>(), any::<i64>()),
        field in 0..3,
        other in any::<i64>(),
    ) {
        let stood = head(account, seq, balance);
        let altered = match field {
            0 => head(other, seq, balance),
            1 => head(account, other, balance),
            _ => head(account, seq, other),
        };
        prop_assert_eq!(HeadsDigest::of([&stood]) == HeadsDigest::of([&altered]), stood == altered);
    }

    #[test]
    fn every_number_lies_in_one_part(
        from in FIRST..i64::MAX - 100_000,
        (length, into, width) in (0..100_000_i64, 0..100_000_i64, 1..=MAX_DIGEST_WIDTH),
    ) {
        let asked = range(from, from + length, width);
        let account = AccountNo::new(from + into.min(length));
        let (first, last) = asked.part_of(account).expect("within");
        prop_assert!(first <= account && account <= last && last <= asked.to);
        prop_assert_eq!((first.get() - from) % i64::from(width), 0);
        prop_assert!(last.get() - first.get() == i64::from(width) - 1 || last == asked.to);
        prop_assert_eq!((asked.part_of(first), asked.part_of(last)), (Some((first, last)), Some((first, last))));
    }
}
