//! What is said when a file is not accepted, and that what is stored reads back.

mod arms;
mod faults;
mod history;
mod objectives;
mod overload;
mod protections;
mod stored;
mod sweep;
mod transfers;

use std::path::Path;

use insta::assert_snapshot;

use crate::resolved::{Arrivals, Images, Skew};
use crate::{Scenario, parse};

const GOOD: &str = r#"about = "a test"

[phases]
measure = "10s"

[[load]]
op = "deposit"
rate = "300/s"

[slo]
deposit.response.p99 = "200ms"
"deposit.visible.p99" = "1s"
"#;

fn refused(text: &str, sets: &[&str]) -> String {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    parse("scenarios/test.toml", text, &sets, None).expect_err("not accepted").to_string()
}

fn accepted(text: &str, sets: &[&str]) -> Scenario {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    parse("scenarios/test.toml", text, &sets, None).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_short_file_is_filled_in() {
    let scenario = accepted(GOOD, &[]);
    assert_eq!((scenario.name.as_str(), scenario.about.as_str(), scenario.seed), ("test", "a test", 1));
    assert_eq!(scenario.phases.warm_up.as_secs(), 5);
    assert_eq!((scenario.accounts.count, scenario.accounts.skew), (10_000, Skew::Uniform));
    let names: Vec<_> = scenario.slo.iter().map(|objective| objective.name.as_str()).collect();
    assert_eq!(names, ["deposit.response.p99", "deposit.visible.p99"]);
}

#[test]
fn sets_and_seed_override_the_file() {
    let sets = [
        "load.0.rate=3000/s",
        "phases.measure=10m",
        "load.0.arrivals=poisson",
        "accounts.skew={zipf = 1.1}",
        "accounts.count=5",
        "slo.deposit.response.p99=\"50ms\"",
        "seed=7",
    ];
    let scenario = accepted(GOOD, &sets);
    assert_eq!((scenario.load[0].rate_per_s, scenario.load[0].arrivals), (3_000.0, Arrivals::Poisson));
    assert_eq!((scenario.phases.measure.as_secs(), scenario.accounts.count, scenario.seed), (600, 5, 7));
    assert_eq!(scenario.accounts.skew, Skew::Zipf(1.1));
    assert_eq!(scenario.slo[0].limit.as_millis(), 50);
    let seeded = parse("test.toml", GOOD, &["seed=7".to_owned()], Some(9)).expect("accepted");
    assert_eq!(seeded.seed, 9);
}

#[test]
fn every_shipped_scenario_is_accepted_and_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let listed = crate::builtin::list(&folder).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = listed.iter().map(|listed| listed.name.as_str()).collect();
    assert!(names.contains(&"smoke") && names.contains(&"node-faults"), "{names:?}");
    assert!(listed.iter().all(|listed| !listed.about.is_empty()));
}

#[test]
fn the_schema_names_every_key_and_refuses_others() {
    let schema = crate::schema();
    let keys: Vec<_> = schema["properties"].as_object().expect("keys").keys().cloned().collect();
    let expected = [
        "about", "accounts", "arm", "banks", "fault", "images", "load", "markers", "name", "phases", "seed", "slo",
        "sweep", "system",
    ];
    assert_eq!(keys, expected);
    assert_eq!(schema["additionalProperties"], false);
    let slo = &schema["properties"]["slo"]["properties"];
    assert!(slo["deposit.visible.p99"].is_object() && slo["recovery.first_ok"].is_object());
    assert_eq!(slo["deposit"]["properties"]["visible"]["properties"]["p99"], slo["deposit.visible.p99"]);
    assert_eq!(schema["$defs"]["Fault"]["properties"]["kind"]["oneOf"][0]["const"], "node.kill");
}

