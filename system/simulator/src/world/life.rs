//! The life of one world, phase by phase.
//!
//! In: a plan. Out: its outcome. Elsewhere: who acts in each phase (`customers`, `conductor`), what comes after load (`life::resolve`,
//! `life::rest`, `life::work`), what is judged (`life::judge`, `evidence`, `check`).

mod judge;
mod resolve;
mod rest;
mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::bank::Bank;
use super::conductor::Conductor;
use super::customers::Customers;
use super::ledger::Ledger;
use super::names::{CORE, HARNESS};
use super::watch::{Watch, Watched};
use super::{Outcome, evidence};
use crate::model::network::Link;
use crate::plan::{Kind, Plan};
use crate::trace;

pub(super) use judge::all_of;

/// How long customers and faults may take after load has ended: the longest patience and the longest hold.
const LOAD_LIMIT: Duration = Duration::from_secs(4 * 3600);
/// How long one question at the end may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// Between two questions about one deposit.
const ASK_PAUSE: Duration = Duration::from_millis(100);
/// How long after the heal everything unknown must have a verdict, and the copy must have caught up. What was held or stalled before the
/// heal takes up to a minute after it; a sound bank needs some seconds more.
const REST_LIMIT: Duration = Duration::from_secs(120);

struct World<'a> {
    plan: &'a Plan,
    bank: Arc<Bank>,
    ledger: Arc<Ledger>,
    harness: Link,
    /// Ways to the channels, never broken.
    channels: Vec<Link>,
    late: Vec<String>,
    /// The number of the world's own next deposit: behind those of the plan.
    next_op: u64,
    /// When each fault of the plan struck, since load began.
    struck: Vec<Option<Duration>>,
}

/// Lives a world through, and judges it.
pub(super) async fn live(plan: &Plan, watch_every: Option<Duration>) -> Outcome {
    let born = Instant::now();
    let ledger = Arc::new(Ledger::new(plan.faults.iter().any(|fault| fault.kind == Kind::RequestDoubled)));
    let bank = Arc::new(Bank::open(plan));
    let harness = bank.network.link(HARNESS, CORE);
    let channels = bank.channels.iter().map(|channel| bank.network.link(HARNESS, channel.name)).collect();
    let deadlocks = [bank.core_store.database().deadlocks(), bank.channel_store.database().deadlocks()];
    let next_op = plan.operations.iter().map(|operation| operation.op + 1).max().unwrap_or(0);
    let struck = Vec::new();
    let mut world = World { plan, bank, ledger, harness, channels, late: Vec::new(), next_op, struck };
    let (begun, watched) = world.load(watch_every).await;
    world.resolve().await;
    world.converge().await;
    world.must_work().await;
    world.converge().await;
    world.look_once_more().await;
    world.stop().await;
    let source = evidence::collect(&world.bank, &world.ledger, born, deadlocks);
    let leaps = world.leaps(begun - born);
    let outcome = world.judge(&source, leaps, born.elapsed());
    Outcome { watched, ..outcome }
}

impl World<'_> {
    /// Load with faults, until the last customer has ended; faults are healed when its time is over. When it began, and what was seen of it.
    async fn load(&mut self, watch_every: Option<Duration>) -> (Instant, Watched) {
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        let (operations, faults) = (self.plan.operations.len(), self.plan.faults.len());
        trace::note(|| format!("---- load begins: {operations} operations, {faults} faults planned"));
        let conductor = Conductor::start(Arc::clone(&self.bank), &self.plan.faults, begun, &mut tasks);
        let customers = Arc::new(Customers::new(Arc::clone(&self.bank), Arc::clone(&self.ledger)));
        for operation in &self.plan.operations {
            tasks.spawn(Arc::clone(&customers).act(operation.clone(), begun));
        }
        let heal_at = begun + Duration::from_millis(self.plan.topology.load_ms);
        let watch = watch_every.map(|every| {
            let watch = Watch::new(Arc::clone(&self.bank), begun);
            tasks.spawn(Arc::clone(&watch).run(every, heal_at));
            watch
        });
        sleep_until(heal_at).await;
        conductor.heal();
        let ended = timeout(LOAD_LIMIT, async {
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
        });
        if ended.await.is_err() {
            self.late.push(format!("customers had not ended {LOAD_LIMIT:?} after load"));
        }
        self.struck = conductor.struck(&self.plan.faults);
        (begun, watch.map(|watch| watch.watched(&self.ledger)).unwrap_or_default())
    }

    /// Every process ends in order.
    async fn stop(&mut self) {
        trace::note(|| "---- every process is stopped".to_owned());
        for channel in &self.bank.channels {
            if !channel.stop().await {
                self.late.push(format!("{} did not stop in time", channel.name));
            }
        }
        if !self.bank.core.stop().await {
            self.late.push("core did not stop in time".to_owned());
        }
        if !self.bank.banks.stop().await {
            self.late.push("banks did not stop in time".to_owned());
        }
    }
}
