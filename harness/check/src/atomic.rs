//! L4 atomic: a transfer is booked on both sides or not at all.
//!
//! In: every leg in core, core's transfers, the loaded serials. Out: `torn`. Elsewhere: a transfer booked twice as a whole (`once`), legs
//! that do not cancel out (`conserve`).
//!
//! Entries written by the bulk load need no transfer row; later ones do. Memory: 48 bytes a leg.

use bankstorm_record::rows::CoreTransferRow;
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, uuid};
use crate::ordered::{core_accounts, core_entries, core_transfers, is_customer, lowest};

/// L4.
pub struct Atomic;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Leg {
    transfer: u128,
    account: i64,
    seq: Option<i64>,
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
        "A completed transfer has its customer's leg and its internal leg, any other transfer has none, and no leg stands without a \
         transfer (torn)."
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let legs = legs(source, tally)?;
        let mut transfers = core_transfers(source);
        let mut rest = legs.as_slice();
        loop {
            let next_leg = rest.first().map(|leg| leg.transfer);
            let Some(id) = [next_leg, transfers.key()?].into_iter().flatten().min() else { return Ok(()) };
            let count = rest.iter().take_while(|leg| leg.transfer == id).count();
            let (of_it, after) = rest.split_at(count);
            rest = after;
            let mut row = None;
            while let Some(found) = transfers.take_if(|key| key == id)? {
                tally.look();
                row = Some(found);
            }
            if let Some(problem) = problem(row.as_ref(), of_it) {
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
                well_formed: leg.seq.is_some() == customer && leg.balance_after.is_some() == customer,
                loaded: customer && leg.seq.is_some_and(|seq| seq <= loaded_seq),
            });
        }
    }
    legs.sort_unstable();
    Ok(legs)
}

fn problem(row: Option<&CoreTransferRow>, legs: &[Leg]) -> Option<String> {
    let customers = legs.iter().filter(|leg| is_customer(leg.account)).count();
    let internal = legs.len() - customers;
    if let Some(leg) = legs.iter().find(|leg| !leg.well_formed) {
        let should = if is_customer(leg.account) { "lacks serial or balance" } else { "carries a serial or a balance" };
        return Some(format!("its leg on account {} {should}", leg.account));
    }
    if customers != internal {
        return Some(format!("{customers} customer legs, {internal} internal legs"));
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
    use crate::bank::Bank;

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
}
