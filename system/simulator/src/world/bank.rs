//! The bank of a world: its databases, its log, its network, and the processes on them.
//!
//! In: a plan. Out: processes that can be killed, frozen, stopped and started. Elsewhere: when that happens (`conductor`), who uses the
//! bank (`customers`), what is left of it (`evidence`).

mod config;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_banks::Banks;
use bankstorm_channel::Channel;
use bankstorm_contracts::banks_api::{BanksRequest, BanksResponse};
use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse};
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse};
use bankstorm_contracts::event::{DEAD_LETTERS_TOPIC, ENTRIES_TOPIC};
use bankstorm_contracts::{AccountNo, Won};
use bankstorm_core::Core;
use tokio::time::{sleep, timeout};

use super::names::{BANKS, CHANNELS, CORE};
use crate::model::bank_network::{ModelBankBook, ModelBankNetwork, ModelOutcomeSink};
use crate::model::channel_store::ModelChannelStore;
use crate::model::core_api::{ModelCoreApi, serve};
use crate::model::core_store::ModelCoreStore;
use crate::model::log::ModelLog;
use crate::model::network::{Endpoint, Network};
use crate::model::outside::{ModelBanks, ModelChannel, ModelCore};
use crate::model::process::{ModelAccess, ModelMetrics, ModelScope, ModelVisible};
use crate::model::wall::ModelWall;
use crate::plan::{AccountLock, Applying, Plan, Topology};
use crate::planted::{self, Planted};
use crate::trace;

/// How long an ordered stop may take before the process is killed, as the supervisor of a real one does.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How often an ordered stop is looked at.
const STOP_LOOK: Duration = Duration::from_millis(5);

/// Everything there is.
pub(crate) struct Bank {
    pub(crate) topology: Topology,
    pub(crate) core_store: ModelCoreStore,
    pub(crate) channel_store: ModelChannelStore,
    pub(crate) log: ModelLog,
    pub(crate) network: Network,
    pub(crate) core: Process<CoreRequest, CoreResponse>,
    pub(crate) channels: Vec<Process<ChannelRequest, ChannelResponse>>,
    pub(crate) banks: Process<BanksRequest, BanksResponse>,
    /// The other banks' book: a file, which outlives their process.
    pub(crate) book: ModelBankBook,
    planted: Option<Planted>,
    /// What the world itself saw, by marker.
    pub(crate) seen: Mutex<BTreeMap<&'static str, u64>>,
}

/// A process by its name, through all its incarnations.
pub(crate) struct Process<Q, A> {
    pub(crate) name: &'static str,
    /// Where it answers.
    pub(crate) endpoint: Endpoint<Q, A>,
    /// Counters and markers of all incarnations.
    pub(crate) metrics: ModelMetrics,
    /// The visible log: a file, which outlives the process.
    pub(crate) visible: ModelVisible,
    /// The access log: a file, which outlives the process.
    pub(crate) access: ModelAccess,
    /// Its machine's clock, which outlives it too.
    pub(crate) wall: ModelWall,
    running: Mutex<Option<ModelScope>>,
}

