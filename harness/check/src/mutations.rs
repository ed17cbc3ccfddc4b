//! Random changes of a single row: none may leave every check at `holds`, apart from those listed with their reasons.

use bankstorm_record::rows::{
    ApplyJournalRow, ChannelAccountRow, ChannelEntryRow, CoreAccountRow, CoreEntryRow, CoreTransferRow, DatabaseRow,
    OperationRow, PageRow, TopicRow,
};
use bankstorm_record::run_json::GuaranteeVerdict;
use proptest::prelude::*;

use crate::bank::Bank;
use crate::check::Context;
use crate::guarantees::run_all;

/// Changes that no guarantee speaks of. `visible` and `core_outbox` are left out as a whole: stamps feed latencies, and unsent outbox rows
/// only enrich T1's witness.
const UNGUARDED: &[(&str, &str)] = &[
    ("operations removed", "the plan's digest guards what was planned, not a check"),
    ("operations.op", "a number for witnesses"),
    ("operations.outcome", "without an ok nothing was promised, and here the other word still says ok"),
    ("operations.resolved", "as outcome"),
    ("operations.times", "they feed latencies"),
    ("internal core_account removed", "internal accounts need no row (D40)"),
    ("internal core_account doubled", "as removed"),
    ("internal core_account.account", "as removed"),
    ("internal core_account.seq", "as removed"),
    ("internal core_account.balance", "as removed"),
    ("internal core_account.loaded_seq", "as removed"),
    ("internal core_account.kind", "the number says what an account is"),
    ("customer core_account.kind", "the number says what an account is"),
    ("internal core_entry.account", "which internal account stands on the other side is not told by operations"),
    ("internal core_entry.kind", "never copied"),
    ("internal core_entry.posted_at_us", "never copied"),
    ("loaded core_transfer removed", "loaded entries need no transfer row"),
    ("loaded core_transfer.fields", "nobody was promised anything about a loaded transfer"),
    ("posted core_transfer.reason", "of completed transfers it means nothing"),
    ("channel_account.dirty", "what the channel knows about itself"),
    ("apply_journal.cause", "judged by T3 and T5, which come with rebalances"),
    ("apply_journal.journal_id", "drawn, not dense"),
    ("page removed", "a read more or less promises nothing"),
    ("page doubled", "as removed"),
    ("page.read", "who was asked when, and for which operation"),
    ("page.outcome", "a failed read says nothing"),
    ("scrolled page.as_of_seq", "a page further down reaches the same rows at any later watermark"),
    ("topic.record_offset", "offsets may have holes"),
    ("topic.timestamp_us", "feeds latencies"),
    ("database doubled", "a look more promises nothing"),
    (
        "last database.deadlocks fell to 0",
        "what a crash of the server leaves of its counter; its log is the second witness",
    ),
    ("database.at_ns", "counts are compared in their order, whenever they were taken"),
];

type Change<T> = (&'static str, fn(&mut T, i64));

const OPERATION: &[Change<OperationRow>] = &[
    ("op", |row, by| row.op = row.op.wrapping_add_signed(by)),
    ("kind", |row, _| row.kind.push('x')),
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs())),
    ("account", |row, by| row.account += by),
    ("amount", |row, by| row.amount += by),
    ("params_hash", |row, _| row.params_hash[31] ^= 1),
    ("outcome", |row, _| row.outcome = Some("unknown".to_owned())),
    ("resolved", |row, _| row.resolved = None),
    ("verdict", |row, _| (row.outcome, row.resolved) = (Some("unknown".to_owned()), Some("failed".to_owned()))),
    ("verdict", |row, _| (row.outcome, row.resolved) = (Some("rejected".to_owned()), Some("rejected".to_owned()))),
    ("seq", |row, by| row.seq = row.seq.map(|seq| seq + by)),
    ("seq", |row, _| row.seq = None),
    ("balance_after", |row, by| row.balance_after = row.balance_after.map(|balance| balance + by)),
    ("times", |row, by| row.acked_ns = row.acked_ns.map(|at| at + by)),
];

const CORE_ACCOUNT: &[Change<CoreAccountRow>] = &[
    ("account", |row, by| row.account += by),
    ("kind", |row, _| row.kind.push('x')),
    ("seq", |row, by| row.seq += by),
    ("balance", |row, by| row.balance = Some(row.balance.unwrap_or(0) + by)),
    ("loaded_seq", |row, by| row.loaded_seq += by),
];

