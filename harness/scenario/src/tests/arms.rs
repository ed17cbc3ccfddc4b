//! Arms: what they change, what is said when they cannot, and that they read back.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::{GOOD, accepted, refused};
use crate::parse;
use crate::resolved::{Expect, Skew};

const ARMS: &str = r#"
[[arm]]
name = "slow"
set = { "load.0.rate" = "30/s", "accounts.skew" = { zipf = 1.1 } }

[[arm]]
name = "offset"
expect = "violated"

[arm.set]
"system.protections.allow_unsafe" = true
"system.protections.cursor" = "offset"
"slo.deposit" = {}

[[arm]]
name = "again"
"#;

fn with_arms() -> String {
    format!("{GOOD}{ARMS}")
}

fn arm(set: &str) -> String {
    format!("{GOOD}\n[[arm]]\nname = \"one\"\n\n[arm.set]\n{set}\n")
}

#[test]
fn an_arm_is_the_file_with_a_few_keys_changed() {
    let scenario = accepted(&with_arms(), &[]);
    let [slow, offset, again] = &scenario.arms[..] else { panic!("three arms") };
    let told = |arm: &crate::resolved::Arm| (arm.name.clone(), arm.expect, arm.scenario.arms.len());
    assert_eq!(told(slow), ("slow".to_owned(), Expect::Holds, 0));
    assert_eq!(told(offset), ("offset".to_owned(), Expect::Violated, 0));
    assert_eq!((slow.scenario.load[0].rate_per_s, slow.scenario.accounts.skew), (30.0, Skew::Zipf(1.1)));
    assert_eq!((scenario.load[0].rate_per_s, scenario.accounts.skew), (300.0, Skew::Uniform));
    let weaker: Vec<_> = offset.scenario.system.protections.weaker().iter().map(ToString::to_string).collect();
    assert_eq!((weaker, offset.scenario.slo.len()), (vec!["P28 cursor = offset".to_owned()], 0));
    assert!(scenario.system.protections.weaker().is_empty() && scenario.slo.len() == 2);
    let alone = crate::Scenario { arms: Vec::new(), ..scenario.clone() };
    assert_eq!(again.scenario, alone, "the file as it stands");
}

#[test]
fn what_the_command_line_says_goes_for_every_arm_before_what_it_has_otherwise() {
    let sets = ["load.0.rate=3000/s", "accounts.count=50", "arm.2.expect=violated"];
    let scenario = accepted(&with_arms(), &sets);
    let rates: Vec<_> = scenario.arms.iter().map(|arm| arm.scenario.load[0].rate_per_s).collect();
    assert_eq!((scenario.load[0].rate_per_s, rates), (3_000.0, vec![30.0, 3_000.0, 3_000.0]));
    assert!(scenario.arms.iter().all(|arm| arm.scenario.accounts.count == 50));
    assert_eq!(scenario.arms[2].expect, Expect::Violated);
    let seeded = parse("test.toml", &format!("{}set = {{ seed = 4 }}\n", with_arms()), &[], Some(9)).expect("accepted");
    let seeds: Vec<_> = seeded.arms.iter().map(|arm| arm.scenario.seed).collect();
    assert_eq!((seeded.seed, seeds), (9, vec![9, 9, 4]));
}

