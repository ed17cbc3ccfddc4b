//! The rule of the copy: which records append, which are duplicates, where something is missing.
//!
//! In: an account's head and marks, and records in the order they came. Out: a [`Step`]. Elsewhere: locks, writes, core (`advance`).
//!
//! Against the last serial k, a record n is a duplicate (n <= k), the next in line (n = k + 1) or shows a gap (n > k + 1). The next in
//! line must also carry the balance on: balance + amount = balance_after. [`Rule`] says which of this is switched off.

use bankstorm_contracts::{Entry, Head, Seq};
use bankstorm_outside::channel_store::SyncRow;

use crate::config::{Applying, Gaps, SyncWrites};

/// Why core has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Serials are missing before a record.
    Gap,
    /// A record is next in line, and its balance does not follow from the copy's.
    ChainBreak,
}

/// What remains after the appended records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: every record was appended or a duplicate.
    Complete,
    /// The serials after the head up to `target` have to come from core.
    Pull {
        /// The highest serial among the records that are left.
        target: Seq,
        /// What was found.
        why: Why,
    },
}

/// What is to be done with an account's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The head after the appended records.
    pub head: Head,
    /// Which records append, by index, in order.
    pub append: Vec<usize>,
    /// How many records were duplicates.
    pub duplicates: usize,
    /// How many leading records are dealt with by this step.
    pub taken: usize,
    /// What remains.
    pub next: Next,
}

/// Which rule it is: the safe arm by default (P14, P15, P24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Whether the serial decides what is appended.
    pub applying: Applying,
    /// What a record above the next serial means. [`Gaps::Fill`] and [`Gaps::Wait`] are the same here.
    pub gaps: Gaps,
    /// Whether pulled entries meet the head that stands.
    pub sync_writes: SyncWrites,
}

impl Rule {
    /// What a record is to a copy that stands at `last`.
    fn meet(&self, last: Head, hole: Option<Seq>, entry: &Entry) -> Meets {
        let late = entry.seq <= last.seq;
        match (late, self.applying) {
            (true, Applying::SeqConditional) => return Meets::Duplicate,
            (true, Applying::Unconditional) => return Meets::Appends,
            (false, _) => {}
        }
        if entry.seq > last.seq + 1 {
            // Past a hole nothing is appended, whatever else is off (P19): the hole is above the head, or it would be none.
            return if self.gaps == Gaps::Ignore && hole.is_none() { Meets::Appends } else { Meets::Pull(Why::Gap) };
        }
        if last.balance.checked_add(entry.amount) == Some(entry.balance_after) {
            Meets::Appends
        } else {
            Meets::Pull(Why::ChainBreak)
        }
    }
}

enum Meets {
    Duplicate,
    Appends,
    Pull(Why),
}

/// Plans the records of one account against its head, by the safe rule.
pub fn plan<'a>(head: Head, records: impl IntoIterator<Item = &'a Entry>) -> Step {
    plan_by(&Rule::default(), SyncRow::clean(head), false, records)
}

/// Plans the records of one account against its row. `pulled` says that they came from core.
pub fn plan_by<'a>(rule: &Rule, row: SyncRow, pulled: bool, records: impl IntoIterator<Item = &'a Entry>) -> Step {
    let mut step = Step { head: row.head, append: Vec::new(), duplicates: 0, taken: 0, next: Next::Complete };
    if pulled && rule.sync_writes == SyncWrites::Overwrite {
        overwrite(&mut step, records);
        return step;
    }
    let mut hole = row.hole;
    let mut records = records.into_iter();
    while let Some(entry) = records.next() {
        match rule.meet(step.head, hole, entry) {
            Meets::Duplicate => step.duplicates += 1,
            Meets::Appends => {
                step.append.push(step.taken);
                step.head = entry.head();
                hole = hole.filter(|hole| *hole > entry.seq);
            }
            Meets::Pull(why) => {
                let target = records.map(|entry| entry.seq).fold(entry.seq, Seq::max);
                step.next = Next::Pull { target, why };
                return step;
            }
        }
        step.taken += 1;
    }
    step
}

/// P24 off: the last record becomes the head, whatever stands; what lies below the head is stored already.
fn overwrite<'a>(step: &mut Step, records: impl IntoIterator<Item = &'a Entry>) {
    let stood = step.head.seq;
    for entry in records {
        if entry.seq > stood {
            step.append.push(step.taken);
        } else {
            step.duplicates += 1;
        }
        step.head = entry.head();
        step.taken += 1;
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, Seq, TransferId, WallMicros, Won};

    use super::{Next, Why, plan};

    const ACCOUNT: AccountNo = AccountNo::new(1_000_001);

    /// Every entry is 10 won, so serial n carries 10 n.
    fn entry(seq: Seq) -> Entry {
        Entry {
            account: ACCOUNT,
            seq,
            amount: Won::new(10),
            balance_after: Won::new(10 * seq),
            transfer: TransferId("00000000-0000-0000-0000-000000000001".parse::<TransferId>().expect("an id").0),
            kind: EntryKind::Deposit,
            posted_at: WallMicros(seq),
        }
    }

    fn head(seq: Seq) -> Head {
        Head { account: ACCOUNT, seq, balance: Won::new(10 * seq) }
    }

    /// (appended serials, duplicates, head after, what remains) for serials met at a head.
    fn check(at: Seq, serials: &[Seq], appended: &[Seq], duplicates: usize, next: Next) {
        let records: Vec<Entry> = serials.iter().copied().map(entry).collect();
        let step = plan(head(at), &records);
        let got: Vec<Seq> = step.append.iter().map(|index| records[*index].seq).collect();
        assert_eq!((got.as_slice(), step.duplicates, step.next), (appended, duplicates, next), "{serials:?} at {at}");
        assert_eq!(step.head, head(appended.last().copied().unwrap_or(at)));
        assert_eq!(step.taken, appended.len() + duplicates);
    }

    fn gap(target: Seq) -> Next {
        Next::Pull { target, why: Why::Gap }
    }

    #[test]
    fn next_in_line_appends_and_the_past_is_dropped() {
        check(0, &[], &[], 0, Next::Complete);
        check(0, &[1, 2, 3], &[1, 2, 3], 0, Next::Complete);
        check(3, &[1, 3], &[], 2, Next::Complete);
        check(3, &[3, 4, 4, 5, 2], &[4, 5], 3, Next::Complete);
    }

    #[test]
    fn a_gap_ends_the_step_and_asks_up_to_the_highest() {
        check(3, &[5], &[], 0, gap(5));
        check(3, &[4, 6, 9, 5], &[4], 0, gap(9));
        check(3, &[2, 5, 4], &[], 1, gap(5));
    }

    #[test]
    fn a_balance_that_does_not_follow_is_not_appended() {
        let mut wrong = entry(5);
        wrong.amount = Won::new(11);
        let step = plan(head(3), &[entry(4), wrong, entry(6)]);
        assert_eq!((step.append.as_slice(), step.taken), ([0].as_slice(), 1));
        assert_eq!(step.next, Next::Pull { target: 6, why: Why::ChainBreak });

        let overflow = Entry { amount: Won::new(i64::MAX), ..entry(4) };
        assert_eq!(plan(head(3), &[overflow]).next, Next::Pull { target: 4, why: Why::ChainBreak });
    }
}
