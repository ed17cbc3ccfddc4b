//! Accounts that are to be marked dirty, marked behind everybody's back.
//!
//! In: accounts. Out: marks in the store. Elsewhere: who takes them away (`advance`, `sweep`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bankstorm_contracts::AccountNo;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::ChannelStore;
use bankstorm_outside::process::{Metrics, Scope};
use tokio::time::sleep;

use crate::config::ChannelConfig;
use crate::parts::Parts;

/// Most accounts in one step of the store.
const MOST: usize = 1_000;
/// How often the store is asked before a mark is given up: it is a hint, and the sweep comes to every account without it.
const ATTEMPTS: u32 = 5;

/// Marks accounts, one task at a time.
#[derive(Debug)]
pub(super) struct Marks<O> {
    outside: O,
    config: ChannelConfig,
    parts: Arc<Parts>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    wanted: BTreeSet<AccountNo>,
    running: bool,
}

impl<O: ChannelOutside> Marks<O> {
    pub(super) fn new(outside: O, config: ChannelConfig, parts: Arc<Parts>) -> Arc<Self> {
        Arc::new(Self { outside, config, parts, state: Mutex::default() })
    }

    /// Marks an account soon.
    pub(super) fn mark(self: &Arc<Self>, account: AccountNo) {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.wanted.insert(account);
            if std::mem::replace(&mut state.running, true) {
                return;
            }
        }
        let (marks, part) = (Arc::clone(self), self.parts.begin());
        self.outside.scope().spawn("channel-mark", async move {
            let _part = part;
            while let Some(accounts) = marks.take() {
                marks.write(&accounts).await;
            }
        });
    }

    /// What is wanted next; the task is over when there is nothing.
    fn take(&self) -> Option<Vec<AccountNo>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts: Vec<_> = state.wanted.iter().copied().take(MOST).collect();
        accounts.iter().for_each(|account| {
            state.wanted.remove(account);
        });
        state.running = !accounts.is_empty();
        state.running.then_some(accounts)
    }

    async fn write(&self, accounts: &[AccountNo]) {
        for attempt in 1..=ATTEMPTS {
            match self.outside.store().mark_dirty(accounts).await {
                Ok(()) => return self.outside.metrics().count("channel_marks_total", accounts.len() as u64),
                Err(error) if attempt == ATTEMPTS || self.outside.scope().is_stopping() => {
                    self.outside.metrics().count("channel_marks_failed_total", accounts.len() as u64);
                    tracing::warn!(%error, accounts = accounts.len(), "accounts were not marked dirty");
                    return;
                }
                Err(_) => sleep(self.config.pause(attempt - 1, u64::from(attempt))).await,
            }
        }
    }
}
