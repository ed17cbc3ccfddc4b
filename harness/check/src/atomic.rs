//! L4 atomic: a transfer is booked on both sides or not at all.
//!
//! In: every leg in core, core's transfers and holds, the loaded serials. Out: `torn`. Elsewhere: a transfer booked twice as a whole (`once`), legs
//! that do not cancel out (`conserve`).
//!
//! Entries written by the bulk load need no transfer row; later ones do. Memory: 48 bytes a leg.

use bankstorm_record::rows::{CoreHoldRow, CoreTransferRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{Ordered, core_accounts, core_entries, core_holds, core_transfers, is_customer, lowest};

/// L4.
pub struct Atomic;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Leg {
    transfer: u128,
    account: i64,
    seq: Option<i64>,
    is_debit: bool,
    /// A customer's leg carries serial and balance, an internal one neither (D40).
    well_formed: bool,
    loaded: bool,
}

impl Check for Atomic {
    fn id(&self) -> &'static str {
        "L4"
    }

    fn name(&self) -> &'static str {
        "atomic"
    }

    fn explains(&self) -> &'static str {
        "A completed transfer has both its legs on the accounts it names (two customers', or a customer's and an internal one), any \
         other transfer has none, no leg stands without a transfer, and a hold ends as its transfer does (torn)."
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let legs = legs(source, tally)?;
        let mut transfers = core_transfers(source);
        let mut holds = (context.transfers || context.outbound).then(|| core_holds(source));
        let mut rest = legs.as_slice();
        loop {
            let next_leg = rest.first().map(|leg| leg.transfer);
            let next_hold = holds.as_mut().map(Ordered::key).transpose()?.flatten();
            let next = [next_leg, transfers.key()?, next_hold].into_iter().flatten().min();
            let Some(id) = next else { return Ok(()) };
            let count = rest.iter().take_while(|leg| leg.transfer == id).count();
            let (of_it, after) = rest.split_at(count);
            rest = after;
            let mut row = None;
            while let Some(found) = transfers.take_if(|key| key == id)? {
                tally.look();
                row = Some(found);
            }
            let (hold, count) = match &mut holds {
                Some(holds) => holds.last_with(id)?,
                None => (None, 0),
            };
            if count > 1 {
                tally.violated("torn", || format!("transfer {}: {count} holds", uuid(id)));
            }
            let mut problem = problem(row.as_ref(), of_it);
            if holds.is_some() {
                problem = problem.or_else(|| hold_problem(row.as_ref(), hold.as_ref()));
            }
            if let Some(problem) = problem {
                tally.violated("torn", || format!("transfer {}: {problem}; {}", uuid(id), describe(of_it)));
            }
        }
    }
}

/// Every leg, sorted by transfer.
fn legs(source: &dyn Source, tally: &mut Tally) -> Result<Vec<Leg>, ReadError> {
    let mut accounts = core_accounts(source);
    let mut entries = core_entries(source);
    let mut legs = Vec::new();
    while let Some(account) = lowest([accounts.account()?, entries.account()?]) {
        let loaded_seq = accounts.last_of(account)?.0.map_or(0, |row| row.loaded_seq);
        let customer = is_customer(account);
        while let Some(leg) = entries.take_of(account)? {
            tally.look();
            legs.push(Leg {
                transfer: leg.transfer,
                account,
                seq: leg.seq,
                is_debit: leg.amount < 0,
                well_formed: leg.seq.is_some() == customer && leg.balance_after.is_some() == customer,
                loaded: customer && leg.seq.is_some_and(|seq| seq <= loaded_seq),
            });
        }
    }
    legs.sort_unstable();
    Ok(legs)
}

