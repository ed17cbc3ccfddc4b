//! A pass over the operations of a plan: the loads' arrivals merged with what follows them, each filled with what is sent.
//!
//! In: a scenario. Out: operations in due order. Elsewhere: what they are (`plan`), their randomness (`seeds`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use bankstorm_contracts::channel_api::SubmitTransfer;
use bankstorm_contracts::core_api::{Deposit, Party};
use bankstorm_contracts::{TransferId, Won};
use bankstorm_scenario::Scenario;
use bankstorm_scenario::resolved::{Accounts, Load, Op};
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;
use uuid::Builder;

use super::{PageRead, Phase, PlannedOperation, Press, Request};
use crate::arrivals::{Arrival, ArrivalStream};
use crate::behaviour::{Follow, Followers};
use crate::scroll::Scrollers;
use crate::seeds;
use crate::skew::AccountPicker;
use crate::users::{next_account, user_of};

/// 2026-01-01 in milliseconds since the epoch: planned ids carry this plus their due time, never the clock, so that plans repeat.
const ID_BASE_MS: u64 = 1_767_225_600_000;
/// Amounts are 1 to this many won; a power of two, so that an odd factor makes the first 16.7 million of a run differ.
const AMOUNTS: u64 = 1 << 24;
/// Banks that send deposits, and that transfers go to.
const BANKS: [&str; 6] = ["004", "011", "020", "081", "088", "090"];

/// A pass over the operations of a plan.
#[derive(Clone, Debug)]
pub struct Operations {
    seed: u64,
    accounts: Accounts,
    measure_from: Duration,
    next_op: u64,
    streams: Vec<LoadStream>,
    /// The next arrival of each load, the earliest first; equal due times go by load.
    heads: BinaryHeap<Reverse<(Arrival, u32)>>,
    /// What follows operations that were handed out, by when it is due and what it follows.
    followers: BTreeMap<(Duration, u64), Follower>,
}

#[derive(Clone, Debug)]
struct LoadStream {
    op: Op,
    arrivals: ArrivalStream,
    end: Duration,
    accounts: AccountPicker,
    receivers: AccountPicker,
    details: Xoshiro256PlusPlus,
    followers: Followers,
    lookup: f64,
    own: OwnReads,
    scrollers: Option<Scrollers>,
}

/// After which transfers the customer reads his history.
#[derive(Clone, Debug)]
struct OwnReads {
    share: f64,
    rng: Xoshiro256PlusPlus,
}

impl LoadStream {
    fn new(load: &Load, scenario: &Scenario, index: u32) -> Self {
        let Scenario { seed, phases, accounts, .. } = scenario;
        let arrivals = ArrivalStream::new(load, phases, *seed, index);
        Self {
            op: load.op,
            end: arrivals.end(),
            arrivals,
            accounts: AccountPicker::new(accounts, *seed, index),
            receivers: AccountPicker::receivers(accounts, *seed, index),
            details: seeds::stream(*seed, "details", index),
            followers: Followers::new(load, *seed, index),
            lookup: load.lookup,
            own: OwnReads { share: load.behaviour.read_own, rng: seeds::stream(*seed, "read_own", index) },
            scrollers: load.scroll.as_ref().map(Scrollers::new),
        }
    }

    /// Somebody at another bank.
    fn stranger(&mut self) -> Party {
        Party {
            bank: BANKS[self.details.random_range(0..BANKS.len())].to_owned(),
            account: format!("110-{:09}", self.details.random_range(0..1_000_000_000_u32)),
        }
    }
}

/// An operation that follows another.
#[derive(Clone, Debug)]
struct Follower {
    load: u32,
    follow: Follow,
    intent: u64,
    of: SubmitTransfer,
}

