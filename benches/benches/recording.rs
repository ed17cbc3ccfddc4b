//! Recording: what figures and the interval log cost per operation. Under `cargo test` each runs once.

use std::hint::black_box;

use bankstorm_customers::Plan;
use bankstorm_load::{figures, hlog};
use bankstorm_record::clock::Origin;
use bankstorm_record::latency::CutOffs;
use bankstorm_record::rows::OperationRow;
use bankstorm_scenario::resolved::LatencyKind;
use criterion::{Criterion, Throughput};

/// Rows as a quiet run leaves them: answered after 2 to 3 ms, visible 5 ms later.
fn rows() -> Vec<OperationRow> {
    Plan::new(&bankstorm_benches::scenario(10))
        .operations()
        .map(|planned| {
            let intended_ns = i64::try_from(planned.due.as_nanos()).expect("seconds");
            let acked_ns = intended_ns + 2_000_000 + i64::try_from(planned.op % 1_000).expect("small") * 1_000;
            OperationRow {
                op: planned.op,
                load: planned.load,
                kind: "deposit".to_owned(),
                phase: planned.phase.as_str().to_owned(),
                transfer: planned.id().0.as_u128(),
                account: planned.account().get(),
                amount: planned.amount().get(),
                params_hash: planned.params_hash().0.to_vec(),
                intended_ns,
                sent_ns: Some(intended_ns + 50_000),
                acked_ns: Some(acked_ns),
                visible_ns: Some(acked_ns + 5_000_000),
                visible_is_upper_bound: false,
                outcome: Some("ok".to_owned()),
                resolved: Some("ok".to_owned()),
                seq: Some(11),
                balance_after: Some(1_000_000),
                detail: None,
                http_status: Some(201),
                ..OperationRow::default()
            }
        })
        .collect()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let rows = rows();
    let cut_offs = CutOffs { ended_ns: 20_000_000_000, load_ns: 20_000_000_000, visible_ns: 20_000_000_000 };
    let origin = Origin { monotonic_ns: 0, wall_us: 0 };
    let mut group = criterion.benchmark_group("recording");
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("figures", |bench| {
        bench.iter(|| LatencyKind::ALL.map(|kind| black_box(figures::latency(&rows, kind, &cut_offs))));
    });
    group.bench_function("interval log", |bench| {
        bench.iter(|| {
            let mut log = Vec::new();
            hlog::write(&rows, &origin, &cut_offs, &mut log).expect("memory takes all");
            black_box(log.len())
        });
    });
    group.finish();
    criterion.final_summary();
}
