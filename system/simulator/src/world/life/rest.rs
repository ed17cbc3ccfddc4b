//! The bank comes to rest: the copy has caught up, everything is published, every transfer is settled, every hold has ended; then it tidies up.
//!
//! In: a healed bank. Out: nothing, or what was still open when the limit was hit. Elsewhere: what must hold then (`check`).

use std::time::Duration;

use bankstorm_contracts::AccountNo;
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
                return self.tidy(until).await;
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

    /// Waits until no mark and no letter is left that nobody needs any more. Those that stay are for checks to find (T4).
    async fn tidy(&self, until: Instant) {
        while self.plan.topology.repair.tidies() && self.is_untidy() && Instant::now() < until {
            sleep(LOOK).await;
        }
    }

    fn is_untidy(&self) -> bool {
        self.bank.channel_store.with(|copy| {
            let about = copy.open_letters().filter_map(|stored| stored.letter.account.zip(stored.letter.seq));
            let (overtaken, waiting): (Vec<_>, Vec<_>) =
                about.partition(|(account, seq)| copy.heads.get(account).is_some_and(|head| head.seq >= *seq));
            let waits = |no: &AccountNo| waiting.iter().any(|(account, _)| account == no);
            !overtaken.is_empty() || copy.heads.keys().any(|no| copy.marks_of(*no).dirty && !waits(no))
        })
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
