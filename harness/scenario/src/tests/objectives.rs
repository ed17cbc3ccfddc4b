//! Objectives of parts of a run, and of the way back.

use insta::assert_snapshot;

use super::{GOOD, accepted, refused};
use crate::Scenario;
use crate::resolved::RecoveryFigure;

const KILL: &str = "\n[[fault]]\nkind = \"node.kill\"\nplace = \"core\"\nat = \"5s\"\nlasts = \"1s\"\n";

fn broken() -> String {
    format!("{GOOD}{KILL}")
}

fn shown(scenario: &Scenario) -> Vec<String> {
    let slo = scenario.slo.iter();
    slo.map(|objective| format!("{} {:?} {}", objective.name, objective.limit, objective.during.as_str())).collect()
}

#[test]
fn a_limit_may_say_during_which_part() {
    let as_table = accepted(&broken(), &["slo.deposit.response.p99={ limit = \"50ms\", during = \"all\" }"]);
    assert_eq!(shown(&as_table), ["deposit.response.p99 50ms all", "deposit.visible.p99 1s steady"]);
    let list = "slo.deposit.response.p99=[{ limit = \"9ms\" }, { limit = \"2s\", during = \"fault\" }]";
    let expected =
        ["deposit.response.p99 9ms steady", "deposit.response.p99 2s fault", "deposit.visible.p99 1s steady"];
    assert_eq!(shown(&accepted(&broken(), &[list])), expected);
    let again = accepted(&broken(), &[list, "slo.deposit.response.p99.1.during=recovery"]);
    assert_eq!(shown(&again)[1], "deposit.response.p99 2s recovery");
    let plain = accepted(&broken(), &[list, "slo.deposit.response.p99=50ms"]);
    assert_eq!(shown(&plain)[0], "deposit.response.p99 50ms steady");
    let quoted = GOOD.replace("\"1s\"", "{ limit = \"3s\", during = \"all\" }");
    assert_eq!(shown(&accepted(&quoted, &[]))[1], "deposit.visible.p99 3s all");
}

#[test]
fn the_way_back_has_objectives_where_there_are_faults() {
    let text = broken().replace("[slo]\n", "[slo]\n\"recovery.first_ok\" = \"5s\"\nrecovery.rate_90 = \"10s\"\n");
    let scenario = accepted(&text, &["slo.recovery.lag_normal=30s", "slo.recovery.first_ok=4s"]);
    let asked: Vec<_> =
        scenario.recovery_slo.iter().map(|asked| (asked.name.as_str(), asked.figure, asked.limit.as_secs())).collect();
    let expected = [
        ("recovery.first_ok", RecoveryFigure::FirstOk, 4),
        ("recovery.lag_normal", RecoveryFigure::LagNormal, 30),
        ("recovery.rate_90", RecoveryFigure::Rate90, 10),
    ];
    assert_eq!(asked, expected);
    assert_snapshot!(refused(&text, &["fault=[]"]), @r#"
    scenarios/test.toml:12:1: slo.recovery is asked for, but a scenario without any [[fault]] has nothing to recover from
       |
    12 | recovery.rate_90 = "10s"
       | ^^^^^^^^
    "#);
    assert_snapshot!(refused(&text, &["slo.recovery.first_okay=5s"]), @r"
    --set slo.recovery.first_okay=5s: slo.recovery.first_okay is unknown
    help: did you mean `first_ok`? accepted here: `first_ok`, `rate_90`, `lag_normal`
    ");
    assert_snapshot!(refused(&text, &["slo.recovery.rate_90={ limit = \"5s\", during = \"all\" }"]), @r#"--set slo.recovery.rate_90={ limit = "5s", during = "all" }: slo.recovery.rate_90: a table is not accepted; accepted is a duration such as "20s", "250ms" or "1m" (units ns, us, ms, s, m, h)"#);
    assert_snapshot!(refused(&text, &["slo.recovery.rate_90=2h"]), @r#"--set slo.recovery.rate_90=2h: slo.recovery.rate_90 is "2h"; accepted are "1us" to "1h""#);
}

#[test]
fn parts_that_the_run_never_has_are_refused() {
    assert_snapshot!(refused(GOOD, &["slo.deposit.response.p99={ limit = \"50ms\", during = \"fault\" }"]), @r#"
    --set slo.deposit.response.p99={ limit = "50ms", during = "fault" }: slo.deposit.response.p99.during is "fault", which a scenario without any [[fault]] never has
    help: accepted here: `steady`, `all`
    "#);
    assert_snapshot!(refused(GOOD, &["slo.deposit.response.p99={ limit = \"50ms\", during = \"al\" }"]), @r#"
    --set slo.deposit.response.p99={ limit = "50ms", during = "al" }: slo.deposit.response.p99.during is "al"
    help: did you mean `all`? accepted here: `steady`, `fault`, `recovery`, `all`
    "#);
}

#[test]
fn limits_that_say_too_little_or_too_much_are_refused() {
    assert_snapshot!(refused(GOOD, &["slo.deposit.response.p99=[]"]), @r#"--set slo.deposit.response.p99=[]: slo.deposit.response.p99 is an empty list; accepted are one or more such as { limit = "50ms", during = "all" }"#);
    assert_snapshot!(refused(GOOD, &["slo.deposit.response.p99={ during = \"all\" }"]), @r#"--set slo.deposit.response.p99={ during = "all" }: slo.deposit.response.p99 has no `limit`, which must be given"#);
    assert_snapshot!(refused(GOOD, &["slo.deposit.response.p99=[{ limit = \"1s\" }, { limit = \"2s\", during = \"steady\" }]"]), @r#"--set slo.deposit.response.p99=[{ limit = "1s" }, { limit = "2s", during = "steady" }]: slo.deposit.response.p99.1 is a second limit during "steady"; accepted is one"#);
    assert_snapshot!(refused(GOOD, &["slo.deposit.response.p99=[\"1s\"]"]), @r#"--set slo.deposit.response.p99=["1s"]: slo.deposit.response.p99.0: "1s" is not accepted; accepted is a table"#);
    assert_snapshot!(refused(GOOD, &["slo.deposit.response.p99={ limit = \"2h\" }"]), @r#"--set slo.deposit.response.p99={ limit = "2h" }: slo.deposit.response.p99.limit is "2h"; accepted are "1us" to "1h""#);
    assert_snapshot!(refused(GOOD, &["slo.preview.response.p99=1s"]), @r"
    --set slo.preview.response.p99=1s: unknown key `preview` in slo
    help: accepted here: `deposit`, `transfer`, `outbound`, `scroll`, `sync`, `recovery`, `overload`, `drain`
    ");
}
