//! Sorted row streams with a look-ahead, which notice when a file is not sorted as `record::rows` says.
//!
//! In: a source's iterators. Out: [`Ordered`] streams that merge, [`CoreAt`] for look-ups in rising order. Elsewhere: what is looked
//! for (a file per check). A merge over an unsorted file would miss or invent rows, so disorder is an error; equal keys are not, for
//! a doubled row is a finding and not a broken file.

use std::fmt::Debug;

use bankstorm_contracts::AccountNo;
use bankstorm_record::rows::{
    ApplyJournalRow, BankNetworkRow, ChannelAccountRow, ChannelEntryRow, ChannelTransferRow, CoreAccessRow,
    CoreAccountRow, CoreEntryRow, CoreHoldRow, CoreTransferRow, DeadLetterRow, DltRow, GroupCommitRow, OperationRow,
    PageRow, SyncRow, TransferReadRow, VisibleRow,
};
use bankstorm_record::source::{ReadError, Rows, Source};

/// The order of files about accounts: the account, then a serial, a journal number or a moment.
pub(crate) type AccountKey = (i64, i64);

/// A stream of rows whose keys must not fall.
pub(crate) struct Ordered<'a, T, K> {
    file: &'static str,
    rows: Rows<'a, T>,
    key: fn(&T) -> K,
    ahead: Option<(K, T)>,
    row: u64,
    ended: bool,
}

impl<'a, T, K: Ord + Copy + Debug> Ordered<'a, T, K> {
    pub(crate) fn new(file: &'static str, rows: Rows<'a, T>, key: fn(&T) -> K) -> Self {
        Self { file, rows, key, ahead: None, row: 0, ended: false }
    }

    /// Reads one row more, and holds its key against `last`.
    fn read(&mut self, last: Option<K>) -> Result<(), ReadError> {
        let Some(row) = self.rows.next().transpose()? else {
            self.ended = true;
            return Ok(());
        };
        self.row += 1;
        let key = (self.key)(&row);
        if let Some(last) = last
            && key < last
        {
            let problem = format!("row {} is out of order: {key:?} after {last:?}", self.row);
            return Err(ReadError { file: self.file.to_owned(), problem });
        }
        self.ahead = Some((key, row));
        Ok(())
    }

    /// The next row's key; `None` at the end.
    pub(crate) fn key(&mut self) -> Result<Option<K>, ReadError> {
        if self.ahead.is_none() && !self.ended {
            self.read(None)?;
        }
        Ok(self.ahead.as_ref().map(|(key, _)| *key))
    }

    /// The next row, when its key is as wanted.
    pub(crate) fn take_if(&mut self, wanted: impl FnOnce(K) -> bool) -> Result<Option<T>, ReadError> {
        match self.key()? {
            Some(key) if wanted(key) => {}
            _ => return Ok(None),
        }
        let Some((key, row)) = self.ahead.take() else { return Ok(None) };
        self.read(Some(key))?;
        Ok(Some(row))
    }

    /// The next row.
    pub(crate) fn take(&mut self) -> Result<Option<T>, ReadError> {
        self.take_if(|_| true)
    }

    /// Reads to the end, so that disorder behind the last row of interest is noticed too.
    pub(crate) fn drain(&mut self) -> Result<(), ReadError> {
        while self.take()?.is_some() {}
        Ok(())
    }
}

impl<T> Ordered<'_, T, AccountKey> {
    /// The next row's account.
    pub(crate) fn account(&mut self) -> Result<Option<i64>, ReadError> {
        Ok(self.key()?.map(|key| key.0))
    }

    /// The next row, when it is this account's.
    pub(crate) fn take_of(&mut self, account: i64) -> Result<Option<T>, ReadError> {
        self.take_if(|key| key.0 == account)
    }

    /// This account's rows, the last of them returned with their number.
    pub(crate) fn last_of(&mut self, account: i64) -> Result<(Option<T>, u64), ReadError> {
        let (mut last, mut count) = (None, 0);
        while let Some(row) = self.take_of(account)? {
            last = Some(row);
            count += 1;
        }
        Ok((last, count))
    }
}

impl<T> Ordered<'_, T, u128> {
    /// This transfer's rows, the last of them returned with their number. Rows of lower ids are passed over.
    pub(crate) fn last_with(&mut self, transfer: u128) -> Result<(Option<T>, u64), ReadError> {
        while self.take_if(|key| key < transfer)?.is_some() {}
        let (mut last, mut count) = (None, 0);
        while let Some(row) = self.take_if(|key| key == transfer)? {
            last = Some(row);
            count += 1;
        }
        Ok((last, count))
    }
}

/// The smallest account that any of several streams stands at.
pub(crate) fn lowest<const N: usize>(accounts: [Option<i64>; N]) -> Option<i64> {
    accounts.into_iter().flatten().min()
}

/// Whether an account is a customer's.
pub(crate) fn is_customer(account: i64) -> bool {
    !AccountNo::new(account).is_internal()
}

pub(crate) fn core_accounts(source: &dyn Source) -> Ordered<'_, CoreAccountRow, AccountKey> {
    Ordered::new("core_account", source.core_accounts(), |row| (row.account, 0))
}

pub(crate) fn core_entries(source: &dyn Source) -> Ordered<'_, CoreEntryRow, AccountKey> {
    Ordered::new("core_entry", source.core_entries(), |row| (row.account, row.seq.unwrap_or(i64::MIN)))
}

pub(crate) fn core_transfers(source: &dyn Source) -> Ordered<'_, CoreTransferRow, u128> {
    Ordered::new("core_transfer", source.core_transfers(), |row| row.transfer)
}

