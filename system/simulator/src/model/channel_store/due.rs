//! When transfers are due, in the channel's model database.
//!
//! In: a clock, a lease. Out: due transfers, each to one taker. Elsewhere: who takes them and what for (`channel`), the tables
//! (`channel_store`).
//!
//! Left out: a due time that is set while somebody else has the transfer's row does not wait for him.

use std::time::Duration;

use bankstorm_contracts::{TransferId, WallMicros};
use bankstorm_outside::channel_store::{Clock, TransferRow};
use tokio::time::Instant;

use super::{ChannelData, ModelChannelStore};
use crate::model::locks::Key;

/// Due times are not flushed by their own statement (`synchronous_commit = off`): the server does it this long after at the latest, or
/// with the next commit that is.
const FLUSH_LIMIT: Duration = Duration::from_millis(200);

/// A due time that was set and may be lost.
#[derive(Clone, Debug)]
pub(super) struct Unflushed {
    at: Instant,
    id: TransferId,
    before: WallMicros,
}

pub(super) fn later(now: WallMicros, by: Duration) -> WallMicros {
    WallMicros(now.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

impl ModelChannelStore {
    /// What a clock says now.
    pub(super) fn now_by(&self, clock: Clock) -> WallMicros {
        match clock {
            Clock::Database => self.database.now(),
            Clock::Given(now) => now,
        }
    }

    /// Takes what is due, past rows that somebody has locked. One statement, which is durable with its answer.
    pub(super) fn take_due_now(&self, limit: usize, lease: Duration, clock: Clock) -> Vec<TransferRow> {
        let now = self.now_by(clock);
        let mut due = self.with(|data| data.due(now));
        due.retain(|(_, id)| !self.database.is_locked(Key::Transfer(*id)));
        due.truncate(limit);
        let mut data = self.data();
        data.unflushed.clear();
        let taken = due.into_iter().filter_map(|(_, id)| {
            let stored = data.transfers.get_mut(&id)?;
            stored.due_at = later(now, lease);
            stored.row.attempts += 1;
            Some(stored.row.clone())
        });
        taken.collect()
    }

    /// Sets when a transfer is due next, unless it is terminal.
    pub(super) fn postpone_now(&self, id: TransferId, by: Duration, clock: Clock) {
        let due_at = later(self.now_by(clock), by);
        let at = Instant::now();
        let mut data = self.data();
        data.unflushed.retain(|mark| at - mark.at < FLUSH_LIMIT);
        if let Some(stored) = data.transfers.get_mut(&id).filter(|stored| !stored.row.stage.is_terminal()) {
            let before = std::mem::replace(&mut stored.due_at, due_at);
            data.unflushed.push(Unflushed { at, id, before });
        }
    }
}

impl ChannelData {
    /// Open transfers that are due, oldest due first.
    fn due(&self, now: WallMicros) -> Vec<(WallMicros, TransferId)> {
        let open = self.open.iter().filter_map(|id| Some((self.transfers.get(id)?.due_at, *id)));
        let mut due: Vec<_> = open.filter(|(due_at, _)| *due_at <= now).collect();
        due.sort_unstable();
        due
    }

    /// The server was killed: due times that were not flushed are what they were before, the first one of several.
    pub(super) fn lose_due_times(&mut self) {
        let now = Instant::now();
        let lost: Vec<_> = self.unflushed.drain(..).filter(|mark| now - mark.at < FLUSH_LIMIT).collect();
        for mark in lost.into_iter().rev() {
            if let Some(stored) = self.transfers.get_mut(&mark.id) {
                stored.due_at = mark.before;
            }
        }
    }
}
