//! Runs for the tests of this crate: 6,000 deposits in 20 s after 5 s of warm-up, with a stall of a second in the middle.
//!
//! In: nothing. Out: rows, samples and `run.json`s, the same on every call. Elsewhere: real runs.

mod faulted;

use std::collections::BTreeMap;

use bankstorm_record::clock::Origin;
use bankstorm_record::latency::CutOffs;
use bankstorm_record::marks::SampleRow;
use bankstorm_record::rows::OperationRow;
use bankstorm_record::run_json::{
    Build, CheckResult, Digests, EvidenceFile, FaultRecord, GuaranteeVerdict, Guarantees, Latency, LoadCounts,
    ObjectiveResult, PhaseSpan, RunJson, Slo, SloVerdict, SystemFacts, Unit, Validity, ValidityVerdict,
};
use serde_json::json;

pub(crate) use self::faulted::faulted;
use crate::{ReportInput, series};

const MS: i64 = 1_000_000;
/// When measuring began: 3 s of loading, 5 s of warm-up.
const MEASURE_MS: i64 = 8_000;
const RATE: i64 = 300;

/// A deposit that was answered 3 ms after it was due and visible 9 ms after.
pub(crate) fn operation(op: u64, phase: &str, intended_ns: i64) -> OperationRow {
    OperationRow {
        op,
        load: 0,
        kind: "deposit".to_owned(),
        phase: phase.to_owned(),
        transfer: u128::from(op),
        account: 1,
        amount: 1000,
        params_hash: vec![0; 32],
        intended_ns,
        sent_ns: Some(intended_ns + 60_000),
        acked_ns: Some(intended_ns + 3 * MS),
        visible_ns: Some(intended_ns + 9 * MS),
        visible_is_upper_bound: false,
        outcome: Some("ok".to_owned()),
        resolved: Some("ok".to_owned()),
        seq: Some(1),
        balance_after: Some(1000),
        detail: None,
        http_status: Some(201),
        ..OperationRow::default()
    }
}

/// Numbers from 0 to 1 that look like noise.
fn noise(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f64 / f64::from(1 << 24)
}

/// All operations: a stall from second 11.0 to 12.0 of the measured phase makes everything due in it wait for its end.
pub(crate) fn operations() -> Vec<OperationRow> {
    let mut state = 7;
    let first = MEASURE_MS * MS - 5_000 * MS;
    let (stall, healed) = ((MEASURE_MS + 11_000) * MS, (MEASURE_MS + 12_000) * MS);
    let all = (0..RATE * 25).map(|i| {
        let intended = first + i * 1_000_000_000 / RATE;
        let phase = if intended < MEASURE_MS * MS { "warm_up" } else { "measure" };
        let mut row = operation(i.unsigned_abs(), phase, intended);
        let mut ack = intended + (2.0e6 / (0.35 + noise(&mut state))) as i64;
        if (stall..healed).contains(&ack) {
            ack = healed + (ack - stall) / 20;
        }
        row.acked_ns = Some(ack);
        row.visible_ns = Some(ack + (3.0e6 / (0.25 + noise(&mut state))) as i64);
        row
    });
    all.collect()
}

fn samples() -> Vec<SampleRow> {
    let mut state = 3;
    let sample = |i: i64| {
        let mut around = |middle: f64| ((middle * (0.85 + 0.3 * noise(&mut state))) * 10.0).round() / 10.0;
        let lag_records = if i == 21 { 312 } else { around(6.0).round() as u64 };
        let cpu_percent = Some(around(46.0));
        let processes = [
            ("core", 21.0),
            ("channel-0", 11.0),
            ("channel-1", 10.0),
            ("postgres-core", 17.0),
            ("postgres-channel", 13.0),
            ("kafka-1", 9.0),
            ("harness", 8.0),
        ];
        SampleRow {
            at_ms: 3_000 + i * 1000,
            lag_records: Some(lag_records),
            cpu_percent,
            process_cpu_percent: processes.map(|(name, middle)| (name.to_owned(), around(middle))).into(),
            ..SampleRow::default()
        }
    };
    (0..30).map(sample).collect()
}

fn figures(p50: u64, p90: u64, p99: u64, p999: u64, max: u64) -> Latency {
    let mean = p50 as f64 * 1.1;
    Latency { count: 6000, upper_bound: 0, mean, p50, p90, p99, p999, max, without_missed: None }
}

