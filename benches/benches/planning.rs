//! Planning: what one planned operation costs, with and without its digest. Under `cargo test` each runs once.

use std::hint::black_box;

use bankstorm_customers::Plan;
use bankstorm_customers::opening::loaded_accounts;
use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let plan = Plan::new(&bankstorm_benches::scenario(10));
    let mut group = criterion.benchmark_group("planning");
    group.throughput(Throughput::Elements(plan.counts().total()));
    group.bench_function("operations", |bench| {
        bench.iter(|| plan.operations().map(|operation| black_box(operation).op).sum::<u64>());
    });
    group.bench_function("digest", |bench| bench.iter(|| black_box(plan.digest())));
    let mut few = bankstorm_benches::scenario(1);
    few.accounts.count = 100;
    group.throughput(Throughput::Elements(few.accounts.count * u64::from(few.accounts.history_depth)));
    group.bench_function("opening", |bench| {
        bench.iter(|| loaded_accounts(&few).map(|(_, entries)| black_box(entries).len()).sum::<usize>());
    });
    group.finish();
    criterion.final_summary();
}
