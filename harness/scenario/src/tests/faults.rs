//! What may be broken, and what is said of a fault that is not accepted.

mod links;

use std::time::Duration;

use bankstorm_faults::plan::{Fault, Kind, Trigger};
use insta::assert_snapshot;

use super::{GOOD, accepted, refused};

/// [`GOOD`] has a measured phase of 10 s, and plans 4,500 operations.
fn with(faults: &[&str]) -> String {
    faults.iter().fold(GOOD.to_owned(), |text, fault| format!("{text}\n[[fault]]\n{fault}\n"))
}

const KILL: &str = "kind = \"node.kill\"\nplace = \"channel-0\"\nat = \"5s\"\nlasts = \"2s\"";

#[test]
fn faults_become_a_plan() {
    let text = with(&[
        KILL,
        "kind = \"node.pause\"\nplace = \"postgres-channel\"\nnth = 2000\nlasts = \"5s\"",
        "kind = \"node.restart\"\nplace = \"kafka-1\"\nat = \"1s\"",
        "kind = \"node.kill\"\nplace = \"core\"\nat = \"9999ms\"",
    ]);
    let seconds = Duration::from_secs;
    let fault = |id: &str, kind, place: &str, trigger, lasts| {
        let (id, place) = (id.to_owned(), place.to_owned());
        Fault { id, kind, place, trigger, lasts, rule: None }
    };
    let expected = [
        fault("fault-0", Kind::NodeKill, "channel-0", Trigger::At(seconds(5)), Some(seconds(2))),
        fault("fault-1", Kind::NodePause, "postgres-channel", Trigger::Nth(2_000), Some(seconds(5))),
        fault("fault-2", Kind::NodeRestart, "kafka-1", Trigger::At(seconds(1)), None),
        fault("fault-3", Kind::NodeKill, "core", Trigger::At(Duration::from_millis(9_999)), None),
    ];
    assert_eq!(accepted(&text, &[]).faults, expected);
    let set = accepted(&text, &["fault.0.at=3s", "fault.0.place=channel-1", "fault.1.nth=1800"]);
    assert_eq!((set.faults[0].trigger, set.faults[0].place.as_str()), (Trigger::At(seconds(3)), "channel-1"));
    assert_eq!(set.faults[1].trigger, Trigger::Nth(1_800));
    assert!(accepted(&text, &["fault=[]"]).faults.is_empty());
}

