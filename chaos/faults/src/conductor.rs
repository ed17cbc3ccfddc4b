//! The conductor: carries a plan out beside the load, and heals what is left when the load ends.
//!
//! In: a plan, hands on nodes and links ([`Nodes`]), moments and counts of the load ([`Load`]). Out: a [`FaultState`] at every step, and
//! problems as sentences. Elsewhere: what each fault does (`catalogue`), what a step changes (`conductor/ledger`), whether a fault
//! without a witness spoils the run (`harness/check`).
//!
//! Faults run beside each other as futures of one task. When the load ends the caller says so ([`Conductor::load_ended`]): nothing is
//! begun any more, and what is under way may come to its end. Then, or at any other moment, it drops [`Conductor::conduct`] and calls
//! [`Conductor::heal_all`]: every strike is entered in the ledger before its first await, so whatever may have taken effect is healed.

mod ledger;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::Notify;

pub use crate::catalogue::{HEAL_LIMIT, STRIKE_LIMIT};
use crate::nodes::{Layer, Nodes};
use crate::plan::{Fault, Trigger};
use ledger::{Ledger, Step};

/// How often the load is looked at: for the start of its plan, and for the count that an `nth` trigger waits for. It is a look, not
/// an event: an `nth` fault strikes within this time *after* its operation was sent, when a few more may be out.
pub const LOOK: Duration = Duration::from_millis(2);

/// What faults wait for.
pub trait Load: Sync {
    /// CLOCK_MONOTONIC, in nanoseconds.
    fn now_ns(&self) -> i64;
    /// When the measured phase begins, in nanoseconds of CLOCK_MONOTONIC, which may be in the future; `None` until the plan started.
    fn measure_ns(&self) -> Option<i64>;
    /// Operations sent since load began, warm-up included.
    fn sent(&self) -> u64;
}

/// Where a fault stands. All moments are nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultState {
    /// As in the plan.
    pub id: String,
    /// The word of its kind: `node.kill`.
    pub kind: &'static str,
    /// The node or the link.
    pub place: String,
    /// Whether its strike was begun.
    pub fired: bool,
    /// When its strike was begun.
    pub started_ns: Option<i64>,
    /// What proves that it struck; `None` also when it is not known whether it did.
    pub witnessed: Option<String>,
    /// When its end was seen.
    pub healed_ns: Option<i64>,
    /// What proves its end.
    pub heal_witness: Option<String>,
    /// Everything that went wrong, in order, also what a later try set right: it is a missing witness or heal that spoils a run.
    pub problem: Option<String>,
}

/// Carries one plan out, once.
pub struct Conductor<'a> {
    mark: &'a (dyn Fn(&FaultState) + Sync),
    ledger: Ledger,
    ended: AtomicBool,
    end: Notify,
}

impl<'a> Conductor<'a> {
    /// A conductor of `plan`; `mark` is called with the new state after each step, while no lock is held.
    pub fn new(plan: &[Fault], mark: &'a (dyn Fn(&FaultState) + Sync)) -> Self {
        Self { mark, ledger: Ledger::new(plan), ended: AtomicBool::new(false), end: Notify::new() }
    }

    /// Waits for the trigger of each fault, strikes, waits, heals. Returns when every fault is over or waits for the heal phase; a
    /// fault whose trigger never comes keeps it waiting until [`Self::load_ended`].
    pub async fn conduct<N: Nodes>(&self, nodes: &N, load: &dyn Load) {
        let plan = self.ledger.plan();
        join_all(plan.iter().enumerate().map(|(index, fault)| self.play(index, fault, nodes, load))).await;
    }

    /// From now on nothing is begun: no fault fires, and what lasts is left to [`Self::heal_all`]. A strike or a heal that is under way
    /// goes on, since beginning it anew would only take longer.
    pub fn load_ended(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.end.notify_waiters();
    }

