//! S8 manual sync: what the button tells is true (A16, D5).
//!
//! In: uses of the button, what customers were told, core's entries, the apply journal. Out: `sync-lie`. Elsewhere: reads (`fresh`), whether the
//! copy moves forward at all (`monotone`).
//!
//! Core's head is known not to have moved between two uses when core has no entry above what the first one told, or when the next entry's
//! operation was not even sent before the second one was over. Memory: 24 bytes an entry of one account, the uses of one account.

use bankstorm_record::rows::{ApplyJournalRow, SyncRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally};
use crate::ordered::{AccountKey, Ordered, apply_journal, core_entries, syncs};
use crate::told::{Entry, Highest, Told};

/// S8.
pub struct ManualSync;

const VIOLATION: &str = "sync-lie";
/// Uses that told the account was synced: with none, nothing was promised.
const JUDGED: &str = "synced_judged";
/// Uses right after which nothing could have moved.
const REPEATS: &str = "repeats_judged";

impl Check for ManualSync {
    fn id(&self) -> &'static str {
        "S8"
    }

    fn name(&self) -> &'static str {
        "manual_sync"
    }

    fn explains(&self) -> &'static str {
        "Who presses the button and is told \"synced\" has every entry that core had told anybody of before; pressed again, it never tells less, \
         and with core's head unmoved it tells the same and writes nothing (sync-lie). How many answers were judged is counted (synced_judged, \
         repeats_judged)."
    }

    fn applies(&self, context: &Context) -> bool {
        context.following.is_some_and(|following| following.button)
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut accounts: Vec<i64> = Vec::new();
        let mut uses = syncs(source);
        while let Some(row) = uses.take()? {
            tally.look();
            accounts.push(row.account);
            accounts.dedup();
        }
        tally.count(JUDGED, 0);
        tally.count(REPEATS, 0);
        let told = Told::read(source, context, &accounts)?;
        let mut uses = syncs(source);
        let mut core = core_entries(source);
        let mut journal = apply_journal(source);
        for account in accounts {
            let entries = told.entries(account, &mut core)?;
            let last = entries.last().map_or(0, |entry| entry.seq);
            let mut synced: Vec<SyncRow> = Vec::new();
            while let Some(row) = uses.take_of(account)? {
                if row.outcome == "ok" && row.result.as_deref() == Some("synced") {
                    synced.push(row);
                }
            }
            tally.count(JUDGED, synced.len() as u64);
            has_what_was_told(&synced, &entries, tally);
            has_no_more(&synced, last, tally);
            let repeats = repeats(&synced, &entries, tally);
            tally.count(REPEATS, repeats);
            wrote(account, &mut journal, last, tally)?;
        }
        journal.drain()?;
        core.drain()
    }
}

fn has_what_was_told(synced: &[SyncRow], entries: &[Entry], tally: &mut Tally) {
    let mut highest = Highest::of(entries);
    for row in synced {
        if let Some((seq, told_ns)) = highest.before(row.invoked_ns).filter(|(seq, _)| *seq > row.as_of_seq) {
            tally.violated(VIOLATION, || format!("{}; seq {seq} had been told at {told_ns} ns", told(row)));
        }
    }
}

fn has_no_more(synced: &[SyncRow], last: i64, tally: &mut Tally) {
    for row in synced.iter().filter(|row| row.as_of_seq > last) {
        tally.violated(VIOLATION, || format!("{}; core's last entry is seq {last}", told(row)));
    }
}

/// What the button moved: nothing that was there, and nothing that core does not have.
fn wrote(
    account: i64,
    journal: &mut Ordered<'_, ApplyJournalRow, AccountKey>,
    last: i64,
    tally: &mut Tally,
) -> Result<(), ReadError> {
    while journal.take_if(|key| key.0 < account)?.is_some() {}
    while let Some(line) = journal.take_of(account)? {
        let is_idle = line.to_seq <= line.from_seq || line.to_seq > last;
        if line.source == "manual_sync" && is_idle {
            tally.violated(VIOLATION, || {
                let ApplyJournalRow { journal_id, from_seq, to_seq, .. } = line;
                format!(
                    "account {account} journal {journal_id}: the button wrote seq {from_seq} to {to_seq}, and core's last entry is seq {last}"
                )
            });
        }
    }
    Ok(())
}