impl Operations {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut streams: Vec<LoadStream> =
            (0..).zip(&scenario.load).map(|(index, load)| LoadStream::new(load, scenario, index)).collect();
        let heads = (0..)
            .zip(&mut streams)
            .filter_map(|(index, stream)| stream.arrivals.next().map(|arrival| Reverse((arrival, index))))
            .collect();
        Self {
            seed: scenario.seed,
            accounts: scenario.accounts.clone(),
            measure_from: scenario.phases.warm_up,
            next_op: 0,
            streams,
            heads,
            followers: BTreeMap::new(),
        }
    }

    /// The follower that is due before every arrival.
    fn due_follower(&mut self) -> Option<(Duration, Follower)> {
        let first = self.followers.first_entry()?;
        let (due, _) = *first.key();
        let is_first = self.heads.peek().is_none_or(|Reverse(((arrival, _), _))| due < *arrival);
        is_first.then(|| (due, first.remove()))
    }

    fn following(&self, op: u64, due: Duration, follower: Follower) -> PlannedOperation {
        let Follower { load, follow, intent, of } = follower;
        let (intent, transfer) = match follow {
            Follow::DoubleClick => (intent, SubmitTransfer { id: planned_id(self.seed, op, due), ..of }),
            Follow::ReuseKey => (op, SubmitTransfer { amount: amount(self.seed, op), ..of }),
            Follow::TwoDevices => (op, self.second_device(op, due, of)),
        };
        PlannedOperation {
            op,
            load,
            kind: self.streams[load as usize].op,
            phase: if due < self.measure_from { Phase::WarmUp } else { Phase::Measure },
            due,
            intent,
            follows: Some(follow),
            request: Request::Transfer(transfer),
            lookup: false,
            read_own: false,
        }
    }

    /// From the customer's next account, of another amount. To himself he sends nothing: then it goes to the account that pays already.
    fn second_device(&self, op: u64, due: Duration, of: SubmitTransfer) -> SubmitTransfer {
        let from = next_account(&self.accounts, of.from);
        let to = if of.to == Party::own(from) { Party::own(of.from) } else { of.to };
        SubmitTransfer { id: planned_id(self.seed, op, due), from, to, amount: amount(self.seed, op), user: of.user }
    }

    fn request(&mut self, op: u64, due: Duration, load: u32) -> (Request, bool) {
        let (id, amount) = (planned_id(self.seed, op, due), amount(self.seed, op));
        let stream = &mut self.streams[load as usize];
        let (request, lookup) = match stream.op {
            Op::Deposit => {
                let from = stream.stranger();
                let lookup = stream.details.random::<f64>() < stream.lookup;
                (Request::Deposit(Deposit { id, account: stream.accounts.pick(), amount, from }), lookup)
            }
            Op::Scroll => {
                let scrollers = stream.scrollers.as_mut().expect("resolved with a load that scrolls");
                (Request::Page(PageRead { id, turn: scrollers.turn(op, &mut stream.accounts) }), false)
            }
            Op::Sync => (Request::Sync(Press { id, account: stream.accounts.pick() }), false),
            kind @ (Op::Transfer | Op::Outbound) => {
                let from = stream.accounts.pick();
                let to = if kind == Op::Outbound {
                    stream.stranger()
                } else {
                    Party::own(stream.receivers.pick_besides(from))
                };
                let lookup = stream.details.random::<f64>() < stream.lookup;
                let user = user_of(&self.accounts, from);
                (Request::Transfer(SubmitTransfer { id, user, from, to, amount }), lookup)
            }
        };
        (request, lookup)
    }

    /// Notes what follows a transfer, if anything does.
    fn note_follower(&mut self, op: u64, due: Duration, load: u32, request: &Request) {
        let Request::Transfer(transfer) = request else { return };
        let stream = &mut self.streams[load as usize];
        if let Some((follow, then)) = stream.followers.follow(due, stream.end) {
            self.followers.insert((then, op), Follower { load, follow, intent: op, of: transfer.clone() });
        }
    }
}

impl Iterator for Operations {
    type Item = PlannedOperation;

    fn next(&mut self) -> Option<PlannedOperation> {
        let op = self.next_op;
        if let Some((due, follower)) = self.due_follower() {
            self.next_op += 1;
            return Some(self.following(op, due, follower));
        }
        let Reverse(((due, phase), load)) = self.heads.pop()?;
        self.next_op += 1;
        let stream = &mut self.streams[load as usize];
        let kind = stream.op;
        if let Some(arrival) = stream.arrivals.next() {
            self.heads.push(Reverse((arrival, load)));
        }
        let (request, lookup) = self.request(op, due, load);
        self.note_follower(op, due, load, &request);
        let own = &mut self.streams[load as usize].own;
        let read_own = kind.is_transfer() && own.rng.random::<f64>() < own.share;
        Some(PlannedOperation { op, load, kind, phase, due, intent: op, follows: None, request, lookup, read_own })
    }
}

/// The id of operation `op`.
fn planned_id(seed: u64, op: u64, due: Duration) -> TransferId {
    let id_ms = ID_BASE_MS + u64::try_from(due.as_millis()).expect("resolved phases are hours, not ages");
    TransferId(Builder::from_unix_timestamp_millis(id_ms, &seeds::id_bytes(seed, op)).into_uuid())
}

/// The id under which a customer sends `transfer` again: the same whenever he does.
pub fn derived_id(transfer: TransferId) -> TransferId {
    let (high, low) = transfer.0.as_u64_pair();
    let bytes = seeds::id_bytes(high, low);
    let (seconds, nanos) = transfer.0.get_timestamp().map_or((0, 0), |stamp| stamp.to_unix());
    TransferId(Builder::from_unix_timestamp_millis(seconds * 1_000 + u64::from(nanos / 1_000_000), &bytes).into_uuid())
}

/// An amount of its own for each of the first 16.7 million operations, so that an effect in the books tells which operation it is of.
fn amount(seed: u64, op: u64) -> Won {
    let scattered = op.wrapping_mul(0x009e_3779_b97f_4a7d).wrapping_add(seeds::mix(seed)) % AMOUNTS;
    Won::new(1 + i64::try_from(scattered).expect("below 2^24"))
}
