//! L2 floor: no account goes below its limit, what open holds keep back left out.
//!
//! In: core's entries, each balance both as recorded and as summed up, and holds. Out: `overdraft`. Elsewhere: whether recorded balances
//! follow from each other (`dense`), whether a hold fits its transfer (`atomic`).
//!
//! A hold counts at every balance from the serial at which it was placed until before the one at which it ended: those were kept back all
//! together the moment before the next entry. Memory: 40 bytes a hold.

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{core_entries, core_holds, is_customer};

/// L2.
pub struct Floor;

impl Check for Floor {
    fn id(&self) -> &'static str {
        "L2"
    }

    fn name(&self) -> &'static str {
        "floor"
    }

    fn explains(&self) -> &'static str {
        "After no entry is a customer's balance, less what open holds keep back, below the limit (overdraft)."
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut entries = core_entries(source);
        let holds = holds(source, context, tally)?;
        let mut held = Held::default();
        let mut of = None;
        let mut running: i128 = 0;
        while let Some(entry) = entries.take()? {
            if !is_customer(entry.account) {
                continue;
            }
            tally.look();
            if of != Some(entry.account) {
                of = Some(entry.account);
                running = 0;
                held = Held::of(&holds, entry.account);
            }
            running += i128::from(entry.amount);
            let recorded = entry.balance_after.map_or(running, i128::from);
            let kept = held.at(entry.seq.unwrap_or(0));
            if running.min(recorded) - kept < i128::from(context.floor_won) {
                tally.violated("overdraft", || {
                    format!(
                        "account {} seq {} (transfer {}, {} won): balance {running} won summed up, {} recorded, {kept} held, \
                         limit {}",
                        entry.account,
                        shown(entry.seq),
                        uuid(entry.transfer),
                        entry.amount,
                        shown(entry.balance_after),
                        context.floor_won
                    )
                });
            }
        }
        Ok(())
    }
}

/// Where a hold begins or ends to count: account, serial, by how much what is held changes.
type Step = (i64, i64, i64);

/// The steps of all holds, in order.
fn holds(source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<Vec<Step>, ReadError> {
    let mut steps = Vec::new();
    if !context.transfers && !context.outbound {
        return Ok(steps);
    }
    let mut holds = core_holds(source);
    while let Some(hold) = holds.take()? {
        tally.look();
        steps.push((hold.account, hold.placed_seq, hold.amount));
        if let Some(ended) = hold.ended_seq {
            steps.push((hold.account, ended, hold.amount.saturating_neg()));
        }
    }
    steps.sort_unstable();
    Ok(steps)
}

/// What is held of one account, at rising serials.
#[derive(Default)]
struct Held<'a> {
    rest: &'a [Step],
    sum: i128,
}

impl<'a> Held<'a> {
    fn of(steps: &'a [Step], account: i64) -> Self {
        let from = steps.partition_point(|step| step.0 < account);
        let to = steps.partition_point(|step| step.0 <= account);
        Self { rest: &steps[from..to], sum: 0 }
    }

    fn at(&mut self, seq: i64) -> i128 {
        let due = self.rest.iter().take_while(|step| step.1 <= seq).count();
        let (due, rest) = self.rest.split_at(due);
        self.sum += due.iter().map(|step| i128::from(step.2)).sum::<i128>();
        self.rest = rest;
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use crate::bank::{Bank, PAYER, POSTED, VOIDED};

    #[test]
    fn a_debit_below_zero_although_all_sums_agree() {
        let mut bank = Bank::good();
        // The last deposit of the account becomes a debit of more than it has, booked consistently everywhere in core.
        bank.rewrite_last(1_000_000, -1_000_000);
        bank.assert_fires("L2", "overdraft: account 1000000 seq 5");
        bank.assert_holds(&["L1", "L3", "L4"]);
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let mut bank = Bank::good();
        let balance = bank.core_entry(1_000_000, 4).balance_after.expect("a customer's");
        bank.rewrite_last(1_000_000, -balance);
        bank.assert_holds(&["L1", "L2", "L3", "L4"]);
    }

    #[test]
    fn a_hold_placed_although_the_money_was_not_there() {
        let mut bank = Bank::good();
        let balance = bank.core_entry(PAYER, 5).balance_after.expect("a customer's");
        let hold = bank.hold(POSTED);
        // It counts from serial 5 on, where it takes all there is and one won more; then from its own debit on no longer.
        hold.amount = balance + 1;
        bank.assert_fires("L2", &format!("account {PAYER} seq 5 "));
        assert_eq!(bank.result("L2").violations, 1);
        bank.hold(POSTED).amount = balance;
        bank.assert_holds(&["L1", "L2", "L3"]);
    }

    #[test]
    fn a_debit_of_what_is_held_for_another() {
        let mut bank = Bank::good();
        let balance = bank.core_entry(PAYER, 6).balance_after.expect("a customer's");
        // The voided hold was open for longer than it was: from serial 4 to the end.
        let hold = bank.hold(VOIDED);
        (hold.placed_seq, hold.ended_seq, hold.amount) = (4, Some(7), balance + 1);
        bank.assert_fires("L2", &format!("account {PAYER} seq 5 "));
        assert_eq!(bank.result("L2").violations, 2, "with the other hold beside it at 5, and alone at 6");
    }
}
