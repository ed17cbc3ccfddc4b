//! O1 once: at most one posting per transfer id, one accepted transfer at a time per intent, and one per customer.
//!
//! In: core's customer legs and transfers, operations, the channel's transfers. Out: `dup-key`, `dup-intent`, `dup-open`.
//! Elsewhere: two transfers of one customer that were open at a time (`once::open`), a posting of which a side is missing (`atomic`), one id
//! with two sets of parameters (`param_drift`).
//!
//! Which of two keys came later, and whether the earlier was settled by then, is told by the order of the channel's commits: stamps taken
//! inside a transaction may come before what the transaction waited for. A blind resend after the end of the earlier is the customer's own
//! doing: it is counted (`resent_after_end`), not judged. Memory: 17 bytes a leg, 100 bytes a transfer of the channel.

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{channel_transfers, core_entries, core_transfers, is_customer, money_operations};

mod open;

/// O1.
pub struct Once;

const VIOLATION: &str = "dup-key";
/// Keys that were accepted after every earlier key of their intent was settled.
const RESENT: &str = "resent_after_end";

impl Check for Once {
    fn id(&self) -> &'static str {
        "O1"
    }

    fn name(&self) -> &'static str {
        "once"
    }

    fn explains(&self) -> &'static str {
        "However often a transfer id was sent, core booked it at most once (dup-key), and no key of an intent was accepted while an \
         earlier key of the same intent was not settled (dup-intent). A key that was accepted after the end of the earlier ones is told \
         (resent_after_end), not judged. No transfer was stored while another one of the same customer, or of the same paying account \
         where system.guard says so, was open (dup-open), whatever their intents: of_one_customer tells how many came after another, \
         overlap_unsure of how many the commits do not tell the order."
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        // A transfer between two customers is a debit and a credit.
        let mut ids: Vec<(u128, bool)> = Vec::new();
        let mut entries = core_entries(source);
        while let Some(leg) = entries.take()? {
            if is_customer(leg.account) {
                tally.look();
                ids.push((leg.transfer, leg.amount < 0));
            }
        }
        ids.sort_unstable();
        for postings in ids.chunk_by(|a, b| a == b).filter(|postings| postings.len() > 1) {
            if tally.violations() == 0 {
                let (id, is_debit) = postings[0];
                let witness = postings_of(id, is_debit, source)?;
                tally.violated(VIOLATION, || witness);
            } else {
                tally.violated(VIOLATION, String::new);
            }
        }
        let mut transfers = core_transfers(source);
        let mut before = None;
        while let Some(row) = transfers.take()? {
            if before == Some(row.transfer) {
                tally.violated(VIOLATION, || format!("transfer {}: two transfer rows", uuid(row.transfer)));
            }
            before = Some(row.transfer);
        }
        if !context.transfers {
            return Ok(());
        }
        let keys = keys(source, tally)?;
        intents(source, &keys, tally)?;
        context.guard.map_or(Ok(()), |subject| open::judge(subject, &keys, tally))
    }
}

/// Where a transfer was posted: a second pass, for the first finding only.
fn postings_of(id: u128, is_debit: bool, source: &dyn Source) -> Result<String, ReadError> {
    let mut places = Vec::new();
    let mut entries = core_entries(source);
    while let Some(leg) = entries.take()? {
        if leg.transfer == id && is_customer(leg.account) && (leg.amount < 0) == is_debit {
            places.push(format!("account {} seq {} ({} won)", leg.account, shown(leg.seq), leg.amount));
        }
    }
    Ok(format!("transfer {} was posted {} times: {}", uuid(id), places.len(), places.join(", ")))
}

/// One key as the channel keeps it.
#[derive(Clone, Copy)]
struct Key {
    transfer: u128,
    user: i64,
    account: i64,
    opened: Option<i64>,
    settled: Option<i64>,
    is_terminal: bool,
}

fn intents(source: &dyn Source, keys: &[Key], tally: &mut Tally) -> Result<(), ReadError> {
    let mut uses: Vec<(u64, u128)> = Vec::new();
    for row in money_operations(source) {
        let row = row?;
        if let Some(intent) = row.intent {
            tally.look();
            uses.push((intent, row.transfer));
        }
    }
    Tally::needs(uses.len() as u64, "operations", "transfers")?;
    tally.count(RESENT, 0);
    uses.sort_unstable();
    uses.dedup();
    for intent in uses.chunk_by(|a, b| a.0 == b.0).filter(|intent| intent.len() > 1) {
        let find = |id: u128| keys.binary_search_by_key(&id, |key| key.transfer).ok().map(|index| keys[index]);
        let accepted: Vec<Key> = intent.iter().filter_map(|(_, id)| find(*id)).collect();
        if accepted.len() > 1 {
            judge_intent(intent[0].0, &accepted, tally)?;
        }
    }
    Ok(())
}

/// The channel's transfers by id, which is how they are stored.
fn keys(source: &dyn Source, tally: &mut Tally) -> Result<Vec<Key>, ReadError> {
    let mut keys: Vec<Key> = Vec::new();
    let mut transfers = channel_transfers(source);
    while let Some(row) = transfers.take()? {
        tally.look();
        if keys.last().is_some_and(|key| key.transfer == row.transfer) {
            tally.violated(VIOLATION, || format!("transfer {}: two rows in the channel", uuid(row.transfer)));
            continue;
        }
        keys.push(Key {
            transfer: row.transfer,
            user: row.user,
            account: row.account,
            opened: row.opened_commit,
            settled: row.settled_commit,
            is_terminal: matches!(row.stage.as_str(), "completed" | "rejected" | "failed"),
        });
    }
    Ok(keys)
}