const CORE_ENTRY: &[Change<CoreEntryRow>] = &[
    ("account", |row, by| row.account += by.abs().min(900)),
    ("seq", |row, by| row.seq = Some(row.seq.unwrap_or(0) + by)),
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs())),
    ("amount", |row, by| row.amount += by),
    ("balance_after", |row, by| row.balance_after = Some(row.balance_after.unwrap_or(0) + by)),
    ("kind", |row, _| row.kind.push('x')),
    ("posted_at_us", |row, by| row.posted_at_us += by),
];

const CORE_TRANSFER: &[Change<CoreTransferRow>] = &[
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs())),
    ("state", |row, _| row.state = "rejected".to_owned()),
];

const POSTED_TRANSFER: &[Change<CoreTransferRow>] = &[
    ("kind", |row, _| row.kind.push('x')),
    ("params_hash", |row, _| row.params_hash[0] ^= 1),
    ("account", |row, by| row.account = row.account.map(|account| account + by)),
    ("amount", |row, by| row.amount = row.amount.map(|amount| amount + by)),
    ("seq", |row, by| row.seq = row.seq.map(|seq| seq + by)),
    ("balance_after", |row, _| row.balance_after = None),
    ("reason", |row, _| row.reason = Some("unknown_account".to_owned())),
];

const CHANNEL_ENTRY: &[Change<ChannelEntryRow>] = &[
    ("account", |row, by| row.account += by),
    ("seq", |row, by| row.seq += by),
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs())),
    ("amount", |row, by| row.amount += by),
    ("balance_after", |row, by| row.balance_after += by),
    ("kind", |row, _| row.kind.push('x')),
    ("posted_at_us", |row, by| row.posted_at_us += by),
];

const CHANNEL_ACCOUNT: &[Change<ChannelAccountRow>] = &[
    ("account", |row, by| row.account += by),
    ("last_seq", |row, by| row.last_seq += by),
    ("balance", |row, by| row.balance += by),
    ("dirty", |row, _| row.dirty = !row.dirty),
];

const JOURNAL: &[Change<ApplyJournalRow>] = &[
    ("journal_id", |row, by| row.journal_id += by),
    ("account", |row, by| row.account += by),
    ("from_seq", |row, by| row.from_seq += by),
    ("to_seq", |row, by| row.to_seq += by),
    ("cause", |row, by| row.record_offset += by),
];

const PAGE: &[Change<PageRow>] = &[
    ("account", |row, by| row.account += by),
    ("read", |row, by| row.completed_ns += by.abs().min(400)),
    ("read", |row, _| row.instance.push('x')),
    ("cursor", |row, _| row.cursor = if row.cursor.is_none() { Some(2) } else { None }),
    ("outcome", |row, _| row.outcome = "failed".to_owned()),
    ("top_seq", |row, by| row.top_seq += by),
    ("bottom_seq", |row, by| row.bottom_seq += by),
    ("count", |row, by| row.count = row.count.wrapping_add_signed(by as i32)),
    ("contiguous", |row, _| row.contiguous = false),
    ("rows_hash", |row, by| row.rows_hash = row.rows_hash.wrapping_add_signed(by)),
    ("as_of_seq", |row, by| row.as_of_seq += by),
];

const TOPIC: &[Change<TopicRow>] = &[
    ("partition", |row, by| row.partition += by as i32),
    ("record_offset", |row, by| row.record_offset += by),
    ("key_account", |row, by| row.key_account = row.key_account.map(|key| key + by)),
    ("account", |row, by| row.account += by),
    ("seq", |row, by| row.seq += by),
    ("transfer", |row, by| row.transfer ^= u128::from(by.unsigned_abs())),
    ("amount", |row, by| row.amount += by),
    ("balance_after", |row, by| row.balance_after += by),
    ("timestamp_us", |row, by| row.timestamp_us += by),
];

const DATABASE: &[Change<DatabaseRow>] = &[
    ("database", |row, _| row.database.push('x')),
    ("at_ns", |row, by| row.at_ns += by),
    ("deadlocks", |row, by| row.deadlocks += by),
    ("logged", |row, by| row.logged += by),
];

/// Files that are mutated.
const FILES: usize = 10;

/// Which change of which row, drawn as numbers that wrap around.
#[derive(Clone, Copy, Debug)]
struct Draw {
    row: usize,
    edit: usize,
    by: i64,
}

/// Changes one row and says what was done; `class` tells rows of a file apart that are guarded differently.
fn mutate<T: Clone>(rows: &mut Vec<T>, class: impl Fn(&T) -> String, changes: &[Change<T>], draw: Draw) -> String {
    let row = draw.row % rows.len();
    let name = class(&rows[row]);
    match draw.edit % (changes.len() + 2) {
        0 => {
            rows.remove(row);
            format!("{name} removed")
        }
        1 => {
            rows.insert(row, rows[row].clone());
            format!("{name} doubled")
        }
        edit => {
            let (field, change) = changes[edit - 2];
            change(&mut rows[row], draw.by);
            format!("{name}.{field}")
        }
    }
}

