//! `advance`: the one way a copy moves forward, and the one way a transfer is completed.
//!
//! In: moves (an account with records, a gap to fill, the debit that core answered with, or core's present head to reach). Out: appended entries, heads, journal lines,
//! completed transfers, then the visible log (D44). Elsewhere: the rule of the copy ([`plan`]), what a debit makes of its transfer
//! (`transfer::rules`), which records come together and what is tried again (`workers`, `transfer::settle`).
//!
//! A transaction locks the sync rows in account order, then the transfers whose debits it may store in id order (D33), plans against what
//! it read, and writes entries, heads (compare-and-set), journal, completed transfers and what follows for open dead letters together (A6,
//! P19). Before all that it asks who owns the partitions behind its records (D36). Core is only ever asked with
//! neither transaction nor lock held; whoever lost the row meanwhile plans again.
//!
//! | counter | counts |
//! |---|---|
//! | `channel_transactions_total` | advance transactions committed |
//! | `channel_applied_total` | entries appended |
//! | `channel_duplicates_total` | records dropped as duplicates |
//! | `channel_gaps_total` | gaps found, each once however often its filling is tried |
//! | `channel_chain_breaks_total` | records whose balance did not follow, likewise |
//! | `channel_core_calls_total` | calls to core |
//! | `channel_cas_lost_total` | pulls that met a head moved by somebody else |
//! | `channel_commit_unknown_total` | commits without an answer |
//! | `channel_answer_pulls_total` | answers that were ahead of the copy, each once: what was missing came from core |
//! | `channel_transfers_completed_total` | transfers completed |
//! | `channel_left_open_total` | transfers found open although their row stood: 0 unless a protection is off (P31) |
//! | `channel_contradictions_total` | words and rows that contradict how a transfer ended: 0, or core or channel is wrong |

mod error;
mod fill;
mod origin;
mod park;
mod place;
mod plan;
mod publish;
mod pull;
mod release;
mod stage;
mod transact;
mod unsure;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bankstorm_contracts::{AccountNo, Entry, Head, Seq};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::{Source, TransferMove};
use bankstorm_outside::process::{Metrics, Points};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::{ChannelConfig, Gaps};
use crate::markers;
use crate::transfer::Recent;

pub use error::AdvanceError;
pub(crate) use error::Fault;
pub(crate) use origin::Origin;
pub use plan::{Next, Rule, Step, Why, plan, plan_by};

/// What one account brings to a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    /// The account.
    pub(crate) account: AccountNo,
    /// Records with their offsets, in the order they came. Those that a transaction dealt with are taken out.
    pub(crate) records: Vec<(i64, Entry)>,
    /// Where the entries came from.
    pub(crate) source: Source,
    /// On whose behalf.
    pub(crate) origin: Origin,
    /// An advance (from, to) whose commit got no answer: its visible line is still owed.
    pub(crate) unsure: Option<(Seq, Seq)>,
    /// What was found last, by its highest serial, and counted: the next attempt finds it again.
    pub(crate) found: Option<(Seq, Why)>,
    /// Whether the records were pulled from core.
    pub(crate) pulled: bool,
    /// What core had when it was asked: an account that gets there is not dirty any more.
    pub(crate) clears: Option<Seq>,
    /// How the transfer that [`Origin::asks`] for stood after the last transaction that met its debit, and whether that one completed it.
    pub(crate) stands: Option<(TransferMove, bool)>,
}

impl Move {
    /// Records of an account, on somebody's behalf.
    pub(crate) const fn new(account: AccountNo, source: Source, origin: Origin, records: Vec<(i64, Entry)>) -> Self {
        Self { account, records, source, origin, unsure: None, found: None, pulled: false, clears: None, stands: None }
    }
}

/// What a transaction made of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Somebody else holds its row, or its partition's generation is just being renewed.
    Held,
    /// Its partition has another owner: nothing was done, and nothing will be.
    Fenced,
    /// The row was locked.
    Locked {
        /// Its head when it was locked.
        before: Head,
        /// Its head now.
        after: Head,
        /// What is left to do.
        next: Next,
    },
}

