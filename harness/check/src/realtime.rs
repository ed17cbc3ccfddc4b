//! L5 realtime: serials follow real time, as far as those outside could see it.
//!
//! In: operations, core's entries. Out: `rt-inversion`. Elsewhere: whether serials are dense (`dense`).
//!
//! An id counts as sent at the first attempt of any operation under it, and as answered at the first answer ok. Only an answer that came
//! before the first byte of the other was sent orders the two; a transfer has an entry on each of its accounts, and is ordered on both.
//! Memory: 40 bytes an operation, 40 bytes an entry of one account.

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, uuid};
use crate::ordered::{AccountKey, Ordered, core_entries, is_customer, money_operations};
use bankstorm_record::rows::CoreEntryRow;

/// L5.
pub struct Realtime;

/// When an id was sent first, and when it was answered ok first.
#[derive(Clone, Copy)]
struct Times {
    transfer: u128,
    sent_ns: i64,
    acked_ns: Option<i64>,
}

impl Check for Realtime {
    fn id(&self) -> &'static str {
        "L5"
    }

    fn name(&self) -> &'static str {
        "realtime"
    }

    fn explains(&self) -> &'static str {
        "What was answered ok before another operation of the account was first sent has the lower serial there (rt-inversion)."
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let times = times(source)?;
        let mut entries = core_entries(source);
        let mut placed: Vec<(i64, Times)> = Vec::new();
        while let Some((account, _)) = entries.key()? {
            place(account, &mut entries, &times, &mut placed)?;
            if is_customer(account) {
                judge(account, &placed, tally);
            }
        }
        Ok(())
    }
}

/// Every id that was sent, by id.
fn times(source: &dyn Source) -> Result<Vec<Times>, ReadError> {
    let mut times: Vec<Times> = Vec::new();
    for row in money_operations(source) {
        let row = row?;
        let Some(sent_ns) = row.sent_ns else { continue };
        let acked_ns = row.acked_ns.filter(|_| row.outcome.as_deref() == Some("ok"));
        times.push(Times { transfer: row.transfer, sent_ns, acked_ns });
    }
    times.sort_unstable_by_key(|times| times.transfer);
    times.dedup_by(|next, first| {
        let is_same = next.transfer == first.transfer;
        if is_same {
            first.sent_ns = first.sent_ns.min(next.sent_ns);
            first.acked_ns = [first.acked_ns, next.acked_ns].into_iter().flatten().min();
        }
        is_same
    });
    Ok(times)
}

/// Reads the account's entries; those of known ids are placed by serial.
fn place(
    account: i64,
    entries: &mut Ordered<'_, CoreEntryRow, AccountKey>,
    times: &[Times],
    placed: &mut Vec<(i64, Times)>,
) -> Result<(), ReadError> {
    placed.clear();
    while let Some(entry) = entries.take_of(account)? {
        let found = times.binary_search_by_key(&entry.transfer, |times| times.transfer);
        if let (Some(seq), Ok(index)) = (entry.seq, found) {
            placed.push((seq, times[index]));
        }
    }
    Ok(())
}

/// From the highest serial down: the earliest answer above must not be before anything below was sent.
fn judge(account: i64, placed: &[(i64, Times)], tally: &mut Tally) {
    let mut earliest: Option<(i64, i64, u128)> = None;
    for (seq, times) in placed.iter().rev() {
        tally.look();
        if let Some((acked_ns, above, other)) = earliest.filter(|earliest| earliest.0 < times.sent_ns) {
            tally.violated("rt-inversion", || {
                format!(
                    "account {account}: transfer {} has seq {seq} and was first sent at {} ns; transfer {} has seq {above} and was \
                     answered ok at {acked_ns} ns",
                    uuid(times.transfer),
                    times.sent_ns,
                    uuid(other)
                )
            });
        }
        if let Some(acked_ns) = times.acked_ns
            && earliest.is_none_or(|earliest| acked_ns < earliest.0)
        {
            earliest = Some((acked_ns, *seq, times.transfer));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::bank::{Bank, PAYEE, PAYER, assert_only};

    #[test]
    fn an_answer_from_before_the_other_was_sent_has_the_higher_serial() {
        let mut bank = Bank::good();
        let (acked, sent) = (bank.operation_of(1_000_001, 4).acked_ns, bank.operation_of(1_000_001, 4).sent_ns);
        let later = bank.operation_of(1_000_001, 5);
        (later.sent_ns, later.acked_ns) = (sent.map(|at| at - 200), sent.map(|at| at - 100));
        assert_only(&bank, &[("L5", "rt-inversion: account 1000001: transfer ")]);
        // Of two that overlap, either may be first.
        bank.operation_of(1_000_001, 5).acked_ns = acked;
        bank.assert_all_hold();
    }

    #[test]
    fn a_transfer_is_ordered_on_the_account_that_it_goes_to_as_well() {
        let mut bank = Bank::good();
        let id = bank.core_entry(PAYEE, 5).transfer;
        let other = bank.core_entry(PAYEE, 4).transfer;
        let sent = bank.operation(other).sent_ns;
        bank.operation(id).sent_ns = sent.map(|at| at - 200);
        bank.operation(id).acked_ns = sent.map(|at| at - 100);
        bank.assert_fires("L5", &format!("account {PAYER}"));
        assert_eq!(bank.result("L5").violations, 2, "on either side");
    }

    #[test]
    fn a_first_attempt_is_what_counts_and_an_unknown_answer_orders_nothing() {
        let mut bank = Bank::good();
        let sent = bank.operation_of(1_000_001, 4).sent_ns;
        let later = bank.operation_of(1_000_001, 5);
        (later.sent_ns, later.acked_ns) = (sent.map(|at| at - 200), sent.map(|at| at - 100));
        later.outcome = Some("unknown".to_owned());
        bank.assert_all_hold();
        bank.operation_of(1_000_001, 5).outcome = Some("ok".to_owned());
        // The other was tried before, under the same id.
        let mut first = bank.operation_of(1_000_001, 4).clone();
        (first.op, first.sent_ns) = (100, sent.map(|at| at - 150));
        (first.outcome, first.resolved) = (Some("unknown".to_owned()), Some("ok".to_owned()));
        bank.source.operations.push(first);
        bank.assert_all_hold();
    }
}
