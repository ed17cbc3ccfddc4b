//! Objectives of core under a greater load that comes and goes.

use super::{accepted, refused};
use crate::parse;

const OVERLOADED: &str = r#"[phases]
measure = "60s"

[[load]]
op = "deposit"
rate = "150/s"

[[load]]
op = "deposit"
rate = "3000/s"
window = ["20s", "40s"]

[slo]
"overload.posting_p99" = "3x"
overload.recovery = "10s"
overload.unrefused = 0
"#;

#[test]
fn what_is_asked_under_a_greater_load_is_read_and_written() {
    let scenario = accepted(OVERLOADED, &["slo.overload.posting_p99=2.5x"]);
    let asked = scenario.overload_slo;
    assert_eq!((asked.posting_p99, asked.recovery.map(|limit| limit.as_secs())), (Some(2_500), Some(10)));
    assert_eq!(asked.unrefused, Some(0));
    let stored = scenario.to_toml();
    assert!(stored.contains("[slo.overload]\nposting_p99 = \"2.5x\"\nrecovery = \"10s\"\nunrefused = 0\n"), "{stored}");
    assert_eq!(parse("run/scenario.toml", &stored, &[], None).as_ref(), Ok(&scenario));
    let schema = crate::schema();
    let slo = &schema["properties"]["slo"]["properties"];
    for word in ["posting_p99", "recovery", "unrefused"] {
        let dotted = &slo[&format!("overload.{word}")];
        assert!(dotted["description"].is_string(), "{word}");
        assert_eq!(dotted, &slo["overload"]["properties"][word]);
    }
}

#[test]
fn a_greater_load_needs_a_window_and_time_around_it() {
    let asked_but = "slo.overload is asked for, but";
    let without = OVERLOADED.replace("window = [\"20s\", \"40s\"]\n", "");
    assert!(
        refused(&without, &[]).contains(&format!("{asked_but} no [[load]] has a `window`")),
        "{}",
        refused(&without, &[])
    );
    for (set, expected) in [
        ("posting_p99=3", "slo.overload.posting_p99: 3 is not accepted; accepted is a factor such as \"3x\""),
        ("posting_p99=0.5x", "slo.overload.posting_p99 is \"0.5x\"; accepted are \"1x\" to \"1000x\""),
        ("recovery=21s", "slo.overload.recovery is \"21s\", but load ends \"20s\" after the window"),
        ("unrefused=-1", "slo.overload.unrefused is -1; accepted are 0 to"),
        ("posting_p98=3x", "did you mean `posting_p99`?"),
    ] {
        let said = refused(OVERLOADED, &[&format!("slo.overload.{set}")]);
        assert!(said.contains(expected), "{said}");
    }
    for (set, expected) in [
        ("load.1.op=transfer", "not every [[load]] is of deposits"),
        ("load.0.window=[\"20s\", \"40s\"]", "every [[load]] has a `window`"),
        ("load.0.window=[\"20s\", \"41s\"]", "there are several windows"),
        ("load.1.window=[\"4s\", \"40s\"]", "there are not \"5s\" each before the window, in it and after it"),
    ] {
        let said = refused(OVERLOADED, &[set]);
        assert!(said.contains(&format!("{asked_but} {expected}")), "{said}");
    }
}
