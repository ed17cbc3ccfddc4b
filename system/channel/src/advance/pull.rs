//! An account is brought to core's present head: for reads, the button, the sweep and dead letters.
//!
//! In: an account, on whose behalf. Out: the copy's head, at least what core had when it was asked. Elsewhere: when that is called for
//! (`pulls`, `sweep`, `letters`), the chunks (`fill`).

use std::sync::Arc;

use bankstorm_contracts::{AccountNo, Head};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::core_api::CoreApi;
use bankstorm_outside::process::{Metrics, Scope};
use tokio::time::Instant;

use super::{AdvanceError, Advancer, Move, Moved, Origin};

impl<O: ChannelOutside> Advancer<O> {
    /// Asks core for the account's head and advances the copy to it. After `until`, and when the process is to stop, no further chunk is
    /// pulled: [`AdvanceError::PullEnded`], and what was pulled stands. An account that gets there is not dirty any more, unless it has a
    /// hole above that head.
    ///
    /// Run it to its end, in a task of the process: dropped in the middle of a commit, a visible line may be missing.
    pub(crate) async fn pull_to_core(
        self: &Arc<Self>,
        account: AccountNo,
        origin: Origin,
        until: Option<Instant>,
    ) -> Result<Head, AdvanceError> {
        self.outside.metrics().count("channel_core_calls_total", 1);
        let heads = self.outside.core().heads(&[account], origin.purpose()).await?;
        let Some(target) = heads.iter().find(|head| head.account == account) else {
            return Err(AdvanceError::UnknownToCore(account));
        };
        let source = origin.pulled();
        let mut mv = Move { clears: Some(target.seq), ..Move::new(account, source, origin, Vec::new()) };
        let reached = self.reach(&mut mv, *target, until).await;
        if mv.unsure.is_some() {
            self.find_out_later(mv);
        }
        reached
    }

    async fn reach(&self, mv: &mut Move, target: Head, until: Option<Instant>) -> Result<Head, AdvanceError> {
        let Moved::Locked { after, .. } = self.transact_alone(mv).await? else {
            return Err(AdvanceError::Held(mv.account));
        };
        self.fill(mv, 0, (after, target.seq), until).await
    }

    /// A commit without an answer may have made entries visible: that is found out behind the caller's back.
    fn find_out_later(self: &Arc<Self>, mut mv: Move) {
        let advancer = Arc::clone(self);
        self.outside.scope().spawn("channel-find-out", async move {
            let tell =
                |error: &AdvanceError, attempt| tracing::warn!(%error, attempt, "a pull's commit without an answer");
            advancer.find_out(&mut mv, &advancer.config, tell).await;
        });
    }
}
