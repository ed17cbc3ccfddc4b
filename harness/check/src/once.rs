//! O1 once: at most one posting per transfer id.
//!
//! In: core's customer legs and transfers. Out: `dup-key`. Elsewhere: a posting of which a side is missing (`atomic`).
//!
//! Memory: 16 bytes a leg.

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{core_entries, core_transfers, is_customer};

/// O1.
pub struct Once;

const VIOLATION: &str = "dup-key";

impl Check for Once {
    fn id(&self) -> &'static str {
        "O1"
    }

    fn name(&self) -> &'static str {
        "once"
    }

    fn explains(&self) -> &'static str {
        "However often a transfer id was sent, core booked it at most once (dup-key)."
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut ids: Vec<u128> = Vec::new();
        let mut entries = core_entries(source);
        while let Some(leg) = entries.take()? {
            if is_customer(leg.account) {
                tally.look();
                ids.push(leg.transfer);
            }
        }
        ids.sort_unstable();
        for postings in ids.chunk_by(|a, b| a == b).filter(|postings| postings.len() > 1) {
            if tally.violations() == 0 {
                let witness = postings_of(postings[0], source)?;
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
        Ok(())
    }
}

/// Where a transfer was posted: a second pass, for the first finding only.
fn postings_of(id: u128, source: &dyn Source) -> Result<String, ReadError> {
    let mut places = Vec::new();
    let mut entries = core_entries(source);
    while let Some(leg) = entries.take()? {
        if leg.transfer == id && is_customer(leg.account) {
            places.push(format!("account {} seq {} ({} won)", leg.account, shown(leg.seq), leg.amount));
        }
    }
    Ok(format!("transfer {} was posted {} times: {}", uuid(id), places.len(), places.join(", ")))
}

#[cfg(test)]
mod tests {
    use crate::bank::Bank;

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
}
