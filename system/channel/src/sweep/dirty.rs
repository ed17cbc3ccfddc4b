//! Accounts that are marked dirty: whose turn it is.
//!
//! In: the store's marks. Out: accounts in the order in which this instance pulls them. Elsewhere: the pulls (`sweep`), who marks (`pulls`).
//!
//! All instances read the same marks. So each takes what it read in an order of its own, and looks at a mark again right before the pull:
//! another may have healed the account since. Where more are marked than a look pulls, each look takes the next ones, and after the last
//! account come the first; those that cannot be healed do not keep the others from it.

use bankstorm_contracts::AccountNo;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::ChannelStore;

use super::{Ended, FIRST, Sweep, after, beginning};
use crate::config::scatter;

impl<O: ChannelOutside> Sweep<O> {
    /// The accounts of this look, at most `sweep_accounts` of them. The next look begins behind them, whatever becomes of this one.
    pub(super) async fn dirty_in_turn(&mut self) -> Result<Vec<AccountNo>, Ended> {
        let (store, from) = (self.outside.store(), self.dirty_at);
        let limit = self.config.sweep_accounts.max(1);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut dirty = store.dirty(from, limit).await?;
        if dirty.len() < most && from > FIRST {
            let first = store.dirty(FIRST, limit).await?;
            dirty.extend(first.into_iter().take_while(|account| *account < from));
            dirty.truncate(most);
        }
        let last = dirty.last().copied().filter(|_| dirty.len() == most);
        let own_beginning = beginning(self.config.sweep_salt);
        self.dirty_at = last.map_or(own_beginning, |last| after(last).unwrap_or(FIRST));
        // Another order after each look that core cut short: the same accounts are not the last ones again.
        let order = scatter(self.config.sweep_salt.wrapping_add(self.cuts));
        dirty.sort_by_key(|account| scatter(account.get().cast_unsigned() ^ order));
        Ok(dirty)
    }

    /// Whether an account is still marked.
    pub(super) async fn is_dirty(&self, account: AccountNo) -> Result<bool, Ended> {
        let next = self.outside.store().dirty(account, 1).await?;
        Ok(next.first() == Some(&account))
    }
}
