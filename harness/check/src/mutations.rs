//! Random changes of a single row: none may leave every check at `holds`, apart from those listed with their reasons.

mod changes;
mod following;

use std::collections::BTreeMap;

use bankstorm_record::rows::{
    ApplyJournalRow, ChannelTransferRow, CoreHoldRow, CoreTransferRow, DatabaseRow, OperationRow, PageRow,
};
use bankstorm_record::run_json::GuaranteeVerdict;
use proptest::prelude::*;

use self::changes::{
    CHANNEL_ACCOUNT, CHANNEL_ENTRY, CHANNEL_TRANSFER, CORE_ACCOUNT, CORE_ENTRY, CORE_TRANSFER, CREDIT, Change,
    DATABASE, HOLD, JOURNAL, OPERATION, PAGE, POSTED_TRANSFER, READ, TOPIC,
};
use crate::bank::{Bank, DECLARED};
use crate::guarantees::run_all;

/// Changes that no guarantee speaks of. `visible` and `core_outbox` are left out as a whole: a stamp more or less leaves T3 with those of later
/// advances, and unsent outbox rows only enrich T1's witness.
const UNGUARDED: &[(&str, &str)] = &[
    ("operations removed", "the plan's digest guards what was planned, not a check"),
    ("operations.outcome", "without an ok nothing was promised, and here the other word still says ok"),
    ("operations.resolved", "as outcome"),
    ("operations.times", "they feed latencies; orders only what did not overlap"),
    ("operations.user", "of deposits nobody is asked"),
    ("operations.to", "as user"),
    ("operations.intent", "as user"),
    ("operations.attempts", "a number for witnesses"),
    ("transfer operations removed", "as operations"),
    ("transfer operations.outcome", "as operations"),
    ("transfer operations.resolved", "as operations; its id has a verdict"),
    ("transfer operations.no seq", "a channel's answer need not name it"),
    ("transfer operations.balance_after", "a channel's answer never names it"),
    ("transfer operations.times", "as operations"),
    ("transfer operations.intent", "no two of its customer's are open at a time, however near they are"),
    ("transfer operations.attempts", "a number for witnesses"),
    (
        "refused operations.fields",
        "nothing was booked that they could be held against; its verdict is the channel's, which is guarded",
    ),
    ("internal core_account removed", "internal accounts need no row (D40)"),
    ("internal core_account doubled", "as removed"),
    ("internal core_account.account", "as removed"),
    ("internal core_account.seq", "as removed"),
    ("internal core_account.balance", "as removed"),
    ("internal core_account.loaded_seq", "as removed"),
    ("internal core_account.status", "as removed"),
    ("internal core_account.held", "as removed"),
    ("customer core_account.status", "what an account lets happen may change at any time"),
    ("internal core_account.kind", "the number says what an account is"),
    ("customer core_account.kind", "the number says what an account is"),
    ("internal core_entry.account", "which internal account stands on the other side is not told by operations"),
    ("internal core_entry.kind", "never copied"),
    ("internal core_entry.posted_at_us", "never copied"),
    ("loaded core_transfer removed", "loaded entries need no transfer row"),
    ("loaded core_transfer.fields", "nobody was promised anything about a loaded transfer"),
    ("posted core_transfer.reason", "of completed transfers it means nothing"),
    ("posted core_transfer.party", "of deposits the hash guards who sent them"),
    ("posted core_transfer.times", "by clocks that nobody judges by"),
    ("posted core_transfer.valid_for_ms", "of what was posted the validity means nothing any more"),
    ("refused core_transfer.state", "it is the same word already"),
    ("refused core_transfer.fields", "nothing was booked that they could be held against"),
    (
        "core_hold.placed_seq",
        "it kept the money back for a longer or shorter time, which is no harm while there is enough",
    ),
    ("core_hold.placed_at_us", "by a clock that nobody judges by"),
    ("voided core_hold.ended_seq", "as placed_seq"),
    ("completed channel_transfer.times", "by a clock that nobody judges by"),
    ("completed channel_transfer.commits", "one key alone is no double"),
    ("refused channel_transfer.parties", "nothing was booked that they could be held against"),
    ("refused channel_transfer.seq", "as parties"),
    ("refused channel_transfer.times", "as completed"),
    ("refused channel_transfer.settled_txid", "no row goes with it"),
    ("refused channel_transfer.no settled_txid", "as settled_txid"),
    ("refused channel_transfer.commits", "as completed; where two are open at a time, see the tests of O1"),
    ("submit transfer_read removed", "an answer more or less promises nothing"),
    ("submit transfer_read doubled", "as removed"),
    ("read transfer_read removed", "as removed"),
    ("read transfer_read doubled", "as removed"),
    ("submit transfer_read.asked", "who was asked when, and how"),
    ("read transfer_read.asked", "as submit"),
    ("submit transfer_read.outcome", "what it meant for the operation stands there"),
    ("read transfer_read.outcome", "as submit"),
    ("submit transfer_read.stage", "the first answer may tell less than is true"),
    ("submit transfer_read.seq", "beside a stage that has none it means nothing"),
    ("page.pending", "a transfer may be in progress on any page that does not have its row"),
    ("apply_journal.cause", "whose record it was matters where generations differ; see the tests of T5"),
    ("apply_journal.generation", "the next owner may have come at any time; see the tests of T5"),
    ("apply_journal.transaction", "only where a transfer was completed with it does anybody ask"),
    ("apply_journal.journal_id", "drawn, not dense"),
    ("page removed", "a read more or less promises nothing"),
    ("page doubled", "as removed"),
    ("page.read", "who was asked when, and for which operation"),
    ("page.outcome", "a failed read says nothing"),
    ("scrolled page.as_of_seq", "a page further down reaches the same rows at any later watermark"),
    ("page.scroll left", "a scroll may end with any page"),
    ("page.no scroll", "what is no page of a scroll belongs to none"),
    ("failed page.fields", "as page.outcome"),
    ("page.stale", "without a call for it, or where it took its time, it may have had a reason"),
    (
        "read operations.fields",
        "they move no money; what they were told stands with the pages and the uses of the button",
    ),
    ("read core_access removed", "a call less bothers nobody"),
    (
        "read core_access doubled",
        "a head more is one look more, and there are more reads than looks; see the tests of G1",
    ),
    ("read core_access.call", "as doubled"),
    ("read core_access.times", "a little sooner or later it is the same call"),
    ("read core_access.status", "only pages that say they are stale have to do with it"),
    ("read core_access.no purpose", "a purpose that is not said is not judged"),
    ("other core_access removed", "what is not for a read is told and not judged"),
    ("other core_access doubled", "as removed"),
    ("other core_access.account", "as removed"),
    ("other core_access.caller", "as removed"),
    ("other core_access.call", "as removed"),
    ("other core_access.times", "as removed"),
    ("other core_access.status", "as removed"),
    ("other core_access.no purpose", "as removed"),
    ("sync removed", "a use more or less promises nothing"),
    ("sync doubled", "as removed"),
    ("sync.read", "as page.read"),
    ("sync.outcome", "a use that failed promises nothing"),
    ("sync.result", "of its answers only one promises something"),
    ("other sync.promise", "as result"),
    ("permanent dead_letter.attempts", "what cannot be mended needs none"),
    ("transient dead_letter.more attempts", "it may be tried more often"),
    ("permanent dead_letter.more attempts", "as attempts"),
    ("transient dead_letter.code", "it may be any that can be mended"),
    ("dead_letter doubled", "it is put aside once, however often it is told"),
    ("dead_letter.end", "what became of it shows in the copy"),
    ("permanent dlt.attempts", "as of dead_letter"),
    ("transient dlt.more attempts", "as of dead_letter"),
    ("permanent dlt.more attempts", "as of dead_letter"),
    ("transient dlt.code", "as of dead_letter"),
    ("dlt doubled", "the topic may have it more than once (R17)"),
    ("dlt.place", "where on the dead-letter topic it stands"),
    ("group_commit removed", "offsets that pass less are no harm"),
    ("group_commit doubled", "as removed"),
    ("group_commit.back", "as removed"),
    ("group_commit.partition", "where nobody knows when records were applied"),
    ("group_commit.later", "as removed"),
    ("topic.record_offset", "offsets may have holes"),
    ("topic.timestamp_us", "feeds latencies"),
    ("database doubled", "a look more promises nothing"),
    (
        "last database.deadlocks fell to 0",
        "what a crash of the server leaves of its counter; its log is the second witness",
    ),
    ("database.at_ns", "counts are compared in their order, whenever they were taken"),
];

