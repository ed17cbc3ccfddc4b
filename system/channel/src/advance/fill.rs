//! What is missing in a copy, from core, in chunks.
//!
//! In: an account, the serials it has and shall reach. Out: a copy that reaches them, or how far time sufficed. Elsewhere: when something is
//! missing (`plan`), each chunk's transaction (`advance`).

use bankstorm_contracts::core_api::MAX_ENTRIES;
use bankstorm_contracts::{AccountNo, Entry, Head, Seq};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::core_api::CoreApi;
use bankstorm_outside::process::{Metrics, Points, Scope};
use tokio::time::Instant;

use super::{AdvanceError, Advancer, Move, Moved, Next};
use crate::markers;

impl<O: ChannelOutside> Advancer<O> {
    /// Pulls what is above `head` up to `target` from core, in chunks that are one transaction each (D34). The copy's head then.
    pub(super) async fn fill(
        &self,
        mv: &mut Move,
        offset: i64,
        (mut head, target): (Head, Seq),
        until: Option<Instant>,
    ) -> Result<Head, AdvanceError> {
        let first = head.seq;
        while head.seq < target {
            let have = head.seq;
            if until
                .is_some_and(|until| have > first && (Instant::now() >= until || self.outside.scope().is_stopping()))
            {
                return Err(AdvanceError::PullEnded { account: mv.account, have, target });
            }
            let limit = u32::try_from(target - have).unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES);
            self.outside.metrics().count("channel_core_calls_total", 1);
            let pulled = self.outside.core().entries(mv.account, have, limit, mv.origin.purpose()).await?;
            check_pulled(mv.account, have, &pulled)?;
            let records = pulled.into_iter().map(|entry| (offset, entry)).collect();
            let mut chunk = Move {
                pulled: true,
                clears: mv.clears,
                unsure: mv.unsure.take(),
                stands: mv.stands,
                ..Move::new(mv.account, mv.origin.pulled(), mv.origin.clone(), records)
            };
            let moved = self.transact_alone(&mut chunk).await;
            (mv.unsure, mv.stands) = (chunk.unsure, chunk.stands);
            let Moved::Locked { before, after, next } = moved? else {
                return Err(AdvanceError::Held(mv.account));
            };
            if before.seq != have {
                self.outside.metrics().count("channel_cas_lost_total", 1);
                self.outside.points().reached(markers::CAS_LOST);
                if mv.origin.syncs() {
                    self.outside.points().reached(markers::SYNC_OVERTAKEN);
                }
            }
            if next != Next::Complete {
                return Err(AdvanceError::ChainBroken { account: mv.account, seq: after.seq + 1 });
            }
            head = after;
            self.outside.points().reached(markers::GAP_FILLED);
        }
        Ok(head)
    }
}

/// Core must answer with the account's serials from `have + 1` on, without holes.
fn check_pulled(account: AccountNo, have: Seq, pulled: &[Entry]) -> Result<(), AdvanceError> {
    if pulled.is_empty() {
        return Err(AdvanceError::CoreBehind { account, seq: have + 1 });
    }
    let in_line = (have + 1..).zip(pulled).all(|(seq, entry)| entry.seq == seq && entry.account == account);
    if in_line { Ok(()) } else { Err(AdvanceError::CoreOutOfLine { account, after: have }) }
}
