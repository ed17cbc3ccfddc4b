//! The bank comes to rest: the copy has caught up, everything is published, every transfer is settled, every hold has ended.
//!
//! In: a healed bank. Out: nothing, or what was still open when the limit was hit. Elsewhere: what must hold then (`check`).

use std::time::Duration;

use bankstorm_contracts::AccountStatus;
use bankstorm_contracts::event::{self, ENTRIES_TOPIC};
use tokio::time::{Instant, sleep};

use super::{REST_LIMIT, World};
use crate::trace;
use crate::world::conductor::GROUP;

/// How often the bank is looked at while it converges.
const LOOK: Duration = Duration::from_millis(50);

impl World<'_> {
    /// Waits until the copy has caught up and everything is published and committed.
    pub(super) async fn converge(&mut self) {
        trace::note(|| "---- the copy converges".to_owned());
        let until = Instant::now() + REST_LIMIT;
        let mut revealed = false;
        while Instant::now() < until {
            if self.is_at_rest() {
                if revealed || !self.reveal_lost_tails().await {
                    return;
                }
                revealed = true;
            }
            sleep(LOOK).await;
        }
        let unsent = self.bank.core_store.unsent_count();
        let (holds, open) = (self.open_holds(), self.bank.channel_store.with(|copy| copy.open.len()));
        let behind = self.bank.core_store.with(|core| {
            self.bank
                .channel_store
                .with(|copy| core.heads.values().filter(|head| copy.heads.get(&head.account) != Some(head)).count())
        });
        self.late.push(format!(
            "the bank had not come to rest {REST_LIMIT:?} after the heal: {unsent} rows not published, {behind} copies behind, {open} \
             transfers open, {holds} holds open"
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
    }

    fn open_holds(&self) -> usize {
        self.bank.core_store.with(|core| core.holds.values().filter(|hold| hold.ended.is_none()).count())
    }

    /// A record that the log lost shows as a gap only once a later one of its account arrives. Until the bank looks for lost tails itself
    /// (P16), the world sends such accounts one deposit more. Whether it sent any.
    async fn reveal_lost_tails(&mut self) -> bool {
        let mut accounts = std::collections::BTreeSet::new();
        for record in self.bank.log.lost() {
            if let Ok(entry) = event::decode(&record.value) {
                let head = self.bank.core_store.with(|data| data.heads.get(&entry.account).map(|head| head.seq));
                if head == Some(entry.seq) {
                    accounts.insert(entry.account);
                }
            }
        }
        for account in &accounts {
            trace::note(|| format!("one deposit more shows what account {account} lost"));
            // Whatever it was told to let happen to it.
            self.bank.core_store.set_status(*account, AccountStatus::Open);
            self.deposit_until_ok(*account).await;
        }
        !accounts.is_empty()
    }
}