impl<Q, A> Process<Q, A> {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            endpoint: Endpoint::new(name),
            metrics: ModelMetrics::default(),
            visible: ModelVisible::default(),
            access: ModelAccess::default(),
            wall: ModelWall::default(),
            running: Mutex::default(),
        }
    }

    /// The present incarnation.
    pub(crate) fn scope(&self) -> Option<ModelScope> {
        self.running().clone()
    }

    /// SIGKILL, whatever it is doing.
    pub(crate) fn kill(&self) {
        self.endpoint.close();
        let running = self.running().take();
        if let Some(scope) = running {
            scope.kill();
        }
    }

    /// SIGTERM: it ends in order within [`STOP_LIMIT`], or is killed then. Whether it ended in order.
    pub(crate) async fn stop(&self) -> bool {
        let Some(scope) = self.scope() else { return true };
        // Nobody new is let in; those who are in are answered.
        self.endpoint.close();
        scope.stop();
        let ended = timeout(STOP_LIMIT, async {
            while !scope.is_idle() || scope.is_serving() {
                sleep(STOP_LOOK).await;
            }
        });
        let in_order = ended.await.is_ok();
        trace::note_of(self.name, || format!("has stopped{}", if in_order { "" } else { ", not in time" }));
        self.kill();
        in_order
    }

    /// SIGSTOP.
    pub(crate) fn pause(&self, log: &ModelLog) {
        if let Some(scope) = self.scope() {
            scope.pause();
            log.freeze(self.name);
        }
    }

    /// SIGCONT.
    pub(crate) fn resume(&self, log: &ModelLog) {
        if let Some(scope) = self.scope() {
            log.thaw(self.name);
            scope.resume();
        }
    }

    fn begin(&self) -> ModelScope {
        trace::note_of(self.name, || "starts".to_owned());
        let scope = ModelScope::named(self.name);
        *self.running() = Some(scope.clone());
        scope
    }

    fn running(&self) -> MutexGuard<'_, Option<ModelScope>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bank {
    /// Opens every account, in both books, and starts every process.
    pub(crate) fn open(plan: &Plan) -> Self {
        let topology = plan.topology.clone();
        let (seed, pace) = (plan.chance, topology.pace_ms);
        let connections = topology.connections as usize;
        let core_store = ModelCoreStore::paced(seed, pace, connections);
        let core_store = match topology.protections.account_lock {
            AccountLock::Row => core_store,
            // Behind the lock stands a unique index, which would hide that it is off (P25).
            AccountLock::None => core_store.with_free_serials(),
        };
        let channel_store = ModelChannelStore::paced(seed, pace, connections);
        let channel_store = match topology.protections.applying {
            Applying::SeqConditional => channel_store,
            // As above: behind the condition stands a unique index, which would hide that it is off (P14).
            Applying::Unconditional => channel_store.with_free_copy(),
        };
        let log = ModelLog::paced(seed, pace);
        log.create_topic(ENTRIES_TOPIC, topology.partitions);
        log.create_topic(DEAD_LETTERS_TOPIC, topology.partitions);
        for index in 0..topology.accounts {
            core_store.open(account(index), Won::new(topology.opening_won));
        }
        for index in own_accounts(&topology) {
            core_store.open(account(index), Won::new(topology.opening_won));
        }
        for status in &topology.transfers.statuses {
            core_store.set_status(account(status.account), status.status);
        }
        let opened: Vec<_> = core_store.with(|data| data.entries.values().cloned().collect());
        channel_store.load(&opened);
        let bank = Self {
            core_store,
            channel_store,
            log,
            network: Network::new(seed, pace),
            core: Process::new(CORE),
            channels: CHANNELS.iter().take(topology.channels as usize).map(|name| Process::new(name)).collect(),
            banks: Process::new(BANKS),
            book: ModelBankBook::paced(seed, pace),
            planted: plan.planted,
            seen: Mutex::default(),
            topology,
        };
        bank.start_banks();
        bank.start_core();
        (0..bank.channels.len()).for_each(|index| bank.start_channel(index));
        bank
    }

    /// Starts core, if it is not running.
    pub(crate) fn start_core(&self) {
        if self.core.scope().is_some() {
            return;
        }
        let scope = self.core.begin();
        let outside = ModelCore {
            store: planted::CoreStore::new(self.core_store.of_process(), self.planted),
            log: planted::Log::new(self.log.of(CORE), self.planted),
            banks: ModelBankNetwork::new(self.network.link(CORE, BANKS), self.banks.endpoint.clone()),
            scope: scope.clone(),
            metrics: self.core.metrics.clone(),
            access: self.core.access.of(&scope),
        };
        let core = {
            let _who = trace::acting(CORE);
            Core::start(outside, config::core(&self.topology))
        };
        serve(&self.core.endpoint, scope, core);
    }

    /// Starts the other banks, if they are not running.
    pub(crate) fn start_banks(&self) {
        if self.banks.scope().is_some() {
            return;
        }
        let scope = self.banks.begin();
        let outside = ModelBanks {
            book: self.book.clone(),
            core: ModelOutcomeSink::new(self.network.link(BANKS, CORE), self.core.endpoint.clone()),
            scope: scope.clone(),
            metrics: self.banks.metrics.clone(),
        };
        let banks = {
            let _who = trace::acting(BANKS);
            Banks::start(outside, config::banks(&self.topology.transfers))
        };
        self.banks.endpoint.listen_to(scope, move |caller, request| {
            let (banks, caller) = (banks.clone(), caller.to_owned());
            Box::pin(async move { banks.handle(&caller, request).await })
        });
    }

    /// Starts a channel, if it is not running.
    pub(crate) fn start_channel(&self, index: usize) {
        let process = &self.channels[index];
        if process.scope().is_some() {
            return;
        }
        let scope = process.begin();
        let core = ModelCoreApi::new(self.network.link(process.name, CORE), self.core.endpoint.clone());
        let outside = ModelChannel {
            store: planted::ChannelStore::new(self.channel_store.of_process(), self.planted),
            log: planted::Log::new(self.log.of(process.name), self.planted),
            core: planted::CoreApi::new(core, self.planted),
            scope: scope.clone(),
            metrics: process.metrics.clone(),
            visible: process.visible.clone(),
            wall: process.wall.clone(),
        };
        let channel = {
            let _who = trace::acting(process.name);
            Arc::new(Channel::start(outside, config::channel(&self.topology)))
        };
        process.endpoint.listen(scope, move |request| {
            let channel = Arc::clone(&channel);
            Box::pin(async move { channel.handle(request).await })
        });
    }

    /// The world saw something that a batch must have seen.
    pub(crate) fn see(&self, marker: &'static str) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner).entry(marker).or_default() += 1;
    }

    /// Which channel has this name.
    pub(crate) fn channel_of(&self, name: &str) -> Option<usize> {
        self.channels.iter().position(|process| process.name == name)
    }
}

/// The number of an account by its index in a plan.
pub(crate) fn account(index: u32) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + i64::from(index))
}

/// The indices of accounts that no customer has: the world's own, to see whether the bank still works. The first index behind the
/// customers' is unknown to the bank.
pub(crate) const fn own_accounts(topology: &Topology) -> [u32; 2] {
    [topology.accounts + 1, topology.accounts + 2]
}