pub(crate) fn core_holds(source: &dyn Source) -> Ordered<'_, CoreHoldRow, u128> {
    Ordered::new("core_hold", source.core_holds(), |row| row.transfer)
}

pub(crate) fn channel_transfers(source: &dyn Source) -> Ordered<'_, ChannelTransferRow, u128> {
    Ordered::new("channel_transfer", source.channel_transfers(), |row| row.transfer)
}

pub(crate) fn transfer_reads(source: &dyn Source) -> Ordered<'_, TransferReadRow, (u128, i64)> {
    Ordered::new("transfer_read", source.transfer_reads(), |row| (row.transfer, row.invoked_ns))
}

pub(crate) fn bank_network(source: &dyn Source) -> Ordered<'_, BankNetworkRow, u128> {
    Ordered::new("bank_network", source.bank_network(), |row| row.transfer)
}

pub(crate) fn channel_entries(source: &dyn Source) -> Ordered<'_, ChannelEntryRow, AccountKey> {
    Ordered::new("channel_entry", source.channel_entries(), |row| (row.account, row.seq))
}

pub(crate) fn channel_accounts(source: &dyn Source) -> Ordered<'_, ChannelAccountRow, AccountKey> {
    Ordered::new("channel_account", source.channel_accounts(), |row| (row.account, 0))
}

pub(crate) fn apply_journal(source: &dyn Source) -> Ordered<'_, ApplyJournalRow, AccountKey> {
    Ordered::new("apply_journal", source.apply_journal(), |row| (row.account, row.journal_id))
}

pub(crate) fn pages(source: &dyn Source) -> Ordered<'_, PageRow, AccountKey> {
    Ordered::new("page", source.pages(), |row| (row.account, row.invoked_ns))
}

pub(crate) fn visible(source: &dyn Source) -> Ordered<'_, VisibleRow, AccountKey> {
    Ordered::new("visible", source.visible(), |row| (row.account, row.to_seq))
}

pub(crate) fn core_access(source: &dyn Source) -> Ordered<'_, CoreAccessRow, (Option<i64>, i64)> {
    Ordered::new("core_access", source.core_access(), |row| (row.account, row.begun_ns))
}

pub(crate) fn syncs(source: &dyn Source) -> Ordered<'_, SyncRow, AccountKey> {
    Ordered::new("sync", source.syncs(), |row| (row.account, row.invoked_ns))
}

pub(crate) fn dead_letters(source: &dyn Source) -> Ordered<'_, DeadLetterRow, (i32, i64)> {
    Ordered::new("dead_letter", source.dead_letters(), |row| (row.partition, row.record_offset))
}

pub(crate) fn dead_letter_topic(source: &dyn Source) -> Ordered<'_, DltRow, (i32, i64)> {
    Ordered::new("dlt", source.dead_letter_topic(), |row| (row.partition, row.record_offset))
}

pub(crate) fn group_commits(source: &dyn Source) -> Ordered<'_, GroupCommitRow, (i32, i64)> {
    Ordered::new("group_commit", source.group_commits(), |row| (row.partition, row.at_us))
}

/// The operations that move money, or were to: what only reads promises nothing about ids.
pub(crate) fn money_operations(source: &dyn Source) -> Rows<'_, OperationRow> {
    let reads = |row: &OperationRow| matches!(row.kind.as_str(), "scroll" | "sync");
    Box::new(source.operations().filter(move |row| !row.as_ref().is_ok_and(reads)))
}

/// Core's rows at (account, serial), asked for in rising order.
pub(crate) struct CoreAt<'a> {
    rows: Ordered<'a, CoreEntryRow, AccountKey>,
    at: Option<AccountKey>,
    here: Vec<CoreEntryRow>,
}

impl<'a> CoreAt<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { rows: core_entries(source), at: None, here: Vec::new() }
    }

    /// The rows at `key`: one, none, or several where core itself is wrong. `key` must not be below an earlier one.
    pub(crate) fn seek(&mut self, key: AccountKey) -> Result<&[CoreEntryRow], ReadError> {
        if self.at != Some(key) {
            self.at = Some(key);
            self.here.clear();
            while self.rows.take_if(|found| found < key)?.is_some() {}
            while let Some(row) = self.rows.take_if(|found| found == key)? {
                self.here.push(row);
            }
        }
        Ok(&self.here)
    }

    /// Reads to the end.
    pub(crate) fn drain(&mut self) -> Result<(), ReadError> {
        self.rows.drain()
    }
}

#[cfg(test)]
mod tests {
    use super::Ordered;

    fn over(keys: &'static [i64]) -> Ordered<'static, i64, i64> {
        Ordered::new("numbers", Box::new(keys.iter().copied().map(Ok)), |row| *row)
    }

    #[test]
    fn equal_keys_pass_and_falling_keys_are_an_error() {
        let mut doubled = over(&[1, 2, 2, 3]);
        assert_eq!(doubled.drain(), Ok(()));
        let mut broken = over(&[1, 3, 2]);
        let error = broken.drain().expect_err("2 after 3");
        assert_eq!(error.to_string(), "numbers: row 3 is out of order: 2 after 3");
    }

    #[test]
    fn take_if_leaves_unwanted_rows_in_place() {
        let mut rows = over(&[5]);
        assert_eq!(rows.take_if(|key| key < 5), Ok(None));
        assert_eq!(rows.take_if(|key| key == 5), Ok(Some(5)));
        assert_eq!(rows.take(), Ok(None));
    }
}
