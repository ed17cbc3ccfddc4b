//! The life of one world, phase by phase.
//!
//! In: a plan. Out: its outcome. Elsewhere: who acts in each phase (`customers`, `conductor`), what is judged (`evidence`, `check`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_check::Context;
use bankstorm_check::guarantees::run_all;
use bankstorm_contracts::core_api::CoreRequest;
use bankstorm_contracts::event::{self, ENTRIES_TOPIC};
use bankstorm_contracts::{AccountNo, Outcome as Word};
use bankstorm_record::run_json::{CheckResult, GuaranteeVerdict};
use bankstorm_record::source::MemorySource;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::bank::{Bank, account, own_account};
use super::conductor::{Conductor, GROUP};
use super::customers::{Customers, deposit, read_page};
use super::ledger::{Ending, Ledger, Whose};
use super::names::{CORE, HARNESS};
use super::{Outcome, Violation, digest, evidence, markers};
use crate::model::network::Link;
use crate::plan::{Kind, Plan};
use crate::trace;

/// How long customers and faults may take after load has ended: the longest patience and the longest hold.
const LOAD_LIMIT: Duration = Duration::from_secs(4 * 3600);
/// How long one question at the end may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// Between two questions about one deposit.
const ASK_PAUSE: Duration = Duration::from_millis(100);
/// How long after the heal everything unknown must have a verdict, and the copy must have caught up. What was held or stalled before the
/// heal takes up to a minute after it; a sound bank needs some seconds more.
const REST_LIMIT: Duration = Duration::from_secs(120);
/// How often the bank is looked at while it converges.
const LOOK: Duration = Duration::from_millis(50);
/// Accounts whose newest page is read at the end, at most: one answer shows how a page is made, not each account's copy (S5 does).
const LAST_PAGES: u32 = 20;

struct World<'a> {
    plan: &'a Plan,
    bank: Arc<Bank>,
    ledger: Arc<Ledger>,
    harness: Link,
    late: Vec<String>,
    /// The number of the world's own next deposit: behind those of the plan.
    next_op: u64,
}

/// Lives a world through, and judges it.
pub(super) async fn live(plan: &Plan) -> Outcome {
    let born = Instant::now();
    let ledger = Arc::new(Ledger::new());
    let bank = Arc::new(Bank::open(plan));
    let harness = bank.network.link(HARNESS, CORE);
    let deadlocks = [bank.core_store.database().deadlocks(), bank.channel_store.database().deadlocks()];
    let next_op = plan.operations.iter().map(|operation| operation.op + 1).max().unwrap_or(0);
    let mut world = World { plan, bank, ledger, harness, late: Vec::new(), next_op };
    let struck = world.load().await;
    world.resolve().await;
    world.converge().await;
    world.must_work().await;
    world.converge().await;
    world.look_once_more().await;
    world.stop().await;
    let source = evidence::collect(&world.bank, &world.ledger, born, deadlocks);
    world.judge(&source, struck, born.elapsed())
}

