//! S2 no dup: the copy has each (account, serial) once, and each transfer's leg once.
//!
//! In: the copy's entries and heads. Out: `copy-dup`. Elsewhere: whether the rows are right (`no_garbage`); a double
//! that core itself booked (`once`) fires here too, once it is copied.
//!
//! Uniqueness does not depend on order: should the file be out of order, the keys are sorted here, so that a doubled row is found wherever
//! it stands. Memory: 32 bytes a row.

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, uuid};

/// S2.
pub struct NoDup;

const VIOLATION: &str = "copy-dup";

impl Check for NoDup {
    fn id(&self) -> &'static str {
        "S2"
    }

    fn name(&self) -> &'static str {
        "no_dup"
    }

    fn explains(&self) -> &'static str {
        "The channel's copy has each account and serial once, each transfer once per account, and one head an account (copy-dup)."
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut rows: Vec<(i64, i64, u128)> = Vec::new();
        for row in source.channel_entries() {
            let row = row?;
            tally.look();
            rows.push((row.account, row.seq, row.transfer));
        }
        rows.sort_unstable();
        for pair in rows.windows(2).filter(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1)) {
            tally.violated(VIOLATION, || {
                let (account, seq, transfer) = pair[0];
                format!(
                    "account {account} seq {seq}: two rows, of transfers {} and {}",
                    uuid(transfer),
                    uuid(pair[1].2)
                )
            });
        }
        // The same place again would be the same finding twice.
        rows.dedup_by_key(|row| (row.0, row.1));
        rows.sort_unstable_by_key(|row| (row.0, row.2, row.1));
        for pair in rows.windows(2).filter(|pair| (pair[0].0, pair[0].2) == (pair[1].0, pair[1].2)) {
            tally.violated(VIOLATION, || {
                format!(
                    "account {}: transfer {} at seq {} and at seq {}",
                    pair[0].0,
                    uuid(pair[0].2),
                    pair[0].1,
                    pair[1].1
                )
            });
        }
        heads(source, tally)
    }
}

fn heads(source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    let mut accounts = Vec::new();
    for row in source.channel_accounts() {
        accounts.push(row?.account);
    }
    accounts.sort_unstable();
    for pair in accounts.windows(2).filter(|pair| pair[0] == pair[1]) {
        tally.violated(VIOLATION, || format!("account {}: two heads of the copy", pair[0]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use crate::bank::{Bank, assert_only};

    #[test]
    fn a_row_stored_twice_side_by_side() {
        let mut bank = Bank::good();
        bank.source.channel_entries.insert(3, bank.source.channel_entries[3].clone());
        assert_only(&bank, &[("S2", "copy-dup: account 1000000 seq 4: two rows")]);
    }

    #[test]
    fn a_row_doubled_at_the_end_of_the_file_is_found_although_merges_cannot_go_on() {
        let mut bank = Bank::good();
        bank.source.channel_entries.push(bank.source.channel_entries[3].clone());
        bank.assert_fires("S2", "copy-dup: account 1000000 seq 4: two rows");
        assert_eq!(bank.result("S1").verdict, GuaranteeVerdict::Unknown);
        assert!(bank.result("S1").first.expect("a reason").contains("out of order"));
    }

    #[test]
    fn one_transfer_copied_under_two_serials() {
        let mut bank = Bank::good();
        let transfer = bank.channel_entry(1_000_001, 4).transfer;
        bank.channel_entry(1_000_001, 5).transfer = transfer;
        assert_only(&bank, &[("S1", "garbage"), ("S2", "at seq 4 and at seq 5")]);
    }

    #[test]
    fn two_heads_of_one_account() {
        let mut bank = Bank::good();
        bank.source.channel_accounts.insert(1, bank.source.channel_accounts[1].clone());
        assert_only(&bank, &[("S2", "copy-dup: account 1000001: two heads")]);
    }
}
