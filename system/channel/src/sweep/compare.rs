//! One stretch of accounts, compared with core.
//!
//! In: where it begins. Out: which accounts are behind, where the next stretch begins. Elsewhere: what a pair of heads says (`rules`),
//! what is done about it (`sweep`).
//!
//! Where there are several databases (A21), core's digests cover accounts of all of them and a part never agrees with what one has of it:
//! then the heads of the part's own accounts are asked for, in every part.

use std::collections::BTreeMap;

use bankstorm_contracts::core_api::Purpose;
use bankstorm_contracts::digest::{MAX_DIGEST_ACCOUNTS, MAX_DIGEST_WIDTH};
use bankstorm_contracts::{AccountNo, DigestRange, Head, Seq};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::ChannelStore;
use bankstorm_outside::core_api::CoreApi;
use bankstorm_outside::process::{Metrics, Scope};

use super::rules::{Finding, findings};
use super::{Ended, Sweep, after};

/// Most parts whose heads are compared in one stretch; it ends before the next one that differs.
const MOST_PARTS: usize = 16;
/// The last number there can be.
const LAST: AccountNo = AccountNo::new(i64::MAX);

/// What comparing a stretch came to.
#[derive(Debug)]
pub(super) struct Compared {
    /// Accounts that are behind, and where their copies stand.
    pub(super) behind: BTreeMap<AccountNo, Seq>,
    /// Where the next stretch begins; none after the last account.
    pub(super) next: Option<AccountNo>,
}

impl<O: ChannelOutside> Sweep<O> {
    /// Compares accounts from `from` on, as many as a look may.
    pub(super) async fn compare(&self, from: AccountNo) -> Result<Compared, Ended> {
        let limit = self.config.sweep_accounts.clamp(1, MAX_DIGEST_ACCOUNTS);
        // Before core is asked: what happens in between makes the copy look late, never early.
        let own = self.outside.store().heads_between(from, LAST, limit).await?;
        let full = own.len() as u64 >= u64::from(limit);
        let to = own.last().map(|head| head.account).filter(|_| full).unwrap_or(LAST);
        let range = DigestRange { from, to, width: MAX_DIGEST_WIDTH };
        let metrics = self.outside.metrics();
        metrics.count("channel_core_calls_total", 1);
        let told = self.outside.core().digests(range).await.map_err(|error| Ended::Core(error.to_string()))?;
        let mut next = told.next.or_else(|| after(to).filter(|_| full));
        let mut behind = BTreeMap::new();
        for (number, (first, last)) in told.unequal(&range, &own).into_iter().enumerate() {
            if number == MOST_PARTS {
                next = Some(first);
                break;
            }
            if self.outside.scope().is_stopping() {
                return Err(Ended::Stopping);
            }
            let begin = own.partition_point(|head| head.account < first);
            let end = own.partition_point(|head| head.account <= last);
            self.compare_part((first, last), &own[begin..end], &mut behind).await?;
        }
        let compared = own.iter().filter(|head| next.is_none_or(|next| head.account < next)).count();
        metrics.count("channel_sweep_accounts_total", compared as u64);
        metrics.count("channel_sweep_behind_total", behind.len() as u64);
        Ok(Compared { behind, next })
    }

    /// Compares the heads of one part, those that only core has too.
    async fn compare_part(
        &self,
        (first, last): (AccountNo, AccountNo),
        own: &[Head],
        behind: &mut BTreeMap<AccountNo, Seq>,
    ) -> Result<(), Ended> {
        let accounts = (first.get()..=last.get()).map(AccountNo::new);
        let accounts: Vec<_> = accounts.filter(|account| self.config.owns(*account)).collect();
        if accounts.is_empty() {
            return Ok(());
        }
        self.outside.metrics().count("channel_core_calls_total", 1);
        let core = self.outside.core().heads(&accounts, Purpose::Sweep).await;
        for (account, finding) in findings(own, &core.map_err(|error| Ended::Core(error.to_string()))?) {
            match finding {
                Finding::Behind { stands } => {
                    behind.insert(account, stands);
                }
                Finding::Contradiction { copy, core } => {
                    self.outside.metrics().count("channel_sweep_contradictions_total", 1);
                    tracing::error!(%account, ?copy, ?core, "copy and core contradict each other");
                }
            }
        }
        Ok(())
    }
}
