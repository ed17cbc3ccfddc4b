//! The open holds that this process knows, and when each is due. No clock: the moment comes in.
//!
//! In: holds, answers, failures. Out: what is due, who waits. Elsewhere: what is done with it (`outbound`, `ask`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bankstorm_contracts::TransferId;
use bankstorm_contracts::core_api::Verdict;
use bankstorm_outside::core_store::OpenHold;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::settle::Definite;
use crate::config::CoreConfig;

/// Who waits for a hold's end.
pub(super) type Waiter = oneshot::Sender<Verdict>;

/// What became of a hold that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is known now.
    New,
    /// It was.
    Known,
    /// There is no room: it stays in the database until a later look.
    Full,
}

/// A hold whose turn has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) hold: OpenHold,
    pub(super) expires_at: Instant,
    /// The definite answer, if it came before and the hold could not be ended.
    pub(super) answer: Option<Definite>,
}

#[derive(Debug)]
struct Entry {
    hold: OpenHold,
    expires_at: Instant,
    answer: Option<Definite>,
    waiter: Option<Waiter>,
    /// The next pause.
    pause: Duration,
    /// When its turn comes; `None` while somebody is at it.
    due: Option<Instant>,
}

/// The open holds, each in work or due at some moment.
#[derive(Debug)]
pub(super) struct Known {
    entries: BTreeMap<TransferId, Entry>,
    due: BTreeSet<(Instant, TransferId)>,
    most: usize,
    /// Whether there was no room for one, since somebody asked.
    turned_away: bool,
    pause_first: Duration,
    pause_longest: Duration,
}

impl Known {
    pub(super) fn new(config: &CoreConfig) -> Self {
        Self {
            entries: BTreeMap::new(),
            due: BTreeSet::new(),
            most: config.outbound_known_max as usize,
            turned_away: false,
            pause_first: config.outbound_backoff_first,
            pause_longest: config.outbound_backoff_max,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds a hold, due now. Of one that is known only the waiter is new; without room he is dropped, which tells him.
    pub(super) fn add(&mut self, hold: OpenHold, expires_at: Instant, now: Instant, waiter: Option<Waiter>) -> Added {
        if let Some(entry) = self.entries.get_mut(&hold.transfer) {
            entry.waiter = waiter.or(entry.waiter.take());
            return Added::Known;
        }
        if self.entries.len() >= self.most {
            self.turned_away = true;
            return Added::Full;
        }
        let id = hold.transfer;
        self.due.insert((now, id));
        let pause = self.pause_first;
        self.entries.insert(id, Entry { hold, expires_at, answer: None, waiter, pause, due: Some(now) });
        Added::New
    }

    /// The one that is due for longest, now in work.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Task> {
        let (at, id) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.remove(&(at, id));
        let entry = self.entries.get_mut(&id).expect("what is due is known");
        entry.due = None;
        Some(Task { hold: entry.hold.clone(), expires_at: entry.expires_at, answer: entry.answer })
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// It is still open: its turn comes again after its pause, and not later than it expires. What was learned stays known.
    pub(super) fn again(&mut self, id: TransferId, now: Instant, answer: Option<Definite>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.answer.is_none() && answer.is_some() {
            // From now on it is core's own trouble, not the bank's silence.
            entry.answer = answer;
            entry.pause = self.pause_first;
        }
        let mut at = now + entry.pause;
        if entry.answer.is_none() && entry.expires_at > now {
            at = at.min(entry.expires_at);
        }
        entry.pause = (entry.pause * 2).min(self.pause_longest);
        if let Some(due) = entry.due.replace(at) {
            // It was added anew meanwhile.
            self.due.remove(&(due, id));
        }
        self.due.insert((at, id));
    }

    /// Its definite answer came from elsewhere and could not be used yet: its turn comes soon, unless somebody is at it. Whether it is known.
    pub(super) fn learn(&mut self, id: TransferId, answer: Definite, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        if entry.answer.is_none() {
            entry.answer = Some(answer);
            entry.pause = self.pause_first;
        }
        if let Some(due) = entry.due {
            let at = due.min(now + entry.pause);
            self.due.remove(&(due, id));
            self.due.insert((at, id));
            entry.due = Some(at);
        }
        true
    }

    /// Whether there is room now and one was turned away before: then it is worth a look. Told once.
    pub(super) fn room_again(&mut self) -> bool {
        self.entries.len() < self.most && std::mem::take(&mut self.turned_away)
    }

    /// It has ended: it is forgotten, and who waits for it is to be told.
    pub(super) fn end(&mut self, id: TransferId) -> Option<Waiter> {
        let entry = self.entries.remove(&id)?;
        if let Some(due) = entry.due {
            self.due.remove(&(due, id));
        }
        entry.waiter
    }
}

#[cfg(test)]
mod tests;
