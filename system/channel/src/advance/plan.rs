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
#[path = "plan/tests.rs"]
mod tests;
