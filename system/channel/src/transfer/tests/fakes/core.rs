//! Core by a script.
//!
//! In: what was booked, answers and verdicts ([`super::Data`]). Out: these, and what was asked. Elsewhere: everything else (`fakes`).

use std::time::Duration;

use bankstorm_contracts::core_api::{Purpose, Transfer, Verdict};
use bankstorm_contracts::{AccountNo, DigestRange, Digests, Entry, Head, Seq, TransferId};
use bankstorm_outside::core_api::{CallError, CoreApi, Submitted};
use tokio::time::{Instant, sleep};

use super::Fake;

impl CoreApi for Fake {
    async fn entries(
        &self,
        account: AccountNo,
        after: Seq,
        limit: u32,
        purpose: Purpose,
    ) -> Result<Vec<Entry>, CallError> {
        let takes = self.data().pull_takes;
        sleep(takes).await;
        let mut data = self.data();
        data.purposes.push(purpose);
        data.core_up()?;
        let booked = data.booked.iter().filter(|entry| entry.account == account && entry.seq > after);
        Ok(booked.take(limit as usize).cloned().collect())
    }

    async fn heads(&self, accounts: &[AccountNo], purpose: Purpose) -> Result<Vec<Head>, CallError> {
        let mut data = self.data();
        data.purposes.push(purpose);
        data.core_up()?;
        let heads = data.core_heads();
        Ok(accounts.iter().filter_map(|account| heads.get(account).copied()).collect())
    }

    async fn digests(&self, range: DigestRange) -> Result<Digests, CallError> {
        let data = self.data();
        data.core_up()?;
        let heads: Vec<Head> = data.core_heads().into_values().collect();
        Ok(Digests { parts: range.parts(&heads), next: None })
    }

    async fn transfer(&self, transfer: &Transfer, limit: Duration) -> Result<Submitted, CallError> {
        let (takes, answer) = {
            let mut data = self.data();
            let stage = data.transfers[&transfer.id].stage;
            data.stood.push(stage);
            data.asked.push(transfer.clone());
            data.answers.pop_front().expect("core was asked once more than expected")
        };
        if takes > limit {
            sleep(limit).await;
            return Err(CallError::Unavailable("late".to_owned()));
        }
        sleep(takes).await;
        answer
    }

    async fn resolve(&self, id: TransferId) -> Result<Verdict, CallError> {
        let mut data = self.data();
        data.resolved.push(Instant::now());
        data.verdicts.get(&id).copied().ok_or_else(|| CallError::Unavailable("no answer".to_owned()))
    }
}