/// Files that are mutated.
const FILES: usize = 19;

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
        0 => mutate_operation(&mut source.operations, draw),
        1 => mutate(&mut source.core_accounts, |row| side(row.account) + "core_account", CORE_ACCOUNT, draw),
        2 => mutate(&mut source.core_entries, |row| side(row.account) + "core_entry", CORE_ENTRY, draw),
        3 => mutate_transfer(&mut source.core_transfers, draw),
        4 => mutate(&mut source.channel_entries, |_| "channel_entry".to_owned(), CHANNEL_ENTRY, draw),
        5 => mutate(&mut source.channel_accounts, |_| "channel_account".to_owned(), CHANNEL_ACCOUNT, draw),
        6 => mutate_journal(&mut source.apply_journal, draw),
        7 => mutate_page(&mut source.pages, draw),
        8 => mutate_database(&mut source.databases, draw),
        9 => mutate_hold(&mut source.core_holds, draw),
        10 => mutate(&mut source.bank_network, |_| "bank_network".to_owned(), CREDIT, draw),
        11 => {
            let class = |row: &ChannelTransferRow| if row.seq.is_some() { "completed " } else { "refused " }.to_owned();
            mutate(&mut source.channel_transfers, |row| class(row) + "channel_transfer", CHANNEL_TRANSFER, draw)
        }
        12 => mutate(&mut source.transfer_reads, |row| format!("{} transfer_read", row.via), READ, draw),
        13 => mutate(&mut source.topic, |_| "topic".to_owned(), TOPIC, draw),
        file => following::apply(source, file - 14, draw),
    }
}

