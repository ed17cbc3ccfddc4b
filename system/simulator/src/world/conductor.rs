//! Carries a plan's faults out, and heals them.
//!
//! In: faults, the bank. Out: when each struck. Elsewhere: what a fault does (the models), when load ends (`world`).
//!
//! Faults of an nth call are planned into the models' hooks at once. Faults of a moment are a task each: it waits for its moment, strikes,
//! waits, heals. Two faults of one node come one after the other: a process that is down cannot be frozen.

mod node;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_contracts::event::ENTRIES_TOPIC;
use tokio::sync::{Mutex as Turn, Notify};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::bank::{Bank, account};
use super::names::{BANKS, CORE, KAFKA, POSTGRES_CHANNEL, POSTGRES_CORE, known};
use crate::model::database::{CommitFault, ModelDatabase, StepFault};
use crate::model::hook::Hook;
use crate::model::log::{OffsetCommitFault, ProduceFault, RecordFault};
use crate::model::network::{AnswerFault, Link, RequestFault, Way};
use crate::plan::{Fault, Kind, Trigger};
use crate::trace::told::particulars;
use crate::trace::{self, Told};
use node::Node;

/// The group that channels read in.
pub(crate) const GROUP: &str = "channel";

/// Runs the faults of one plan.
pub(crate) struct Conductor {
    bank: Arc<Bank>,
    begun: Instant,
    struck: Mutex<Vec<Option<Instant>>>,
    healing: Healing,
    turns: BTreeMap<String, Turn<()>>,
}

/// The end of faults, for those who wait.
#[derive(Default)]
struct Healing {
    now: std::sync::atomic::AtomicBool,
    bell: Notify,
}

impl Healing {
    async fn begun(&self) {
        let mut bell = std::pin::pin!(self.bell.notified());
        bell.as_mut().enable();
        if !self.now.load(std::sync::atomic::Ordering::Relaxed) {
            bell.await;
        }
    }
}

impl Conductor {
    /// Plans every fault; load begins now.
    pub(crate) fn start(bank: Arc<Bank>, faults: &[Fault], begun: Instant, tasks: &mut JoinSet<()>) -> Arc<Self> {
        let turns = faults.iter().map(|fault| (fault.place.clone(), Turn::new(()))).collect();
        let struck = Mutex::new(vec![None; faults.len()]);
        trace::plan_faults(|| faults.iter().map(strikes).collect());
        let conductor = Arc::new(Self { bank, begun, struck, healing: Healing::default(), turns });
        for (tag, fault) in faults.iter().enumerate() {
            match fault.trigger {
                Trigger::Nth(nth) => conductor.plan(tag, fault, nth),
                Trigger::AtMs(at_ms) => {
                    let (conductor, fault) = (Arc::clone(&conductor), fault.clone());
                    tasks.spawn(async move { conductor.carry_out(tag, &fault, Duration::from_millis(at_ms)).await });
                }
            }
        }
        conductor
    }

    /// The end of faults: what was frozen goes on, what was killed is started, cuts end, what was planned and did not come is forgotten.
    /// What is held or stalled already ends in its own time.
    pub(crate) fn heal(&self) {
        trace::note(|| "---- everything is healed".to_owned());
        self.healing.now.store(true, std::sync::atomic::Ordering::Relaxed);
        self.healing.bell.notify_waiters();
        let bank = &self.bank;
        for database in [bank.core_store.database(), bank.channel_store.database()] {
            database.commits().cancel();
            database.steps().cancel();
            database.writes().cancel();
        }
        bank.channel_store.accept_all();
        bank.log.produces().cancel();
        bank.log.offset_commits().cancel();
        bank.log.appends().cancel();
        bank.network.heal();
    }

    /// When each fault struck, since load began.
    pub(crate) fn struck(&self, faults: &[Fault]) -> Vec<Option<Duration>> {
        let mut struck = self.struck.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut note = |met: Vec<(usize, Instant)>| {
            for (tag, at) in met {
                struck[tag] = Some(at);
            }
        };
        let bank = &self.bank;
        for database in [bank.core_store.database(), bank.channel_store.database()] {
            note(database.commits().struck());
            note(database.steps().struck());
            note(database.writes().struck());
        }
        note(bank.log.produces().struck());
        note(bank.log.offset_commits().struck());
        note(bank.log.appends().struck());
        for fault in faults {
            note(self.requests(&fault.place).map(|hook| hook.struck()).unwrap_or_default());
            note(self.answers(&fault.place).map(|hook| hook.struck()).unwrap_or_default());
        }
        struck.into_iter().map(|at| at.map(|at| at - self.begun)).collect()
    }