fn checks() -> Vec<CheckResult> {
    let names = [
        ("L1", "conserve", 121_500),
        ("L2", "floor", 112_000),
        ("L3", "dense", 112_000),
        ("L4", "atomic", 121_500),
        ("O1", "once", 7_500),
        ("O2", "ok-booked", 7_500),
        ("S1", "no-garbage", 112_000),
        ("S2", "no-dup", 112_000),
        ("S3", "no-hole", 61),
        ("S4", "monotone", 6_902),
        ("S5", "converge", 10_000),
        ("T1", "publish", 7_500),
        ("T2", "order", 7_500),
        ("V1", "deadlock", 4),
        ("V2", "witnessed", 4),
        ("V3", "sane-harness", 9),
    ];
    let check = |(id, name, examined): (&str, &str, u64)| CheckResult {
        id: id.to_owned(),
        name: name.to_owned(),
        verdict: GuaranteeVerdict::Holds,
        examined,
        violations: 0,
        first: None,
        figures: BTreeMap::new(),
    };
    names.into_iter().map(check).collect()
}

fn objective(name: &str, limit_us: u64, measured_us: u64) -> ObjectiveResult {
    let during = "steady".to_owned();
    ObjectiveResult {
        name: name.to_owned(),
        limit_us,
        during,
        measured_us: Some(measured_us),
        verdict: SloVerdict::Met,
        unit: Unit::Us,
        note: None,
    }
}

fn phases() -> Vec<PhaseSpan> {
    let spans = [
        ("load_accounts", 0, 3_000),
        ("warm_up", 3_000, 8_000),
        ("measure", 8_000, 28_000),
        ("resolve", 28_000, 28_040),
        ("converge", 28_040, 28_900),
        ("evidence", 28_900, 31_200),
        ("check", 31_200, 31_900),
    ];
    spans.map(|(name, start_ms, end_ms)| PhaseSpan { name: name.to_owned(), start_ms, end_ms }).to_vec()
}

/// Valid, holds, met.
pub(crate) fn held() -> RunJson {
    let latencies = [
        ("response", figures(2_380, 4_710, 611_000, 1_034_000, 1_052_000)),
        ("service", figures(2_320, 4_640, 611_000, 1_034_000, 1_052_000)),
        ("send_lag", figures(58, 71, 122, 304, 911)),
        ("sync_lag", figures(3_990, 8_730, 11_800, 11_990, 12_004)),
        ("visible", figures(7_120, 11_900, 618_000, 1_041_000, 1_060_300)),
    ];
    RunJson {
        schema: 1,
        run_id: "20261122-0600-smoke".to_owned(),
        scenario: "smoke".to_owned(),
        seed: 7,
        environment: "local".to_owned(),
        started_at: "2026-11-22T06:00:36Z".to_owned(),
        ended_at: Some("2026-11-22T06:01:19Z".to_owned()),
        exit_code: Some(0),
        bankstorm: Build { version: "0.1.0".into(), commit: "3f27410".into(), profile: "dev, opt-level 1".into() },
        r#unsafe: vec![],
        links: BTreeMap::from([("harness->core".into(), "direct".into()), ("core->kafka-1".into(), "direct".into())]),
        origin: Origin { monotonic_ns: 5_000_000_000, wall_us: 1_795_327_236_000_000 },
        digests: Digests { plan: "9f".repeat(32), faults: String::new(), history: "c4".repeat(32) },
        phases: phases(),
        evidence: BTreeMap::from([("core_entry".into(), EvidenceFile { rows: 121_500, sha256: "ab".repeat(32) })]),
        validity: Validity { verdict: ValidityVerdict::Valid, reasons: vec![] },
        guarantees: Guarantees { verdict: GuaranteeVerdict::Holds, checks: checks() },
        slo: Slo {
            verdict: SloVerdict::Met,
            objectives: vec![
                objective("deposit.response.p99", 1_000_000, 611_000),
                objective("deposit.visible.p99", 2_000_000, 618_000),
            ],
        },
        load: BTreeMap::from([(
            "deposit".into(),
            LoadCounts { planned: 6000, sent: 6000, ok: 6000, ..Default::default() },
        )]),
        latency_us: BTreeMap::from([("deposit".into(), latencies.map(|(kind, f)| (kind.to_owned(), f)).into())]),
        latency_during_us: BTreeMap::new(),
        faults: vec![],
        markers: BTreeMap::from([("batch_full".into(), 12)]),
        recovery: vec![],
        posting: vec![],
        overload: None,
        spared: None,
        depth: None,
        drain: None,
        arms: Vec::new(),
        system: SystemFacts {
            partitions: 12,
            workers: 4,
            workers_total: 48,
            channel_instances: 2,
            accounts: 10_000,
            cpu_seconds: BTreeMap::from([("core".into(), 4.21), ("channel-0".into(), 2.2), ("kafka-1".into(), 1.9)]),
            memory_peak_bytes: BTreeMap::from([("core".into(), 27_901_952), ("kafka-1".into(), 387_000_000)]),
            lag_max_records: Some(312),
        },
    }
}

