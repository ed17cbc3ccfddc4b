//! Commits without an answer whose job or request is over: what they did is found out, and nothing is applied.
//!
//! In: a move that is unsure. Out: the visible line that it may owe. Elsewhere: attempts that go on (`advance`, `workers`).
//!
//! | counter | counts |
//! |---|---|
//! | `channel_unsettled_total` | those of which nobody could find out: a visible line may be missing |

use std::time::Duration;

use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::process::Metrics;
use tokio::time::timeout;

use super::{AdvanceError, Advancer, Move};
use crate::config::ChannelConfig;

/// Longest time for finding out what a last commit did.
const LIMIT: Duration = Duration::from_secs(5);

impl<O: ChannelOutside> Advancer<O> {
    /// A commit that stands made entries visible, and nobody else will say so: whoever is next finds duplicates.
    pub(crate) async fn find_out(&self, mv: &mut Move, config: &ChannelConfig, tell: impl Fn(&AdvanceError, u32)) {
        let salt = mv.account.get().cast_unsigned();
        let found_out = timeout(LIMIT, async {
            for attempt in 0.. {
                match self.settle(mv).await {
                    Ok(()) => return,
                    Err(error) => {
                        tell(&error, attempt);
                        tokio::time::sleep(config.pause(attempt, salt)).await;
                    }
                }
            }
        });
        if found_out.await.is_err() {
            self.outside.metrics().count("channel_unsettled_total", 1);
            tracing::error!(account = %mv.account, limit = ?LIMIT, "limit of find_out hit: a visible line may be missing");
        }
    }
}
