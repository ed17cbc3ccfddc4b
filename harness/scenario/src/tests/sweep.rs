//! Sweeps: what is filled in, what is refused, and that what is stored reads back.

use std::time::Duration;

use super::{accepted, refused};
use crate::parse;
use crate::resolved::WorkerMode;

const SWEPT: &str = r#"[phases]
warm_up = "0s"
measure = "40s"

[system]
worker_mode = "slots"
sweep_every = "1h"

[accounts]
count = 100000
skew = "each"

[[load]]
op = "deposit"
rate = "2500/s"

[sweep]
partitions = [1, 2, 20]
workers = [1, 100]
sync_cost = ["100ms", "0s"]
anchor = { partitions = 2, workers = 100 }
"#;

#[test]
fn a_sweep_is_filled_in_and_reads_back() {
    let scenario = accepted(SWEPT, &["sweep.repeats=3"]);
    let sweep = scenario.sweep.clone().expect("a sweep");
    assert_eq!((sweep.partitions.as_slice(), sweep.workers.as_slice()), ([1, 2, 20].as_slice(), [1, 100].as_slice()));
    assert_eq!(sweep.worker_modes, [WorkerMode::Slots], "that of the bank");
    assert_eq!(sweep.sync_costs, [Duration::from_millis(100), Duration::ZERO]);
    assert_eq!(
        (sweep.events, sweep.free_events),
        (100_000, 20_000),
        "what the load posts, and fewer where nothing waits"
    );
    assert_eq!((sweep.lasts.as_secs(), sweep.budget.as_secs(), sweep.repeats), (10, 180, 3));
    assert_eq!(sweep.anchor, Some((2, 100)));
    let stored = scenario.to_toml();
    assert_eq!(parse("run/scenario.toml", &stored, &[], None).as_ref(), Ok(&scenario), "{stored}");
    assert!(accepted(super::GOOD, &[]).sweep.is_none());
}

#[test]
fn what_a_sweep_cannot_measure_is_refused_with_what_would_be_accepted() {
    for (set, told) in [
        ("sweep.partitions=[]", "sweep.partitions has 0 values; accepted are 1 to 20"),
        ("sweep.workers=[1, 1]", "sweep.workers.1 stands there twice"),
        ("sweep.workers=[0]", "sweep.workers.0 is 0; accepted are 1 to 10000"),
        ("sweep.sync_cost=[\"11s\"]", "sweep.sync_cost.0 is \"11s\""),
        ("sweep.anchor.workers=7", "sweep.anchor.workers is 7; accepted are those of sweep.workers: [1, 100]"),
        ("sweep.events=100001", "sweep.events is 100001; accepted are 100 to 100000"),
        ("sweep.budget=5s", "accepted is sweep.lasts, \"10s\", at least"),
        ("sweep.budget=14s", "accepted is half as long again, \"15s\", at least"),
        (
            "sweep.sync_cost=[\"10s\"]",
            "sweep.budget is \"3m\", and the 100 events of the cell 1 x 1 at \"10s\" last 1000 s if all goes well",
        ),
        (
            "system.sweep_every=2m",
            "system.sweep_every is \"2m\": the channel would pull a cell's accounts from core itself",
        ),
        ("sweep.repeats=21", "sweep.repeats is 21"),
        ("sweep.mode=hold", "sweep.mode is \"hold\""),
        ("accounts.skew=uniform", "accounts.skew is not \"each\""),
        ("accounts.count=99999", "accounts.count is 99999, and the load posts 100000 deposits"),
        ("load.0.op=scroll", "one [[load]] of deposits"),
        ("system.channel_databases=2", "system.channel_databases is 2; accepted with [sweep] is 1"),
        ("system.sync={ poll = \"5s\" }", "system.sync is not \"events\""),
    ] {
        let said = refused(SWEPT, &[set]);
        assert!(said.contains(told), "{set}: {said}");
    }
    let unsaid = SWEPT.replace("sweep_every = \"1h\"\n", "");
    let said = refused(&unsaid, &[]);
    assert!(said.contains("system.sweep_every is \"1s\"") && said.contains("sweep.budget, \"3m\", at least"), "{said}");
    accepted(SWEPT, &["system.sweep_every=3m"]);
    accepted(SWEPT, &["sweep.budget=15s"]);
    let fault = "[[fault]]\nkind = \"node.restart\"\nplace = \"core\"\nat = \"1s\"\n";
    assert!(refused(&format!("{SWEPT}{fault}"), &[]).contains("fault is not accepted beside [sweep]"));
    let arm = "[[arm]]\nname = \"one\"\n";
    assert!(refused(&format!("{SWEPT}{arm}"), &[]).contains("arm is not accepted beside [sweep]"));
}
