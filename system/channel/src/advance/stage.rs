//! From moves and locked rows to the rows of one transaction.
//!
//! In: moves in account order, the sync rows and the transfers that were locked. Out: [`Staged`]: writes, what each account came to, which
//! transfers it completes. Elsewhere: the rules (`plan`, `transfer::rules`), the transaction (`advance`).

use std::collections::BTreeMap;

use bankstorm_contracts::{AccountNo, Entry, Head, Seq, TransferId};
use bankstorm_outside::channel_store::{AdvanceWrites, JournalLine, Mark, Source, SyncRow, TransferRow};

use super::plan::{Rule, Step, plan_by};
use super::{Move, Moved, Origin};
use crate::transfer::rules::{Settles, settles, stand};

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
    /// Transfers that it completes.
    pub(super) settled: Vec<Settled>,
    /// Transfers whose events came and found them completed.
    pub(super) met: Vec<TransferId>,
    /// Transfers that ended otherwise than a debit says.
    pub(super) contradictions: Vec<TransferId>,
}

/// A transfer that is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// The transfer.
    pub(super) id: TransferId,
    /// By whom.
    pub(super) by: By,
    /// Whether its row had stood before.
    pub(super) left_open: bool,
}

/// Who completes a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The event of its debit.
    Event,
    /// What was pulled for another event.
    GapFill,
    /// What was pulled for a read, the button, the sweep or a dead letter.
    Pull,
    /// Core's answer.
    Answer,
    /// The poller.
    Poller,
}

impl By {
    const fn of(mv: &Move) -> Self {
        match (&mv.origin, mv.source) {
            (Origin::Answer(_), _) => Self::Answer,
            (Origin::Poller(_), _) => Self::Poller,
            (Origin::Record { .. }, Source::GapFill) => Self::GapFill,
            (Origin::Record { .. }, _) => Self::Event,
            (Origin::Read | Origin::Manual | Origin::Sweep | Origin::Redrive, _) => Self::Pull,
        }
    }
}

impl Staged {
    /// (account, from, to) of everything that becomes visible, a line for each run of serials.
    pub(super) fn advances(&self) -> Vec<(AccountNo, Seq, Seq)> {
        let mut advances: Vec<(AccountNo, Seq, Seq)> = Vec::new();
        for entry in &self.writes.entries {
            match advances.last_mut() {
                Some((account, _, to)) if *account == entry.account && *to + 1 == entry.seq => *to = entry.seq,
                _ => advances.push((entry.account, entry.seq - 1, entry.seq)),
            }
        }
        advances
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.writes == AdvanceWrites::default()
    }

    fn held(&mut self) {
        self.moved.push(Moved::Held);
        self.taken.push(0);
    }

    fn locked(&mut self, mv: &Move, row: SyncRow, step: &Step) {
        let before = row.head;
        if mv.source == Source::Event {
            self.duplicates += step.duplicates as u64;
        }
        if before != step.head || !step.append.is_empty() {
            let last = step.append.last().copied().or(step.taken.checked_sub(1));
            let cause = last.and_then(|last| mv.origin.cause(mv.records[last].0));
            self.writes.entries.extend(step.append.iter().map(|index| mv.records[*index].1.clone()));
            self.writes.heads.push((before.seq, step.head));
            let (from_seq, to_seq) = (before.seq, step.head.seq);
            self.writes.journal.push(JournalLine { account: mv.account, from_seq, to_seq, source: mv.source, cause });
        }
        self.heal(mv, row, step.head.seq);
        self.moved.push(Moved::Locked { before, after: step.head, next: step.next });
        self.taken.push(step.taken);
    }

    /// An account that passes its hole has no use for the letters below any more (D2), and one that has all that core had is not dirty
    /// any more. Where letters above are open, the store keeps the marks for the lowest of them.
    fn heal(&mut self, mv: &Move, row: SyncRow, now: Seq) {
        let hole = row.hole.filter(|hole| *hole > now);
        let passed = row.hole.is_some() && hole.is_none();
        let reached = hole.is_none() && mv.clears.is_some_and(|all| now >= all);
        if passed {
            self.writes.closes.push((mv.account, now));
        }
        if passed || (row.dirty && reached) {
            self.writes.marks.push(Mark { account: mv.account, dirty: false, hole });
        }
    }

    /// Every debit that stands in the copy once this transaction is durable has its transfer completed by then, by this transaction if by
    /// none before (A6, D33). The one place that decides it (P31).
    fn complete(
        &mut self,
        mv: &mut Move,
        (before, after): (Head, Head),
        debits: &[Entry],
        rows: &mut BTreeMap<TransferId, TransferRow>,
    ) {
        for debit in debits.iter().filter(|debit| debit.seq <= after.seq) {
            // A transfer that was not begun here has no row here.
            let Some(row) = rows.get_mut(&debit.transfer) else { continue };
            let verdict = settles(row, debit);
            match verdict {
                Settles::Completes(moved) => {
                    (row.stage, row.seq) = (moved.stage, moved.seq);
                    self.writes.transfers.push(moved);
                    self.settled.push(Settled { id: row.id, by: By::of(mv), left_open: debit.seq <= before.seq });
                }
                Settles::Stood if mv.source == Source::Event => self.met.push(row.id),
                Settles::Stood => {}
                Settles::Contradicts => self.contradictions.push(row.id),
            }
            if mv.origin.asks() == Some(row.id) {
                mv.stands = Some((stand(row), matches!(verdict, Settles::Completes(_))));
            }
        }
    }
}

/// The transfers whose debits are among the records, in id order: they have to be locked before it is known which of them are stored.
pub(super) fn debits<'a>(moves: impl IntoIterator<Item = &'a Move>) -> Vec<TransferId> {
    let records = moves.into_iter().flat_map(|mv| &mv.records);
    let mut ids: Vec<_> = records.filter(|(_, entry)| entry.kind.settles()).map(|(_, entry)| entry.transfer).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Plans every move whose row was locked. `settled` hears of an unsure advance that turns out to stand.
pub(super) fn stage(
    rule: &Rule,
    moves: &mut [&mut Move],
    rows: Vec<SyncRow>,
    transfers: Vec<TransferRow>,
    settled: impl Fn((AccountNo, Seq, Seq)),
) -> Staged {
    let mut staged = Staged::default();
    let mut synced = rows.into_iter().peekable();
    let mut rows: BTreeMap<_, _> = transfers.into_iter().map(|row| (row.id, row)).collect();
    for mv in moves {
        match synced.next_if(|row| row.head.account == mv.account) {
            None => staged.held(),
            Some(row) => {
                let head = row.head;
                // Taken before what is known to stand is dropped: its transfers are looked at all the same.
                let debits: Vec<Entry> = mv
                    .records
                    .iter()
                    .filter(|(_, entry)| entry.kind.settles())
                    .map(|(_, entry)| entry.clone())
                    .collect();
                settle(mv, head, &settled);
                let step = plan_by(rule, row, mv.pulled, mv.records.iter().map(|(_, entry)| entry));
                staged.locked(mv, row, &step);
                staged.complete(mv, (head, step.head), &debits, &mut rows);
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
#[path = "stage/tests.rs"]
mod tests;
