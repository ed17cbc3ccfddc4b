//! From moves and locked heads to the rows of one transaction.
//!
//! In: moves in account order, the heads that were locked. Out: [`Staged`]: writes, and what each account came to. Elsewhere: the rule
//! (`plan`), the transaction (`advance`).

use bankstorm_contracts::{AccountNo, Head, Seq};
use bankstorm_outside::channel_store::{AdvanceWrites, Cause, JournalLine, Source};

use super::plan::{Step, plan};
use super::{Move, Moved};

/// One transaction, ready to be written.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// The rows.
    pub(super) writes: AdvanceWrites,
    /// Per move, in order: what it came to.
    pub(super) moved: Vec<Moved>,
    /// Per move, in order: how many leading records are dealt with.
    pub(super) taken: Vec<usize>,
    /// Records dropped as duplicates.
    pub(super) duplicates: u64,
}

impl Staged {
    /// (account, from, to) of every account that moves.
    pub(super) fn advances(&self) -> Vec<(AccountNo, Seq, Seq)> {
        self.writes.heads.iter().map(|(from, head)| (head.account, *from, head.seq)).collect()
    }

    fn held(&mut self) {
        self.moved.push(Moved::Held);
        self.taken.push(0);
    }

    fn locked(&mut self, mv: &Move, before: Head, step: Step) {
        if mv.source == Source::Event {
            self.duplicates += step.duplicates as u64;
        }
        if let Some(&last) = step.append.last() {
            let cause = Cause {
                topic: mv.origin.topic.to_string(),
                partition: mv.origin.partition,
                offset: mv.records[last].0,
                generation: mv.origin.generation,
            };
            self.writes.entries.extend(step.append.iter().map(|index| mv.records[*index].1.clone()));
            self.writes.heads.push((before.seq, step.head));
            let (from_seq, to_seq) = (before.seq, step.head.seq);
            self.writes.journal.push(JournalLine { account: mv.account, from_seq, to_seq, source: mv.source, cause });
        }
        self.moved.push(Moved::Locked { before, after: step.head, next: step.next });
        self.taken.push(step.taken);
    }
}

/// Plans every move whose row was locked. `settled` hears of an unsure advance that turns out to stand.
pub(super) fn stage(moves: &mut [&mut Move], heads: Vec<Head>, settled: impl Fn((AccountNo, Seq, Seq))) -> Staged {
    let mut staged = Staged::default();
    let mut heads = heads.into_iter().peekable();
    for mv in moves {
        match heads.next_if(|head| head.account == mv.account) {
            None => staged.held(),
            Some(head) => {
                settle(mv, head, &settled);
                let step = plan(head, mv.records.iter().map(|(_, entry)| entry));
                staged.locked(mv, head, step);
            }
        }
    }
    staged
}

/// Decides an advance whose commit got no answer by the head that stands now. The row's lock makes that final: the lost transaction has
/// ended, or it would still hold the row.
fn settle(mv: &mut Move, head: Head, settled: impl Fn((AccountNo, Seq, Seq))) {
    let Some((from, to)) = mv.unsure.take() else { return };
    let to = to.min(head.seq);
    if to > from {
        settled((mv.account, from, to));
        mv.records.retain(|(_, entry)| entry.seq <= from || entry.seq > to);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use bankstorm_contracts::{AccountNo, Entry, EntryKind, Head, Seq, TransferId, WallMicros, Won};
    use bankstorm_outside::channel_store::Source;

    use super::super::plan::{Next, Why};
    use super::super::{Move, Moved, Origin};
    use super::stage;

    fn head(account: i64, seq: Seq) -> Head {
        Head { account: AccountNo::new(account), seq, balance: Won::new(10 * seq) }
    }

    fn coming(account: i64, serials: &[Seq]) -> Move {
        let id = "00000000-0000-0000-0000-000000000001".parse::<TransferId>().expect("an id");
        let entry = |seq: Seq| Entry {
            account: AccountNo::new(account),
            seq,
            amount: Won::new(10),
            balance_after: Won::new(10 * seq),
            transfer: id,
            kind: EntryKind::Deposit,
            posted_at: WallMicros(0),
        };
        Move {
            account: AccountNo::new(account),
            records: serials.iter().map(|seq| (100 + seq, entry(*seq))).collect(),
            source: Source::Event,
            origin: Origin { topic: "t".into(), partition: 3, generation: Some(7) },
            unsure: None,
            found: None,
        }
    }

    #[test]
    fn each_account_is_planned_against_its_own_row_and_held_ones_are_left_out() {
        let (mut a, mut b, mut c) = (coming(1, &[1, 2]), coming(2, &[1]), coming(3, &[4, 5, 7]));
        let staged =
            stage(&mut [&mut a, &mut b, &mut c], vec![head(1, 0), head(3, 4)], |_| panic!("nothing was unsure"));
        assert_eq!(staged.moved[1], Moved::Held);
        let next = Next::Pull { target: 7, why: Why::Gap };
        assert_eq!(staged.moved[2], Moved::Locked { before: head(3, 4), after: head(3, 5), next });
        assert_eq!(staged.advances(), [(AccountNo::new(1), 0, 2), (AccountNo::new(3), 4, 5)]);
        assert_eq!(staged.taken, [2, 0, 2]);
        assert_eq!(staged.duplicates, 1);
        let offsets: Vec<i64> = staged.writes.journal.iter().map(|line| line.cause.offset).collect();
        assert_eq!(offsets, [102, 105], "the last record that was applied");
    }

    #[test]
    fn an_unsure_commit_is_decided_by_the_head() {
        for (now, told, left) in [(0, vec![], 2), (2, vec![(0, 2)], 0), (9, vec![(0, 2)], 0)] {
            let mut mv = Move { unsure: Some((0, 2)), ..coming(1, &[1, 2]) };
            let heard = RefCell::new(Vec::new());
            let staged = stage(&mut [&mut mv], vec![head(1, now)], |(_, from, to)| heard.borrow_mut().push((from, to)));
            assert_eq!(heard.into_inner(), told, "head {now}");
            assert_eq!((staged.writes.entries.len(), staged.duplicates), (left, 0), "head {now}");
            assert_eq!(mv.unsure, None);
        }
    }
}
