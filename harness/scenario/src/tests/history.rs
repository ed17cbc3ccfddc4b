//! History and sync: the bank's keys, loads that read, their objectives.

use std::time::Duration;

use super::{GOOD, accepted, refused};
use crate::parse;
use crate::resolved::{HistorySource, LatencyKind, Load, Op, ReadSync, Scroll, Skew, SyncMode, WorkerMode};

const READERS: &str = r#"
[[load]]
op = "scroll"
rate = "50/s"

[[load]]
op = "sync"
rate = "5/s"
arrivals = "poisson"

[[load]]
op = "transfer"
rate = "10/s"
read_own = "50%"

[slo.scroll]
response.p99 = "100ms"
deepest_of_first = "1.5"

[slo.sync]
response.p99 = "1s"
"#;

fn with(more: &str) -> String {
    format!("{GOOD}{more}")
}

fn reads_back(text: &str, sets: &[&str]) -> crate::Scenario {
    let scenario = accepted(text, sets);
    let stored = scenario.to_toml();
    assert_eq!(parse("run/scenario.toml", &stored, &[], None).as_ref(), Ok(&scenario), "{stored}");
    scenario
}

#[test]
fn the_bank_follows_core_as_it_is_told() {
    let plain = accepted(GOOD, &[]).system;
    assert_eq!((plain.sync, plain.history_source), (SyncMode::Events, HistorySource::Copy));
    assert_eq!((plain.read_sync, plain.read_budget.as_millis()), (ReadSync::Pending, 300));
    assert_eq!((plain.core_pulls, plain.manual_every.as_secs(), plain.dead_letter_attempts), (8, 1, 3));
    assert_eq!((plain.channel_databases, plain.caller_max), (1, 400));
    let sets = [
        "system.worker_mode=slots",
        "system.sync={ poll = \"5s\" }",
        "system.history_source=core_by_period",
        "system.read_sync=suspect",
        "system.read_budget=50ms",
        "system.core_pulls=2",
        "system.manual_every=0s",
        "system.dead_letter_attempts=1",
        "system.sweep_every=7s",
        "system.caller_max=9",
        "system.channel_databases=2",
        "accounts.skew=each",
    ];
    let scenario = reads_back(GOOD, &sets);
    let bank = scenario.system;
    assert_eq!((bank.worker_mode, bank.sync), (WorkerMode::Slots, SyncMode::Poll(Duration::from_secs(5))));
    assert_eq!((bank.history_source, bank.read_sync), (HistorySource::CoreByPeriod, ReadSync::Suspect));
    assert_eq!((bank.manual_every, bank.sweep_every), (Duration::ZERO, Duration::from_secs(7)));
    assert_eq!((bank.caller_max, bank.channel_databases, scenario.accounts.skew), (9, 2, Skew::Each));
}

#[test]
fn limits_of_the_bank_are_named() {
    let cases = [
        ("system.sync=polling", "did you mean `poll`? accepted here: `events`, `poll`"),
        ("system.sync={ poll = \"1ms\" }", "system.sync.poll is \"1ms\"; accepted are \"10ms\" to \"1h\""),
        ("system.history_source=core", "accepted here: `copy`, `core_by_period`"),
        ("system.read_sync=always", "accepted here: `pending`, `suspect`"),
        ("system.read_budget=1m", "system.read_budget is \"1m\"; accepted are \"1ms\" to \"10s\""),
        ("system.core_pulls=0", "system.core_pulls is 0; accepted are 1 to 1000"),
        ("system.manual_every=2h", "system.manual_every is \"2h\"; accepted are \"0s\" to \"1h\""),
        ("system.dead_letter_attempts=0", "system.dead_letter_attempts is 0; accepted are 1 to 100"),
        ("system.sweep_every=0s", "system.sweep_every is \"0s\"; accepted are \"100ms\" to \"1h\""),
        ("system.caller_max=0", "system.caller_max is 0; accepted are 1 to 1000000"),
        ("system.channel_databases=5", "system.channel_databases is 5; accepted are 1 to 4"),
        (
            "system.channel_databases=3",
            "is 3; accepted are as many as channels at most, and system.channel_instances is 2",
        ),
        ("accounts.skew=every", "accepted here: `uniform`, `zipf`, `hot`, `each`"),
    ];
    for (set, expected) in cases {
        let said = refused(GOOD, &[set]);
        assert!(said.contains(expected), "{set}: {said}");
    }
}

