//! L2 floor: no customer's balance was ever below the limit.
//!
//! In: core's entries in serial order. Out: `overdraft`. Elsewhere: whether `balance_after` continues the chain (`dense`).

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{core_entries, is_customer};

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
        "Along an account's serials the balance, summed up and as recorded, is never below its limit (overdraft)."
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut entries = core_entries(source);
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
            }
            running += i128::from(entry.amount);
            let recorded = entry.balance_after.map_or(running, i128::from);
            if running.min(recorded) < i128::from(context.floor_won) {
                tally.violated("overdraft", || {
                    format!(
                        "account {} seq {} (transfer {}, {} won): balance {running} won summed up, {} recorded, limit {}",
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

#[cfg(test)]
mod tests {
    use crate::bank::Bank;

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
}