    /// The link of a place, and the kind of message on it where the place names one.
    fn way<'p>(&self, place: &'p str) -> Option<(Link, Option<&'p str>)> {
        let (from, to) = place.split_once('>')?;
        let (to, kind) = to.split_once(':').map_or((to, None), |(to, kind)| (to, Some(kind)));
        (to != KAFKA).then(|| (self.bank.network.link(from, to), kind))
    }

    fn requests(&self, place: &str) -> Option<Hook<RequestFault>> {
        let (link, kind) = self.way(place)?;
        Some(kind.map_or_else(|| link.requests().clone(), |kind| link.requests_of(kind)))
    }

    fn answers(&self, place: &str) -> Option<Hook<AnswerFault>> {
        let (link, kind) = self.way(place)?;
        Some(kind.map_or_else(|| link.answers().clone(), |kind| link.answers_of(kind)))
    }

    fn database(&self, place: &str) -> &ModelDatabase {
        if place == POSTGRES_CORE { self.bank.core_store.database() } else { self.bank.channel_store.database() }
    }

    /// Puts a fault of an nth call where that call will meet it.
    fn plan(&self, tag: usize, fault: &Fault, nth: u64) {
        fn into<F>(hook: &Hook<F>, nth: u64, fault: F, tag: usize) {
            hook.plan_tagged(nth, fault, tag);
        }
        let lasts = Duration::from_millis(fault.lasts_ms);
        let (log, database) = (&self.bank.log, self.database(&fault.place));
        let requests = |what| self.requests(&fault.place).iter().for_each(|hook| hook.plan_tagged(nth, what, tag));
        let answers = |what| self.answers(&fault.place).iter().for_each(|hook| hook.plan_tagged(nth, what, tag));
        match fault.kind {
            Kind::CommitFailed => into(database.commits(), nth, CommitFault::Failed, tag),
            Kind::CommitLost => into(database.commits(), nth, CommitFault::UnknownBefore, tag),
            Kind::CommitUnanswered => into(database.commits(), nth, CommitFault::UnknownAfter, tag),
            Kind::CommitStalled => into(database.commits(), nth, CommitFault::Stalled(lasts), tag),
            Kind::StepDropped => into(database.steps(), nth, StepFault::Dropped, tag),
            Kind::StepRefused => into(database.writes(), nth, StepFault::refused(fault.amount), tag),
            Kind::ProduceRefused => into(log.produces(), nth, ProduceFault::Before, tag),
            Kind::ProduceUnanswered => into(log.produces(), nth, ProduceFault::After, tag),
            Kind::ProduceStalled => into(log.produces(), nth, ProduceFault::Stalled(lasts), tag),
            Kind::OffsetsRefused => into(log.offset_commits(), nth, OffsetCommitFault::Refused, tag),
            Kind::OffsetsUnanswered => into(log.offset_commits(), nth, OffsetCommitFault::Late(lasts), tag),
            Kind::RecordLost => into(log.appends(), nth, RecordFault::Lost, tag),
            Kind::RecordDamaged => into(log.appends(), nth, RecordFault::damaged(fault.amount), tag),
            Kind::RecordDoubled => into(log.appends(), nth, RecordFault::Doubled, tag),
            Kind::RequestDropped => requests(RequestFault::Dropped),
            Kind::RequestHeld => requests(RequestFault::Held(lasts)),
            Kind::RequestDoubled => requests(RequestFault::Doubled(lasts)),
            Kind::AnswerDropped => answers(AnswerFault::Dropped),
            Kind::AnswerHeld => answers(AnswerFault::Held(lasts)),
            Kind::NodeKill
            | Kind::NodePause
            | Kind::NodeRestart
            | Kind::RowHeld
            | Kind::AccountRefused
            | Kind::PartitionsAdded
            | Kind::ConnectionsTaken
            | Kind::ClockStep
            | Kind::Rebalance
            | Kind::FetchStalled
            | Kind::ClientFailed
            | Kind::LinkCut
            | Kind::LinkSlow => unreachable!("{} has a moment, and plans are checked", fault.kind.word()),
        }
    }

    /// A fault of a moment, from its strike to its heal.
    async fn carry_out(&self, tag: usize, fault: &Fault, at: Duration) {
        if !self.until(sleep_until(self.begun + at)).await {
            return;
        }
        let turn = async { self.turns[&fault.place].lock().await };
        let _turn = tokio::select! {
            biased;
            () = self.healing.begun() => return,
            turn = turn => turn,
        };
        self.struck.lock().unwrap_or_else(PoisonError::into_inner)[tag] = Some(Instant::now());
        trace::note(|| strikes(fault));
        if let Some(node) = self.node(fault) {
            self.break_node(fault, &node).await;
            trace::note(|| is_over(fault));
        } else if let Some(client) = cut_off(fault) {
            self.bank.log.cut(client);
            self.until(sleep(Duration::from_millis(fault.lasts_ms))).await;
            self.bank.log.mend(client);
            trace::note(|| is_over(fault));
        } else {
            self.strike(fault);
            self.note_end(fault);
        }
    }

    /// Notes when a fault ends by itself, if it does before everything is healed.
    fn note_end(&self, fault: &Fault) {
        let end = Instant::now() + Duration::from_millis(fault.lasts_ms);
        let healed = self.begun + Duration::from_millis(self.bank.topology.load_ms);
        // Whoever holds a row gets it in turn, which the database tells.
        if fault.kind.needs().lasts && fault.kind != Kind::RowHeld && end < healed {
            trace::note_at(end, || is_over(fault));
        }
    }

    /// Waits; whether it was not healing that came first.
    async fn until(&self, wait: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = self.healing.begun() => false,
            () = wait => true,
        }
    }

    fn node(&self, fault: &Fault) -> Option<Node> {
        if !matches!(fault.kind, Kind::NodeKill | Kind::NodePause | Kind::NodeRestart) {
            return None;
        }
        Some(match fault.place.as_str() {
            CORE => Node::Core,
            BANKS => Node::Banks,
            POSTGRES_CORE | POSTGRES_CHANNEL => Node::Database(self.database(&fault.place).clone()),
            KAFKA => Node::Kafka,
            channel => Node::Channel(self.bank.channel_of(channel).expect("plans are checked")),
        })
    }

    async fn break_node(&self, fault: &Fault, node: &Node) {
        let lasts = Duration::from_millis(fault.lasts_ms);
        match fault.kind {
            Kind::NodeKill => {
                node.kill(&self.bank);
                self.until(sleep(lasts)).await;
                node.start(&self.bank);
            }
            Kind::NodePause => {
                node.pause(&self.bank);
                self.until(sleep(lasts)).await;
                node.resume(&self.bank);
            }
            _ => {
                node.stop(&self.bank).await;
                node.start(&self.bank);
            }
        }
    }

    /// A fault of a moment that heals by itself.
    fn strike(&self, fault: &Fault) {
        let (bank, lasts) = (&self.bank, Duration::from_millis(fault.lasts_ms));
        let count = usize::try_from(fault.amount).unwrap_or(0);
        match fault.kind {
            Kind::RowHeld => {
                let account = account(u32::try_from(fault.amount).unwrap_or(0));
                if fault.place == POSTGRES_CORE {
                    bank.core_store.hold_row(account, lasts);
                } else {
                    bank.channel_store.hold_row(account, lasts);
                }
            }
            Kind::AccountRefused => {
                bank.channel_store.refuse_account(account(u32::try_from(fault.amount).unwrap_or(0)), lasts);
            }
            Kind::PartitionsAdded => bank.log.add_partitions(ENTRIES_TOPIC, u32::try_from(fault.amount).unwrap_or(0)),
            Kind::ConnectionsTaken => self.database(&fault.place).take_connections(count, lasts),
            Kind::ClockStep => match bank.channel_of(&fault.place) {
                Some(index) => bank.channels[index].wall.step(fault.amount),
                None => self.database(&fault.place).step_clock(fault.amount),
            },
            Kind::Rebalance => bank.log.lose_all(GROUP),
            Kind::FetchStalled => {
                if let Some(index) = bank.channel_of(&fault.place) {
                    bank.log.stall_fetch(bank.channels[index].name, lasts);
                }
            }
            Kind::ClientFailed => bank.log.fail_client(known(&fault.place).expect("plans are checked")),
            Kind::LinkCut | Kind::LinkSlow => {
                let Some((link, _)) = self.way(&fault.place) else { return };
                if fault.kind == Kind::LinkSlow {
                    let by = Duration::from_millis(u64::try_from(fault.amount).unwrap_or(0));
                    link.slow(by, lasts);
                } else {
                    let ways = [Way::Requests, Way::Answers, Way::Both];
                    link.cut(ways[count.min(2)], lasts);
                }
            }
            _ => unreachable!("{} comes at an nth call", fault.kind.word()),
        }
    }
}

fn strikes(fault: &Fault) -> String {
    format!("==== {} strikes{}", fault.told(), particulars(fault))
}

fn is_over(fault: &Fault) -> String {
    format!("==== {} is over", fault.told())
}

/// Whose way to Kafka a fault cuts.
fn cut_off(fault: &Fault) -> Option<&'static str> {
    let (client, to) = fault.place.split_once('>')?;
    (to == KAFKA).then(|| known(client).expect("plans are checked"))
}
