//! What customers were told of core's entries, and when: from which moment an entry certainly stood, and before which it cannot have.
//!
//! In: operations, what was told of transfers, core's entries. Out: [`Told`]. Elsewhere: who is held to it (`fresh`, `manual_sync`).
//!
//! Both legs of a transfer stand once it was told as completed. Memory: 32 bytes a transfer of customers or an operation of the accounts asked for.

use bankstorm_record::rows::CoreEntryRow;
use bankstorm_record::source::{ReadError, Source};

use crate::check::Context;
use crate::ordered::{AccountKey, Ordered, money_operations, transfer_reads};

/// One entry of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) seq: i64,
    /// When somebody was first told that it is booked.
    pub(crate) told_ns: Option<i64>,
    /// When its operation was first sent.
    pub(crate) begun_ns: Option<i64>,
}

/// By id.
pub(crate) struct Told {
    ids: Vec<One>,
}

#[derive(Clone, Copy)]
struct One {
    transfer: u128,
    begun_ns: Option<i64>,
    told_ns: Option<i64>,
}

impl Told {
    /// Reads what was told. Of deposits only those to `accounts`, which are sorted.
    pub(crate) fn read(source: &dyn Source, context: &Context, accounts: &[i64]) -> Result<Self, ReadError> {
        let mut ids: Vec<One> = Vec::new();
        for row in money_operations(source) {
            let row = row?;
            if row.kind == "deposit" && accounts.binary_search(&row.account).is_err() {
                continue;
            }
            let told_ns = row.acked_ns.filter(|_| row.outcome.as_deref() == Some("ok"));
            ids.push(One { transfer: row.transfer, begun_ns: row.sent_ns, told_ns });
        }
        if context.transfers {
            let mut reads = transfer_reads(source);
            while let Some(read) = reads.take()? {
                if read.stage.as_deref() == Some("completed") {
                    ids.push(One { transfer: read.transfer, begun_ns: None, told_ns: Some(read.completed_ns) });
                }
            }
        }
        ids.sort_unstable_by_key(|one| one.transfer);
        ids.dedup_by(|next, first| {
            let is_same = next.transfer == first.transfer;
            if is_same {
                first.begun_ns = earlier(first.begun_ns, next.begun_ns);
                first.told_ns = earlier(first.told_ns, next.told_ns);
            }
            is_same
        });
        Ok(Self { ids })
    }

    /// The account's entries, in the order of serials; those of lower accounts are passed over.
    pub(crate) fn entries(
        &self,
        account: i64,
        core: &mut Ordered<'_, CoreEntryRow, AccountKey>,
    ) -> Result<Vec<Entry>, ReadError> {
        let mut entries = Vec::new();
        while core.take_if(|key| key.0 < account)?.is_some() {}
        while let Some(row) = core.take_of(account)? {
            let Some(seq) = row.seq else { continue };
            let found = self.ids.binary_search_by_key(&row.transfer, |one| one.transfer);
            let one = found.ok().map(|index| self.ids[index]);
            entries.push(Entry {
                seq,
                told_ns: one.and_then(|one| one.told_ns),
                begun_ns: one.and_then(|one| one.begun_ns),
            });
        }
        Ok(entries)
    }
}

/// Of an account's entries: the highest serial that was told before each of several moments, asked for in rising order.
pub(crate) struct Highest {
    told: Vec<(i64, i64)>,
    next: usize,
    /// Serial, and when it was told.
    highest: Option<(i64, i64)>,
}

impl Highest {
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let told = entries.iter().filter_map(|entry| Some((entry.told_ns?, entry.seq)));
        let mut told: Vec<(i64, i64)> = told.collect();
        told.sort_unstable();
        Self { told, next: 0, highest: None }
    }

    /// The highest serial told before `at_ns`, and when that was.
    pub(crate) fn before(&mut self, at_ns: i64) -> Option<(i64, i64)> {
        while let Some((told_ns, seq)) = self.told.get(self.next).filter(|told| told.0 < at_ns) {
            if self.highest.is_none_or(|(highest, _)| *seq > highest) {
                self.highest = Some((*seq, *told_ns));
            }
            self.next += 1;
        }
        self.highest
    }
}

fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    [a, b].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::{Entry, Highest};

    #[test]
    fn the_highest_serial_told_so_far_stays_the_highest() {
        let entry = |seq, told_ns| Entry { seq, told_ns, begun_ns: None };
        let mut highest =
            Highest::of(&[entry(1, None), entry(2, Some(30)), entry(3, Some(10)), entry(4, None), entry(5, Some(40))]);
        assert_eq!(highest.before(10), None, "at the same moment is not before");
        assert_eq!(highest.before(11), Some((3, 10)));
        assert_eq!(highest.before(35), Some((3, 10)), "a lower one told later adds nothing");
        assert_eq!(highest.before(41), Some((5, 40)));
    }
}
