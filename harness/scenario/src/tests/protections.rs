//! Protections: what may be switched off, and what is said where it may not.

use super::{GOOD, accepted, refused};
use crate::parse;
use crate::protections::{Fence, Protections, Settling};

fn with(more: &str) -> String {
    format!("{GOOD}{more}")
}

#[test]
fn nothing_is_off_unless_it_is_said() {
    let scenario = accepted(GOOD, &[]);
    assert_eq!((scenario.system.protections, scenario.system.protections.weaker()), (Protections::default(), vec![]));
    let allowed = accepted(&with("[system.protections]\nallow_unsafe = true\nfence = \"tombstone\"\n"), &[]);
    assert_eq!(allowed.system.protections, Protections::default());
}

#[test]
fn a_weaker_arm_needs_to_be_allowed() {
    let off = with("[system.protections]\nfence = \"plain_read\"\nsettling = \"two\"\n");
    let said = refused(&off, &[]);
    let expected = "system.protections.fence is \"plain_read\", which switches P6 off; accepted is that only beside `allow_unsafe = true`";
    assert!(said.contains(expected) && said.contains("scenarios/test.toml:14:9"), "{said}");
    let said = refused(&off, &["system.protections.allow_unsafe=false"]);
    assert!(said.contains(expected), "{said}");
    let scenario = accepted(&off, &["system.protections.allow_unsafe=true"]);
    let protections = scenario.system.protections;
    assert_eq!((protections.fence, protections.settling), (Fence::PlainRead, Settling::Two));
    let weaker: Vec<_> = protections.weaker().iter().map(ToString::to_string).collect();
    assert_eq!(weaker, ["P6 fence = plain_read", "P31 settling = two"]);
    let stored = scenario.to_toml();
    assert_eq!(parse("run/scenario.toml", &stored, &[], None).as_ref(), Ok(&scenario), "{stored}");
}

#[test]
fn keys_and_arms_are_known_by_name_and_others_are_refused_with_the_nearest() {
    let cases = [
        ("system.protections.fense=tombstone", "did you mean `fence`?"),
        ("system.protections.fence=read", "system.protections.fence is \"read\""),
        ("system.protections.allow_unsafe=yes", "system.protections.allow_unsafe"),
    ];
    for (set, expected) in cases {
        let said = refused(GOOD, &[set]);
        assert!(said.contains(expected), "{set}: {said}");
    }
    let mut protections = Protections::default();
    protections.take("lock_order", "payer_first").expect("an arm");
    assert_eq!(protections.weaker()[0].process, "core");
    for (key, arm, expected) in [
        ("lock_ordr", "payer_first", "did you mean `lock_order`?"),
        ("lock_order", "payr_first", "did you mean `payer_first`?"),
    ] {
        let said = protections.take(key, arm).expect_err("unknown");
        assert!(said.contains(expected), "{said}");
    }
}
