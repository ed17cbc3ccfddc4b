//! L1 conserve: money is neither made nor lost.
//!
//! In: core's account rows, every leg, open holds. Out: `wrong-total`. Elsewhere: whether both legs are there (`atomic`).
//!
//! Memory: 32 bytes a leg, for the sums by transfer; 16 bytes an open hold.

use bankstorm_record::rows::CoreAccountRow;
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{core_accounts, core_entries, core_holds, is_customer, lowest};

/// L1.
pub struct Conserve;

const VIOLATION: &str = "wrong-total";

impl Check for Conserve {
    fn id(&self) -> &'static str {
        "L1"
    }

    fn name(&self) -> &'static str {
        "conserve"
    }

    fn explains(&self) -> &'static str {
        "Each transfer's legs sum to 0, all legs together sum to 0, each customer's balance is the sum of its legs, and what its row \
         says is held is the sum of its open holds (wrong-total)."
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut accounts = core_accounts(source);
        let mut entries = core_entries(source);
        let holds = open_holds(source, context, tally)?;
        let mut legs: Vec<(u128, i64)> = Vec::new();
        let mut total: i128 = 0;
        while let Some(account) = lowest([accounts.account()?, entries.account()?]) {
            let mut sum: i128 = 0;
            while let Some(leg) = entries.take_of(account)? {
                tally.look();
                sum += i128::from(leg.amount);
                legs.push((leg.transfer, leg.amount));
            }
            total += sum;
            let (row, rows) = accounts.last_of(account)?;
            if is_customer(account) {
                judge_account(account, row.as_ref(), rows, sum, tally);
                judge_held(account, row.as_ref(), &holds, tally);
            }
        }
        legs.sort_unstable();
        for transfer in legs.chunk_by(|a, b| a.0 == b.0) {
            let sum: i128 = transfer.iter().map(|leg| i128::from(leg.1)).sum();
            if sum != 0 {
                tally.violated(VIOLATION, || {
                    let amounts: Vec<i64> = transfer.iter().map(|leg| leg.1).collect();
                    format!("transfer {}: its legs {amounts:?} sum to {sum} won, not 0", uuid(transfer[0].0))
                });
            }
        }
        if total != 0 {
            tally.violated(VIOLATION, || format!("all {} legs together sum to {total} won, not 0", legs.len()));
        }
        Ok(())
    }
}

fn judge_account(account: i64, row: Option<&CoreAccountRow>, rows: u64, sum: i128, tally: &mut Tally) {
    let Some(row) = row else {
        tally.violated(VIOLATION, || format!("account {account}: legs of {sum} won, and no account row"));
        return;
    };
    tally.look();
    if rows > 1 {
        tally.violated(VIOLATION, || format!("account {account}: {rows} account rows"));
    }
    if row.balance.map(i128::from) != Some(sum) {
        tally.violated(VIOLATION, || {
            format!("account {account}: its row says {} won, its legs sum to {sum} won", shown(row.balance))
        });
    }
}

/// (account, amount) of every open hold, by account.
fn open_holds(source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<Vec<(i64, i64)>, ReadError> {
    let mut open = Vec::new();
    if context.transfers || context.outbound {
        let mut holds = core_holds(source);
        while let Some(hold) = holds.take()? {
            tally.look();
            if hold.state == "held" {
                open.push((hold.account, hold.amount));
            }
        }
        open.sort_unstable();
    }
    Ok(open)
}

fn judge_held(account: i64, row: Option<&CoreAccountRow>, holds: &[(i64, i64)], tally: &mut Tally) {
    let from = holds.partition_point(|hold| hold.0 < account);
    let open = holds[from..].iter().take_while(|hold| hold.0 == account);
    let sum: i128 = open.map(|hold| i128::from(hold.1)).sum();
    let says = row.map_or(0, |row| i128::from(row.held));
    if says != sum {
        tally.violated(VIOLATION, || {
            format!("account {account}: its row says {says} won are held, its open holds {sum} won")
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::bank::{Bank, PAYER, VOIDED, assert_only};

    #[test]
    fn a_leg_that_grew_breaks_its_transfer_and_the_total() {
        let mut bank = Bank::good();
        bank.internal_leg(1_000_000, 4).amount -= 1;
        assert_only(&bank, &[("L1", "wrong-total: transfer")]);
    }

    #[test]
    fn a_balance_that_is_not_the_sum_of_its_legs() {
        let mut bank = Bank::good();
        bank.core_account(1_000_001).balance = Some(7);
        assert_only(&bank, &[("L1", "wrong-total: account 1000001: its row says 7 won, its legs sum to")]);
    }

    #[test]
    fn legs_without_an_account_row() {
        let mut bank = Bank::good();
        bank.source.core_accounts.retain(|row| row.account != 1_000_001);
        bank.assert_fires("L1", "no account row");
    }

    #[test]
    fn what_is_held_is_the_sum_of_open_holds() {
        let mut bank = Bank::good();
        bank.core_account(PAYER).held = 200;
        assert_only(&bank, &[("L1", "its row says 200 won are held, its open holds 0 won")]);
        bank.leave_open(VOIDED);
        bank.assert_fires("L1", "its row says 200 won are held, its open holds 300 won");
        bank.core_account(PAYER).held = 300;
        bank.assert_holds(&["L1"]);
    }
}
