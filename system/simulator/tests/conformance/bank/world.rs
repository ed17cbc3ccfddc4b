//! The world of one seed: processes, customers, faults.
//!
//! In: a seed. Out: outcomes by deposit, and stores to look at. Elsewhere: what must hold (`verdict`).

use std::collections::BTreeMap;
use std::time::Duration;

use bankstorm_channel::{Channel, ChannelConfig};
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse, Deposit, Party};
use bankstorm_contracts::event::ENTRIES_TOPIC;
use bankstorm_contracts::{AccountNo, TransferId, TransferState, Won};
use bankstorm_core::{Core, CoreConfig};
use bankstorm_outside::process::Scope;
use bankstorm_simulator::model::chance::Chance;
use bankstorm_simulator::model::channel_store::ModelChannelStore;
use bankstorm_simulator::model::core_api::{CoreEndpoint, ModelCoreApi, serve};
use bankstorm_simulator::model::core_store::ModelCoreStore;
use bankstorm_simulator::model::hook::{CommitFault, StepFault};
use bankstorm_simulator::model::log::{ModelLog, ProduceFault};
use bankstorm_simulator::model::network::{AnswerFault, Network};
use bankstorm_simulator::model::outside::{ModelChannel, ModelCore};
use bankstorm_simulator::model::process::{ModelMetrics, ModelScope, ModelVisible};
use bankstorm_simulator::planted;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

pub(crate) const DEPOSITS: u64 = 500;
const ACCOUNTS: u64 = 20;
const PARTITIONS: u32 = 4;
const OPENING: Won = Won::new(1_000);

/// Whether anything breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Faults {
    /// Nothing does.
    None,
    /// Commits, connections, produces, calls, sessions and a process do.
    Many,
    /// The log acknowledges one record that it does not keep: a broken promise, there to be caught.
    Swallow,
}

/// A channel process.
pub(crate) struct ChannelProcess {
    pub(crate) outside: ModelChannel,
    service: Option<Channel<ModelChannel>>,
}

/// Everything of one seed.
pub(crate) struct World {
    pub(crate) core_store: ModelCoreStore,
    pub(crate) channel_store: ModelChannelStore,
    pub(crate) log: ModelLog,
    pub(crate) core_scope: ModelScope,
    pub(crate) channels: Vec<ChannelProcess>,
    core: Core<ModelCore>,
    clients: ModelScope,
    chance: Chance,
}

/// How a deposit ended, as its customer knows after resolving.
pub(crate) type Outcomes = BTreeMap<TransferId, TransferState>;

impl World {
    pub(crate) fn open(seed: u64) -> Self {
        let core_store = ModelCoreStore::new(seed);
        let channel_store = ModelChannelStore::new(seed);
        let log = ModelLog::new(seed);
        log.create_topic(ENTRIES_TOPIC, PARTITIONS);
        for index in 0..ACCOUNTS {
            core_store.open(account(index), OPENING);
        }
        let opened: Vec<_> = core_store.committed().entries.into_values().collect();
        channel_store.load(&opened);
        let core_scope = ModelScope::named("core");
        let (store, scope) = (planted::CoreStore::new(core_store.clone(), None), core_scope.clone());
        let outside =
            ModelCore { store, log: planted::Log::new(log.clone(), None), scope, metrics: ModelMetrics::default() };
        let core = Core::start(outside, CoreConfig::default());
        let (network, at) = (Network::new(seed, 4), CoreEndpoint::new("core-request"));
        serve(&at, core_scope.clone(), core.clone());
        let channels = ["channel-0", "channel-1"].map(|name| {
            let outside = ModelChannel {
                store: planted::ChannelStore::new(channel_store.clone(), None),
                log: planted::Log::new(log.clone(), None),
                core: planted::CoreApi::new(ModelCoreApi::new(network.link(name, "core"), at.clone()), None),
                scope: ModelScope::named(name),
                metrics: ModelMetrics::default(),
                visible: ModelVisible::default(),
            };
            let service = Channel::start(outside.clone(), ChannelConfig::default());
            ChannelProcess { outside, service: Some(service) }
        });
        let (clients, chance) = (ModelScope::named("customers"), Chance::new(seed, "customers"));
        let channels = channels.into();
        Self { core_store, channel_store, log, core_scope, channels, core, clients, chance }
    }

    /// Plans which calls break.
    pub(crate) fn plan(&self, faults: Faults) {
        match faults {
            Faults::None => return,
            Faults::Swallow => return self.log.produces().plan(40, ProduceFault::Swallowed),
            Faults::Many => {}
        }
        let drawn = |most: u64| 1 + self.chance.below(most);
        for fault in [CommitFault::Failed, CommitFault::UnknownBefore, CommitFault::UnknownAfter] {
            for _ in 0..3 {
                self.core_store.commits().plan(drawn(60), fault);
                self.channel_store.commits().plan(drawn(60), fault);
            }
        }
        for _ in 0..4 {
            self.core_store.steps().plan(drawn(120), StepFault::Dropped);
            self.channel_store.steps().plan(drawn(120), StepFault::Dropped);
        }
        for fault in [ProduceFault::Before, ProduceFault::After] {
            for _ in 0..4 {
                self.log.produces().plan(drawn(300), fault);
            }
        }
        for channel in &self.channels {
            channel.outside.core.model().link().answers().plan(drawn(3), AnswerFault::Dropped);
        }
    }

