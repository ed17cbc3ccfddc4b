//! The head sweep: copies are compared with core though nothing says that they are behind (D43), and pulled where they are.
//!
//! In: the store's heads and dirty marks, core's digests and heads. Out: pulls, marks taken away, an error where copy and core contradict
//! each other. Elsewhere: what a comparison says (`rules`), the comparison of one stretch (`compare`), which dirty account is next (`dirty`),
//! how an account is pulled (`pulls`).
//!
//! The last event of an idle account may be lost, and no later one shows the gap. So every `sweep_every` a look goes over
//!
//! 1. accounts that are marked dirty, at most `sweep_accounts` of them, each pulled, which takes its mark away;
//! 2. accounts that the last look found behind and whose copy has not moved since, each pulled;
//! 3. the next stretch of accounts, at most `sweep_accounts` of them, compared with core by digests. Which are behind is remembered for
//!    the next look. After the last account comes the first.
//!
//! **An account that is behind in one look is nothing to worry about**: core had booked an entry whose event was on its way. Only one
//! whose copy stands in the next look where it stood in this one is pulled. One that moves has a successor event, by which the consumer
//! finds every gap itself. So the sweep does not race events, and does not ask core for what is about to come.
//!
//! The copy's heads are read before core is asked: events in between make the copy look late, never early. So a copy that is ahead of core,
//! or has another balance at the same serial, is wrong, or core is: an error in the log and in `channel_sweep_contradictions_total`. Nothing
//! is mended there; what it takes to is a human's decision.
//!
//! **Several instances.** Each looks by itself, one stretch every `sweep_every`, beginning at a place of its own (`sweep_salt`): together they
//! come round in a fraction of the time, and what core has to answer grows with them by one digest call each, not by what is behind, since
//! whatever one of them has pulled is equal for all. A pull waits its turn, one at a time, among those of reads and the button.
//!
//! **Core gives no answer.** About one account: the others get their turn all the same. Twice in a row: the look pulls nobody more and goes
//! on to the comparison, which shows whether core answers at all. Only a comparison in vain, or the store, ends a look as failed; pauses
//! grow until one succeeds. A comparison that succeeded tells the breaker that core answers.
//!
//! # Instead of events (A20)
//! With [`SyncMode::Poll`](crate::config::SyncMode) there is no consumer, and a round over all accounts every so often takes its place:
//! dirty ones and then every stretch, what is behind pulled at once, `core_pulls` of them at a time. A round that takes longer is followed
//! by the next without a pause.
//!
//! | counter | counts |
//! |---|---|
//! | `channel_sweep_looks_total` | looks, and rounds |
//! | `channel_sweep_late_total` | rounds that took longer than their time |
//! | `channel_sweep_failures_total` | looks that core or the store ended |
//! | `channel_sweep_accounts_total` | accounts compared |
//! | `channel_sweep_behind_total` | accounts found behind, in looks |
//! | `channel_sweep_pulls_total` | accounts pulled |
//! | `channel_sweep_healed_total` | of these, those that had missed something |
//! | `channel_sweep_unanswered_total` | of these, those that core gave no answer about, or was not asked since it gave none lately |
//! | `channel_sweep_blocked_total` | of these, those that something of the channel's own stood in the way of |
//! | `channel_sweep_contradictions_total` | accounts whose copy contradicts core: 0, or copy or core is wrong |

mod compare;
mod dirty;
mod rules;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Seq};
use bankstorm_outside::StoreError;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::ChannelStore;
use bankstorm_outside::process::{Metrics, Points, Scope};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::advance::Origin;
use crate::config::{ChannelConfig, scatter};
use crate::markers;
use crate::pulls::{Landed, Pulls};

/// Accounts among which a sweep may begin: more than that are covered all the same, in its later looks.
const BEGINNINGS: u64 = 1 << 20;

/// Accounts in a row that core gives no answer about, after which a look pulls nobody more.
const MOST_UNANSWERED: u32 = 2;

/// What ended a look.
#[derive(Debug, Error)]
enum Ended {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("core: {0}")]
    Core(String),
    #[error("the channel is stopping")]
    Stopping,
}

