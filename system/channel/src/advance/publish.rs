//! What a durable transaction shows to the outside: the visible log first of all (D44), then counters and markers.
//!
//! In: what was written. Out: nothing but effects. Elsewhere: the transaction (`transact`).

use bankstorm_contracts::{AccountNo, Seq};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::Source;
use bankstorm_outside::process::{Metrics, Points, VisibleLog};

use super::Advancer;
use super::stage::{By, Staged};
use crate::markers;
use crate::transfer::First;

impl<O: ChannelOutside> Advancer<O> {
    /// What a durable transaction shows to the outside: first of all, that its entries are visible.
    pub(super) fn publish(&self, staged: &Staged) {
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        let advances = staged.advances();
        if !advances.is_empty() {
            self.outside.visible().visible(&advances);
        }
        if !staged.writes.heads.is_empty() {
            metrics.count("channel_transactions_total", 1);
            metrics.count("channel_applied_total", staged.writes.entries.len() as u64);
        }
        if staged.writes.journal.iter().any(|line| line.source == Source::Event) {
            points.reached(markers::APPEND);
        }
        if staged.writes.heads.len() > 1 {
            points.reached(markers::BATCH);
        }
        if staged.duplicates > 0 {
            points.reached(markers::DUPLICATE_DROPPED);
            metrics.count("channel_duplicates_total", staged.duplicates);
        }
        let closes = !staged.writes.closes.is_empty();
        if closes && staged.writes.journal.iter().any(|line| line.source != Source::Redrive) {
            points.reached(markers::LETTER_OVERTAKEN);
        }
        self.tell_settled(staged);
    }

    /// Which transfers it completed, and which it found completed.
    pub(super) fn tell_settled(&self, staged: &Staged) {
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        for settled in &staged.settled {
            points.reached(match settled.by {
                By::Event => markers::SETTLED_BY_EVENT,
                By::GapFill => markers::SETTLED_BY_GAP_FILL,
                By::Pull => markers::SETTLED_BY_PULL,
                By::Answer => markers::SETTLED_BY_ANSWER,
                By::Poller => markers::SETTLED_BY_POLLER,
            });
            match settled.by {
                By::Event | By::GapFill | By::Pull => {}
                By::Answer => self.recent.completed(settled.id, First::Answer),
                By::Poller => self.recent.completed(settled.id, First::Poller),
            }
            if self.recent.settled(settled.id) {
                points.reached(markers::RELEASED);
            }
            metrics.count("channel_transfers_completed_total", 1);
            if settled.left_open {
                metrics.count("channel_left_open_total", 1);
                tracing::error!(id = %settled.id, "a transfer was open although its row stood");
            }
        }
        for id in &staged.met {
            match self.recent.event(*id) {
                Some(First::Answer) => points.reached(markers::EVENT_AFTER_ANSWER),
                Some(First::Poller) => points.reached(markers::EVENT_AFTER_POLLER),
                None => {}
            }
        }
        for id in &staged.contradictions {
            metrics.count("channel_contradictions_total", 1);
            tracing::error!(%id, "a debit stands whose transfer had ended, or is another");
        }
    }

    /// A commit without an answer stands after all: what it moved is visible, and was so before this moment.
    pub(super) fn settle_unsure(&self, (account, from, to): (AccountNo, Seq, Seq)) {
        self.outside.visible().visible(&[(account, from, to)]);
        self.outside.metrics().count("channel_applied_total", u64::try_from(to - from).unwrap_or(0));
    }
}
