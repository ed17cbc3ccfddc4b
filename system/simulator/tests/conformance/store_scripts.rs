//! Scripts on the models of both stores: whatever a session is answered must not depend on the model's pace.
//!
//! In: seeds. Out: one trial a store. Elsewhere: what a script is (`outside::conformance::script`), the same scripts on PostgreSQL and its
//! model side by side (`adapters/tests`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bankstorm_outside::conformance::script::{
    Cut, SESSIONS, ScriptFixture, Step, Subject, Transcript, Unsettled, channel, core, draw, opening, run, side_by_side,
};
use bankstorm_simulator::model::channel_store::ModelChannelStore;
use bankstorm_simulator::model::core_store::ModelCoreStore;
use bankstorm_simulator::model::database::{CommitFault, ModelDatabase};
use libtest_mimic::Trial;
use tokio::time::{Instant, sleep};

use crate::{on_virtual_time, seeds};

/// `deadlock_timeout` in milliseconds: beyond what passes between two waits, below what idle transactions are borne with.
const DEADLOCK: u64 = 500;
/// Longer than the pauses of a few steps one after the other.
const PAUSES: Duration = Duration::from_millis(40);
/// How long settling may take on virtual time.
const LIMIT: Duration = Duration::from_secs(5);
/// Scripts of each seed that a trial is asked for.
const SCRIPTS: u64 = 50;

/// What must have happened among the scripts of a few seeds.
const BOTH_MUST: &[&str] =
    &["Write Sound: ok", "Write NotClaimed: other", "Commit: ok", "Cancel: done", "Kill: done", "Read Transfer"];
const CORE_MUST: &[&str] = &[
    "WriteAndCommit Hold: ok",
    "Reopen Short: ok",
    "Reopen Short: timeout",
    "Reopen Long: ok",
    "Reopen Long: waits",
    "Read Holds",
];
const CHANNEL_MUST: &[&str] = &[
    "Open Short: ok",
    "Open Short: timeout",
    "Open Long: ok",
    "Open Long: waits",
    "LockTransfers Short: ok",
    "LockTransfers Short: timeout",
    "LockTransfers Long: ok",
    "LockTransfers Long: waits",
    "Read TakeDue",
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("store_scripts::core_answers_the_same_at_every_pace", || all::<Core>(CORE_MUST)),
        Trial::test("store_scripts::channel_answers_the_same_at_every_pace", || all::<Channel>(CHANNEL_MUST)),
    ]
}

/// A model under scripts.
trait Model {
    /// Its port, as scripts see it.
    type Port: Subject;

    /// A new one that holds what scripts begin with.
    fn open(seed: u64) -> Self;
    /// Its store.
    fn store(&self) -> <Self::Port as Subject>::Store;
    /// Its server.
    fn database(&self) -> &ModelDatabase;
}

struct Core(ModelCoreStore);

struct Channel(ModelChannelStore);

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
        while self.model.database().waiting() < unsettled.busy.len() {
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

fn transcript<M: Model>(steps: &[Step], naps: &BTreeSet<usize>, seed: u64) -> Transcript {
    on_virtual_time(async {
        let model = M::open(seed);
        model.database().set_deadlock_timeout(DEADLOCK);
        let fixture = Fixture { model, numbers: RefCell::default() };
        run::<M::Port, _>(&fixture, steps, naps).await
    })
}

fn all<M: Model>(must: &[&str]) -> Result<(), libtest_mimic::Failed> {
    let mut counts = BTreeMap::<String, u64>::new();
    let seeds = seeds().start * SCRIPTS..seeds().end * SCRIPTS;
    for seed in seeds.clone() {
        let steps = draw(<M::Port as Subject>::KIND, seed);
        let first = transcript::<M>(&steps, &BTreeSet::new(), 3 * seed);
        if first.counts.contains_key("stuck") {
            return Err(format!("script {seed} is stuck:\n{}\n{steps:?}", first.lines.join("\n")).into());
        }
        for pace in [3 * seed + 1, 3 * seed + 2] {
            let other = transcript::<M>(&steps, &first.naps, pace);
            if first.lines != other.lines {
                let difference = side_by_side(("one pace", &first.lines), ("another", &other.lines));
                return Err(format!("script {seed} differs:\n{difference}\n{steps:?}").into());
            }
        }
        first.counts.into_iter().for_each(|(what, times)| *counts.entry(what).or_default() += times);
    }
    let missing: Vec<_> = BOTH_MUST.iter().chain(must).filter(|what| !counts.contains_key(**what)).collect();
    if seeds.end - seeds.start >= 8 * SCRIPTS && !missing.is_empty() {
        return Err(format!("never happened: {missing:?}; what did: {counts:?}").into());
    }
    Ok(())
}