    async fn until_load_ended(&self) {
        let told = self.end.notified();
        tokio::pin!(told);
        // Registered before the look, so that an end in between is not missed.
        told.as_mut().enable();
        if !self.ended.load(Ordering::SeqCst) {
            told.await;
        }
    }

    /// Heals whatever fired and is not healed, each within `limit`, from the ground up: links, then databases and brokers, then services.
    /// Only once [`Self::conduct`] was dropped or has returned; it may be called again after it was dropped itself or failed.
    /// Returns what could not be healed, a sentence each.
    pub async fn heal_all<N: Nodes>(&self, nodes: &N, limit: Duration) -> Vec<String> {
        for state in self.ledger.cut_short() {
            (self.mark)(&state);
        }
        let mut problems = Vec::new();
        for layer in Layer::ALL {
            let open = self.ledger.unhealed(|place| Layer::of(place) == layer);
            let healed = join_all(open.into_iter().map(|index| self.heal(index, nodes, limit))).await;
            problems.extend(healed.into_iter().filter_map(Result::err));
        }
        problems
    }

    /// Where every fault stands, in the order of the plan.
    pub fn states(&self) -> Vec<FaultState> {
        self.ledger.states()
    }

    /// Whether a fault has its hands on `place` just now.
    #[cfg(test)]
    fn holds(&self, place: &str) -> bool {
        self.ledger.holder(place).is_some()
    }

    async fn play<N: Nodes>(&self, index: usize, fault: &Fault, nodes: &N, load: &dyn Load) {
        tokio::select! {
            biased;
            () = self.until_load_ended() => return,
            () = triggered(fault.trigger, load) => {}
        }
        let begun = self.ledger.begin_strike(index, load.now_ns());
        (self.mark)(&begun.state);
        if begun.next == Step::Over {
            return;
        }
        let struck = within(fault.kind.entry().strike_limit, fault.kind.strike(nodes, fault)).await;
        let seen_ns = struck.as_ref().map_or_else(|_| load.now_ns(), |witness| witness.at_ns);
        let ended = self.ledger.end_strike(index, struck);
        (self.mark)(&ended.state);
        match (ended.next, fault.lasts) {
            (Step::Over, _) | (Step::Last, None) => return,
            (Step::Last, Some(lasts)) => tokio::select! {
                biased;
                () = self.until_load_ended() => return,
                () = until(seen_ns.saturating_add(nanos(lasts)), load) => {}
            },
            (Step::Heal, _) => {}
        }
        // A heal that fails stays in the ledger, and is tried once more at the end.
        let _ = self.heal(index, nodes, HEAL_LIMIT).await;
    }

    /// Heals one fault; what hinders it is in its state, and returned as a sentence.
    async fn heal<N: Nodes>(&self, index: usize, nodes: &N, limit: Duration) -> Result<(), String> {
        let fault = self.ledger.begin_heal(index);
        let healed = within(limit, fault.kind.heal(nodes, &fault)).await;
        let (state, outcome) = self.ledger.end_heal(index, healed);
        (self.mark)(&state);
        outcome
    }
}

async fn triggered(trigger: Trigger, load: &dyn Load) {
    match trigger {
        Trigger::At(after) => {
            let begin_ns = loop {
                match load.measure_ns() {
                    Some(begin_ns) => break begin_ns,
                    None => tokio::time::sleep(LOOK).await,
                }
            };
            until(begin_ns.saturating_add(nanos(after)), load).await;
        }
        Trigger::Nth(operation) => {
            while load.sent() < operation {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Sleeps until the load's clock says `moment_ns`; never less, whatever the timer's grain.
async fn until(moment_ns: i64, load: &dyn Load) {
    while let Ok(left_ns @ 1..) = u64::try_from(moment_ns.saturating_sub(load.now_ns())) {
        tokio::time::sleep(Duration::from_nanos(left_ns)).await;
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match tokio::time::timeout(limit, step).await {
        Ok(result) => result,
        Err(_) => Err(format!("its effect was not seen within the limit of {limit:?}")),
    }
}