#[test]
fn unknown_kinds_and_places_are_listed() {
    assert_snapshot!(refused(&with(&[&KILL.replace("node.kill", "node.kil")]), &[]), @r#"
    scenarios/test.toml:15:8: fault.0.kind is "node.kil"
       |
    15 | kind = "node.kil"
       |        ^^^^^^^^^^
    help: did you mean `node.kill`? accepted here: `node.kill`, `node.pause`, `node.restart`, `row.poison`, `topic.grow`, `pg.commit_stall`, `pg.lock`, `pg.commit_cut`, `req.drop`, `req.hold`, `req.dup`, `resp.drop`, `resp.hold`, `net.delay`, `net.blackhole`, `net.rst`, `net.cut`, `node.storm`
    "#);
    assert_snapshot!(refused(&with(&[KILL]), &["fault.0.place=channel-2"]), @r#"
    --set fault.0.place=channel-2: fault.0.place is "channel-2", which this scenario does not have
    help: did you mean `channel-0`? accepted here: `core`, `channel-0`, `channel-1`, `banks`, `postgres-core`, `postgres-channel`, `kafka-1`
    "#);
    let third = accepted(&with(&[KILL]), &["fault.0.place=kafka-3", "system.kafka_brokers=3"]);
    assert_eq!(third.faults[0].place, "kafka-3");
    assert_snapshot!(refused(&with(&[&KILL.replace("lasts", "last")]), &[]), @r#"
    scenarios/test.toml:18:1: unknown key `last` in fault.0
       |
    18 | last = "2s"
       | ^^^^
    help: did you mean `lasts`? accepted here: `kind`, `place`, `at`, `nth`, `lasts`, `every`, `of`, `probability`, `delay`, `times`, `way`, `when`
    "#);
}

#[test]
fn a_trigger_is_one_that_comes() {
    assert_snapshot!(refused(&with(&[&format!("{KILL}\nnth = 5")]), &[]), @r"
    scenarios/test.toml:14:1: fault.0 has both `at` and `nth`; accepted is one of them
       |
    14 | [[fault]]
       | ^^^^^^^^^
    ");
    assert_snapshot!(refused(&with(&["kind = \"node.kill\"\nplace = \"core\""]), &[]), @r"
    scenarios/test.toml:14:1: fault.0 has neither `at` nor `nth`; one must be given
       |
    14 | [[fault]]
       | ^^^^^^^^^
    ");
    assert_snapshot!(refused(&with(&[KILL]), &["fault.0.at=10s"]), @r#"--set fault.0.at=10s: fault.0.at is "10s"; accepted is less than phases.measure, which is "10s""#);
    let nth = with(&["kind = \"node.kill\"\nplace = \"core\"\nnth = 4500"]);
    assert_eq!(accepted(&nth, &["fault.0.nth=4800"]).faults[0].trigger, Trigger::Nth(4_800));
    assert_snapshot!(refused(&nth, &["fault.0.nth=4900"]), @"--set fault.0.nth=4900: fault.0.nth is 4900; accepted are 1800 to about 4500, which is what the load sends (all rates times warm_up and measure)");
    for few in ["0", "-1"] {
        assert!(refused(&nth, &[&format!("fault.0.nth={few}")]).contains("accepted are 1800 to about 4500"), "{few}");
    }
}

#[test]
fn there_is_a_second_of_measuring_before_a_fault() {
    assert_snapshot!(refused(&with(&[KILL]), &["fault.0.at=999ms"]), @r#"--set fault.0.at=999ms: fault.0.at is "999ms"; accepted is "1s" or later, or there would be nothing to compare recovery with"#);
    assert_eq!(accepted(&with(&[KILL]), &["fault.0.at=1s"]).faults[0].trigger, Trigger::At(Duration::from_secs(1)));
    // 300 a second, and 5 s of warm-up.
    let nth = with(&["kind = \"node.kill\"\nplace = \"core\"\nnth = 1800"]);
    assert_eq!(accepted(&nth, &[]).faults[0].trigger, Trigger::Nth(1_800));
    assert_snapshot!(refused(&nth, &["fault.0.nth=1799"]), @"--set fault.0.nth=1799: fault.0.nth is 1799, which is sent about 5996ms after load began, in the warm-up or the first second of the measured phase: there would be nothing to compare recovery with; accepted are 1800 to about 4500");
    assert_eq!(accepted(&nth, &["phases.warm_up=0s", "fault.0.nth=300"]).faults[0].trigger, Trigger::Nth(300));
    assert!(refused(&nth, &["phases.warm_up=0s", "fault.0.nth=299"]).contains("about 996ms"));
    // All loads count.
    let two = format!("{nth}[[load]]\nop = \"deposit\"\nrate = \"100/s\"\n");
    assert!(refused(&two, &["fault.0.nth=2399"]).contains("accepted are 2400 to about 6000"));
    assert_eq!(accepted(&two, &["fault.0.nth=2400"]).faults[0].trigger, Trigger::Nth(2_400));
}

#[test]
fn a_fault_is_healed_while_load_is_there_to_see_it() {
    assert_snapshot!(refused(&with(&[KILL]), &["fault.0.lasts=5001ms"]), @r#"--set fault.0.lasts=5001ms: fault.0.lasts is "5001ms", which with at = "5s" is past phases.measure = "10s": it would be healed after load ended, and nobody would see the bank recover: shorten lasts or lengthen phases.measure"#);
    assert_eq!(accepted(&with(&[KILL]), &["fault.0.lasts=5s"]).faults[0].lasts, Some(Duration::from_secs(5)));
    // When an nth fires is not known, and what has no `lasts` is meant to last.
    let nth = with(&["kind = \"node.kill\"\nplace = \"core\"\nnth = 4400\nlasts = \"9s\""]);
    assert_eq!(accepted(&nth, &[]).faults[0].lasts, Some(Duration::from_secs(9)));
    let lasting = with(&["kind = \"node.kill\"\nplace = \"core\"\nat = \"5s\""]);
    assert_eq!(accepted(&lasting, &[]).faults[0].lasts, None);
}

#[test]
fn each_kind_says_what_it_does_with_lasts() {
    assert_snapshot!(refused(&with(&["kind = \"node.pause\"\nplace = \"core\"\nat = \"1s\""]), &[]), @r"
    scenarios/test.toml:14:1: fault.0 has no `lasts`, which node.pause needs: how long the node stands still; a node that is frozen for good is better killed
       |
    14 | [[fault]]
       | ^^^^^^^^^
    ");
    assert_snapshot!(refused(&with(&[KILL]), &["fault.0.kind=node.restart"]), @r#"
    scenarios/test.toml:18:9: fault.0.lasts is not accepted by node.restart, which ends by itself: leave it out
       |
    18 | lasts = "2s"
       |         ^^^^
    "#);
    assert_snapshot!(refused(&with(&[KILL]), &["fault.0.lasts=0s"]), @r#"--set fault.0.lasts=0s: fault.0.lasts is "0s"; accepted are "1ms" to "1h""#);
    assert_snapshot!(refused(&with(&[KILL]), &["fault.0.lasts=2h"]), @r#"--set fault.0.lasts=2h: fault.0.lasts is "2h"; accepted are "1ms" to "1h""#);
}

#[test]
fn a_place_takes_one_fault_after_the_other() {
    let fault = |kind: &str, rest: &str| format!("kind = \"node.{kind}\"\nplace = \"channel-0\"\n{rest}");
    let both = |other: String| with(&[KILL, &other]);
    assert_snapshot!(refused(&both(fault("pause", "at = \"6s\"\nlasts = \"4s\"")), &[]), @r"
    scenarios/test.toml:20:1: fault.1 (node.pause from 6s to 10s) overlaps fault.0 (node.kill from 5s to 7s) on channel-0; accepted is one after the other
       |
    20 | [[fault]]
       | ^^^^^^^^^
    ");
    assert_snapshot!(refused(&both(fault("kill", "at = \"1s\"")), &[]), @r"
    scenarios/test.toml:20:1: fault.1 (node.kill from 1s to the heal phase) overlaps fault.0 (node.kill from 5s to 7s) on channel-0; accepted is one after the other
       |
    20 | [[fault]]
       | ^^^^^^^^^
    ");
    assert_snapshot!(refused(&both(fault("restart", "at = \"5s\"")), &[]), @r"
    scenarios/test.toml:20:1: fault.1 (node.restart at 5s) overlaps fault.0 (node.kill from 5s to 7s) on channel-0; accepted is one after the other
       |
    20 | [[fault]]
       | ^^^^^^^^^
    ");
    for apart in ["at = \"7s\"\nlasts = \"1s\"", "at = \"4s\"\nlasts = \"1s\"", "nth = 3000\nlasts = \"1s\""] {
        assert_eq!(accepted(&both(fault("pause", apart)), &[]).faults.len(), 2, "{apart}");
    }
    let elsewhere = KILL.replace("channel-0", "channel-1");
    assert_eq!(accepted(&with(&[KILL, &elsewhere]), &[]).faults.len(), 2);
}

const STORM: &str = "kind = \"node.storm\"\nplace = \"channel-*\"\nevery = \"2s\"";

/// Four channels and a minute.
fn storm(sets: &[&str]) -> crate::Scenario {
    let sets: Vec<&str> =
        ["system.channel_instances=4", "phases.measure=1m"].into_iter().chain(sets.iter().copied()).collect();
    accepted(&with(&[STORM]), &sets)
}

#[test]
fn a_storm_is_many_faults_that_its_seed_draws() {
    let drawn = storm(&[]).faults;
    assert!(drawn.len() >= 15, "{drawn:#?}");
    assert_eq!(storm(&[]).faults, drawn, "the same seed draws the same");
    assert_ne!(storm(&["seed=99"]).faults, drawn);
    assert!(
        [Kind::NodeKill, Kind::NodePause, Kind::NodeRestart]
            .into_iter()
            .all(|kind| drawn.iter().any(|fault| fault.kind == kind)),
        "{drawn:#?}"
    );
    let ids: Vec<String> = (0..drawn.len()).map(|n| format!("fault-{n}")).collect();
    assert!(drawn.iter().map(|fault| &fault.id).eq(&ids), "{drawn:#?}");
}

#[test]
fn a_storm_leaves_half_of_its_nodes_alone_and_each_the_time_to_come_back() {
    for seed in 0..50 {
        let drawn = storm(&[&format!("seed={seed}")]).faults;
        let spans: Vec<(Duration, Duration, &str)> = drawn
            .iter()
            .map(|fault| {
                let Trigger::At(at) = fault.trigger else { panic!("{fault:?}") };
                (
                    at,
                    at + fault.lasts.map_or(Duration::from_secs(5), |lasts| lasts + Duration::from_secs(3)),
                    &*fault.place,
                )
            })
            .collect();
        for (at, end, place) in &spans {
            assert!(place.starts_with("channel-") && *end <= Duration::from_secs(60), "{drawn:#?}");
            let away = spans.iter().filter(|(from, until, _)| from <= at && at < until).count();
            assert!(away <= 2, "seed {seed}: {away} away at {at:?}: {drawn:#?}");
            let same = spans.iter().filter(|(from, until, other)| from <= at && at < until && other == place).count();
            assert_eq!(same, 1, "seed {seed}: {drawn:#?}");
        }
    }
}

#[test]
fn a_stored_storm_is_the_faults_that_it_drew() {
    let scenario = storm(&[]);
    let again = crate::parse("t.toml", &scenario.to_toml(), &[], None).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.faults, scenario.faults);
}

#[test]
fn a_storm_that_cannot_be_says_why() {
    for (lines, said) in [
        ("kind = \"node.storm\"\nplace = \"channel-*\"", "has no `every`"),
        ("kind = \"node.storm\"\nplace = \"core\"\nevery = \"2s\"", "means 1 of the scenario's nodes"),
        ("kind = \"node.storm\"\nplace = \"channel-*\"\nevery = \"1ms\"", "accepted are \"1s\" to \"10m\""),
        (
            "kind = \"node.storm\"\nplace = \"channel-*\"\nevery = 10",
            "fault.0.every is 10; accepted are \"1s\" to \"10m\"",
        ),
        (
            "kind = \"node.storm\"\nplace = \"channel-*\"\nevery = \"2s\"\ndelay = \"1s\"",
            "delay is not accepted by node.storm",
        ),
        ("kind = \"node.storm\"\nplace = \"channel-*\"\nevery = \"2s\"\nlasts = \"1s\"", "draws its own"),
        ("kind = \"node.storm\"\nplace = \"channel-*\"\nevery = \"9s\"", "never strikes"),
        ("kind = \"node.kill\"\nplace = \"channel-0\"\nat = \"2s\"\nevery = \"1s\"", "which strikes once"),
        ("kind = \"row.poison\"\nplace = \"postgres-core\"\nat = \"2s\"", "accepted here: `postgres-channel`"),
        ("kind = \"topic.grow\"\nplace = \"core\"\nat = \"2s\"", "accepted here: `kafka-1`"),
    ] {
        let refused = crate::parse("t.toml", &with(&[lines]), &[], None).expect_err(lines).to_string();
        assert!(refused.contains(said), "{lines}: {refused}");
    }
}
