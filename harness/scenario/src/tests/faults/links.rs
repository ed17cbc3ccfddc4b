//! What may be done to links, and to which of what passes them.

use std::time::Duration;

use bankstorm_faults::plan::{Kind, Trigger};
use bankstorm_faults::rule::{Effect, Keys, Picks, Rule, Way};
use insta::assert_snapshot;
use proptest::prelude::*;

use super::{accepted, refused, with};
use crate::parse;

const HOLD: &str = r#"kind = "req.hold"
place = "channel-*->core"
of = "POST /v1/transfers"
probability = "5%"
delay = "4s"
nth = 1
at = "2s"
lasts = "3s""#;

fn rule(effect: Effect) -> Option<Rule> {
    Some(Rule { effect, picks: Picks::default() })
}

#[test]
fn a_star_is_a_fault_on_each_link_and_all_pick_the_same_keys() {
    let scenario = accepted(&with(&[HOLD]), &[]);
    let [first, second] = &scenario.faults[..] else { panic!("{:?}", scenario.faults) };
    assert_eq!((first.id.as_str(), first.place.as_str()), ("fault-0", "channel-0->core"));
    assert_eq!((second.id.as_str(), second.place.as_str()), ("fault-1", "channel-1->core"));
    assert_eq!((first.kind, first.trigger), (Kind::ReqHold, Trigger::At(Duration::from_secs(2))));
    let picks = |seed| Picks {
        of: Some("POST /v1/transfers".to_owned()),
        keys: Keys::Share { probability: 0.05, seed },
        nth: Some(1),
    };
    let effect = Effect::RequestHold(Duration::from_secs(4));
    // The same number in every build, or old runs could not be played again.
    assert_eq!(first.rule, Some(Rule { effect, picks: picks(12_994_409_753_026_799_942) }));
    assert_eq!(second.rule, first.rule);
    for other in ["seed=2", "fault.0.at=3s", "fault.0.of=POST /v1/*"] {
        let other = accepted(&with(&[HOLD]), &[other]);
        assert_ne!(other.faults[0].rule, first.rule);
    }
    // What stands beside it changes nothing.
    let beside = accepted(&with(&["kind = \"net.rst\"\nplace = \"core->banks\"\nat = \"2s\"", HOLD]), &[]);
    assert_eq!(beside.faults[1].rule, first.rule);
    let brokers = ["fault.0.place=channel-*->kafka-*", "fault.0.kind=net.rst", "system.kafka_brokers=3"];
    let text = "kind = \"net.rst\"\nplace = \"core->banks\"\nat = \"2s\"";
    assert_eq!(accepted(&with(&[text]), &brokers).faults.len(), 6);
}

#[test]
fn each_kind_becomes_its_rule() {
    for (keys, place, effect) in [
        ("kind = \"req.drop\"", "harness->core", Effect::RequestDrop),
        ("kind = \"req.dup\"", "core->banks", Effect::RequestTwice(2)),
        ("kind = \"req.dup\"\ntimes = 10", "banks->core", Effect::RequestTwice(10)),
        ("kind = \"resp.drop\"", "harness->channel-1", Effect::ResponseDrop),
        ("kind = \"resp.hold\"\ndelay = \"60s\"", "channel-0->core", Effect::ResponseHold(Duration::from_secs(60))),
        ("kind = \"net.delay\"\ndelay = \"1ms\"", "core->kafka-1", Effect::Delay(Duration::from_millis(1))),
        ("kind = \"net.blackhole\"", "channel-1->postgres-channel", Effect::Blackhole),
        ("kind = \"net.rst\"", "core->postgres-core", Effect::Reset),
        ("kind = \"net.cut\"\nway = \"there\"", "channel-0->core", Effect::Cut(Way::There)),
        ("kind = \"net.cut\"\nway = \"back\"", "channel-0->kafka-1", Effect::Cut(Way::Back)),
        ("kind = \"pg.commit_cut\"\nwhen = \"before\"", "core->postgres-core", Effect::CommitCutBefore),
        ("kind = \"pg.commit_cut\"\nwhen = \"after\"", "core->postgres-core", Effect::CommitCutAfter),
    ] {
        let text = with(&[&format!("{keys}\nplace = \"{place}\"\nat = \"2s\"")]);
        assert_eq!(accepted(&text, &[]).faults[0].rule, rule(effect), "{keys}");
    }
    for kind in ["pg.commit_stall", "pg.lock", "node.kill"] {
        let text = with(&[&format!("kind = \"{kind}\"\nplace = \"postgres-core\"\nat = \"2s\"\nlasts = \"1s\"")]);
        assert_eq!(accepted(&text, &[]).faults[0].rule, None, "{kind}");
    }
    let every =
        with(&["kind = \"pg.commit_cut\"\nplace = \"core->postgres-core\"\nwhen = \"after\"\nevery = 100\nnth = 2000"]);
    let fault = &accepted(&every, &[]).faults[0];
    assert_eq!(fault.trigger, Trigger::Nth(2_000), "a commit has no number of its key");
    assert_eq!(fault.rule.as_ref().map(|rule| rule.picks.keys), Some(Keys::Every(100)));
}