fn problem(row: Option<&CoreTransferRow>, legs: &[Leg]) -> Option<String> {
    if let Some(leg) = legs.iter().find(|leg| !leg.well_formed) {
        let should = if is_customer(leg.account) { "lacks serial or balance" } else { "carries a serial or a balance" };
        return Some(format!("its leg on account {} {should}", leg.account));
    }
    if let Some(problem) = sides(row, legs) {
        return Some(problem);
    }
    match row {
        Some(row) if row.state == "completed" && legs.is_empty() => Some("completed, and no leg".to_owned()),
        Some(row) if row.state != "completed" && !legs.is_empty() => Some(format!("{}, and booked", row.state)),
        None if legs.iter().any(|leg| is_customer(leg.account) && !leg.loaded) => {
            Some("booked, and no transfer row".to_owned())
        }
        _ => None,
    }
}

/// Inside this bank two customers' legs stand against each other, otherwise a customer's and an internal one.
fn sides(row: Option<&CoreTransferRow>, legs: &[Leg]) -> Option<String> {
    let customers = legs.iter().filter(|leg| is_customer(leg.account)).count();
    let internal = legs.len() - customers;
    let Some(row) = row.filter(|row| row.kind == "transfer") else {
        return (customers != internal).then(|| format!("{customers} customer legs, {internal} internal legs"));
    };
    if legs.is_empty() {
        return None;
    }
    let debits = legs.iter().filter(|leg| leg.is_debit).count();
    if internal > 0 || debits * 2 != legs.len() {
        let credits = legs.len() - debits;
        return Some(format!("inside this bank, with {debits} debits, {credits} credits, {internal} of them internal"));
    }
    let to = row.party_account.as_deref().and_then(|account| account.parse().ok());
    let stray = legs.iter().find(|leg| Some(leg.account) != if leg.is_debit { row.account } else { to })?;
    let side = if stray.is_debit { "debit" } else { "credit" };
    Some(format!("its {side} is on account {}, from {} to {}", stray.account, shown(row.account), shown(to)))
}

/// An outbound transfer that was held is posted, voided or open together with its hold (D39).
fn hold_problem(row: Option<&CoreTransferRow>, hold: Option<&CoreHoldRow>) -> Option<String> {
    let Some(hold) = hold else {
        let was_held =
            |row: &&CoreTransferRow| row.state != "rejected" || row.reason.as_deref() == Some("refused_by_bank");
        let lacks = row.filter(|row| row.kind == "outbound").filter(was_held)?;
        return Some(format!("outbound and {}, and no hold", lacks.state));
    };
    let Some(row) = row else { return Some(format!("a hold of {} won, and no transfer row", hold.amount)) };
    let state = match hold.state.as_str() {
        "held" => "processing",
        "posted" => "completed",
        _ => "rejected",
    };
    if (row.kind.as_str(), row.state.as_str()) != ("outbound", state) {
        return Some(format!("a hold that is {}, and the transfer is {} ({})", hold.state, row.state, row.kind));
    }
    if (Some(hold.account), Some(hold.amount)) != (row.account, row.amount) {
        let (account, amount) = (shown(row.account), shown(row.amount));
        return Some(format!(
            "a hold of {} won on account {}, for {amount} won from account {account}",
            hold.amount, hold.account
        ));
    }
    let ends = match hold.state.as_str() {
        "held" => hold.ended_seq.is_none(),
        "posted" => hold.ended_seq == row.seq,
        _ => hold.ended_seq.is_some_and(|ended| ended >= hold.placed_seq),
    };
    (!ends).then(|| {
        format!(
            "a hold that is {} ended at seq {}, was placed at seq {}, its debit is seq {}",
            hold.state,
            shown(hold.ended_seq),
            hold.placed_seq,
            shown(row.seq)
        )
    })
}

fn describe(legs: &[Leg]) -> String {
    if legs.is_empty() {
        return "core has no row of it".to_owned();
    }
    let rows: Vec<String> = legs
        .iter()
        .map(|leg| match leg.seq {
            Some(seq) => format!("account {} seq {seq}", leg.account),
            None => format!("account {} without seq", leg.account),
        })
        .collect();
    format!("core has {}", rows.join(", "))
}

#[cfg(test)]
mod tests {
    use bankstorm_record::rows::CoreHoldRow;