#[test]
fn customers_scroll_press_the_button_and_read_what_they_sent() {
    let scenario = reads_back(&with(READERS), &[]);
    let [_, scroll, sync, transfer] = &scenario.load[..] else { panic!("four loads") };
    assert_eq!((scroll.op, scroll.scroll, scroll.lookup), (Op::Scroll, Some(Scroll::default()), 0.0));
    assert_eq!((sync.op, sync.scroll), (Op::Sync, None));
    assert_eq!((transfer.behaviour.read_own, transfer.lookup), (0.5, 0.01));
    assert!([scroll, sync].iter().all(|load: &&Load| load.op.is_read() && !load.op.is_transfer()));
    let names: Vec<_> = scenario.slo.iter().map(|objective| objective.name.as_str()).collect();
    assert_eq!(names[2..], ["scroll.response.p99", "sync.response.p99"]);
    assert_eq!(scenario.scroll_slo.deepest_of_first, Some(1_500));
    assert!(!Op::Scroll.latencies().contains(&LatencyKind::Visible));
    let sets = ["load.1.readers=4", "load.1.pages=1000", "load.1.page_size=100", "load.1.from=newest"];
    let deep = reads_back(&with(READERS), &sets);
    assert_eq!(deep.load[1].scroll, Some(Scroll { readers: 4, pages: 1_000, page_size: 100 }));
}

#[test]
fn what_makes_no_sense_of_a_read_is_refused() {
    let posts = "is what is done about a posting; a scroll posts nothing: leave it out";
    let cases = [
        ("load.1.retry=none", posts),
        ("load.1.lookup=0", posts),
        ("load.1.double_click=\"1%\"", "load.1.double_click is what a customer does with a transfer; a scroll is none"),
        ("load.2.on_unknown=wait", "a sync is none: leave it out"),
        ("load.2.read_own=\"1%\"", "load.2.read_own is what a customer does with a transfer; a sync is none"),
        ("load.0.read_own=\"1%\"", "a deposit has no customer"),
        ("load.2.pages=5", "load.2.pages is how a customer scrolls; a sync has no pages: leave it out"),
        ("load.3.from=newest", "load.3.from is how a customer scrolls; a transfer has no pages"),
        ("load.1.page_size=101", "load.1.page_size is 101; accepted are 1 to 100"),
        ("load.1.page_size=0", "accepted are 1 to 100"),
        ("load.1.pages=0", "load.1.pages is 0; accepted are 1 to 100000"),
        ("load.1.readers=0", "load.1.readers is 0; accepted are 1 to 10000"),
        ("load.1.from=oldest", "accepted here: `newest`"),
        ("slo.scroll.visible.p99=1s", "unknown key `visible` in slo.scroll"),
        ("slo.sync.visible.p99=1s", "accepted here: `response`, `service`, `send_lag`"),
        ("slo.scroll.deepest_of_first=0.9", "slo.scroll.deepest_of_first"),
        ("slo.scroll.deepest_of_first=\"0.9\"", "is \"0.9x\"; accepted are \"1x\" to \"1000x\""),
        ("load.1.pages=9", "no [[load]] has 10 `pages` or more to take a tenth of"),
    ];
    for (set, expected) in cases {
        let said = refused(&with(READERS), &[set]);
        assert!(said.contains(expected), "{set}: {said}");
    }
    let said = refused(GOOD, &["slo.scroll.deepest_of_first=2x"]);
    assert!(said.contains("slo.scroll.deepest_of_first is asked for, but no [[load]] does a scroll"), "{said}");
    let said = refused(GOOD, &["slo.sync.response.p99=1s"]);
    assert!(said.contains("slo.sync is asked for, but no [[load]] does a sync"), "{said}");
}

#[test]
fn a14_a_backlog_is_to_be_worked_off_at_a_share_of_what_is_predicted() {
    let slow = ["system.sync_cost=100ms", "slo.drain.of_predicted=90%"];
    assert_eq!(reads_back(GOOD, &slow).drain_slo.of_predicted, Some(0.9));
    assert_eq!(accepted(GOOD, &[]).drain_slo.of_predicted, None);
    let dotted = GOOD.replace("[slo]\n", "[system]\nsync_cost = \"1ms\"\n\n[slo]\n\"drain.of_predicted\" = 0.5\n");
    assert_eq!(reads_back(&dotted, &[]).drain_slo.of_predicted, Some(0.5));
    let said = refused(GOOD, &slow[1..]);
    assert!(said.contains("slo.drain.of_predicted is asked for, but system.sync_cost is \"0s\""), "{said}");
    let slo = &crate::schema()["properties"]["slo"]["properties"];
    for (table, key) in [("drain", "of_predicted"), ("scroll", "deepest_of_first")] {
        assert!(slo[&format!("{table}.{key}")].is_object());
        assert_eq!(slo[&format!("{table}.{key}")], slo[table]["properties"][key]);
    }
    assert!(slo["scroll.visible.p99"].is_null() && slo["sync.response.p99"].is_object());
}
