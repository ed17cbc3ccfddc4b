//! The plan: every operation of a run, generated lazily and always the same for the same scenario.
//!
//! In: a resolved scenario. Out: [`PlannedOperation`]s in due order, their count and digest. Elsewhere: the pass over them
//! (`plan/operations`), due times (`arrivals`), accounts (`skew`, `users`), what follows a transfer (`behaviour`), sessions of pages (`scroll`),
//! sending (`load`).

mod operations;

use std::time::Duration;

use bankstorm_contracts::channel_api::SubmitTransfer;
use bankstorm_contracts::core_api::{Deposit, Party};
use bankstorm_contracts::{AccountNo, ParamsHash, TransferId, UserNo, Won};
use bankstorm_scenario::Scenario;
use bankstorm_scenario::resolved::Op;
use sha2::{Digest, Sha256};

use crate::arrivals::ArrivalStream;
use crate::behaviour::{Follow, Followers};
use crate::scroll::Turn;
pub use operations::{Operations, derived_id};

/// Which part of the run an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before measuring.
    WarmUp,
    /// What the figures speak of.
    Measure,
}

impl Phase {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WarmUp => "warm_up",
            Self::Measure => "measure",
        }
    }
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To core.
    Deposit(Deposit),
    /// To a channel.
    Transfer(SubmitTransfer),
    /// A page of history, from a channel.
    Page(PageRead),
    /// The button, at a channel.
    Sync(Press),
}

/// A page of a session. Its cursor is known only once the page before was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRead {
    /// An id of its own, as every operation has; nobody is sent it.
    pub id: TransferId,
    /// Whose turn it is, in which session, at which page.
    pub turn: Turn,
}

/// A press of the button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// An id of its own, as every operation has; nobody is sent it.
    pub id: TransferId,
    /// Whose history is to be brought up to date.
    pub account: AccountNo,
}

/// One planned operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedOperation {
    /// Its number in the plan, from 0, in due order.
    pub op: u64,
    /// Which `[[load]]` it belongs to.
    pub load: u32,
    /// What is done.
    pub kind: Op,
    /// Which part of the run.
    pub phase: Phase,
    /// When it is due, from the start of the plan.
    pub due: Duration,
    /// The number of the first operation of the same intent: its own, but for the second click of a double click.
    pub intent: u64,
    /// How it follows another, where it does.
    pub follows: Option<Follow>,
    /// What is sent.
    pub request: Request,
    /// Also looked up through the history API once it is acknowledged.
    pub lookup: bool,
    /// The customer reads his history as soon as a channel has answered (A12).
    pub read_own: bool,
}

impl PlannedOperation {
    /// The transfer's id; of a read, one of its own.
    pub const fn id(&self) -> TransferId {
        match &self.request {
            Request::Deposit(deposit) => deposit.id,
            Request::Transfer(transfer) => transfer.id,
            Request::Page(page) => page.id,
            Request::Sync(press) => press.id,
        }
    }

    /// The customer's account: credited by a deposit, debited by a transfer, asked about by a read.
    pub const fn account(&self) -> AccountNo {
        match &self.request {
            Request::Deposit(deposit) => deposit.account,
            Request::Transfer(transfer) => transfer.from,
            Request::Page(page) => page.turn.account,
            Request::Sync(press) => press.account,
        }
    }

    /// The amount; of a read, none.
    pub const fn amount(&self) -> Won {
        match &self.request {
            Request::Deposit(deposit) => deposit.amount,
            Request::Transfer(transfer) => transfer.amount,
            Request::Page(_) | Request::Sync(_) => Won::ZERO,
        }
    }

    /// The hash that binds the id to its parameters; a read binds none.
    pub fn params_hash(&self) -> ParamsHash {
        match &self.request {
            Request::Deposit(deposit) => deposit.params_hash(),
            Request::Transfer(transfer) => transfer.params_hash(),
            Request::Page(_) | Request::Sync(_) => ParamsHash::TOMBSTONE,
        }
    }

    /// The customer who sends a transfer.
    pub const fn user(&self) -> Option<UserNo> {
        match &self.request {
            Request::Deposit(_) | Request::Page(_) | Request::Sync(_) => None,
            Request::Transfer(transfer) => Some(transfer.user),
        }
    }

    /// Whom a transfer goes to.
    pub const fn to(&self) -> Option<&Party> {
        match &self.request {
            Request::Deposit(_) | Request::Page(_) | Request::Sync(_) => None,
            Request::Transfer(transfer) => Some(&transfer.to),
        }
    }
}

/// How many operations are planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlannedCounts {
    /// Due in warm-up.
    pub warm_up: u64,
    /// Due in measure.
    pub measure: u64,
}

impl PlannedCounts {
    /// Both phases.
    pub const fn total(&self) -> u64 {
        self.warm_up + self.measure
    }

    const fn add(&mut self, phase: Phase) {
        match phase {
            Phase::WarmUp => self.warm_up += 1,
            Phase::Measure => self.measure += 1,
        }
    }
}

/// The plan of a scenario. It holds no operations: each pass makes them anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    scenario: Scenario,
}

impl Plan {
    /// The plan of `scenario`.
    pub fn new(scenario: &Scenario) -> Self {
        Self { scenario: scenario.clone() }
    }

    /// What was planned from.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Where measuring begins, from the start of the plan.
    pub fn measure_from(&self) -> Duration {
        self.scenario.phases.warm_up
    }

    /// Where the plan ends, from its start.
    pub fn end(&self) -> Duration {
        self.scenario.phases.warm_up + self.scenario.phases.measure
    }

    /// A pass over all operations, in due order.
    pub fn operations(&self) -> Operations {
        Operations::new(&self.scenario)
    }

    /// How many operations there are. It walks the due times alone.
    pub fn counts(&self) -> PlannedCounts {
        let Scenario { seed, phases, load, .. } = &self.scenario;
        let mut counts = PlannedCounts::default();
        for (index, load) in (0..).zip(load) {
            let arrivals = ArrivalStream::new(load, phases, *seed, index);
            let (mut followers, end) = (Followers::new(load, *seed, index), arrivals.end());
            for (due, phase) in arrivals {
                counts.add(phase);
                if let Some((_, then)) = followers.follow(due, end) {
                    counts.add(self.phase_at(then));
                }
            }
        }
        counts
    }

    /// The phase in which a moment of the plan lies.
    fn phase_at(&self, due: Duration) -> Phase {
        if due < self.measure_from() { Phase::WarmUp } else { Phase::Measure }
    }

    /// SHA-256 over every planned operation, hexadecimal: equal plans, equal digests.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(b"bankstorm/plan/1");
        for operation in self.operations() {
            hasher.update(operation.op.to_be_bytes());
            hasher.update(operation.load.to_be_bytes());
            hasher.update([operation.phase as u8, u8::from(operation.lookup) | u8::from(operation.read_own) << 1]);
            hasher.update((operation.due.as_nanos() as u64).to_be_bytes());
            hasher.update(operation.id().0.as_bytes());
            hasher.update(operation.params_hash().0);
            // A deposit is nobody's, and always the first of its intent.
            if let Some(user) = operation.user() {
                hasher.update(user.0.to_be_bytes());
                hasher.update(operation.intent.to_be_bytes());
            }
            // Reads have no parameters that are hashed.
            if operation.kind.is_read() {
                hasher.update(operation.account().get().to_be_bytes());
            }
            if let Request::Page(PageRead { turn, .. }) = &operation.request {
                hasher.update(turn.session.to_be_bytes());
                hasher.update(turn.scroller.to_be_bytes());
                hasher.update(turn.page_no.to_be_bytes());
            }
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