#[test]
fn a_link_that_is_not_there_is_refused_with_those_that_are() {
    assert_snapshot!(refused(&with(&[HOLD]), &["fault.0.place=channel-2->core"]), @r#"
    --set fault.0.place=channel-2->core: fault.0.place is "channel-2->core", which is no link of this scenario
    help: did you mean `channel-0->core`? accepted here: `harness->channel-0`, `channel-0->core`, `channel-0->postgres-channel`, `channel-0->kafka-1`, `harness->channel-1`, `channel-1->core`, `channel-1->postgres-channel`, `channel-1->kafka-1`, `harness->core`, `core->postgres-core`, `core->kafka-1`, `core->banks`, `banks->core`
    "#);
    assert!(refused(&with(&[HOLD]), &["fault.0.place=chanel-*->core"]).contains("which is no link of this scenario"));
    assert!(refused(&with(&[HOLD]), &["fault.0.place=core->channel-0"]).contains("which is no link of this scenario"));
    assert_snapshot!(refused(&with(&[HOLD]), &["fault.0.place=core->postgres-core"]), @r#"--set fault.0.place=core->postgres-core: fault.0.place is "core->postgres-core", a link, to which req.hold cannot be done; accepted here: `harness->channel-0`, `channel-0->core`, `harness->channel-1`, `channel-1->core`, `harness->core`, `core->banks`, `banks->core`"#);
    assert_snapshot!(refused(&with(&[HOLD]), &["fault.0.place=core"]), @r#"--set fault.0.place=core: fault.0.place is "core", to which req.hold cannot be done; accepted here: `harness->channel-0`, `channel-0->core`, `harness->channel-1`, `channel-1->core`, `harness->core`, `core->banks`, `banks->core`"#);
    let kill = with(&["kind = \"node.kill\"\nplace = \"channel-0->core\"\nat = \"2s\""]);
    assert!(
        refused(&kill, &[]).contains("a link, to which node.kill cannot be done; accepted here: `core`, `channel-0`")
    );
    let locks = with(&["kind = \"pg.lock\"\nplace = \"core\"\nat = \"2s\""]);
    assert!(refused(&locks, &[]).contains("accepted here: `postgres-core`, `postgres-channel`"));
}

#[test]
fn each_of_several_databases_has_its_links() {
    let sets = ["system.channel_instances=3", "system.channel_databases=2", "system.kafka_brokers=3"];
    let links = accepted(super::GOOD, &sets).system.links();
    let of =
        |from: &str| -> Vec<_> { links.iter().filter(|link| link.0 == from).map(|link| link.1.as_str()).collect() };
    assert_eq!(of("channel-1"), ["core", "postgres-channel_1", "kafka-1", "kafka-2", "kafka-3"]);
    assert_eq!(of("channel-2"), ["core", "postgres-channel", "kafka-1", "kafka-2", "kafka-3"]);
    assert_eq!(of("core"), ["postgres-core", "kafka-1", "kafka-2", "kafka-3", "banks"]);
    assert_eq!((of("banks"), of("harness")), (vec!["core"], vec!["channel-0", "channel-1", "channel-2", "core"]));
}

#[test]
fn links_that_faults_name_go_through_a_proxy() {
    let drop = "kind = \"req.drop\"\nplace = \"harness->core\"\nat = \"2s\"";
    let kill = "kind = \"node.kill\"\nplace = \"core\"\nat = \"2s\"";
    let cut = "kind = \"net.rst\"\nplace = \"channel-*->core\"\nat = \"6s\"";
    let proxied = accepted(&with(&[kill, drop, HOLD, cut]), &[]).proxied();
    let told: Vec<_> = proxied.iter().map(|(from, to)| format!("{from} {to}")).collect();
    assert_eq!(told, ["channel-0 core", "channel-1 core", "harness core"]);
    assert!(accepted(&with(&[kill]), &[]).proxied().is_empty());
}

#[test]
fn a_request_that_who_listens_never_takes_is_refused_with_those_that_he_takes() {
    assert_snapshot!(refused(&with(&[&HOLD.replace("POST /v1/transfers", "POST /v1/transfer")]), &[]), @r#"
    scenarios/test.toml:17:6: fault.0.of is "POST /v1/transfer", which is no call of core, to which channel-0->core leads
       |
    17 | of = "POST /v1/transfer"
       |      ^^^^^^^^^^^^^^^^^^^
    help: did you mean `POST /v1/transfers`? accepted here: `GET /v1/accounts/*/entries`, `GET /v1/accounts/*/head`, `POST /v1/deposits`, `POST /v1/heads`, `GET /v1/heads/digests`, `POST /v1/outbound/*/outcome`, `POST /v1/transfers`, `POST /v1/transfers/*/resolve`; a `*` stands for one whole part of the path
    "#);
    let with_of = |place: &str, of: &str| {
        let second = HOLD.replace("channel-*->core", place).replace("POST /v1/transfers", of);
        let first = "kind = \"net.rst\"\nplace = \"core->postgres-core\"\nat = \"2s\"";
        with(&[first, &second])
    };
    // What one service takes another does not; what looks right in the documents is none.
    for (place, of, service, meant) in [
        ("harness->core", "GET /v1/transfers", "core", "POST /v1/transfers"),
        ("harness->core", "transfers", "core", "POST /v1/transfers"),
        ("banks->core", "POST /v1/outbound/{id}/outcome", "core", "POST /v1/outbound/*/outcome"),
        ("core->banks", "POST /v1/transfers", "banks", "POST /v1/credits"),
        ("harness->channel-1", "POST /v1/transfers/*", "channel", "POST /v1/transfers"),
        ("harness->channel-*", "GET /v1/account/*/history", "channel", "GET /v1/accounts/*/history"),
        ("harness->channel-*", "GET /v1/accounts/*/history?limit=1", "channel", "GET /v1/accounts/*/history"),
    ] {
        let said = refused(&with_of(place, of), &[]);
        assert!(said.contains(&format!("fault.1.of is \"{of}\", which is no call of {service}")), "{said}");
        assert!(said.contains(&format!("help: did you mean `{meant}`? accepted here: `")), "{said}");
    }
    for (place, of) in [
        ("channel-1->core", "POST /v1/transfers/*/resolve"),
        ("channel-1->core", "GET /v1/accounts/1000005/entries"),
        ("harness->core", "GET /v1/accounts/*/*"),
        ("core->banks", "POST /v1/credits/*/cancel"),
        ("harness->channel-*", "GET /v1/transfers/*"),
    ] {
        let faults = accepted(&with_of(place, of), &[]).faults;
        let mut picked = faults[1..].iter().map(|fault| fault.rule.as_ref().and_then(|rule| rule.picks.of.as_deref()));
        assert!(faults.len() > 1 && picked.all(|picked| picked == Some(of)), "{place} {of}: {faults:?}");
    }
}

#[test]
fn what_contradicts_itself_is_told_by_key_and_value() {
    let cases = [
        ("delay=0s", "fault.0.delay is \"0s\"; accepted are \"1ms\" to \"1m\""),
        ("delay=61s", "fault.0.delay is \"61s\"; accepted are \"1ms\" to \"1m\""),
        ("delay=1500us", "fault.0.delay is \"1500us\"; accepted are whole milliseconds"),
        ("probability=0", "fault.0.probability is \"0\"; accepted is above 0 and at most 1"),
        ("probability=101%", "fault.0.probability: \"101%\" is not accepted"),
        ("every=10", "fault.0 has both `probability` and `every`; accepted is one of them"),
        ("nth=0", "fault.0.nth is 0; accepted are 1 and more"),
        (
            "times=3",
            "fault.0.times is not accepted by req.hold, which takes `delay`, `of`, `probability`, `every`, `nth`",
        ),
        ("way=there", "fault.0.way is not accepted by req.hold"),
        ("way=up", "fault.0.way is \"up\""),
        ("when=now", "accepted here: `before`, `after`"),
        (
            "kind=resp.drop",
            "fault.0.delay is not accepted by resp.drop, which takes `of`, `probability`, `every`, `nth`",
        ),
        ("kind=node.kill", "fault.0.delay is not accepted by node.kill, which takes no such key: leave it out"),
    ];
    for (set, said) in cases {
        let refused = refused(&with(&[HOLD]), &[&format!("fault.0.{set}")]);
        assert!(refused.contains(said), "{set}: {refused}");
    }
    accepted(&with(&[HOLD]), &["fault.0.probability=1"]);
    let at = |lines: &str| with(&[&format!("place = \"channel-0->core\"\n{lines}")]);
    let cases = [
        (
            "kind = \"req.hold\"\nat = \"2s\"",
            "fault.0 has no `delay`, which req.hold needs: how much later, \"1ms\" to \"60s\"",
        ),
        ("kind = \"net.cut\"\nat = \"2s\"", "fault.0 has no `way`, which net.cut needs"),
        ("kind = \"req.drop\"\nnth = 2000", "fault.0 has no `at`, which must be given: `nth` is no moment to req.drop"),
        ("kind = \"net.rst\"", "fault.0 has neither `at` nor `nth`; one must be given"),
        ("kind = \"req.dup\"\nat = \"2s\"\ntimes = 1", "fault.0.times is 1; accepted are 2 to 10"),
        ("kind = \"req.dup\"\nat = \"2s\"\ntimes = 11", "fault.0.times is 11; accepted are 2 to 10"),
        ("kind = \"req.drop\"\nat = \"2s\"\nevery = 0", "fault.0.every is 0; accepted are 1 and more"),
        (
            "kind = \"req.drop\"\nat = \"2s\"\nevery = \"2s\"",
            "fault.0.every is \"2s\"; accepted is a whole number of keys",
        ),
        (
            "kind = \"req.drop\"\nat = \"2s\"\nevery = 0.5",
            "fault.0.every: 0.5 is not accepted; accepted is a whole number",
        ),
        ("kind = \"net.rst\"\nat = \"2s\"\nprobability = 0.5", "fault.0.probability is not accepted by net.rst"),
    ];
    for (lines, said) in cases {
        let refused = refused(&at(lines), &[]);
        assert!(refused.contains(said), "{lines}: {refused}");
    }
}

#[test]
fn on_a_link_kinds_go_beside_each_other_and_one_kind_after_the_other() {
    let fault = |kind: &str, rest: &str| format!("kind = \"{kind}\"\nplace = \"channel-0->core\"\n{rest}");
    let drop = fault("req.drop", "at = \"2s\"\nlasts = \"2s\"");
    assert_eq!(accepted(&with(&[&drop, &fault("resp.drop", "at = \"3s\"\nlasts = \"2s\"")]), &[]).faults.len(), 2);
    assert_eq!(accepted(&with(&[&drop, &fault("req.drop", "at = \"4s\"")]), &[]).faults.len(), 2);
    let elsewhere = fault("req.drop", "at = \"2s\"").replace("channel-0->", "channel-1->");
    assert_eq!(accepted(&with(&[&drop, &elsewhere]), &[]).faults.len(), 2);
    let star = fault("req.drop", "at = \"3s\"\nlasts = \"2s\"").replace("channel-0->", "channel-*->");
    let said = refused(&with(&[&drop, &star]), &[]);
    let expected = "fault.1 (req.drop from 3s to 5s) overlaps fault.0 (req.drop from 2s to 4s) on channel-0->core";
    assert!(said.contains(expected), "{said}");
    // What is held comes after the end, and its heal waits for it.
    let hold = fault("req.hold", "delay = \"2s\"\nat = \"2s\"\nlasts = \"2s\"");
    let said = refused(&with(&[&hold, &fault("req.hold", "delay = \"1s\"\nat = \"5s\"")]), &[]);
    assert!(said.contains("overlaps fault.0 (req.hold from 2s to 6s with what it holds) on channel-0->core"), "{said}");
    assert_eq!(accepted(&with(&[&hold, &fault("req.hold", "delay = \"1s\"\nat = \"6s\"")]), &[]).faults.len(), 2);
}

#[test]
fn what_is_held_comes_while_load_is_there_to_see_it() {
    let said = "fault.0.lasts is \"3s\", which with at = \"4s\" and delay = \"4s\" is past phases.measure = \"10s\": what it holds would come \
                after load ended";
    for kind in ["req.hold", "resp.hold"] {
        let kind = format!("fault.0.kind={kind}");
        let refused = refused(&with(&[HOLD]), &[&kind, "fault.0.at=4s"]);
        assert!(refused.contains(said), "{refused}");
        assert_eq!(accepted(&with(&[HOLD]), &[&kind, "fault.0.at=3s"]).faults.len(), 2);
        assert_eq!(accepted(&with(&[HOLD]), &[&kind, "fault.0.at=4s", "fault.0.delay=3s"]).faults.len(), 2);
    }
    let drop = HOLD.replace("req.hold", "req.drop").replace("delay = \"4s\"\n", "");
    assert_eq!(accepted(&with(&[&drop]), &["fault.0.at=4s"]).faults.len(), 2, "nothing is held");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_stored_reads_back_the_same(
        kind in proptest::sample::select(Kind::ALL.to_vec()),
        seed in 0..=i64::MAX as u64,
        keys in prop_oneof![
            Just(None),
            (1_u64..=u64::from(u32::MAX)).prop_map(|n| Some(format!("probability = {}", n as f64 / f64::from(u32::MAX)))),
            (1_i64..=i64::MAX).prop_map(|n| Some(format!("every = {n}"))),
        ],
        of in proptest::sample::select(vec![None, Some("GET /v1/accounts/*/entries"), Some("POST /v1/*")]),
        nth in proptest::option::of(1_800_u64..3_000),
        delay_ms in 1_u64..=60_000,
        times in proptest::option::of(2..=10),
        side in any::<bool>(),
    ) {
        let entry = kind.entry();
        let places = ["postgres-channel", "kafka-1", "channel-*->core", "core->postgres-core"];
        let place = places.into_iter().find(|place| entry.on.fits(place));
        let takes = |word: &str| entry.parameters.iter().any(|parameter| parameter.word() == word);
        let mut lines = vec![format!("kind = \"{}\"", entry.word), format!("place = \"{}\"", place.expect("a place"))];
        // A moment to some, a pick to others, which have a moment beside it.
        lines.extend(nth.map(|nth| format!("nth = {nth}")));
        if nth.is_none() || takes("nth") {
            lines.push("at = \"1s\"".to_owned());
        }
        if entry.keys().contains(&"lasts".to_owned()) {
            lines.push("lasts = \"3s\"".to_owned());
        }
        let mut own = vec![("delay", format!("delay = \"{delay_ms}ms\""))];
        own.push(("way", format!("way = \"{}\"", if side { "there" } else { "back" })));
        own.push(("when", format!("when = \"{}\"", if side { "before" } else { "after" })));
        own.extend(times.map(|times| ("times", format!("times = {times}"))));
        own.extend(of.map(|of| ("of", format!("of = \"{of}\""))));
        own.extend(keys.map(|keys| ("probability", keys)));
        lines.extend(own.into_iter().filter(|(key, _)| takes(key)).map(|(_, line)| line));
        let text = with(&[&lines.join("\n")]);
        let scenario = parse("t.toml", &text, &[], Some(seed)).unwrap_or_else(|error| panic!("{text}{error}"));
        let stored = scenario.to_toml();
        let again = parse("run/scenario.toml", &stored, &[], None);
        prop_assert_eq!(again.as_ref(), Ok(&scenario), "{}", stored);
    }
}
