//! The bank's own hot paths, without stores: the event codec, the posting rules, the advance rules. Under `cargo test` each runs once.

use std::hint::black_box;

use bankstorm_benches::{deposit, history};
use bankstorm_channel::advance;
use bankstorm_contracts::{AccountNo, Head, WallMicros, Won, event};
use bankstorm_core::book::{Absent, Order, Terms, plan};
use bankstorm_outside::core_store::{AccountRow, Claimed, Locked};
use criterion::{Criterion, Throughput};

/// Deposits in one transaction: core's default limit.
const BATCH: i64 = 200;

fn codec(criterion: &mut Criterion) {
    let entry = &history(AccountNo::new(AccountNo::FIRST_CUSTOMER), 1)[0];
    let bytes = event::encode(entry);
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |bench| bench.iter(|| event::encode(black_box(entry))));
    group.bench_function("decode", |bench| bench.iter(|| event::decode(black_box(&bytes)).expect("own bytes")));
    group.finish();
}

fn posting(criterion: &mut Criterion) {
    let deposits: Vec<_> = (0..BATCH).map(deposit).collect();
    let orders: Vec<Order> = deposits.iter().cloned().map(Order::deposit).collect();
    let claimed = vec![Claimed::New; orders.len()];
    let row = |n| {
        let account = AccountNo::new(AccountNo::FIRST_CUSTOMER + n);
        AccountRow::plain(Head { account, seq: 10, balance: Won::new(1_000_000) })
    };
    let locked = Locked { rows: (0..BATCH).map(row).collect(), now: WallMicros(1) };
    let mut group = criterion.benchmark_group("posting");
    group.throughput(Throughput::Elements(orders.len() as u64));
    group.bench_function("book a batch", |bench| {
        bench.iter(|| plan(black_box(&orders), &claimed, &locked, &Terms::plain(Absent::MaybeHeld)));
    });
    group.bench_function("hash parameters", |bench| {
        bench.iter(|| deposits.iter().map(|deposit| black_box(deposit.params_hash()).0[0]).fold(0, u8::wrapping_add));
    });
    group.finish();
}

fn advancing(criterion: &mut Criterion) {
    let account = AccountNo::new(AccountNo::FIRST_CUSTOMER);
    let entries = history(account, BATCH);
    let head = Head { account, seq: 0, balance: Won::ZERO };
    let mut group = criterion.benchmark_group("advance");
    group.throughput(Throughput::Elements(entries.len() as u64));
    group.bench_function("append in order", |bench| bench.iter(|| advance::plan(black_box(head), &entries)));
    let twice: Vec<_> = entries.iter().flat_map(|entry| [entry, entry]).collect();
    group.bench_function("every record twice", |bench| {
        bench.iter(|| advance::plan(black_box(head), twice.iter().copied()));
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    codec(&mut criterion);
    posting(&mut criterion);
    advancing(&mut criterion);
    criterion.final_summary();
}