/// Compares and heals.
#[derive(Debug)]
pub(crate) struct Sweep<O> {
    outside: O,
    config: ChannelConfig,
    pulls: Arc<Pulls<O>>,
    /// Where the next stretch begins.
    at: AccountNo,
    /// Where the next look at dirty accounts begins.
    dirty_at: AccountNo,
    /// Accounts that were behind in the last look, and where their copies stood.
    behind: BTreeMap<AccountNo, Seq>,
    /// How often core cut pulls short.
    cuts: u64,
}

/// Accounts in a row that core gave no answer about.
#[derive(Debug, Default)]
struct Unanswered(u32);

impl Unanswered {
    /// Notes how a pull went; whether no more are to follow.
    const fn is_enough(&mut self, is_answered: bool) -> bool {
        self.0 = if is_answered { 0 } else { self.0 + 1 };
        self.0 >= MOST_UNANSWERED
    }
}

impl<O: ChannelOutside> Sweep<O> {
    /// Accounts are pulled through `pulls`.
    pub(crate) fn new(outside: O, config: ChannelConfig, pulls: Arc<Pulls<O>>) -> Self {
        let at = beginning(config.sweep_salt);
        Self { outside, config, pulls, at, dirty_at: at, behind: BTreeMap::new(), cuts: 0 }
    }

    /// Looks until the scope is asked to stop.
    pub(crate) async fn run(mut self) {
        let mut failures = 0;
        while self.waited(self.config.sweep_every, failures).await {
            let look = self.look().await;
            failures = self.ended(look, failures);
        }
    }

    /// Goes round all accounts every `every`, until the scope is asked to stop.
    pub(crate) async fn poll(mut self, every: Duration) {
        let (mut failures, mut pause) = (0, every);
        while self.waited(pause, failures).await {
            let begun = Instant::now();
            let round = self.round().await;
            failures = self.ended(round, failures);
            let left = every.checked_sub(begun.elapsed());
            if left.is_none() {
                self.outside.metrics().count("channel_sweep_late_total", 1);
            }
            pause = left.unwrap_or_default();
        }
    }

    /// Waits, longer after failures; `false` when the process is to stop.
    async fn waited(&self, every: Duration, failures: u32) -> bool {
        let pause = match failures {
            0 => every,
            failures => every.max(self.config.poll_pause(failures - 1, self.config.sweep_salt)),
        };
        tokio::select! {
            biased;
            () = self.outside.scope().stopping() => false,
            () = sleep(pause) => true,
        }
    }

    fn ended(&self, look: Result<(), Ended>, failures: u32) -> u32 {
        let metrics = self.outside.metrics();
        metrics.count("channel_sweep_looks_total", 1);
        match look {
            Ok(()) | Err(Ended::Stopping) => 0,
            Err(why) => {
                metrics.count("channel_sweep_failures_total", 1);
                let failures = failures.saturating_add(1);
                // The log hears of the 1st, 2nd, 4th, 8th ... in a row.
                if failures.is_power_of_two() {
                    tracing::warn!(%why, failures, "a sweep ended early");
                }
                failures
            }
        }
    }

    async fn look(&mut self) -> Result<(), Ended> {
        self.heal_dirty().await?;
        self.heal_behind().await?;
        let compared = self.compare(self.at).await?;
        self.pulls.core_answered();
        self.at = compared.next.unwrap_or(FIRST);
        // Beside those whose turn did not come.
        self.behind.extend(compared.behind);
        Ok(())
    }

    async fn round(&mut self) -> Result<(), Ended> {
        self.heal_dirty().await?;
        let mut at = Some(FIRST);
        while let Some(from) = at {
            let compared = self.compare(from).await?;
            self.pulls.core_answered();
            self.pull_all(compared.behind.into_iter().collect()).await?;
            at = compared.next;
        }
        Ok(())
    }

    /// Pulls accounts that are marked dirty: one that gets to core's head loses its mark in the same transaction.
    async fn heal_dirty(&mut self) -> Result<(), Ended> {
        let mut unanswered = Unanswered::default();
        for account in self.dirty_in_turn().await? {
            if !self.is_dirty(account).await? {
                continue;
            }
            let stood = self.stands(account).await?;
            if unanswered.is_enough(self.pull(account, stood).await?) {
                self.cuts += 1;
                break;
            }
        }
        Ok(())
    }

