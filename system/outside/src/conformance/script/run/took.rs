//! What an answer makes known.
//!
//! In: an answer. Out: what its session holds, what stands. Elsewhere: reading the answer (`step`), who waits for whom (`book`).

use std::collections::BTreeMap;

use super::super::book::Thing;
use super::super::{ScriptFixture, Subject, View};
use super::step::{Answer, Effect};
use super::{Runner, Slot};
use crate::core_store::AccountRow;
use crate::store::StoreError;

impl<S: Subject, F: ScriptFixture<S>> Runner<'_, S, F> {
    /// A session was answered.
    pub(super) fn took(&mut self, session: usize, tx: Option<S::Tx>, answer: Answer) {
        let Answer { text, effect } = answer;
        self.slots[session] = tx.map_or(Slot::Empty, Slot::Open);
        let known = &mut self.known[session];
        match effect {
            Effect::Claimed(new) => self.claimed(session, new),
            Effect::Locked(rows) => self.locked(session, rows),
            Effect::Both(new, rows) => {
                self.claimed(session, new);
                self.locked(session, rows);
            }
            Effect::Reopened(holds) => {
                self.book.holds(session, holds.keys().map(|id| Thing::Transfer(*id)));
                known.view.reopened.extend(holds);
            }
            Effect::Opened(new) => {
                let things = new.iter().flat_map(|(id, guard)| index(*id, *guard));
                self.book.holds(session, things);
                known.view.opened.extend(new);
            }
            Effect::LockedTransfers(transfers) => {
                self.book.holds(session, transfers.keys().map(|id| Thing::Transfer(*id)));
                known.view.transfers.extend(transfers);
            }
            Effect::Wrote(view) => {
                self.book.holds(session, view.ended.iter().chain(&view.stepped).map(|id| Thing::Change(*id)));
                known.view = view;
            }
            Effect::Committed(view) => self.committed(session, view),
            Effect::RolledBack => self.book.release(session, self.index),
            Effect::Refused => known.failed = true,
            Effect::Failed(error) => {
                known.failed = true;
                if error == StoreError::Deadlock {
                    self.deadlock(session);
                }
                self.book.release(session, self.index);
            }
        }
        self.answers.insert(session, text);
    }

    fn committed(&mut self, session: usize, view: View) {
        for (id, stage) in &view.transfers {
            if stage.is_terminal() {
                self.guarding.retain(|guard, open| {
                    let over = open == id;
                    if over {
                        self.book.standing.remove(&Thing::Guard(*guard));
                    }
                    !over
                });
            }
        }
        self.guarding.extend(view.opened.iter().filter_map(|(id, guard)| Some(((*guard)?, *id))));
        self.book.standing.extend(view.opened.iter().flat_map(|(id, guard)| index(*id, *guard)));
        self.open_holds.retain(|id| !view.ended.contains(id));
        self.open_holds.extend(view.placed);
        let rows = view.heads.into_keys().map(Thing::Row);
        self.book.standing.extend(view.ids.into_iter().map(Thing::Id).chain(rows));
        self.book.release(session, self.index);
    }

    fn claimed(&mut self, session: usize, new: Vec<(u8, bool)>) {
        self.book.holds(session, new.iter().map(|(id, _)| Thing::Id(*id)));
        let view = &mut self.known[session].view;
        view.ids.extend(new.iter().map(|(id, _)| *id));
        view.claimed.extend(new);
    }

    fn locked(&mut self, session: usize, rows: BTreeMap<u8, AccountRow>) {
        self.book.holds(session, rows.keys().map(|place| Thing::Row(*place)));
        let view = &mut self.known[session].view;
        view.held.extend(rows.iter().map(|(place, row)| (*place, row.held)));
        view.heads.extend(rows.into_iter().map(|(place, row)| (place, row.head)));
    }

    fn deadlock(&mut self, victim: usize) {
        self.deadlocks += 1;
        let circle = std::mem::take(&mut self.circle);
        let since = circle.iter().find(|(session, _)| *session == victim).map(|(_, since)| *since);
        if let Some(since) = since.filter(|since| circle.iter().any(|(_, other)| other < since)) {
            self.transcript.naps.insert(since);
        }
        self.count("deadlock", "");
    }
}

/// What a transfer that is opened has in its indexes.
fn index(id: u8, guard: Option<u8>) -> impl Iterator<Item = Thing> {
    [Thing::Id(id)].into_iter().chain(guard.map(Thing::Guard))
}