impl World<'_> {
    /// Load with faults, until the last customer has ended; faults are healed when its time is over.
    async fn load(&mut self) -> Vec<Option<Duration>> {
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        let (operations, faults) = (self.plan.operations.len(), self.plan.faults.len());
        trace::note(|| format!("---- load begins: {operations} operations, {faults} faults planned"));
        let conductor = Conductor::start(Arc::clone(&self.bank), &self.plan.faults, begun, &mut tasks);
        let customers = Arc::new(Customers::new(Arc::clone(&self.bank), Arc::clone(&self.ledger)));
        for operation in &self.plan.operations {
            tasks.spawn(Arc::clone(&customers).act(operation.clone(), begun));
        }
        sleep_until(begun + Duration::from_millis(self.plan.topology.load_ms)).await;
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
        conductor.struck(&self.plan.faults)
    }

    /// Asks core about everything that is not known.
    async fn resolve(&mut self) {
        let doubled = self.plan.faults.iter().any(|fault| fault.kind == Kind::RequestDoubled);
        let until = Instant::now() + REST_LIMIT;
        let open = self.ledger.open(doubled);
        trace::note(|| format!("---- every customer has ended; what became of {} deposits is asked", open.len()));
        for (place, deposit) in open {
            loop {
                let request = CoreRequest::Resolve(deposit.id);
                let ending = Ending::of(&self.harness.call(&self.bank.core.endpoint, request, ASK_LIMIT).await);
                if ending.verdict.is_some() {
                    self.ledger.resolve(place, ending);
                    break;
                }
                if Instant::now() >= until {
                    self.late.push(format!("transfer {} had no verdict {REST_LIMIT:?} after the heal", deposit.id));
                    break;
                }
                sleep(ASK_PAUSE).await;
            }
        }
    }

    /// Waits until the copy has caught up and everything is published and committed.
    async fn converge(&mut self) {
        trace::note(|| "---- the copy converges".to_owned());
        let until = Instant::now() + REST_LIMIT;
        let mut revealed = false;
        while Instant::now() < until {
            if self.is_at_rest() {
                if revealed || !self.reveal_lost_tails().await {
                    return;
                }
                revealed = true;
            }
            sleep(LOOK).await;
        }
        let unsent = self.bank.core_store.unsent_count();
        let behind = self.bank.core_store.with(|core| {
            self.bank
                .channel_store
                .with(|copy| core.heads.values().filter(|head| copy.heads.get(&head.account) != Some(head)).count())
        });
        self.late.push(format!(
            "the bank had not come to rest {REST_LIMIT:?} after the heal: {unsent} rows not published, {behind} copies behind"
        ));
    }

    fn is_at_rest(&self) -> bool {
        let bank = &self.bank;
        bank.core_store.unsent_count() == 0
            && bank.log.caught_up(GROUP, ENTRIES_TOPIC)
            && bank.core_store.database().open_transactions() == 0
            && bank.channel_store.database().open_transactions() == 0
    }

    /// A record that the log lost shows as a gap only once a later one of its account arrives. Until the bank looks for lost tails itself
    /// (P16), the world sends such accounts one deposit more. Whether it sent any.
    async fn reveal_lost_tails(&mut self) -> bool {
        let mut accounts = std::collections::BTreeSet::new();
        for record in self.bank.log.lost() {
            if let Ok(entry) = event::decode(&record.value) {
                let head = self.bank.core_store.with(|data| data.heads.get(&entry.account).map(|head| head.seq));
                if head == Some(entry.seq) {
                    accounts.insert(entry.account);
                }
            }
        }
        for account in &accounts {
            trace::note(|| format!("one deposit more shows what account {account} lost"));
            self.deposit_until_ok(*account).await;
        }
        !accounts.is_empty()
    }

    /// After the heal the bank must work, not merely answer: a deposit of the world's own is booked.
    async fn must_work(&mut self) {
        trace::note(|| "---- the bank must work again".to_owned());
        self.deposit_until_ok(account(own_account(&self.plan.topology))).await;
    }

    /// A deposit of the world's own, tried again with the same id until it is booked.
    async fn deposit_until_ok(&mut self, account: AccountNo) {
        let op = self.next_op;
        self.next_op += 1;
        let deposit = deposit(op, account, 1);
        let place = self.ledger.begin(op, deposit.clone(), self.ledger.now_ns());
        let until = Instant::now() + REST_LIMIT;
        loop {
            let request = CoreRequest::Deposit(deposit.clone());
            let ending = Ending::of(&self.harness.call(&self.bank.core.endpoint, request, ASK_LIMIT).await);
            self.ledger.hear(place, Whose::Own, ending);
            if ending.outcome == Word::Ok || Instant::now() >= until {
                self.ledger.end(place, ending);
                if ending.outcome != Word::Ok {
                    self.late.push(format!("a deposit was not booked within {REST_LIMIT:?} after the heal"));
                }
                return;
            }
            sleep(ASK_PAUSE).await;
        }
    }

    /// The newest page of some accounts, as a customer would see it now.
    async fn look_once_more(&mut self) {
        trace::note(|| "---- the newest pages are read once more".to_owned());
        for index in 0..self.plan.topology.accounts.min(LAST_PAGES) {
            // The copy does not know an account of which there is no entry yet.
            let head = self.bank.core_store.with(|data| data.heads.get(&account(index)).map_or(0, |head| head.seq));
            if head == 0 {
                continue;
            }
            let channel = index as usize % self.bank.channels.len();
            let link = self.bank.network.link(HARNESS, self.bank.channels[channel].name);
            // What outsiders hold of a database they may hold a while longer.
            let until = Instant::now() + REST_LIMIT;
            while read_page(&self.bank, &self.ledger, &link, channel, account(index), None, 100).await.is_none() {
                if Instant::now() >= until {
                    let limit = REST_LIMIT;
                    self.late.push(format!(
                        "{} gave no page of account {index} within {limit:?} after the heal",
                        link.name()
                    ));
                    return;
                }
                sleep(ASK_PAUSE).await;
            }
        }
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
    }

    fn judge(&self, source: &MemorySource, struck: Vec<Option<Duration>>, virtual_time: Duration) -> Outcome {
        let guarantees = run_all(source, &Context::default());
        let found = guarantees.checks.into_iter().filter_map(|check| violation(check, source));
        let mut violations: Vec<_> = found.chain(self.ledger.contradictions()).collect();
        violations.extend(all_of("V1", "no-liveness", self.late.clone()));
        let markers = markers::count(&self.bank);
        Outcome {
            digest: digest::digest(source, &markers, &struck, &violations, virtual_time),
            virtual_time,
            operations: outcomes(source),
            markers,
            struck,
            violations,
            trace: Vec::new(),
        }
    }
}

/// A check that did not hold. One that had nothing to look at says nothing where the plan gave it nothing.
fn violation(check: CheckResult, source: &MemorySource) -> Option<Violation> {
    if check.verdict == GuaranteeVerdict::Holds {
        return None;
    }
    let first = check.first.unwrap_or_default();
    let vacuous = check.verdict == GuaranteeVerdict::Unknown && check.examined == 0 && first.starts_with("vacuous");
    if vacuous && source.operations.len() < VACUOUS_BELOW {
        return None;
    }
    let (name, first) = match first.split_once(": ") {
        Some((name, rest)) if check.verdict == GuaranteeVerdict::Violated => (name.to_owned(), rest.to_owned()),
        _ => ("unknown".to_owned(), first),
    };
    Some(Violation { check: check.id, name, count: check.violations.max(1), first })
}

/// Below so many deposits a check may have nothing to look at: plans become that small when they are shrunk.
const VACUOUS_BELOW: usize = 50;

pub(super) fn all_of(check: &str, name: &str, found: Vec<String>) -> Option<Violation> {
    let count = found.len() as u64;
    let first = found.into_iter().next()?;
    Some(Violation { check: check.to_owned(), name: name.to_owned(), count, first })
}

fn outcomes(source: &MemorySource) -> BTreeMap<&'static str, u64> {
    let mut outcomes = BTreeMap::new();
    let words = [Word::Ok, Word::Rejected, Word::Failed, Word::Unknown].map(Word::as_str);
    for row in &source.operations {
        let word = words.into_iter().find(|word| row.outcome.as_deref() == Some(word)).unwrap_or("unknown");
        *outcomes.entry(word).or_default() += 1;
    }
    outcomes.insert("scroll", source.pages.len() as u64);
    outcomes
}
