//! Checking: every guarantee over a bank in memory, per core entry. Under `cargo test` each runs once.

use std::hint::black_box;

use bankstorm_benches::history;
use bankstorm_check::{Context, guarantees};
use bankstorm_contracts::{AccountNo, Entry};
use bankstorm_record::rows::{
    ChannelAccountRow, ChannelEntryRow, CoreAccountRow, CoreEntryRow, CoreTransferRow, TopicRow,
};
use bankstorm_record::source::MemorySource;
use criterion::{Criterion, Throughput};

const ACCOUNTS: i64 = 200;
const DEPTH: i64 = 10;

/// A bank at rest: nothing loaded, everything posted, published and copied.
fn bank() -> MemorySource {
    let mut source = MemorySource::default();
    for n in 0..ACCOUNTS {
        let account = AccountNo::new(AccountNo::FIRST_CUSTOMER + n);
        let entries = history(account, DEPTH);
        let last = entries.last().expect("a history");
        let (seq, balance) = (last.seq, last.balance_after.get());
        let account = account.get();
        let kind = "customer".to_owned();
        let row = CoreAccountRow { account, kind, seq, balance: Some(balance), ..CoreAccountRow::default() };
        source.core_accounts.push(row);
        source.channel_accounts.push(ChannelAccountRow { account, last_seq: seq, balance, dirty: false });
        for entry in &entries {
            add(&mut source, entry);
        }
    }
    source.core_entries.sort_by_key(|row| (row.account, row.seq, row.transfer, row.amount));
    source.core_transfers.sort_by_key(|row| row.transfer);
    source
}

fn add(source: &mut MemorySource, entry: &Entry) {
    let (account, seq, transfer) = (entry.account.get(), entry.seq, entry.transfer.0.as_u128());
    let (amount, balance_after, posted_at_us) = (entry.amount.get(), entry.balance_after.get(), entry.posted_at.0);
    let kind = || entry.kind.as_str().to_owned();
    let leg = |account, seq, amount, balance_after| CoreEntryRow {
        account,
        seq,
        transfer,
        amount,
        balance_after,
        kind: kind(),
        posted_at_us,
    };
    source.core_entries.push(leg(account, Some(seq), amount, Some(balance_after)));
    source.core_entries.push(leg(AccountNo::SETTLEMENT.get(), None, -amount, None));
    source.core_transfers.push(CoreTransferRow {
        transfer,
        kind: kind(),
        state: "completed".to_owned(),
        params_hash: vec![0; 32],
        account: Some(account),
        amount: Some(amount),
        reason: None,
        seq: Some(seq),
        balance_after: Some(balance_after),
        ..CoreTransferRow::default()
    });
    let copy = ChannelEntryRow { account, seq, transfer, amount, balance_after, kind: kind(), posted_at_us };
    source.channel_entries.push(copy);
    let record_offset = i64::try_from(source.topic.len()).expect("a short topic");
    source.topic.push(TopicRow {
        partition: 0,
        record_offset,
        key_account: Some(account),
        account,
        seq,
        transfer,
        amount,
        balance_after,
        timestamp_us: posted_at_us,
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let source = bank();
    let mut group = criterion.benchmark_group("checking");
    group.throughput(Throughput::Elements(u64::try_from(ACCOUNTS * DEPTH).expect("positive")));
    for check in guarantees::all() {
        group.bench_function(check.id(), |bench| bench.iter(|| black_box(check.run(&source, &Context::default()))));
    }
    group.finish();
    criterion.final_summary();
}
