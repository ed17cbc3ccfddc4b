//! Drawn worlds with more of what shows one protection missing.
//!
//! In: a seed, whose protection. Out: [`Stage`], a drawn plan that operations and faults are added to. Elsewhere: which ones (`ablate::rows`).

use crate::draw::{Dice, draw};
use crate::plan::{Action, Again, Deadline, Fault, Guard, Kind, NotStarted, Operation, Payment, Plan, Trigger};

/// Accounts of a plan, at least.
const ACCOUNTS: u32 = 12;
/// What every account is opened with, in won.
const OPENING_WON: i64 = 1_000_000;
/// The customers that are added are numbered from here on, each with one payment, so that none stands in another one's way.
const FIRST_USER: u32 = 100_000;

/// A plan in the making.
pub(super) struct Stage {
    pub(super) dice: Dice,
    pub(super) plan: Plan,
    next_op: u64,
}

impl Stage {
    /// The world of a seed, with some accounts that have some money, and two channels at least.
    pub(super) fn new(seed: u64, protection: &str) -> Self {
        let salt = protection.bytes().fold(0u64, |salt, byte| (salt << 8) | u64::from(byte));
        let mut plan = draw(seed);
        let topology = &mut plan.topology;
        topology.accounts = topology.accounts.max(ACCOUNTS);
        topology.channels = topology.channels.max(2);
        topology.connections = topology.connections.max(13);
        topology.opening_won = OPENING_WON;
        topology.tight_limits = false;
        topology.transfers.statuses.clear();
        topology.transfers.guard = Guard::User;
        topology.transfers.not_started = NotStarted::Fenced;
        // Rows set clocks, and where core compares two of them that alone makes findings.
        topology.transfers.deadline = Deadline::Relative;
        let next_op = plan.operations.len() as u64;
        Self { dice: Dice::new(seed ^ (salt << 32)), plan, next_op }
    }

    /// The plan, its operations in order of their times.
    pub(super) fn plan(mut self) -> Plan {
        self.plan.operations.sort_by_key(|operation| (operation.at_ms, operation.op));
        self.plan
    }

    /// Without what was drawn to happen.
    pub(super) fn alone(&mut self) {
        self.plan.operations.clear();
        self.plan.faults.clear();
    }

    /// A moment that leaves things time to happen before everything is healed.
    pub(super) fn moment(&mut self) -> u64 {
        self.dice.between(200, self.plan.topology.load_ms - 8_000)
    }

    /// One of the channels.
    pub(super) fn channel(&mut self) -> u32 {
        let channel = self.dice.below(u64::from(self.plan.topology.channels));
        u32::try_from(channel).expect("channels are few")
    }

    /// All channels' names.
    pub(super) fn channels(&self) -> Vec<String> {
        (0..self.plan.topology.channels).map(|channel| format!("channel-{channel}")).collect()
    }

    /// A deposit, tried three times more.
    pub(super) fn deposit(&mut self, at_ms: u64, account: u32, again: Option<Again>) {
        let won = self.won();
        self.operate(at_ms, account, Action::Deposit { won, patience_ms: 1_000, retries: 3, again });
    }

    /// A transfer inside the bank, by a customer of its own who waits a while, and then looks five times; `change` makes it another one.
    pub(super) fn transfer(&mut self, at_ms: u64, from: u32, to: u32, change: impl FnOnce(&mut Payment)) {
        let pay = self.payment(change);
        self.operate(at_ms, from, Action::Transfer { to, pay });
    }

    /// A transfer to another bank, likewise.
    pub(super) fn outbound(&mut self, at_ms: u64, from: u32) {
        let pay = self.payment(|_| {});
        self.operate(at_ms, from, Action::Outbound { pay });
    }

    fn payment(&mut self, change: impl FnOnce(&mut Payment)) -> Payment {
        let (again, elsewhere, resubmit) = (None, None, false);
        let user = FIRST_USER + u32::try_from(self.next_op).expect("operations are few");
        let (won, channel, patience_ms) = (self.won(), self.channel(), 3_000);
        let mut pay =
            Payment { user, won, channel, patience_ms, retries: 0, elsewhere, again, resubmit, reads: 5, looks: 0 };
        change(&mut pay);
        pay
    }

    fn won(&mut self) -> i64 {
        i64::try_from(self.dice.between(1, 1_000)).expect("a small amount")
    }

    /// Anything.
    pub(super) fn operate(&mut self, at_ms: u64, account: u32, action: Action) {
        let op = self.next_op;
        self.next_op += 1;
        self.plan.operations.push(Operation { op, at_ms, account, action });
    }

    /// A fault of an nth call.
    pub(super) fn nth(&mut self, kind: Kind, place: &str, nth: u64, lasts_ms: u64) {
        let lasts_ms = if kind.needs().lasts { lasts_ms } else { 0 };
        self.plan.faults.push(Fault { kind, place: place.to_owned(), trigger: Trigger::Nth(nth), lasts_ms, amount: 0 });
    }

    /// A fault of a moment.
    pub(super) fn at(&mut self, kind: Kind, place: &str, at_ms: u64, lasts_ms: u64, amount: i64) {
        let trigger = Trigger::AtMs(at_ms);
        self.plan.faults.push(Fault { kind, place: place.to_owned(), trigger, lasts_ms, amount });
    }
}