    /// Pulls accounts that were behind in the last look, where they still stand there.
    async fn heal_behind(&mut self) -> Result<(), Ended> {
        let mut unanswered = Unanswered::default();
        while let Some((account, stood)) = self.behind.pop_first() {
            // One that has moved gets its events: whatever it lacks they show.
            if self.stands(account).await? <= stood && unanswered.is_enough(self.pull(account, stood).await?) {
                break;
            }
        }
        Ok(())
    }

    /// Where an account's copy stands; 0 where there is none.
    async fn stands(&self, account: AccountNo) -> Result<Seq, Ended> {
        let Some(end) = after(account) else { return Ok(0) };
        let heads = self.outside.store().heads_between(account, end, 1).await?;
        Ok(heads.first().map_or(0, |head| head.seq))
    }

    /// Pulls one account whose copy stood at `stood`; whether core gave an answer.
    async fn pull(&self, account: AccountNo, stood: Seq) -> Result<bool, Ended> {
        if self.outside.scope().is_stopping() {
            return Err(Ended::Stopping);
        }
        let landed = self.pulls.pull(account, Origin::Sweep).await;
        Ok(self.heard(account, stood, landed))
    }

    fn heard(&self, account: AccountNo, stood: Seq, landed: Landed) -> bool {
        let metrics = self.outside.metrics();
        metrics.count("channel_sweep_pulls_total", 1);
        match landed {
            Landed::Synced(head) => {
                if head.seq > stood {
                    self.outside.points().reached(markers::SWEEP_HEALED);
                    metrics.count("channel_sweep_healed_total", 1);
                    tracing::info!(%account, from = stood, to = head.seq, "the sweep healed an account");
                }
                true
            }
            Landed::Core(why) => {
                metrics.count("channel_sweep_unanswered_total", 1);
                tracing::debug!(%account, %why, "core gave the sweep no answer");
                false
            }
            Landed::Blocked(_) => {
                metrics.count("channel_sweep_blocked_total", 1);
                true
            }
        }
    }

    /// Pulls accounts, `core_pulls` of them at once, and takes nobody more once core gave no answer about [`MOST_UNANSWERED`] in a row.
    async fn pull_all(&mut self, mut accounts: VecDeque<(AccountNo, Seq)>) -> Result<(), Ended> {
        let (most, mut unanswered) = (self.config.core_pulls.max(1), Unanswered::default());
        if self.cuts > 0 {
            // In another order than the last time: the same accounts are not left out again.
            accounts.make_contiguous().sort_by_key(|(account, _)| scatter(account.get().cast_unsigned() ^ self.cuts));
        }
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < most
                && let Some((account, stood)) = accounts.pop_front()
            {
                let (pulls, (tell, told)) = (Arc::clone(&self.pulls), oneshot::channel());
                self.outside.scope().spawn("channel-poll-pull", async move {
                    // Nobody listens once the round has ended.
                    let _ = tell.send(pulls.pull(account, Origin::Sweep).await);
                });
                under_way.push_back((account, stood, told));
            }
            let Some((account, stood, told)) = under_way.pop_front() else { return Ok(()) };
            let landed = told.await.map_err(|_| Ended::Stopping)?;
            if unanswered.is_enough(self.heard(account, stood, landed)) && !accounts.is_empty() {
                self.cuts += 1;
                accounts.clear();
            }
            if self.outside.scope().is_stopping() {
                return Err(Ended::Stopping);
            }
        }
    }
}

/// The first customer's account.
const FIRST: AccountNo = AccountNo::new(AccountNo::FIRST_CUSTOMER);

/// The number after an account's; none after the last one there can be.
fn after(account: AccountNo) -> Option<AccountNo> {
    account.get().checked_add(1).map(AccountNo::new)
}

/// Where an instance's first look begins. Beyond the last account there is nothing, and the next look begins with the first.
fn beginning(salt: u64) -> AccountNo {
    match salt {
        0 => FIRST,
        salt => AccountNo::new(AccountNo::FIRST_CUSTOMER + (scatter(salt) % BEGINNINGS).cast_signed()),
    }
}