fn apply(bank: &mut Bank, file: usize, draw: Draw) -> String {
    let source = &mut bank.source;
    match file % FILES {
        0 => mutate(&mut source.operations, |_| "operations".to_owned(), OPERATION, draw),
        1 => mutate(&mut source.core_accounts, |row| side(row.account) + "core_account", CORE_ACCOUNT, draw),
        2 => mutate(&mut source.core_entries, |row| side(row.account) + "core_entry", CORE_ENTRY, draw),
        3 => mutate_transfer(&mut source.core_transfers, draw),
        4 => mutate(&mut source.channel_entries, |_| "channel_entry".to_owned(), CHANNEL_ENTRY, draw),
        5 => mutate(&mut source.channel_accounts, |_| "channel_account".to_owned(), CHANNEL_ACCOUNT, draw),
        6 => mutate(&mut source.apply_journal, |_| "apply_journal".to_owned(), JOURNAL, draw),
        7 => {
            let class = |row: &PageRow| if row.cursor.is_some() { "scrolled page" } else { "page" }.to_owned();
            let done = mutate(&mut source.pages, class, PAGE, draw);
            // Both kinds of pages are guarded alike but for one field.
            if done.ends_with("as_of_seq") { done } else { done.replace("scrolled ", "") }
        }
        8 => mutate_database(&mut source.databases, draw),
        _ => mutate(&mut source.topic, |_| "topic".to_owned(), TOPIC, draw),
    }
}

fn side(account: i64) -> String {
    if account < 1_000_000 { "internal " } else { "customer " }.to_owned()
}

/// Loaded and posted transfers are guarded differently: operations speak of the posted ones only.
fn mutate_transfer(rows: &mut Vec<CoreTransferRow>, draw: Draw) -> String {
    let is_posted = rows[draw.row % rows.len()].seq > Some(3);
    let class =
        |row: &CoreTransferRow| if row.seq > Some(3) { "posted " } else { "loaded " }.to_owned() + "core_transfer";
    let both = [CORE_TRANSFER, POSTED_TRANSFER].concat();
    let done = mutate(rows, class, &both, draw);
    let is_common = ["removed", "doubled", ".transfer", ".state"].iter().any(|common| done.ends_with(common));
    if is_posted || is_common { done } else { "loaded core_transfer.fields".to_owned() }
}

/// A server's counter may begin anew after a look, but only at 0.
fn mutate_database(rows: &mut Vec<DatabaseRow>, draw: Draw) -> String {
    let row = draw.row % rows.len();
    let is_last = rows.get(row + 1).is_none_or(|next| next.database != rows[row].database);
    let done = mutate(rows, |_| "database".to_owned(), DATABASE, draw);
    let is_anew = is_last && done.ends_with(".deadlocks") && rows[row].deadlocks == 0;
    if is_anew { "last database.deadlocks fell to 0".to_owned() } else { done }
}

fn is_unguarded(done: &str) -> bool {
    UNGUARDED.iter().any(|(name, _)| *name == done)
}

fn verdict(bank: &Bank) -> GuaranteeVerdict {
    run_all(&bank.source, &Context::default()).verdict
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_single_change_goes_unnoticed(
        file in 0..FILES,
        row in 0_usize..64,
        edit in 0_usize..64,
        by in prop_oneof![-1_000_i64..=-1, 1_i64..=1_000],
    ) {
        let mut bank = Bank::good();
        let done = apply(&mut bank, file, Draw { row, edit, by });
        prop_assert!(is_unguarded(&done) || verdict(&bank) != GuaranteeVerdict::Holds, "{} by {} at {}", done, by, row);
    }
}

#[test]
fn every_kind_of_change_is_either_noticed_or_listed_and_the_list_has_no_idle_line() {
    let mut idle: Vec<&str> = UNGUARDED.iter().map(|(name, _)| *name).collect();
    for file in 0..FILES {
        for (row, edit, by) in (0..40).flat_map(|row| (0..16).flat_map(move |edit| [(row, edit, 1), (row, edit, -1)])) {
            let mut bank = Bank::good();
            let done = apply(&mut bank, file, Draw { row, edit, by });
            let holds = verdict(&bank) == GuaranteeVerdict::Holds;
            assert!(!holds || is_unguarded(&done), "{done} at row {row} of file {file} goes unnoticed");
            if holds {
                idle.retain(|name| *name != done);
            }
        }
    }
    assert_eq!(idle, Vec::<&str>::new(), "these are noticed after all: take them off the list");
}