#[test]
fn unknown_keys_name_the_nearest() {
    assert_snapshot!(refused(&GOOD.replace("rate =", "raet ="), &[]), @r#"
    scenarios/test.toml:8:1: unknown key `raet` in load.0
      |
    8 | raet = "300/s"
      | ^^^^
    help: did you mean `rate`? accepted here: `op`, `rate`, `arrivals`, `window`, `timeout`, `retry`, `connections`, `lookup`, `on_unknown`, `double_click`, `reuse_key`, `two_devices`, `read_own`, `readers`, `pages`, `page_size`, `from`
    "#);
    assert_snapshot!(refused(&GOOD.replace("[phases]", "[phase]"), &[]), @r#"
    scenarios/test.toml:3:2: unknown key `phase` in the top level
      |
    3 | [phase]
      |  ^^^^^
    help: did you mean `phases`? accepted here: `name`, `about`, `seed`, `markers`, `phases`, `system`, `banks`, `accounts`, `load`, `fault`, `arm`, `sweep`, `images`, `slo`
    "#);
    assert_snapshot!(refused(GOOD, &["load.0.rat=3000/s"]), @r#"
    --set load.0.rat=3000/s: unknown key `rat` in load.0
    help: did you mean `rate`? accepted here: `op`, `rate`, `arrivals`, `window`, `timeout`, `retry`, `connections`, `lookup`, `on_unknown`, `double_click`, `reuse_key`, `two_devices`, `read_own`, `readers`, `pages`, `page_size`, `from`
    "#);
    assert_snapshot!(refused(GOOD, &["phase.measure=10m"]), @r#"
    --set phase.measure=10m: unknown key `phase` in the top level
    help: did you mean `phases`? accepted here: `name`, `about`, `seed`, `markers`, `phases`, `system`, `banks`, `accounts`, `load`, `fault`, `arm`, `sweep`, `images`, `slo`
    "#);
    assert_snapshot!(refused(&GOOD.replace("response", "respons"), &[]), @r#"
    scenarios/test.toml:11:9: slo.deposit.respons is unknown
       |
    11 | deposit.respons.p99 = "200ms"
       |         ^^^^^^^
    help: did you mean `response`? accepted here: `response`, `service`, `send_lag`, `sync_lag`, `visible`
    "#);
}

#[test]
fn bad_values_say_what_would_be_accepted() {
    assert_snapshot!(refused(&GOOD.replace("10s", "10 sec"), &[]), @r#"
    scenarios/test.toml:4:11: phases.measure: "10 sec" is not accepted; accepted is a duration such as "20s", "250ms" or "1m" (units ns, us, ms, s, m, h)
      |
    4 | measure = "10 sec"
      |           ^^^^^^^^
    "#);
    assert_snapshot!(refused(&GOOD.replace("300/s", "0/s"), &[]), @r#"
    scenarios/test.toml:8:8: load.0.rate is "0/s"; accepted is above 0 and at most 200000/s
      |
    8 | rate = "0/s"
      |        ^^^^^
    "#);
    assert_snapshot!(refused(&GOOD.replace("\"300/s\"", "300"), &[]), @r#"
    scenarios/test.toml:8:8: load.0.rate: 300 is not accepted; accepted is a rate such as "300/s" or "1000/min" (units s, min, h)
      |
    8 | rate = 300
      |        ^^^
    "#);
    assert_snapshot!(refused(&GOOD.replace("\"deposit\"", "\"preview\""), &[]), @r#"
    scenarios/test.toml:7:6: load.0.op is "preview"
      |
    7 | op = "preview"
      |      ^^^^^^^^^
    help: accepted here: `deposit`, `transfer`, `outbound`, `scroll`, `sync`
    "#);
    assert_snapshot!(refused(GOOD, &["accounts.count=-5"]), @"--set accounts.count=-5: accounts.count is -5; accepted are 1 to 2000000");
    assert_snapshot!(refused(&format!("seed = -1\n{GOOD}"), &[]), @r#"
    scenarios/test.toml:1:8: seed is -1; accepted are 0 to 9223372036854775807
      |
    1 | seed = -1
      |        ^^
    "#);
    assert_snapshot!(refused(GOOD, &["system.workers=many"]), @r#"--set system.workers=many: system.workers: "many" is not accepted; accepted is a whole number"#);
    assert_snapshot!(refused(GOOD, &["system=7"]), @"--set system=7: system: 7 is not accepted; accepted is a table");
    assert_snapshot!(refused(&GOOD.replace("\"200ms\"", "-3"), &[]), @r#"
    scenarios/test.toml:11:24: slo.deposit.response.p99: -3 is not accepted; accepted is a duration such as "20s", "250ms" or "1m" (units ns, us, ms, s, m, h), or { limit = "50ms", during = "all" }, or a list of such tables
       |
    11 | deposit.response.p99 = -3
       |                        ^^
    "#);
    assert_snapshot!(refused(GOOD, &["load.0.lookup=101%"]), @r#"--set load.0.lookup=101%: load.0.lookup: "101%" is not accepted; accepted is a share such as "1%" or 0.01, from 0 to 1"#);
    assert_snapshot!(refused(GOOD, &["phases.measure=3h"]), @r#"--set phases.measure=3h: phases.measure is "3h"; accepted are "1s" to "2h""#);
    assert_snapshot!(refused(GOOD, &["load.0.rate=200000/s", "phases.measure=1h"]), @r#"
    scenarios/test.toml:6:1: load plans 721000000 operations (all rates times warm_up and measure); accepted are 20000000 at most
      |
    6 | [[load]]
      | ^^^^^^^^
    "#);
}

#[test]
fn what_is_absent_or_no_toml_is_named() {
    assert_snapshot!(refused("about = \"no load\"\n", &[]), @"scenarios/test.toml: load has 0 entries; accepted are 1 to 16, each under [[load]]");
    assert_snapshot!(refused(&GOOD.replace("rate = \"300/s\"\n", ""), &[]), @r#"
    scenarios/test.toml:6:1: load.0 has no `rate`, which must be given
      |
    6 | [[load]]
      | ^^^^^^^^
    "#);
    assert_snapshot!(refused(&GOOD.replace("\"deposit\"\n", "\"deposit\n"), &[]), @r#"
    scenarios/test.toml:7:14: not TOML: invalid basic string, expected `"`
      |
    7 | op = "deposit
      |              ^
    "#);
    assert_snapshot!(refused(&GOOD.replace("measure", "measure = \"1s\"\nmeasure"), &[]), @r#"
    scenarios/test.toml:5:1: not TOML: duplicate key
      |
    5 | measure = "10s"
      | ^^^^^^^
    "#);
}

#[test]
fn sets_that_are_no_path_or_no_value_are_refused() {
    assert_snapshot!(refused(GOOD, &["load.0.rate"]), @"--set load.0.rate: there is no `=`; accepted is path=value, such as load.0.rate=3000/s");
    assert_snapshot!(refused(GOOD, &["load.1.rate=5/s"]), @"--set load.1.rate=5/s: `1` is no entry of load; accepted is load.0");
    assert_snapshot!(refused(GOOD, &["about.text=x"]), @"--set about.text=x: about is a plain value and has no `text`; accepted is about=value");
    assert_snapshot!(refused(GOOD, &["load..rate=5/s"]), @"--set load..rate=5/s: `load..rate` is no path; accepted is such as load.0.rate");
}

#[test]
fn brokers_and_images_are_what_they_say() {
    let plain = accepted(GOOD, &[]);
    assert_eq!((plain.system.kafka_brokers, plain.images), (1, Images::default()));
    let sets = ["system.kafka_brokers=3", "images.postgres=mirror.example:5000/postgres:18.1"];
    let scenario = accepted(GOOD, &sets);
    assert_eq!(scenario.system.kafka_brokers, 3);
    assert_eq!(scenario.images.postgres.as_deref(), Some("mirror.example:5000/postgres:18.1"));
    let places = [
        "core",
        "channel-0",
        "channel-1",
        "banks",
        "postgres-core",
        "postgres-channel",
        "kafka-1",
        "kafka-2",
        "kafka-3",
    ];
    assert_eq!(scenario.system.places(), places);
    assert_snapshot!(refused(GOOD, &["system.kafka_brokers=2"]), @"--set system.kafka_brokers=2: system.kafka_brokers is 2; accepted are 1 and 3 (an even number has no better majority than the odd one below it, and more than 3 show nothing that 3 do not)");
    assert_snapshot!(refused(GOOD, &["images.kafka=\"\""]), @r#"--set images.kafka="": images.kafka is ""; accepted is name:tag without blanks, such as "postgres:18""#);
    for image in ["postgres", "host:5000/postgres", "postgres:", ":18", "post gres:18"] {
        assert!(refused(GOOD, &[&format!("images.postgres={image}")]).contains("accepted is name:tag"), "{image}");
    }
}