/// Nobody can tell which of two came first.
fn lacks_order(key: &Key) -> ReadError {
    let problem = format!("transfer {}: the order of its commits is not known", uuid(key.transfer));
    ReadError { file: "channel_transfer".to_owned(), problem }
}

/// Each key of an intent must have been stored after the ones before it were settled.
fn judge_intent(intent: u64, accepted: &[Key], tally: &mut Tally) -> Result<(), ReadError> {
    let mut spans = Vec::new();
    for key in accepted {
        let opened = key.opened.ok_or_else(|| lacks_order(key))?;
        let settled = if key.is_terminal { key.settled.ok_or_else(|| lacks_order(key))? } else { i64::MAX };
        spans.push((opened, settled, key.transfer));
    }
    spans.sort_unstable();
    let mut latest = spans[0];
    for later in &spans[1..] {
        if latest.1 > later.0 {
            tally.violated("dup-intent", || {
                let (opened, settled) = (later.0, latest.1);
                let settled = if settled == i64::MAX { "was never settled".to_owned() } else { format!("was settled at {settled}") };
                format!(
                    "intent of op {intent}: transfer {} was accepted at {opened}, when transfer {}, accepted at {}, was open: it {settled}",
                    uuid(later.2),
                    uuid(latest.2),
                    latest.0
                )
            });
        } else {
            tally.count(RESENT, 1);
        }
        if later.1 > latest.1 {
            latest = *later;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use super::Once;
    use crate::bank::{Bank, LOST, PAYER, REFUSED, assert_only};
    use crate::check::{Check, Context};

    #[test]
    fn a_deposit_booked_twice_under_one_id() {
        let mut bank = Bank::good();
        let id = bank.core_entry(1_000_002, 4).transfer;
        // The retry of the same id was posted as the next serial, both legs, everything consistent; the copy faithfully shows it twice.
        bank.post_again(1_000_002, id);
        bank.assert_fires("O1", "was posted 2 times: account 1000002 seq 4");
        bank.assert_fires("S2", "at seq 4 and at seq 6");
        bank.assert_holds(&["L1", "L2", "L3", "L4", "O2", "S1", "S3", "S4", "S5", "T1", "T2"]);
    }

    #[test]
    fn two_rows_of_one_transfer() {
        let mut bank = Bank::good();
        let doubled = bank.source.core_transfers[3].clone();
        bank.source.core_transfers.insert(3, doubled);
        bank.assert_fires("O1", "two transfer rows");
    }

    #[test]
    fn a_debit_booked_twice_under_one_id() {
        let mut bank = Bank::good();
        let id = bank.core_entry(PAYER, 4).transfer;
        bank.post_under(PAYER, id, -100);
        bank.assert_fires(
            "O1",
            &format!("was posted 2 times: account {PAYER} seq 4 (-100 won), account {PAYER} seq 7"),
        );
    }

    /// The last transfer becomes one of an intent and a customer of its own.
    fn of_another_customer(bank: &mut Bank) {
        let op = bank.operation(REFUSED);
        (op.intent, op.user) = (Some(77), Some(8));
        bank.channel_transfer(REFUSED).user = 8;
    }

    #[test]
    fn a_second_key_of_an_intent_accepted_before_the_first_was_settled() {
        let mut bank = Bank::good();
        let intent = bank.operation(LOST).intent;
        let settled = bank.channel_transfer(LOST).settled_commit;
        assert_eq!(bank.operation(REFUSED).intent, intent, "a resend after the end is part of the good history");
        let later = bank.channel_transfer(REFUSED);
        later.opened_commit = settled.map(|at| at - 1);
        assert_only(&bank, &[("O1", "dup-intent: intent of op ")]);
        // One that was never settled is open for ever.
        let mut bank = Bank::good();
        let earlier = bank.channel_transfer(LOST);
        (earlier.stage, earlier.reason, earlier.settled_commit) = ("unknown".to_owned(), None, None);
        bank.assert_fires("O1", "was open: it was never settled");
        // Another customer's intent is another matter.
        let mut bank = Bank::good();
        bank.channel_transfer(REFUSED).opened_commit = settled.map(|at| at - 1);
        of_another_customer(&mut bank);
        bank.assert_all_hold();
    }

    #[test]
    fn a_resend_after_the_end_is_counted_and_not_judged() {
        let mut bank = Bank::good();
        bank.assert_all_hold();
        let resent = |bank: &Bank| bank.result("O1").figures.get("resent_after_end").copied();
        assert_eq!(resent(&bank), Some(1), "a resend after the end is part of the good history");
        // Before the end it is a finding instead.
        bank.channel_transfer(REFUSED).opened_commit = bank.channel_transfer(LOST).settled_commit.map(|at| at - 1);
        assert_eq!((resent(&bank), bank.result("O1").violations), (Some(0), 2), "and of the same customer");
        bank.operation(REFUSED).intent = Some(77);
        assert_eq!(resent(&bank), Some(0), "another intent");
        assert!(Once.run(&Bank::deposits().source, &Context::default()).figures.is_empty());
    }

    #[test]
    fn without_the_order_of_commits_nobody_can_tell_and_only_where_it_matters() {
        let mut bank = Bank::good();
        bank.channel_transfer(REFUSED).opened_commit = None;
        assert_eq!(bank.result("O1").verdict, GuaranteeVerdict::Unknown);
        of_another_customer(&mut bank);
        bank.assert_all_hold();
    }

    #[test]
    fn two_rows_of_one_transfer_in_the_channel() {
        let mut bank = Bank::good();
        let doubled = bank.source.channel_transfers[1].clone();
        bank.source.channel_transfers.insert(1, doubled);
        bank.assert_fires("O1", "two rows in the channel");
    }
}
