//! The models under scripts.
//!
//! In: steps, a seed of their pace. Out: transcripts. Elsewhere: models that are wrong on purpose (`wrong`).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use bankstorm_outside::conformance::script::{
    Cut, SESSIONS, ScriptFixture, Step, Subject, Transcript, Unsettled, channel, core, opening, run,
};
use bankstorm_simulator::model::channel_store::ModelChannelStore;
use bankstorm_simulator::model::core_store::ModelCoreStore;
use bankstorm_simulator::model::database::{CommitFault, ModelDatabase};
use tokio::time::{Instant, sleep};

/// `deadlock_timeout` in milliseconds: beyond what passes between two waits, below what idle transactions are borne with.
const DEADLOCK: u64 = 500;
/// Longer than the pauses of a few steps one after the other.
const PAUSES: Duration = Duration::from_millis(40);
/// How long settling may take on virtual time.
const LIMIT: Duration = Duration::from_secs(5);

/// A model under scripts.
pub(super) trait Model {
    /// Its port, as scripts see it.
    type Port: Subject;

    /// A new one that holds what scripts begin with.
    fn open(seed: u64) -> Self;
    /// Its store.
    fn store(&self) -> <Self::Port as Subject>::Store;
    /// Its server.
    fn database(&self) -> &ModelDatabase;
    /// How many of its sessions wait.
    fn waiting(&self) -> usize {
        self.database().waiting()
    }
}

/// Core's model.
pub(super) struct Core(pub(super) ModelCoreStore);

/// The channel's model.
pub(super) struct Channel(pub(super) ModelChannelStore);

impl Model for Core {
    type Port = core::Core<ModelCoreStore>;

    fn open(seed: u64) -> Self {
        let store = ModelCoreStore::new(seed);
        opening().into_iter().for_each(|head| store.open_at(head));
        Self(store)
    }

    fn store(&self) -> ModelCoreStore {
        self.0.clone()
    }

    fn database(&self) -> &ModelDatabase {
        self.0.database()
    }
}

impl Model for Channel {
    type Port = channel::Channel<ModelChannelStore>;

    fn open(seed: u64) -> Self {
        let store = ModelChannelStore::new(seed);
        for head in opening() {
            let entries: Vec<_> = (1..=head.seq).map(|seq| channel::entry(head.account, seq)).collect();
            store.load(&entries);
        }
        Self(store)
    }

    fn store(&self) -> ModelChannelStore {
        self.0.clone()
    }

    fn database(&self) -> &ModelDatabase {
        self.0.database()
    }
}

struct Fixture<M> {
    model: M,
    /// The number of each session's present transaction.
    numbers: RefCell<[u64; SESSIONS]>,
}

impl<M: Model> ScriptFixture<M::Port> for Fixture<M> {
    fn store(&self, session: usize) -> <M::Port as Subject>::Store {
        // A session asks for its store when it begins, and one begins at a time.
        self.numbers.borrow_mut()[session] = self.model.database().last_session() + 1;
        self.model.store()
    }

    fn reader(&self) -> <M::Port as Subject>::Store {
        self.model.store()
    }

    async fn settled(&self, unsettled: &Unsettled) -> Result<(), String> {
        if unsettled.busy.is_empty() {
            // What ends a transaction has ended it by now.
            return Ok(());
        }
        let began = Instant::now();
        sleep(PAUSES).await;
        while self.model.waiting() < unsettled.busy.len() {
            if began.elapsed() > LIMIT {
                return Err(format!("sessions {:?} are not answered and do not all wait", unsettled.busy));
            }
            sleep(PAUSES).await;
        }
        Ok(())
    }

    async fn kill(&self, session: usize) {
        let number = self.numbers.borrow()[session];
        self.model.database().end_session(number);
    }

    fn cut(&self, _session: usize, cut: Cut) {
        let fault = match cut {
            Cut::Before => CommitFault::UnknownBefore,
            Cut::After => CommitFault::UnknownAfter,
        };
        self.model.database().commits().plan(1, fault);
    }

    async fn nap(&self) {
        sleep(Duration::from_millis(DEADLOCK) + PAUSES).await;
    }
}

/// Runs a script on a new model.
pub(super) fn transcript<M: Model>(steps: &[Step], naps: &BTreeSet<usize>, seed: u64) -> Transcript {
    on_virtual_time(async {
        let model = M::open(seed);
        model.database().set_deadlock_timeout(DEADLOCK);
        let fixture = Fixture { model, numbers: RefCell::default() };
        run::<M::Port, _>(&fixture, steps, naps).await
    })
}

/// The runtime has time and nothing else, so that a socket would panic instead of racing the clock.
fn on_virtual_time<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime can be made").block_on(run)
}