    use crate::bank::{Bank, PAYEE, PAYER, POSTED, VOIDED};

    #[test]
    fn an_internal_leg_is_missing() {
        let mut bank = Bank::good();
        let id = bank.core_entry(1_000_000, 4).transfer;
        bank.source.core_entries.retain(|row| row.transfer != id || row.seq.is_some());
        bank.assert_fires("L4", "torn: transfer ");
        assert!(
            bank.result("L4")
                .first
                .expect("witness")
                .contains("1 customer legs, 0 internal legs; core has account 1000000 seq 4")
        );
        bank.assert_holds(&["L2", "L3", "O1", "O2", "S1", "S5", "T1", "T2"]);
    }

    #[test]
    fn a_completed_transfer_without_legs() {
        let mut bank = Bank::good();
        let id = bank.core_entry(1_000_000, 5).transfer;
        bank.source.core_entries.retain(|row| row.transfer != id);
        bank.assert_fires("L4", "completed, and no leg");
    }

    #[test]
    fn a_rejected_transfer_that_was_booked() {
        let mut bank = Bank::good();
        bank.transfer_of(1_000_000, 5).state = "rejected".to_owned();
        bank.assert_fires("L4", "rejected, and booked");
    }

    #[test]
    fn a_posting_without_a_transfer_row_unless_it_was_loaded() {
        let mut bank = Bank::good();
        bank.source.core_transfers.retain(|row| row.kind != "opening");
        bank.assert_all_hold();
        let id = bank.core_entry(1_000_000, 5).transfer;
        bank.source.core_transfers.retain(|row| row.transfer != id);
        bank.assert_fires("L4", "booked, and no transfer row");
    }

    #[test]
    fn a_transfer_of_which_the_credit_is_missing_or_on_another_account() {
        let mut bank = Bank::good();
        let id = bank.core_entry(PAYER, 4).transfer;
        bank.source.core_entries.retain(|row| row.transfer != id || row.account == PAYER);
        bank.assert_fires("L4", "inside this bank, with 1 debits, 0 credits, 0 of them internal");
        bank.assert_fires("L1", "wrong-total");

        let mut bank = Bank::good();
        bank.transfer_of(PAYER, 4).party_account = Some("1000000".to_owned());
        bank.assert_fires("L4", &format!("its credit is on account {PAYEE}, from {PAYER} to 1000000"));

        // Debit and credit changed places: whoever should pay was paid.
        let mut bank = Bank::good();
        for account in [PAYER, PAYEE] {
            let leg = bank.core_entry(account, 4);
            leg.amount = -leg.amount;
        }
        bank.assert_fires("L4", &format!("its credit is on account {PAYER}, from {PAYER} to {PAYEE}"));
    }

    #[test]
    fn a_hold_ends_as_its_transfer_does() {
        let mut bank = Bank::good();
        bank.hold(POSTED).state = "voided".to_owned();
        bank.assert_fires("L4", "a hold that is voided, and the transfer is completed (outbound)");

        let mut bank = Bank::good();
        bank.source.core_holds.retain(|row| row.transfer != POSTED);
        crate::bank::assert_only(&bank, &[("L4", "outbound and completed, and no hold")]);

        let mut bank = Bank::good();
        bank.hold(VOIDED).amount += 1;
        crate::bank::assert_only(&bank, &[("L4", "a hold of 301 won on account 1000100, for 300 won")]);

        let mut bank = Bank::good();
        bank.hold(POSTED).ended_seq = Some(7);
        bank.assert_fires("L4", "a hold that is posted ended at seq 7, was placed at seq 5, its debit is seq 6");

        let mut bank = Bank::good();
        let row = bank.hold(VOIDED).clone();
        bank.source.core_holds.push(CoreHoldRow { transfer: u128::MAX, ..row });
        crate::bank::assert_only(&bank, &[("L4", "a hold of 300 won, and no transfer row"), ("L6", "nostro-break")]);
    }
}
