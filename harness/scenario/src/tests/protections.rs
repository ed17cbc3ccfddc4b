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
    for key in Protections::KEYS {
        let said = protections.take(key, "").expect_err("no arm");
        assert!(said.starts_with(&format!("{key} has no arm")), "{said}");
    }
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

#[test]
fn every_row_of_the_catalogue_that_a_scenario_may_switch_off_has_its_arm() {
    let arms = [
        ("outbox", "direct_produce", "P9", "core"),
        ("outbox", "produce_before_commit", "P10", "core"),
        ("relay_scan", "id_watermark", "P11", "core"),
        ("record_key", "random", "P12", "core"),
        ("producer", "plain", "P13", "core"),
        ("applying", "unconditional", "P14", "channel"),
        ("gaps", "ignore", "P15", "channel"),
        ("sweep", "off", "P16", "channel"),
        ("retrying", "none", "P17", "channel"),
        ("dead_letters", "drop", "P18", "channel"),
        ("hole_marker", "off", "P19", "channel"),
        ("offsets", "on_poll", "P20", "channel"),
        ("offsets", "highest_done", "P21", "channel"),
        ("generation_fence", "off", "P22", "channel"),
        ("read_sync", "off", "P23", "channel"),
        ("sync_writes", "overwrite", "P24", "channel"),
        ("cursor", "offset", "P28", "channel"),
        ("slot_hash", "partitioner", "D14", "channel"),
        ("repair", "off", "repair", "channel"),
    ];
    for (key, arm, row, process) in arms {
        let set = format!("system.protections.{key}={arm}");
        let said = refused(GOOD, &[&set]);
        assert!(said.contains(&format!("which switches {row} off; accepted is that only beside")), "{said}");
        let scenario = accepted(GOOD, &[&set, "system.protections.allow_unsafe=true"]);
        let [weaker] = scenario.system.protections.weaker()[..] else { panic!("{key}") };
        assert_eq!((weaker.row, weaker.key, weaker.arm, weaker.process), (row, key, arm, process));
        let stored = scenario.to_toml();
        assert_eq!(parse("run/scenario.toml", &stored, &[], None).as_ref(), Ok(&scenario), "{stored}");
    }
    let off = ["system.protections.repair=off", "system.protections.allow_unsafe=true"];
    assert_eq!(accepted(GOOD, &off).system.protections.weaker()[0].to_string(), "repair = off");
}
