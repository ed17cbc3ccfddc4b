//! L6 nostro: what the other banks credited and what core posted as outbound match one to one (D29, D39).
//!
//! In: the other banks' book, core's transfers and holds. Out: `nostro-break`. Elsewhere: whether a hold fits its transfer (`atomic`), a hold
//! that is never ended (`resolved`).
//!
//! While a hold is open either side may be ahead. A hold may be voided only on the other bank's definite no.

use bankstorm_record::rows::{BankNetworkRow, CoreHoldRow, CoreTransferRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{bank_network, core_holds, core_transfers};

/// L6.
pub struct Nostro;

impl Check for Nostro {
    fn id(&self) -> &'static str {
        "L6"
    }

    fn name(&self) -> &'static str {
        "nostro"
    }

    fn explains(&self) -> &'static str {
        "Each outbound transfer that core posted was credited by the other bank exactly once, as asked; what core refused or never asked \
         for was not credited, and a hold was voided only where the other bank's book has its no (nostro-break)."
    }

    fn applies(&self, context: &Context) -> bool {
        context.outbound
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut book = bank_network(source);
        let mut transfers = core_transfers(source);
        let mut holds = core_holds(source);
        let mut outbound = 0_u64;
        loop {
            let next = [book.key()?, transfers.key()?, holds.key()?].into_iter().flatten().min();
            let Some(id) = next else { return Tally::needs(outbound, "core_transfer", "transfers to other banks") };
            let (credit, credits) = book.last_with(id)?;
            let (row, _) = transfers.last_with(id)?;
            let (hold, _) = holds.last_with(id)?;
            let row = row.filter(|row| row.kind == "outbound");
            if credit.is_none() && row.is_none() && hold.is_none() {
                continue;
            }
            tally.look();
            outbound += u64::from(row.is_some());
            let problem = match credits {
                0 | 1 => problem(credit.as_ref(), row.as_ref(), hold.as_ref()),
                _ => Some(format!("{credits} rows in the other banks' book")),
            };
            if let Some(problem) = problem {
                tally.violated("nostro-break", || format!("transfer {}: {problem}", uuid(id)));
            }
        }
    }
}

fn problem(
    credit: Option<&BankNetworkRow>,
    row: Option<&CoreTransferRow>,
    hold: Option<&CoreHoldRow>,
) -> Option<String> {
    if let Some(problem) = credit.and_then(in_itself) {
        return Some(problem);
    }
    let is_credited = credit.is_some_and(|credit| credit.state == "credited");
    let is_refused = credit.is_some_and(|credit| credit.state == "refused");
    if hold.is_some_and(|hold| hold.state == "voided") && !is_refused {
        let book = if is_credited { "has it as credited" } else { "has no answer to it" };
        return Some(format!("core voided its hold, and the other banks' book {book}"));
    }
    let Some(row) = row else {
        return is_credited.then(|| "credited, and core has no outbound transfer of that id".to_owned());
    };
    match row.state.as_str() {
        "completed" if !is_credited => {
            let book = if is_refused { "has it as refused" } else { "does not know it" };
            return Some(format!("core posted {} won, and the other banks' book {book}", shown(row.amount)));
        }
        "rejected" if is_credited => {
            let reason = row.reason.as_deref().unwrap_or("no reason");
            return Some(format!(
                "credited {} won, and core refused it ({reason})",
                shown(credit.and_then(|it| it.amount))
            ));
        }
        _ => {}
    }
    credit.and_then(|credit| differs(credit, row))
}

fn in_itself(credit: &BankNetworkRow) -> Option<String> {
    let times = match credit.state.as_str() {
        "credited" => 1,
        "refused" => 0,
        other => return Some(format!("the other banks' book has it as {other:?}")),
    };
    let found = credit.credited;
    (found != times).then(|| format!("the other banks' book has it as {}, and credited it {found} times", credit.state))
}

/// What the bank was asked for, where it was asked and not only told to cancel.
fn differs(credit: &BankNetworkRow, row: &CoreTransferRow) -> Option<String> {
    if credit.state == "refused" && credit.to_bank.is_none() && credit.to_account.is_none() && credit.amount.is_none() {
        return None;
    }
    let asked = (&credit.to_bank, &credit.to_account, credit.amount);
    (asked != (&row.party_bank, &row.party_account, row.amount)).then(|| {
        let told = |bank: &Option<String>, account: &Option<String>, amount| {
            let [bank, account] = [bank, account].map(|word| word.as_deref().unwrap_or("none"));
            format!("{} won for bank {bank}, account {account}", shown(amount))
        };
        format!(
            "the other banks' book has {}, core {}",
            told(asked.0, asked.1, asked.2),
            told(&row.party_bank, &row.party_account, row.amount)
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::bank::{Bank, POSTED, VOIDED, assert_only};

    #[test]
    fn posted_and_never_credited_or_credited_twice() {
        let mut bank = Bank::good();
        bank.credit(POSTED).credited = 2;
        assert_only(&bank, &[("L6", "nostro-break: transfer ")]);
        bank.source.bank_network.retain(|row| row.transfer != POSTED);
        assert_only(&bank, &[("L6", "core posted 200 won, and the other banks' book does not know it")]);
    }

    #[test]
    fn voided_on_expiry_alone() {
        // The bank never said no, and may still credit.
        let mut bank = Bank::good();
        bank.source.bank_network.retain(|row| row.transfer != VOIDED);
        assert_only(&bank, &[("L6", "core voided its hold, and the other banks' book has no answer to it")]);
        // It did, after the hold was voided.
        let mut bank = Bank::good();
        let row = bank.credit(VOIDED);
        (row.state, row.credited) = ("credited".to_owned(), 1);
        assert_only(&bank, &[("L6", "core voided its hold, and the other banks' book has it as credited")]);
    }

    #[test]
    fn credited_for_another_account_or_without_having_been_asked() {
        let mut bank = Bank::good();
        bank.credit(POSTED).amount = Some(201);
        assert_only(
            &bank,
            &[("L6", "has 201 won for bank 088, account 77-1, core 200 won for bank 088, account 77-1")],
        );
        let mut bank = Bank::good();
        let stray = bank.credit(POSTED).clone();
        bank.source.bank_network.push(bankstorm_record::rows::BankNetworkRow { transfer: u128::MAX, ..stray });
        assert_only(&bank, &[("L6", "credited, and core has no outbound transfer of that id")]);
    }

    #[test]
    fn while_a_hold_is_open_either_side_may_be_ahead() {
        let mut bank = Bank::good();
        bank.leave_open(VOIDED);
        bank.assert_holds(&["L6"]);
        let row = bank.credit(VOIDED);
        (row.state, row.credited) = ("credited".to_owned(), 1);
        bank.assert_holds(&["L6"]);
        bank.source.bank_network.retain(|row| row.transfer != VOIDED);
        bank.assert_holds(&["L6"]);
    }

    #[test]
    fn a_cancel_that_came_first_leaves_a_no_without_a_credit() {
        let mut bank = Bank::good();
        let row = bank.credit(VOIDED);
        (row.to_bank, row.to_account, row.amount) = (None, None, None);
        bank.assert_all_hold();
    }
}