/// Holds each use against the highest answer that was complete before it; gives how often core could not have moved since then.
fn repeats(synced: &[SyncRow], entries: &[Entry], tally: &mut Tally) -> u64 {
    let mut complete: Vec<&SyncRow> = synced.iter().collect();
    complete.sort_by_key(|row| row.completed_ns);
    let mut complete = complete.into_iter().peekable();
    let mut before: Option<&SyncRow> = None;
    let mut unmoved = 0;
    for row in synced {
        while let Some(done) = complete.next_if(|done| done.completed_ns < row.invoked_ns) {
            if before.is_none_or(|before| done.as_of_seq >= before.as_of_seq) {
                before = Some(done);
            }
        }
        let Some(before) = before else { continue };
        let is_unmoved = is_unmoved(entries, before.as_of_seq, row.completed_ns);
        unmoved += u64::from(is_unmoved);
        let is_lie = row.as_of_seq < before.as_of_seq || (is_unmoved && row.as_of_seq != before.as_of_seq);
        if is_lie {
            tally.violated(VIOLATION, || {
                let core = if is_unmoved { ", and core had nothing new" } else { "" };
                let (first, at) = (before.as_of_seq, before.completed_ns);
                format!("{}; seq {first} had been told by the button at {at} ns{core}", told(row))
            });
        }
    }
    unmoved
}

/// Whether core certainly had no entry above `seq` up to `until_ns`.
fn is_unmoved(entries: &[Entry], seq: i64, until_ns: i64) -> bool {
    let next = entries.get(entries.partition_point(|entry| entry.seq <= seq));
    next.is_none_or(|next| next.begun_ns.is_some_and(|begun_ns| begun_ns > until_ns))
}

fn told(row: &SyncRow) -> String {
    format!(
        "account {}: {} told at {} ns that it is synced as of seq {}, asked at {} ns",
        row.account, row.instance, row.completed_ns, row.as_of_seq, row.invoked_ns
    )
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use crate::bank::{Bank, FOLLOWED, assert_only};

    #[test]
    fn a16_synced_without_what_core_had_told() {
        let mut bank = Bank::good();
        bank.sync_of(0).as_of_seq = 9;
        bank.sync_of(1).as_of_seq = 9;
        assert_only(
            &bank,
            &[("S8", "sync-lie: account 1000202: channel-0 told at 401000000 ns that it is synced as of seq 9")],
        );
        bank.assert_fires("S8", "seq 10 had been told at ");
        // Told while it ran.
        for index in [0, 1] {
            bank.sync_of(index).invoked_ns = index as i64;
        }
        bank.assert_all_hold();
    }

    #[test]
    fn other_answers_promise_nothing() {
        for (outcome, result) in
            [("ok", Some("stale")), ("ok", Some("core_unavailable")), ("ok", Some("rate_limited")), ("unknown", None)]
        {
            let mut bank = Bank::good();
            let row = bank.sync_of(1);
            (row.outcome, row.result, row.as_of_seq) = (outcome.to_owned(), result.map(str::to_owned), 1);
            bank.assert_all_hold();
        }
    }

    #[test]
    fn pressed_again_it_tells_the_same_and_never_less() {
        let mut bank = Bank::good();
        assert_eq!(bank.result("S8").figures["repeats_judged"], 1);
        bank.sync_of(1).as_of_seq = 11;
        assert_only(&bank, &[("S8", "is synced as of seq 11, asked at 500000000 ns; core's last entry is seq 10")]);
        assert_eq!(bank.result("S8").violations, 2, "and core had nothing new");
        // Without anybody having been told of the entries, the first answer alone is what the second is held to.
        let mut bank = Bank::good();
        bank.source.operations.iter_mut().filter(|op| op.account == FOLLOWED).for_each(|op| op.acked_ns = None);
        bank.sync_of(1).as_of_seq = 9;
        assert_only(&bank, &[("S8", "seq 10 had been told by the button at 401000000 ns, and core had nothing new")]);
        bank.sync_of(1).invoked_ns = 401_000_000;
        bank.assert_all_hold();
    }

    #[test]
    fn an_entry_that_may_have_come_in_between_excuses_more_and_never_less() {
        let mut bank = Bank::good();
        bank.source.operations.iter_mut().filter(|op| op.account == FOLLOWED).for_each(|op| op.acked_ns = None);
        bank.sync_of(0).as_of_seq = 9;
        // Seq 10 was sent before the second use was over.
        bank.assert_all_hold();
        bank.operation_of(FOLLOWED, 10).sent_ns = Some(600_000_000);
        bank.assert_fires("S8", "as of seq 10, asked at 500000000 ns; seq 9 had been told by the button");
    }

    #[test]
    fn what_the_button_writes_moves_the_copy_to_what_core_has() {
        let mut bank = Bank::good();
        bank.journal_line(FOLLOWED, 10).from_seq = 10;
        bank.assert_fires("S8", "the button wrote seq 10 to 10, and core's last entry is seq 10");
        let mut bank = Bank::good();
        bank.journal_line(FOLLOWED, 10).to_seq = 11;
        bank.assert_fires("S8", "the button wrote seq 9 to 11, and core's last entry is seq 10");
    }

    #[test]
    fn a_load_with_a_button_needs_somebody_who_pressed_it() {
        let mut bank = Bank::good();
        bank.source.syncs.clear();
        assert_eq!(bank.result("S8").verdict, GuaranteeVerdict::Unknown);
    }
}
