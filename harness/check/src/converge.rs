//! S5 converge: after load has ended and faults are healed, the copy has what core has, for every account.
//!
//! In: core's account rows and entries, the copy's entries. Out: `lost-copy`. Elsewhere: fields of single rows (`no_garbage`).

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally};
use crate::ordered::{AccountKey, Ordered, channel_entries, core_accounts, core_entries, is_customer, lowest};

/// S5.
pub struct Converge;

impl Check for Converge {
    fn id(&self) -> &'static str {
        "S5"
    }

    fn name(&self) -> &'static str {
        "converge"
    }

    fn explains(&self) -> &'static str {
        "At the end the copy of every account has as many entries as core, and the same last one (lost-copy)."
    }

    fn needs_rest(&self) -> bool {
        true
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut accounts = core_accounts(source);
        let mut core = core_entries(source);
        let mut copy = channel_entries(source);
        while let Some(account) = lowest([accounts.account()?, core.account()?, copy.account()?]) {
            let known = accounts.last_of(account)?.1 > 0;
            let in_core = Side::read(account, &mut core, |row| (row.seq.unwrap_or(0), row.balance_after.unwrap_or(0)))?;
            let in_copy = Side::read(account, &mut copy, |row| (row.seq, row.balance_after))?;
            if !is_customer(account) && in_copy == Side::default() {
                continue;
            }
            if known || in_core.count > 0 || in_copy.count > 0 {
                tally.look();
            }
            if in_core != in_copy {
                tally.violated("lost-copy", || {
                    format!("account {account}: core has {}, the copy {}", in_core.told(), in_copy.told())
                });
            }
        }
        Ok(())
    }
}

/// One account's entries on one side. Doubled serials count once: they are O1's, L3's and S2's findings.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Side {
    count: u64,
    /// The sum of serials, so that the same number of other rows is not taken for the same rows.
    serials: i128,
    seq: i64,
    balance: i64,
}

impl Side {
    fn read<T>(
        account: i64,
        rows: &mut Ordered<'_, T, AccountKey>,
        head: fn(&T) -> (i64, i64),
    ) -> Result<Self, ReadError> {
        let mut side = Self::default();
        while let Some(row) = rows.take_of(account)? {
            let (seq, balance) = head(&row);
            if side.count == 0 || seq != side.seq {
                side.count += 1;
                side.serials += i128::from(seq);
            }
            (side.seq, side.balance) = (seq, balance);
        }
        Ok(side)
    }

    fn told(self) -> String {
        format!("{} entries up to seq {} with balance {} won", self.count, self.seq, self.balance)
    }
}

#[cfg(test)]
mod tests {
    use crate::bank::Bank;

    #[test]
    fn the_last_row_never_arrived() {
        let mut bank = Bank::good();
        bank.copy_lags_behind(1_000_001);
        // The copy is consistent in itself: nobody but S5 can see what it lacks.
        crate::bank::assert_only(
            &bank,
            &[(
                "S5",
                "lost-copy: account 1000001: core has 5 entries up to seq 5 with balance 1250 won, the copy 4 entries",
            )],
        );
    }

    #[test]
    fn a_whole_account_that_never_arrived() {
        let mut bank = Bank::good();
        bank.source.channel_entries.retain(|row| row.account != 1_000_002);
        bank.source.channel_accounts.retain(|row| row.account != 1_000_002);
        bank.assert_fires("S5", "account 1000002: core has 5 entries");
    }
}