/// Runs advance transactions, a bounded number at once.
#[derive(Debug)]
pub(crate) struct Advancer<O> {
    outside: O,
    permits: Semaphore,
    /// How many of them are taken.
    open: Mutex<i64>,
    /// Those of the permits that may be kept while a row is waited for: held rows cannot stop the rest.
    waits: Semaphore,
    config: ChannelConfig,
    rule: Rule,
    /// The highest serial of each account that was stored here. Kept with P24 off alone.
    stored: Mutex<BTreeMap<AccountNo, Seq>>,
    recent: Arc<Recent>,
}

impl<O: ChannelOutside> Advancer<O> {
    /// At most `transactions` at once; accounts that are alone wait `lock_wait` for their row, in half of the transactions at most.
    pub(crate) fn new(outside: O, config: &ChannelConfig, recent: Arc<Recent>) -> Self {
        let [permits, waits] = [config.transactions, config.transactions / 2].map(|count| Semaphore::new(count.max(1)));
        // The one place that decides how records are planned (P14, P15, P24).
        let rule = Rule { applying: config.applying, gaps: config.gaps, sync_writes: config.sync_writes };
        let open = Mutex::default();
        Self { outside, permits, open, waits, config: config.clone(), rule, stored: Mutex::default(), recent }
    }

    /// Finds out what became of a commit without an answer, and applies nothing.
    pub(crate) async fn settle(&self, mv: &mut Move) -> Result<(), AdvanceError> {
        mv.records.clear();
        // To look is not to write: whoever lost his partition may do so too.
        let origin = std::mem::replace(&mut mv.origin, Origin::Read);
        let moved = self.transact_alone(mv).await;
        mv.origin = origin;
        match moved? {
            Moved::Locked { .. } => Ok(()),
            Moved::Held | Moved::Fenced => Err(AdvanceError::Held(mv.account)),
        }
    }

    /// Advances one account until its records are all in the copy or below it, asking core for what is missing. After `until`, and when the
    /// process is to stop, nothing more is asked for a caller who has one: what was pulled stands, and the next attempt goes on from there.
    pub(crate) async fn advance_alone(&self, mv: &mut Move, until: Option<Instant>) -> Result<(), AdvanceError> {
        mv.stands = None;
        let Moved::Locked { after, next, .. } = self.transact_alone(mv).await? else {
            return Err(AdvanceError::Held(mv.account));
        };
        let Next::Pull { target, why } = next else { return Ok(()) };
        if mv.found.replace((target, why)) != Some((target, why)) {
            self.count_found(mv, after.seq + 1, why);
        }
        // The one place that decides whether what is missing before a record comes from core (P15, repair).
        if self.config.gaps != Gaps::Fill && matches!(mv.origin, Origin::Record { .. }) {
            return Err(AdvanceError::GapStands { account: mv.account, seq: after.seq + 1 });
        }
        let revealing = mv.records.first().map_or(0, |(offset, _)| *offset);
        self.fill(mv, revealing, (after, target), until).await?;
        // Core's own entries stand in the copy up to the highest of them.
        mv.records.clear();
        Ok(())
    }

    fn count_found(&self, mv: &Move, seq: Seq, why: Why) {
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        match (why, &mv.origin) {
            // Nothing is wrong: the events before the answer are on their way.
            (Why::Gap, Origin::Answer(_) | Origin::Poller(_)) => {
                metrics.count("channel_answer_pulls_total", 1);
                points.reached(markers::ANSWER_PULLED);
            }
            (Why::Gap, _) => metrics.count("channel_gaps_total", 1),
            (Why::ChainBreak, _) => {
                metrics.count("channel_chain_breaks_total", 1);
                points.reached(markers::CHAIN_BREAK);
                tracing::error!(account = %mv.account, seq, "the balance does not follow; core is asked");
            }
        }
    }
}