    /// Sends every deposit, some twice at once, some by customers who hang up; then settles what is unknown.
    pub(crate) async fn spend_the_day(&mut self, faults: Faults) -> Outcomes {
        let (report, mut reports) = mpsc::unbounded_channel();
        for number in 0..DEPOSITS {
            let deposit = deposit(number, account(self.chance.below(ACCOUNTS)), 1 + self.chance.below(900));
            let copies = if self.chance.below(10) == 0 { 2 } else { 1 };
            for _ in 0..copies {
                let start = Duration::from_millis(self.chance.below(2_000));
                // One in eight hangs up while core is at work.
                let patience = (self.chance.below(8) == 0).then(|| Duration::from_millis(1 + self.chance.below(12)));
                let customer = Customer { core: self.core.clone(), deposit: deposit.clone(), patience };
                let report = report.clone();
                self.clients.spawn("customer", async move {
                    sleep(start).await;
                    let outcome = customer.send().await;
                    report.send((customer.deposit.id, outcome)).expect("the day lasts until every customer reported");
                });
            }
        }
        drop(report);
        if faults == Faults::Many {
            sleep(Duration::from_millis(700)).await;
            self.log.lose_all(&ChannelConfig::default().group);
            sleep(Duration::from_millis(300)).await;
            self.kill_channel(1);
        }
        let mut outcomes = BTreeMap::new();
        while let Some((id, outcome)) = reports.recv().await {
            let outcome = match outcome {
                Some(state) => state,
                None => self.resolve(id).await,
            };
            let before = outcomes.insert(id, outcome);
            assert!(before.is_none_or(|before| before == outcome), "{id}: {before:?}, then {outcome:?}");
        }
        outcomes
    }

    fn kill_channel(&mut self, index: usize) {
        let channel = &mut self.channels[index];
        channel.outside.scope.kill();
        channel.service = None;
    }

    /// Asks core until it knows.
    async fn resolve(&self, id: TransferId) -> TransferState {
        loop {
            match self.core.handle("resolver", CoreRequest::Resolve(id)).await {
                CoreResponse::Created(verdict) | CoreResponse::Verdict(verdict)
                    if verdict.state != TransferState::Processing =>
                {
                    return verdict.state;
                }
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Waits until the copy has caught up and everything is published and committed.
    pub(crate) async fn settle(&self, limit: Duration) {
        let settled = async {
            while !self.is_settled() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        if timeout(limit, settled).await.is_err() {
            let (core, channel) = (self.core_store.committed(), self.channel_store.committed());
            let behind: Vec<_> =
                core.heads.values().filter(|head| channel.heads.get(&head.account) != Some(head)).collect();
            let unsent = core.outbox.len();
            panic!("not settled after {limit:?}: {unsent} rows unsent, copies behind: {behind:?}");
        }
    }

    fn is_settled(&self) -> bool {
        let (core, channel) = (self.core_store.committed(), self.channel_store.committed());
        let mut ends: BTreeMap<_, i64> = BTreeMap::new();
        for record in self.log.records(ENTRIES_TOPIC) {
            ends.insert(record.at, record.offset + 1);
        }
        core.heads == channel.heads
            && core.outbox.is_empty()
            && self.log.committed(&ChannelConfig::default().group) == ends
    }

    /// Stops every process in order.
    pub(crate) async fn close(self) {
        for channel in &self.channels {
            channel.outside.scope.stop();
            if let Some(service) = &channel.service {
                service.stopped().await;
            }
        }
        self.core_scope.stop();
    }
}

/// Who sends one deposit.
struct Customer {
    core: Core<ModelCore>,
    deposit: Deposit,
    patience: Option<Duration>,
}

impl Customer {
    /// What the customer knows in the end; nothing when it is unknown.
    async fn send(&self) -> Option<TransferState> {
        let answer = self.core.handle("customer", CoreRequest::Deposit(self.deposit.clone()));
        let response = match self.patience {
            Some(patience) => timeout(patience, answer).await.ok()?,
            None => answer.await,
        };
        match response {
            CoreResponse::Created(verdict) | CoreResponse::Verdict(verdict) => Some(verdict.state),
            _ => None,
        }
    }
}

fn account(index: u64) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + i64::try_from(index).expect("a small number"))
}

fn deposit(number: u64, account: AccountNo, amount: u64) -> Deposit {
    let id = TransferId(uuid::Uuid::from_u128((0xde90_u128 << 64) + u128::from(number)));
    let amount = Won::new(i64::try_from(amount).expect("a small amount"));
    let from = Party { bank: "088".to_owned(), account: format!("77-{number}") };
    Deposit { id, account, amount, from }
}
