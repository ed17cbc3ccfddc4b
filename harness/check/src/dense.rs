//! L3 dense: an account's serials are 1, 2, 3 ... without holes or doubles, and each balance continues the one before.
//!
//! In: core's account rows and entries. Out: `serial-gap`, `serial-dup`, `chain-break`. Elsewhere: the copy's serials (`no_dup`,
//! `no_visible_hole`).

use bankstorm_record::rows::CoreEntryRow;
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{core_accounts, core_entries, is_customer, lowest};

/// L3.
pub struct Dense;

impl Check for Dense {
    fn id(&self) -> &'static str {
        "L3"
    }

    fn name(&self) -> &'static str {
        "dense"
    }

    fn explains(&self) -> &'static str {
        "Per account core's serials are exactly 1..n, n is what the account row says (serial-gap, serial-dup), and every \
         balance_after is the one before plus the amount (chain-break)."
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut accounts = core_accounts(source);
        let mut entries = core_entries(source);
        while let Some(account) = lowest([accounts.account()?, entries.account()?]) {
            let mut chain = Chain::default();
            while let Some(entry) = entries.take_of(account)? {
                if is_customer(account) {
                    tally.look();
                    chain.step(&entry, tally);
                }
            }
            while let Some(row) = accounts.take_of(account)? {
                if is_customer(account) && row.seq != chain.seq {
                    tally.look();
                    tally.violated("serial-gap", || {
                        let last = chain.seq;
                        format!("account {account}: its row says last seq {}, its last entry is seq {last}", row.seq)
                    });
                }
            }
        }
        Ok(())
    }
}

/// The last entry seen of an account; before the first, seq 0 and balance 0.
#[derive(Default)]
struct Chain {
    seq: i64,
    balance: i64,
    transfer: Option<u128>,
}

impl Chain {
    fn step(&mut self, entry: &CoreEntryRow, tally: &mut Tally) {
        let account = entry.account;
        let Some(seq) = entry.seq else {
            tally.violated("serial-gap", || {
                format!("account {account}: transfer {} ({} won) has no serial", uuid(entry.transfer), entry.amount)
            });
            return;
        };
        if seq == self.seq {
            tally.violated("serial-dup", || {
                let before = self.transfer.map_or_else(|| "none".to_owned(), uuid);
                format!("account {account} seq {seq}: transfers {before} and {}", uuid(entry.transfer))
            });
        } else if self.seq.checked_add(1) != Some(seq) {
            tally.violated("serial-gap", || format!("account {account}: seq {seq} follows seq {}", self.seq));
        } else if self.balance.checked_add(entry.amount) != entry.balance_after {
            tally.violated("chain-break", || {
                format!(
                    "account {account} seq {seq} (transfer {}): {} won + {} won, but balance_after is {}",
                    uuid(entry.transfer),
                    self.balance,
                    entry.amount,
                    shown(entry.balance_after)
                )
            });
        }
        // Goes on from what stands there, so that one break is one finding.
        self.seq = seq;
        self.balance = entry.balance_after.unwrap_or_else(|| self.balance.saturating_add(entry.amount));
        self.transfer = Some(entry.transfer);
    }
}

#[cfg(test)]
mod tests {
    use crate::bank::{Bank, assert_only};

    #[test]
    fn a_removed_entry_is_one_gap() {
        let mut bank = Bank::good();
        bank.source.core_entries.retain(|row| (row.account, row.seq) != (1_000_001, Some(3)));
        let found = bank.result("L3");
        assert_eq!(found.violations, 1);
        assert_eq!(found.first.as_deref(), Some("serial-gap: account 1000001: seq 4 follows seq 2"));
    }

    #[test]
    fn one_serial_given_to_two_transfers() {
        let mut bank = Bank::good();
        bank.core_entry(1_000_001, 4).seq = Some(3);
        bank.assert_fires("L3", "serial-dup: account 1000001 seq 3");
    }

    #[test]
    fn a_balance_that_does_not_follow() {
        let mut bank = Bank::good();
        let broken = bank.core_entry(1_000_001, 2);
        broken.balance_after = broken.balance_after.map(|balance| balance + 1);
        // Both steps around it are broken; the copy, which kept the right balance, now differs.
        bank.assert_fires("L3", "chain-break: account 1000001 seq 2");
        assert_eq!(bank.result("L3").violations, 2);
    }

    #[test]
    fn an_account_row_that_is_behind_its_entries() {
        let mut bank = Bank::good();
        bank.core_account(1_000_002).seq = 4;
        assert_only(&bank, &[("L3", "serial-gap: account 1000002: its row says last seq 4, its last entry is seq 5")]);
    }

    #[test]
    fn a_customer_leg_without_a_serial() {
        let mut bank = Bank::good();
        bank.core_entry(1_000_002, 1).seq = None;
        bank.assert_fires("L3", "has no serial");
    }
}