#[test]
fn what_an_arm_gets_wrong_is_shown_where_it_was_typed() {
    assert_snapshot!(refused(&arm("\"load.0.rate\" = \"0/s\""), &[]), @r#"
    scenarios/test.toml:18:17: in arm "one": load.0.rate is "0/s"; accepted is above 0 and at most 200000/s
       |
    18 | "load.0.rate" = "0/s"
       |                 ^^^^^
    "#);
    assert_snapshot!(refused(&arm("\"system.wokers\" = 1"), &[]), @r#"
    scenarios/test.toml:18:1: in arm "one": unknown key `wokers` in system
       |
    18 | "system.wokers" = 1
       | ^^^^^^^^^^^^^^^
    help: did you mean `workers`? accepted here: `partitions`, `channel_instances`, `workers`, `worker_mode`, `channel_databases`, `sync`, `history_source`, `read_sync`, `read_budget`, `core_pulls`, `manual_every`, `dead_letter_attempts`, `sweep_every`, `sync_cost`, `kafka_brokers`, `guard`, `call_timeout`, `validity`, `deadline`, `core_batch`, `core_slots`, `core_posting_cost`, `core_admitted`, `caller_max`, `outbound_expiry`, `protections`
    "#);
    assert_snapshot!(refused(&arm("\"load.1.rate\" = \"1/s\""), &[]), @r#"
    scenarios/test.toml:18:1: in arm "one": "load.1.rate": `1` is no entry of load; accepted is load.0
       |
    18 | "load.1.rate" = "1/s"
       | ^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused(&arm("\"system.protections.gaps\" = \"ignore\""), &[]), @r#"
    scenarios/test.toml:18:29: in arm "one": system.protections.gaps is "ignore", which switches P15 off; accepted is that only beside `allow_unsafe = true`
       |
    18 | "system.protections.gaps" = "ignore"
       |                             ^^^^^^^^
    "#);
    let allowed = arm("\"system.protections.gaps\" = \"ignore\"");
    accepted(&allowed, &["system.protections.allow_unsafe=true"]);
}

#[test]
fn a_path_without_quotes_would_replace_a_whole_table_and_is_refused() {
    assert_snapshot!(refused(&arm("system.workers = 1"), &[]), @r#"
    scenarios/test.toml:18:1: in arm "one": `system` is a table, which would replace all of [system]; accepted are paths in quotes
       |
    18 | system.workers = 1
       | ^^^^^^
    help: write "system.workers" = ..
    "#);
    for (set, expected) in [
        ("\"load..rate\" = \"1/s\"", "`load..rate` is no path"),
        ("\"arm.0.name\" = \"x\"", "`arm.0.name` is of arms, and an arm has none"),
        ("arm = []", "`arm` is of arms"),
    ] {
        let said = refused(&arm(set), &[]);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn names_are_folders_and_differ() {
    for (sets, expected) in [
        (&["arm.1.name=slow"][..], "arm.1.name is \"slow\", as is that of an arm before"),
        (&["arm.0.name=Slow"], "arm.0.name is \"Slow\"; accepted are 1 to 40 small letters, digits and `-`"),
        (&["arm.0.name=../up"], "accepted are 1 to 40"),
        (&["arm.0.name=\"\""], "accepted are 1 to 40"),
        (&["arm.0.expect=fails"], "accepted here: `holds`, `violated`"),
        (&["arm.0.sets={}"], "unknown key `sets` in arm.0"),
        (&["arm=[{}]"], "arm.0 has no `name`, which must be given"),
    ] {
        let said = refused(&with_arms(), sets);
        assert!(said.contains(expected), "{sets:?}: {said}");
    }
    let many: Vec<String> = (0..17).map(|number| format!("{{ name = \"a{number}\" }}")).collect();
    let said = refused(&with_arms(), &[&format!("arm=[{}]", many.join(", "))]);
    assert!(said.contains("arm has 17 entries; accepted are 16 at most"), "{said}");
}

#[test]
fn a_violation_may_be_expected_of_some_checks() {
    let scenario = accepted(&with_arms(), &["arm.1.by=[\"O1\", \"S1\"]"]);
    let by: Vec<_> = scenario.arms.iter().map(|arm| arm.by.join(" ")).collect();
    assert_eq!(by, ["", "O1 S1", ""]);
    let stored = scenario.to_toml();
    assert_eq!(parse("run/scenario.toml", &stored, &[], None).as_ref(), Ok(&scenario), "{stored}");
    for (set, expected) in [
        (
            "arm.0.by=[\"O1\"]",
            "arm.0.by names checks that are to be violated; accepted is that only beside expect = \"violated\"",
        ),
        ("arm.1.by=[]", "arm.1.by has no entries; accepted are ids of checks, or leave it out"),
        ("arm.1.by=[\"O1\", \"once\"]", "arm.1.by names \"once\"; accepted are ids of checks, such as \"O1\""),
        ("arm.1.by=O1", "arm.1.by: \"O1\" is not accepted"),
    ] {
        let said = refused(&with_arms(), &[set]);
        assert!(said.contains(expected), "{set}: {said}");
    }
}

#[test]
fn an_arm_may_break_something_else() {
    let fault = "[[fault]]\nkind = \"req.hold\"\nplace = \"channel-*->core\"\ndelay = \"1s\"\nat = \"2s\"\n\n";
    let text = |set: &str| format!("{GOOD}\n{fault}[[arm]]\nname = \"one\"\n\n[arm.set]\n{set}\n");
    let places = |set: &str| {
        let scenario = accepted(&text(set), &[]);
        let stored = scenario.to_toml();
        assert_eq!(parse("run/scenario.toml", &stored, &[], None).as_ref(), Ok(&scenario), "{stored}");
        assert_eq!(scenario.faults.len(), 2, "the file's own stay");
        let told =
            scenario.arms[0].scenario.faults.iter().map(|fault| format!("{} {}", fault.kind.word(), fault.place));
        told.collect::<Vec<_>>()
    };
    assert_eq!(places("\"fault.0.place\" = \"harness->core\""), ["req.hold harness->core"]);
    let both = ["req.hold channel-0->core", "req.hold channel-1->core"];
    assert_eq!(places("\"fault.0.delay\" = \"1ms\""), both);
    let other = "fault = [{ kind = \"node.kill\", place = \"core\", at = \"2s\" }]";
    assert_eq!(places(other), ["node.kill core"]);
    assert_eq!(places("fault = []"), Vec::<String>::new());
    let set = "\"fault.0\" = { kind = \"req.drop\", place = \"channel-*->core\", at = \"2s\" }";
    assert_eq!(places(set), ["req.drop channel-0->core", "req.drop channel-1->core"]);
}

#[test]
fn arms_are_stored_as_what_they_have_otherwise() {
    let scenario = accepted(&with_arms(), &[]);
    let changes: Vec<_> = scenario.arms.iter().map(|arm| scenario.changes(arm)).collect();
    let told =
        |index: usize| -> Vec<String> { changes[index].iter().map(|(path, to)| format!("{path}={to}")).collect() };
    assert_eq!(told(0), ["accounts.skew={ zipf = 1.1 }", "load.0.rate=\"30/s\""]);
    let expected = ["slo.deposit={}", "system.protections.allow_unsafe=true", "system.protections.cursor=\"offset\""];
    assert_eq!((told(1), told(2).len()), (expected.map(str::to_owned).to_vec(), 0));
    let stored = scenario.to_toml();
    assert_eq!(parse("run/scenario.toml", &stored, &[], None).as_ref(), Ok(&scenario), "{stored}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_arms_have_otherwise_reads_back_the_same(
        picked in proptest::sample::subsequence(
            vec![
                "\"load.0.rate\" = \"31/s\"",
                "\"load.0.window\" = [\"1s\", \"2s\"]",
                "load = [{ op = \"deposit\", rate = \"7/s\" }, { op = \"scroll\", rate = \"5/s\", pages = 11 }]",
                "\"accounts.skew\" = \"each\"",
                "\"accounts.count\" = 77",
                "\"system.sync\" = { poll = \"3s\" }",
                "\"slo.deposit.response\" = {}",
                "\"slo.deposit.visible.p99\" = { limit = \"3s\", during = \"all\" }",
                "\"phases.measure\" = \"11s\"",
                "\"images.kafka\" = \"apache/kafka:4.1.0\"",
                "markers = [\"channel-append\"]",
                "name = \"other\"",
            ],
            0..=8,
        ),
        base in proptest::sample::subsequence(
            vec!["load.0.window=[\"2s\", \"4s\"]", "accounts.skew={ hot = 0.5 }", "system.sync={ poll = \"9s\" }"],
            0..=3,
        ),
    ) {
        let scenario = accepted(&arm(&picked.join("\n")), &base);
        let stored = scenario.to_toml();
        let again = parse("run/scenario.toml", &stored, &[], None);
        prop_assert_eq!(again.as_ref(), Ok(&scenario), "{}", stored);
    }
}
