//! The bank comes to rest: the copy has caught up, everything is published, every transfer is settled, every hold has ended.
//!
//! In: a healed bank. Out: nothing, or what was still open when the limit was hit. Elsewhere: what must hold then (`check`).

use std::time::Duration;

use bankstorm_contracts::event::ENTRIES_TOPIC;
use tokio::time::{Instant, sleep};

use super::{REST_LIMIT, World};
use crate::trace;
use crate::world::conductor::GROUP;

/// How often the bank is looked at while it converges.
const LOOK: Duration = Duration::from_millis(50);

impl World<'_> {
    /// Waits until the copy has caught up and everything is published and committed. A bank that mends its copies itself comes to rest when
    /// they equal core, whatever the log lost; one in which that is left out, when it has nothing more to do.
    pub(super) async fn converge(&mut self) {
        trace::note(|| "---- the copy converges".to_owned());
        let until = Instant::now() + REST_LIMIT;
        while Instant::now() < until {
            if self.is_at_rest() {
                return;
            }
            sleep(LOOK).await;
        }
        if !self.heals() {
            trace::note(|| "the copy is not mended, as planned".to_owned());
            return;
        }
        let unsent = self.bank.core_store.unsent_count();
        let (holds, open) = (self.open_holds(), self.bank.channel_store.with(|copy| copy.open.len()));
        let (behind, letters) = (self.behind(), self.bank.channel_store.with(|copy| copy.open_letters().count()));
        let open_transactions = [self.bank.core_store.database(), self.bank.channel_store.database()]
            .map(|database| database.open_transactions());
        let consumed = if self.bank.log.caught_up(GROUP, ENTRIES_TOPIC) { "" } else { " not" };
        self.late.push(format!(
            "the bank had not come to rest {REST_LIMIT:?} after the heal: {unsent} rows not published, {behind} copies behind, {open} \
             transfers open, {holds} holds open, {letters} letters open, {open_transactions:?} transactions open, the log{consumed} consumed"
        ));
    }

    fn is_at_rest(&self) -> bool {
        let bank = &self.bank;
        bank.core_store.unsent_count() == 0
            && self.open_holds() == 0
            && bank.channel_store.with(|copy| copy.open.is_empty())
            && bank.log.caught_up(GROUP, ENTRIES_TOPIC)
            && bank.core_store.database().open_transactions() == 0
            && bank.channel_store.database().open_transactions() == 0
            && (!self.heals() || self.behind() == 0)
    }

    /// Whether the bank finds every copy that is behind. Letters may stay open: those that name no account do for ever.
    const fn heals(&self) -> bool {
        self.plan.topology.repair.heals()
    }

    fn behind(&self) -> usize {
        self.bank.core_store.with(|core| {
            self.bank.channel_store.with(|copy| {
                core.heads.values().filter(|head| head.seq > 0 && copy.heads.get(&head.account) != Some(head)).count()
            })
        })
    }

    fn open_holds(&self) -> usize {
        self.bank.core_store.with(|core| core.holds.values().filter(|hold| hold.ended.is_none()).count())
    }
}
