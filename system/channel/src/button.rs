//! The button: an account is synced because its customer says so (A16).
//!
//! In: an account. Out: [`ChannelResponse`], typed: synced, stale, core unavailable, rate limited (D5). Elsewhere: HTTP
//! (`adapters::http::channel`), how core is asked (`pulls`, the very same as for reads).
//!
//! It asks core whether or not anything is in progress, waits for `manual_budget`, and never fails for core: an account that could not be
//! synced is marked dirty, so that the sweep heals it without a human (Q2). A press that finds core's head where the copy's is writes
//! nothing.
//!
//! Of one account it asks at most once in `manual_every`, in one process. What is remembered for that ends with that time, and is at most
//! [`MOST`] presses: beyond them the oldest is forgotten early, and core is still spared by the cap of all pulls.
//!
//! | counter | counts |
//! |---|---|
//! | `channel_manual_total` | presses for accounts that are known |
//! | `channel_manual_synced_total`, `channel_manual_stale_total`, `channel_manual_unavailable_total`, `channel_manual_limited_total` | what they came to |

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_contracts::channel_api::{ChannelResponse, SyncAnswer, SyncResult};
use bankstorm_contracts::{AccountNo, Problem};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::ChannelStore;
use bankstorm_outside::process::{Metrics, Points};
use tokio::time::{Instant, timeout_at};

use crate::advance::Origin;
use crate::config::ChannelConfig;
use crate::markers;
use crate::pulls::{Landed, Pulls};
use crate::read::found;

/// Most presses that are remembered.
pub(crate) const MOST: usize = 100_000;

/// Answers those who press the button.
#[derive(Debug)]
pub(crate) struct Button<O> {
    outside: O,
    config: ChannelConfig,
    pulls: Arc<Pulls<O>>,
    pressed: Mutex<Pressed>,
}

impl<O: ChannelOutside> Button<O> {
    /// Accounts are pulled through `pulls`.
    pub(crate) fn new(outside: O, config: ChannelConfig, pulls: Arc<Pulls<O>>) -> Self {
        Self { outside, config, pulls, pressed: Mutex::default() }
    }

    /// Answers a press.
    pub(crate) async fn press(&self, account: AccountNo) -> ChannelResponse {
        match self.sync(account).await {
            Ok(answer) => ChannelResponse::Synced(answer),
            Err(problem) => ChannelResponse::Problem(problem),
        }
    }

    async fn sync(&self, account: AccountNo) -> Result<SyncAnswer, Problem> {
        let begun = Instant::now();
        let page = found(self.outside.store().page(account, None, 1).await, account)?;
        self.outside.metrics().count("channel_manual_total", 1);
        let stands = SyncAnswer { result: SyncResult::Stale, as_of_seq: page.head.seq, retry_after_ms: None };
        // The one place that decides whether the button does anything.
        if !self.config.manual_sync {
            return Ok(self.told(stands));
        }
        let limited = self.pressed.lock().unwrap_or_else(PoisonError::into_inner).press(
            account,
            Instant::now(),
            self.config.manual_every,
        );
        if let Some(left) = limited {
            let retry_after_ms = Some(whole_millis(left));
            return Ok(self.told(SyncAnswer { result: SyncResult::RateLimited, retry_after_ms, ..stands }));
        }
        let landed = timeout_at(begun + self.config.manual_budget, self.pulls.pull(account, Origin::Manual)).await;
        let answer = match landed {
            Ok(Landed::Synced(head)) => {
                SyncAnswer { result: SyncResult::Synced, as_of_seq: head.seq.max(stands.as_of_seq), ..stands }
            }
            Ok(Landed::Core(_)) => SyncAnswer { result: SyncResult::CoreUnavailable, ..stands },
            Ok(Landed::Blocked(_)) | Err(_) => stands,
        };
        if answer.result != SyncResult::Synced {
            self.pulls.mark(account);
        }
        Ok(self.told(answer))
    }

    fn told(&self, answer: SyncAnswer) -> SyncAnswer {
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        let name = match answer.result {
            SyncResult::Synced => {
                points.reached(markers::MANUAL_SYNCED);
                "channel_manual_synced_total"
            }
            SyncResult::Stale => "channel_manual_stale_total",
            SyncResult::CoreUnavailable => "channel_manual_unavailable_total",
            SyncResult::RateLimited => {
                points.reached(markers::MANUAL_LIMITED);
                "channel_manual_limited_total"
            }
        };
        metrics.count(name, 1);
        answer
    }
}

/// Upwards, so that whoever waits as long is let through.
fn whole_millis(left: Duration) -> u32 {
    u32::try_from(left.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX)
}

/// Which accounts were synced by hand lately.
#[derive(Debug, Default)]
struct Pressed {
    at: BTreeMap<AccountNo, Instant>,
    order: VecDeque<(Instant, AccountNo)>,
}

impl Pressed {
    /// A press now; how long it would have to wait, if it has to. One that has to changes nothing.
    fn press(&mut self, account: AccountNo, now: Instant, every: Duration) -> Option<Duration> {
        while let Some((at, oldest)) = self.order.front().copied()
            && (at + every <= now || self.order.len() >= MOST)
        {
            self.order.pop_front();
            self.at.remove(&oldest);
        }
        if let Some(at) = self.at.get(&account) {
            return Some(*at + every - now);
        }
        self.at.insert(account, now);
        self.order.push_back((now, account));
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bankstorm_contracts::AccountNo;
    use tokio::time::Instant;

    use super::{MOST, Pressed};

    const EVERY: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a16_an_account_is_let_through_once_in_its_time_and_others_beside_it() {
        let (mut pressed, begun) = (Pressed::default(), Instant::now());
        let mut press = |number, ms| pressed.press(AccountNo::new(number), begun + Duration::from_millis(ms), EVERY);
        assert_eq!((press(1, 0), press(2, 1)), (None, None));
        assert_eq!(press(1, 300), Some(Duration::from_millis(700)));
        assert_eq!(press(1, 999), Some(Duration::from_millis(1)), "a refused press does not prolong it");
        assert_eq!((press(1, 1_000), press(2, 1_000)), (None, Some(Duration::from_millis(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn a16_what_is_remembered_is_bounded() {
        let (mut pressed, now) = (Pressed::default(), Instant::now());
        for number in 0..=MOST {
            let account = AccountNo::new(i64::try_from(number).expect("a number"));
            assert_eq!(pressed.press(account, now, EVERY), None);
        }
        assert_eq!((pressed.at.len(), pressed.order.len()), (MOST, MOST));
        assert_eq!(pressed.press(AccountNo::new(7), now + EVERY, EVERY), None);
        assert_eq!((pressed.at.len(), pressed.order.len()), (1, 1));
    }
}