/// Invalid, with misses.
pub(crate) fn invalid() -> RunJson {
    let mut run = held();
    run.exit_code = Some(4);
    run.validity = Validity {
        verdict: ValidityVerdict::Invalid,
        reasons: vec![
            "send lag p99 was 41.2 ms, more than 10 ms (5 % of the response objective of 200 ms)".into(),
            "the generator's CPU was busy for 93 % of the measured phase, more than 80 %".into(),
        ],
    };
    let first = run.validity.reasons.first().cloned();
    run.guarantees.checks[15] =
        CheckResult { verdict: GuaranteeVerdict::Violated, violations: 2, first, ..run.guarantees.checks[15].clone() };
    run.slo.verdict = SloVerdict::Unmeasured;
    for objective in &mut run.slo.objectives {
        (objective.verdict, objective.measured_us) = (SloVerdict::Unmeasured, None);
    }
    run.load.insert(
        "deposit".into(),
        LoadCounts { planned: 6000, sent: 5920, ok: 5911, unknown: 9, missed: 80, ..Default::default() },
    );
    let response =
        run.latency_us.get_mut("deposit").and_then(|kinds| kinds.get_mut("response")).expect("in the fixture");
    let without = Latency { count: 5920, ..response.clone() };
    (response.p999, response.max, response.upper_bound) = (5_000_000, 5_000_000, 89);
    response.without_missed = Some(Box::new(without));
    run
}

/// Violated, after an unplanned death.
pub(crate) fn violated() -> RunJson {
    let mut run = held();
    run.exit_code = Some(6);
    run.guarantees.verdict = GuaranteeVerdict::Violated;
    run.guarantees.checks[6] = CheckResult {
        verdict: GuaranteeVerdict::Violated,
        violations: 2,
        first: Some(
            "garbage: account 4711 seq 12: core amount 1000 balance_after 53000, channel amount 1001 balance_after 53000 \
             (transfer 018f6f0e-0000-7000-8000-000000000b01)"
                .into(),
        ),
        ..run.guarantees.checks[6].clone()
    };
    run.guarantees.checks[8] = CheckResult {
        verdict: GuaranteeVerdict::Unknown,
        first: Some("page.parquet: row group 3 ends early".into()),
        ..run.guarantees.checks[8].clone()
    };
    run.faults = vec![FaultRecord {
        id: "u1".into(),
        kind: "node.exit".into(),
        place: "channel-1".into(),
        planned: false,
        fired: true,
        witnessed: Some("exit status: signal 9".into()),
        started_ms: Some(MEASURE_MS + 11_020),
        ..FaultRecord::default()
    }];
    run
}

fn machine(environment: &str) -> serde_json::Value {
    let mut machine = json!({
        "cpu": {"model": "Example CPU @ 2.50GHz", "cores": 2}, "memory_bytes": 8_232_108_032_u64, "kernel": "6.1.0-28-amd64",
        "virtualised": true, "real_time_priority": {"pacer": true, "senders": false}, "filesystems": ["ext4", "tmpfs"],
    });
    if environment == "containers" {
        machine["environment"] = json!({
            "engine": "Docker 20.10.24",
            "image postgres": "postgres:15-bookworm sha256:5f3c (stand-in: Debian 12, PostgreSQL 15.8)",
        });
    }
    machine
}

/// Valid, holds, and nothing was asked of its speed.
pub(crate) fn unasked() -> RunJson {
    let mut run = held();
    run.slo.objectives.clear();
    run
}

/// Interrupted before its end.
pub(crate) fn inconclusive() -> RunJson {
    let mut run = held();
    run.exit_code = Some(4);
    run.validity = Validity {
        verdict: ValidityVerdict::Inconclusive,
        reasons: vec!["interrupted (Ctrl-C) 6.3 s into the measured phase of 20 s".into()],
    };
    run.guarantees = Guarantees { verdict: GuaranteeVerdict::Unknown, checks: vec![] };
    run.slo = Slo { verdict: SloVerdict::Unmeasured, objectives: vec![] };
    run.load.insert(
        "deposit".into(),
        LoadCounts { planned: 6000, sent: 1890, ok: 1888, unknown: 2, missed: 4110, ..Default::default() },
    );
    run.latency_us.clear();
    run
}

/// A whole input for `run`.
pub(crate) fn input(run: RunJson) -> ReportInput {
    let rows = operations().into_iter().map(Ok::<_, String>);
    let (series, _) = series::seconds(rows, Some(MEASURE_MS * MS), CutOffs::of(&run.phases));
    let machine = machine(&run.environment);
    ReportInput {
        run,
        machine,
        series,
        samples: samples(),
        scenario: Some("seed = 7\n\n[phases]\nwarm_up = \"5s\"\nmeasure = \"20s\"\n\n[[load]]\nop = \"deposit\"\nrate = \"300/s\"\n".into()),
        arms: vec![],
        missing: vec![],
    }
}
