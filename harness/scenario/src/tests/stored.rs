//! What is stored with a run reads back to the same.

use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::{GOOD, accepted};
use crate::parse;
use crate::resolved::Skew;

const BROKEN: &str = r#"
[[fault]]
kind = "node.pause"
place = "core"
at = "2500ms"
lasts = "1500us"

[[fault]]
kind = "node.kill"
place = "kafka-3"
nth = 4000
"#;

fn set(text: String) -> Vec<String> {
    vec![text]
}

fn slo() -> impl Strategy<Value = Vec<String>> {
    let during = || proptest::sample::subsequence(vec!["steady", "fault", "recovery", "all"], 1..=4);
    let figure = proptest::sample::select(vec!["mean", "p50", "p999"]);
    prop_oneof![
        Just(Vec::new()),
        (figure, during(), 1_u64..1_000_000).prop_map(|(figure, during, us)| {
            let limits: Vec<_> =
                during.iter().map(|during| format!("{{ limit = \"{us}us\", during = \"{during}\" }}")).collect();
            set(format!("slo.deposit.response.{figure}=[{}]", limits.join(", ")))
        }),
        (1_u64..1_000_000).prop_map(|us| set(format!("slo.recovery.rate_90={us}us"))),
        (1_u64..1_000_000).prop_map(|us| set(format!("slo.deposit.send_lag.max={{ limit = \"{us}us\" }}"))),
    ]
}

fn image() -> impl Strategy<Value = Vec<String>> {
    let name = proptest::sample::select(vec!["postgres", "kafka", "redis", "services"]);
    prop_oneof![Just(Vec::new()), name.prop_map(|name| set(format!("images.{name}=some.host:5000/{name}:1.2-slim")))]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_stored_reads_back_the_same(
        seed in 0..=i64::MAX as u64,
        rate in 300.0_f64..400.0,
        warm_up_us in 0_u64..=3_500_000,
        skew in prop_oneof![
            Just(Skew::Uniform),
            (0.01_f64..5.0).prop_map(Skew::Zipf),
            (0.0_f64..=1.0).prop_map(Skew::Hot),
            Just(Skew::Each),
        ],
        lookup in 0.0_f64..=1.0,
        slo in slo(),
        image in image(),
        at_us in 1_000_000_u64..=9_998_500,
        nth in 1_800_u64..3_200,
    ) {
        let mut sets = vec!["markers=[\"channel-append\"]".to_owned(), "system.kafka_brokers=3".to_owned()];
        sets.extend([format!("fault.0.at={at_us}us"), format!("fault.1.nth={nth}")]);
        sets.extend(slo.into_iter().chain(image));
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let mut scenario = accepted(&format!("{GOOD}{BROKEN}"), &sets);
        scenario.seed = seed;
        scenario.load[0].rate_per_s = rate;
        scenario.load[0].lookup = lookup;
        scenario.phases.warm_up = Duration::from_micros(warm_up_us);
        scenario.accounts.skew = skew;
        let stored = scenario.to_toml();
        let again = parse("run/scenario.toml", &stored, &[], None);
        prop_assert_eq!(again.as_ref(), Ok(&scenario), "{}", stored);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a file as it is written")]
fn a_stored_scenario_is_pleasant_to_read() {
    let sets = [
        "system.kafka_brokers=3",
        "images.kafka=apache/kafka:4.1.0",
        "slo.deposit.visible.p99=[{ limit = \"1s\" }, { limit = \"20s\", during = \"all\" }]",
        "slo.deposit.visible.max={ limit = \"1m\", during = \"fault\" }",
        "slo.recovery.first_ok=5s",
    ];
    assert_snapshot!(accepted(&format!("{GOOD}{BROKEN}"), &sets).to_toml(), @r#"
    name = "test"
    about = "a test"
    seed = 1
    markers = []

    [phases]
    warm_up = "5s"
    measure = "10s"
    heal = "30s"
    resolve = "30s"

    [system]
    partitions = 4
    channel_instances = 2
    workers = 100
    worker_mode = "keyed_batched"
    channel_databases = 1
    sync = "events"
    history_source = "copy"
    read_sync = "pending"
    read_budget = "300ms"
    core_pulls = 8
    manual_every = "1s"
    dead_letter_attempts = 3
    sweep_every = "1s"
    sync_cost = "0s"
    kafka_brokers = 3
    guard = "user"
    call_timeout = "3s"
    validity = "5s"
    deadline = "relative"
    core_batch = 200
    core_slots = 4
    core_posting_cost = "0s"
    core_admitted = 800
    caller_max = 400
    outbound_expiry = "1m"

    [system.protections]
    allow_unsafe = false
    key = "in_the_booking"
    binding = "params_hash"
    deadline_check = "under_the_lock"
    fence = "tombstone"
    guard = "index"
    polling = "on"
    account_lock = "row"
    lock_order = "by_account"
    clock = "database"
    settling = "one_transaction"
    voiding = "definite_no"
    outbox = "in_the_booking"
    relay_scan = "unsent_rows"
    record_key = "account"
    producer = "idempotent"
    applying = "seq_conditional"
    gaps = "fill"
    sweep = "on"
    retrying = "in_place"
    dead_letters = "topic"
    hole_marker = "on"
    offsets = "low_watermark"
    generation_fence = "on"
    read_sync = "on"
    sync_writes = "compare_and_set"
    cursor = "keyset"
    slot_hash = "independent"
    repair = "on"

    [banks]
    late = "0"
    never = "0"
    twice = "0"
    refused = "0"
    delay = [
        "100ms",
        "2s",
    ]

    [accounts]
    count = 10000
    users = 10000
    opening_balance = 1000000
    history_depth = 10
    skew = "uniform"
    closed = "0"
    deposit_stopped = "0"
    withdrawal_stopped = "0"

    [[load]]
    op = "deposit"
    rate = "300/s"
    arrivals = "constant"
    timeout = "5s"
    retry = "none"
    connections = 64
    lookup = "0.01"

    [[fault]]
    kind = "node.pause"
    place = "core"
    at = "2500ms"
    lasts = "1500us"

    [[fault]]
    kind = "node.kill"
    place = "kafka-3"
    nth = 4000

    [images]
    kafka = "apache/kafka:4.1.0"

    [slo.deposit.response]
    p99 = "200ms"

    [slo.deposit.visible.max]
    limit = "1m"
    during = "fault"

    [[slo.deposit.visible.p99]]
    limit = "1s"
    during = "steady"

    [[slo.deposit.visible.p99]]
    limit = "20s"
    during = "all"

    [slo.recovery]
    first_ok = "5s"
    "#);
}

#[test]
fn transfers_with_their_banks_and_behaviours_read_back_the_same() {
    let text = format!("{GOOD}{}", super::transfers::TRANSFERS);
    let scenario = accepted(&text, &[]);
    let again = parse("run/scenario.toml", &scenario.to_toml(), &[], None);
    assert_eq!(again.as_ref(), Ok(&scenario), "{}", scenario.to_toml());
}
