//! Sweeps for tests.

use std::collections::BTreeMap;

use bankstorm_record::run_json::Build;
use bankstorm_record::sweep_json::{
    AnchorSummary, BoundBy, CellFigures, CellKey, CellRun, CellSummary, CellVerdict, Grid, SCHEMA, Spread, SweepJson,
    SweepState,
};

/// So many partitions by so many workers, at 100 ms and at none, each measured twice.
pub(crate) fn sweep(partitions: u32, workers: u32) -> SweepJson {
    let grid = Grid {
        mode: "drain".to_owned(),
        partitions: (1..=partitions).collect(),
        workers: (0..workers).map(|n| 10_u32.pow(n.min(4)) + n).collect(),
        worker_modes: vec!["slots".to_owned()],
        sync_costs_us: vec![100_000, 0],
        repeats: 2,
        planned: u64::from(partitions * workers * 4),
        channel_instances: 1,
        accounts: 110_000,
        history_depth: 1,
        backlog: Some(105_000),
    };
    let mut keys = Vec::new();
    for sync_cost_us in [100_000, 0] {
        for partitions in &grid.partitions {
            let key = |workers: &u32| CellKey {
                worker_mode: "slots".to_owned(),
                sync_cost_us,
                partitions: *partitions,
                workers: *workers,
            };
            keys.extend(grid.workers.iter().map(key));
        }
    }
    SweepJson {
        schema: SCHEMA,
        run_id: "20261123T011500Z-sweep-77".to_owned(),
        scenario: "sweep".to_owned(),
        about: "Partitions by workers".to_owned(),
        seed: 1,
        environment: "local".to_owned(),
        started_at: "2026-11-23T01:15:00Z".to_owned(),
        ended_at: Some("2026-11-23T01:45:10Z".to_owned()),
        resumed: 1,
        exit_code: Some(0),
        state: SweepState::Finished,
        reasons: Vec::new(),
        bankstorm: Build { version: "0.1.0".to_owned(), commit: "abcdef".to_owned(), profile: "dev".to_owned() },
        r#unsafe: Vec::new(),
        scenario_sha256: "0".repeat(64),
        anchor: Some(AnchorSummary { cell: keys[0].clone(), events_per_s: vec![9.8, 9.7, 9.8], drift: Some(0.0102) }),
        cells: keys.iter().map(summary).collect(),
        runs: keys.iter().flat_map(|key| [run(key, 1), run(key, 2)]).collect(),
        grid,
    }
}

/// What all workers do, up to what this machine can.
fn rate(key: &CellKey) -> f64 {
    let total = f64::from(key.partitions * key.workers);
    if key.sync_cost_us == 0 { (total * 600.0).min(6_000.0) } else { (total * 9.7).min(4_200.0) }
}

fn bound(key: &CellKey) -> Option<BoundBy> {
    let slow = rate(key) >= 4_200.0;
    let evidence =
        "machine 97 % busy, 1 % waiting for a disk; cores of postgres-channel 0.91, channel-0 0.62".to_owned();
    slow.then(|| BoundBy { resource: "processors".to_owned(), evidence })
}

fn verdict(key: &CellKey) -> CellVerdict {
    if bound(key).is_some() { CellVerdict::Bound } else { CellVerdict::AsPredicted }
}

fn predicted(key: &CellKey) -> Option<f64> {
    (key.sync_cost_us > 0).then(|| f64::from(key.partitions * key.workers) * 10.0)
}

fn cpu() -> BTreeMap<String, f64> {
    let names = ["banks", "channel-0", "core", "harness", "kafka-1", "postgres-channel", "postgres-core"];
    names.into_iter().zip([0.4, 151.2, 1.1, 20.5, 33.0, 210.9, 2.2]).map(|(name, us)| (name.to_owned(), us)).collect()
}

fn summary(key: &CellKey) -> CellSummary {
    let median = rate(key);
    CellSummary {
        cell: key.clone(),
        verdict: Some(verdict(key)),
        workers_total: u64::from(key.partitions * key.workers),
        events_per_s: Some(Spread { count: 2, min: median * 0.99, median, max: median * 1.01 }),
        predicted_per_s: predicted(key),
        busy_workers: Some(u64::from(key.partitions * key.workers)),
        busy_keys: Some(20_000),
        cpu_us_per_event: cpu(),
        machine_busy: Some(0.42),
        bound_by: bound(key),
        reason: None,
    }
}

pub(crate) fn run(key: &CellKey, repeat: u32) -> CellRun {
    CellRun {
        id: format!("slots-{}us-p{}-w{}-{repeat}", key.sync_cost_us, key.partitions, key.workers),
        cell: key.clone(),
        anchor: false,
        began_at: "2026-11-23T01:15:44Z".to_owned(),
        took_s: 18.44,
        verdict: verdict(key),
        reason: None,
        workers_total: u64::from(key.partitions * key.workers),
        events: 20_000,
        figures: Some(CellFigures {
            busy_keys: 20_000,
            events_per_s: rate(key),
            predicted_per_s: predicted(key),
            drained_s: 10.4,
            owned_s: 1.9,
            busy_workers: u64::from(key.partitions * key.workers),
            busy_workers_mean: Some(19.2),
            busy_by_chance: Some(19.4),
            transactions_mean: Some(1.4),
            in_log_mean: Some(0.0),
            waiting_mean: Some(9_000.0),
            short_mean: Some(0.0),
            looked_s: Some(10.3),
            slots_used: 20,
            cpu_seconds: cpu(),
            cpu_events: 19_000,
            machine_busy: Some(0.42),
            machine_iowait: Some(0.01),
            machine_steal: Some(0.0),
            rows_checked: 20_000,
        }),
        bound_by: bound(key),
    }
}
