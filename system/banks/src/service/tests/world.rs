//! The banks on fakes in memory: a book that can fail on either side of its append, a core that can be deaf.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bankstorm_contracts::banks_api::{BanksRequest, BanksResponse, Credit, CreditAnswer, CreditState};
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{TransferId, Won};
use bankstorm_outside::bank_network::{BankBook, OutcomeSink};
use bankstorm_outside::bundle::BanksOutside;
use bankstorm_outside::core_api::CallError;
use bankstorm_outside::process::{Metrics, Points, Scope};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::timeout;
use uuid::Uuid;

use crate::config::BanksConfig;
use crate::service::Banks;
use crate::temper::{Manner, temper};

/// How the next append fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fails {
    /// Nothing was written.
    Before,
    /// The line stands nevertheless.
    After,
}

/// The outside of the banks. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Shared>);

#[derive(Default)]
struct Shared {
    lines: Mutex<Vec<(CreditAnswer, Option<Credit>)>>,
    fails: Mutex<Option<Fails>>,
    told: Mutex<Vec<CreditAnswer>>,
    deaf: Mutex<u32>,
    markers: Mutex<BTreeMap<&'static str, u64>>,
    stopping: AtomicBool,
    changed: Notify,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds a lock")
}

impl World {
    /// A world whose book stands already, as after a restart.
    pub(crate) fn with_book_of(other: &Self) -> Self {
        let world = Self::default();
        *locked(&world.0.lines) = locked(&other.0.lines).clone();
        world
    }

    pub(crate) fn lines(&self) -> Vec<(CreditAnswer, Option<Credit>)> {
        locked(&self.0.lines).clone()
    }

    pub(crate) fn fail(&self, how: Fails) {
        *locked(&self.0.fails) = Some(how);
    }

    /// Core does not hear the next callbacks.
    pub(crate) fn deafen(&self, callbacks: u32) {
        *locked(&self.0.deaf) = callbacks;
    }

    pub(crate) fn told(&self) -> Vec<CreditAnswer> {
        locked(&self.0.told).clone()
    }

    pub(crate) fn reached_times(&self, marker: &str) -> u64 {
        locked(&self.0.markers).get(marker).copied().unwrap_or(0)
    }

    pub(crate) fn stop(&self) {
        self.0.stopping.store(true, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

impl BankBook for World {
    async fn append(&self, answer: CreditAnswer, credit: Option<&Credit>) -> Result<(), CallError> {
        yield_now().await;
        let fails = locked(&self.0.fails).take();
        if fails != Some(Fails::Before) {
            locked(&self.0.lines).push((answer, credit.cloned()));
        }
        yield_now().await;
        fails.map_or(Ok(()), |how| Err(CallError::Unavailable(format!("{how:?}"))))
    }

    async fn read(&self) -> Result<Vec<(CreditAnswer, Option<Credit>)>, CallError> {
        yield_now().await;
        Ok(self.lines())
    }
}

impl OutcomeSink for World {
    async fn outcome(&self, answer: CreditAnswer) -> Result<(), CallError> {
        yield_now().await;
        let mut deaf = locked(&self.0.deaf);
        if *deaf > 0 {
            *deaf -= 1;
            return Err(CallError::Unavailable("deaf".to_owned()));
        }
        locked(&self.0.told).push(answer);
        Ok(())
    }
}

impl Scope for World {
    #[expect(clippy::disallowed_methods, reason = "the scope of a test: its runtime")]
    fn spawn(&self, _name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn stopping(&self) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if self.is_stopping() {
                return;
            }
            changed.await;
        }
    }

    fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::SeqCst)
    }
}

impl Points for World {
    fn reached(&self, marker: &'static str) {
        *locked(&self.0.markers).entry(marker).or_default() += 1;
    }
}

impl Metrics for World {
    fn count(&self, _name: &'static str, _by: u64) {}
    fn gauge(&self, _name: &'static str, _value: i64) {}
    fn observe(&self, _name: &'static str, _value: Duration) {}
}

impl BanksOutside for World {
    type Book = Self;
    type Core = Self;
    type Scope = Self;
    type Points = Self;
    type Metrics = Self;

    fn book(&self) -> &Self {
        self
    }

    fn core(&self) -> &Self {
        self
    }

    fn scope(&self) -> &Self {
        self
    }

    fn points(&self) -> &Self {
        self
    }

    fn metrics(&self) -> &Self {
        self
    }
}

/// Settings under which every kind of temper is common.
pub(crate) fn moody() -> BanksConfig {
    BanksConfig {
        late_permille: 250,
        never_permille: 250,
        twice_permille: 250,
        refused_permille: 250,
        seed: 11,
        ..BanksConfig::default()
    }
}

/// The credit of that number.
pub(crate) fn credit(number: u128) -> Credit {
    let to = Party { bank: "088".to_owned(), account: "110-1".to_owned() };
    Credit { id: TransferId(Uuid::from_u128(number)), to, amount: Won::new(700) }
}

/// A credit that meets this state and manner under [`moody`].
pub(crate) fn credit_that(state: CreditState, manner: impl Fn(Manner) -> bool) -> Credit {
    (1..100_000)
        .map(credit)
        .find(|credit| {
            let met = temper(&moody(), credit.id);
            met.state == state && manner(met.manner)
        })
        .expect("every temper is common")
}

/// The longest that a request takes that is answered at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for a credit; `None` where nobody answers.
pub(crate) async fn ask(banks: &Banks<World>, credit: &Credit) -> Option<BanksResponse> {
    timeout(PATIENCE, banks.handle("test", BanksRequest::Credit(credit.clone()))).await.ok()
}

/// Cancels.
pub(crate) async fn cancel(banks: &Banks<World>, credit: &Credit) -> BanksResponse {
    timeout(PATIENCE, banks.handle("test", BanksRequest::Cancel(credit.id))).await.expect("cancels are answered")
}

/// The definite answer.
pub(crate) fn answer(credit: &Credit, state: CreditState) -> BanksResponse {
    BanksResponse::Answer(CreditAnswer { id: credit.id, state })
}