/// Only records have generations behind them.
fn mutate_journal(rows: &mut Vec<ApplyJournalRow>, draw: Draw) -> String {
    let has_none = rows[draw.row % rows.len()].generation.is_none();
    let done = mutate(rows, |_| "apply_journal".to_owned(), JOURNAL, draw);
    if has_none { done.replace("no generation", "generation") } else { done }
}

fn side(account: i64) -> String {
    if account < 1_000_000 { "internal " } else { "customer " }.to_owned()
}

/// What was booked can be held against core, and only the first answer to a deposit names all of it.
fn mutate_operation(rows: &mut Vec<OperationRow>, draw: Draw) -> String {
    let class = |row: &OperationRow| match (row.kind.as_str(), row.resolved.as_deref()) {
        ("scroll" | "sync", _) => "read operations".to_owned(),
        ("deposit", _) => "operations".to_owned(),
        (_, Some("ok")) => "transfer operations".to_owned(),
        _ => "refused operations".to_owned(),
    };
    let done = mutate(rows, class, OPERATION, draw);
    let is_refused = done.starts_with("refused ") && !done.ends_with("doubled");
    match (done.starts_with("read ") && !done.ends_with(".kind"), is_refused) {
        (true, _) => "read operations.fields".to_owned(),
        (false, true) => "refused operations.fields".to_owned(),
        (false, false) => done,
    }
}

/// Only how a voided hold ended is not told by its transfer's serial.
fn mutate_hold(rows: &mut Vec<CoreHoldRow>, draw: Draw) -> String {
    let done =
        mutate(rows, |row| if row.state == "voided" { "voided " } else { "" }.to_owned() + "core_hold", HOLD, draw);
    if done.ends_with(".ended_seq") { done } else { done.replace("voided ", "") }
}

/// Loaded and posted transfers are guarded differently: operations speak of the posted ones only.
fn mutate_transfer(rows: &mut Vec<CoreTransferRow>, draw: Draw) -> String {
    let is_posted = rows[draw.row % rows.len()].seq > Some(3);
    let is_refused = rows[draw.row % rows.len()].state == "rejected";
    let class = |row: &CoreTransferRow| match (row.state.as_str(), row.seq) {
        ("rejected", _) => "refused core_transfer".to_owned(),
        (_, Some(4..)) => "posted core_transfer".to_owned(),
        _ => "loaded core_transfer".to_owned(),
    };
    let both = [CORE_TRANSFER, POSTED_TRANSFER].concat();
    let done = mutate(rows, class, &both, draw);
    let is_common = ["removed", "doubled", ".transfer", ".state"].iter().any(|common| done.ends_with(common));
    match (is_posted || is_common, is_refused) {
        (true, _) => done,
        (false, true) => "refused core_transfer.fields".to_owned(),
        (false, false) => "loaded core_transfer.fields".to_owned(),
    }
}

/// Pages are guarded alike but for one field of those further down; what failed shows nothing, and what is no scroll's has no place in one.
fn mutate_page(rows: &mut Vec<PageRow>, draw: Draw) -> String {
    let page = &rows[draw.row % rows.len()];
    let (is_failed, is_scrolls) = (page.outcome != "ok", page.page_no.is_some());
    let class = |row: &PageRow| if row.cursor.is_some() { "scrolled page" } else { "page" }.to_owned();
    let done = mutate(rows, class, PAGE, draw);
    match (is_failed, done.ends_with(".scroll") && !is_scrolls) {
        (true, _) => "failed page.fields".to_owned(),
        (false, true) => "page.no scroll".to_owned(),
        (false, false) if done.ends_with("as_of_seq") => done,
        (false, false) => done.replace("scrolled ", ""),
    }
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
    run_all(&bank.source, &DECLARED).verdict
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
    // What was done, and where it went unnoticed first.
    let mut unnoticed: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for file in 0..FILES {
        for (row, edit, by) in (0..64).flat_map(|row| (0..24).flat_map(move |edit| [(row, edit, 1), (row, edit, -1)])) {
            let mut bank = Bank::good();
            let done = apply(&mut bank, file, Draw { row, edit, by });
            let holds = verdict(&bank) == GuaranteeVerdict::Holds;
            if holds && !is_unguarded(&done) {
                unnoticed.entry(done).or_insert((file, row));
            } else if holds {
                idle.retain(|name| *name != done);
            }
        }
    }
    assert_eq!(unnoticed, BTreeMap::new(), "these go unnoticed: file and row");
    assert_eq!(idle, Vec::<&str>::new(), "these are noticed after all: take them off the list");
}
