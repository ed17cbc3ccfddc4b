//! The plan: every operation of a run, generated lazily and always the same for the same scenario.
//!
//! In: a resolved scenario. Out: [`PlannedOperation`]s in due order, their count and digest. Elsewhere: due times (`arrivals`), accounts
//! (`skew`), sending (`load`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bankstorm_contracts::core_api::{Deposit, Party};
use bankstorm_contracts::{TransferId, Won};
use bankstorm_scenario::Scenario;
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;
use sha2::{Digest, Sha256};
use uuid::Builder;

use crate::arrivals::{Arrival, ArrivalStream};
use crate::seeds;
use crate::skew::AccountPicker;

/// 2026-01-01 in milliseconds since the epoch: planned ids carry this plus their due time, never the clock, so that plans repeat.
const ID_BASE_MS: u64 = 1_767_225_600_000;
/// Amounts are 1 to this many won; a power of two, so that an odd factor makes the first 16.7 million of a run differ.
const AMOUNTS: u64 = 1 << 24;
/// Banks that send deposits.
const BANKS: [&str; 6] = ["004", "011", "020", "081", "088", "090"];

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

/// One planned operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedOperation {
    /// Its number in the plan, from 0, in due order.
    pub op: u64,
    /// Which `[[load]]` it belongs to.
    pub load: u32,
    /// Which part of the run.
    pub phase: Phase,
    /// When it is due, from the start of the plan.
    pub due: Duration,
    /// What is sent.
    pub deposit: Deposit,
    /// Also looked up through the history API once it is acknowledged.
    pub lookup: bool,
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
        let mut counts = PlannedCounts::default();
        for (index, load) in (0..).zip(&self.scenario.load) {
            for (_, phase) in ArrivalStream::new(load, &self.scenario.phases, self.scenario.seed, index) {
                match phase {
                    Phase::WarmUp => counts.warm_up += 1,
                    Phase::Measure => counts.measure += 1,
                }
            }
        }
        counts
    }

    /// SHA-256 over every planned operation, hexadecimal: equal plans, equal digests.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(b"bankstorm/plan/1");
        for operation in self.operations() {
            hasher.update(operation.op.to_be_bytes());
            hasher.update(operation.load.to_be_bytes());
            hasher.update([operation.phase as u8, u8::from(operation.lookup)]);
            hasher.update((operation.due.as_nanos() as u64).to_be_bytes());
            hasher.update(operation.deposit.id.0.as_bytes());
            hasher.update(operation.deposit.params_hash().0);
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A pass over the operations of a plan.
#[derive(Clone, Debug)]
pub struct Operations {
    seed: u64,
    next_op: u64,
    streams: Vec<LoadStream>,
    /// The next arrival of each load, the earliest first; equal due times go by load.
    heads: BinaryHeap<Reverse<(Arrival, u32)>>,
}

#[derive(Clone, Debug)]
struct LoadStream {
    arrivals: ArrivalStream,
    accounts: AccountPicker,
    details: Xoshiro256PlusPlus,
    lookup: f64,
}

impl Operations {
    fn new(scenario: &Scenario) -> Self {
        let mut streams: Vec<LoadStream> = (0..)
            .zip(&scenario.load)
            .map(|(index, load)| LoadStream {
                arrivals: ArrivalStream::new(load, &scenario.phases, scenario.seed, index),
                accounts: AccountPicker::new(&scenario.accounts, scenario.seed, index),
                details: seeds::stream(scenario.seed, "details", index),
                lookup: load.lookup,
            })
            .collect();
        let heads = (0..)
            .zip(&mut streams)
            .filter_map(|(index, stream)| stream.arrivals.next().map(|arrival| Reverse((arrival, index))))
            .collect();
        Self { seed: scenario.seed, next_op: 0, streams, heads }
    }
}

impl Iterator for Operations {
    type Item = PlannedOperation;

    fn next(&mut self) -> Option<PlannedOperation> {
        let Reverse(((due, phase), load)) = self.heads.pop()?;
        let op = self.next_op;
        self.next_op += 1;
        let stream = &mut self.streams[load as usize];
        if let Some(arrival) = stream.arrivals.next() {
            self.heads.push(Reverse((arrival, load)));
        }
        let from = Party {
            bank: BANKS[stream.details.random_range(0..BANKS.len())].to_owned(),
            account: format!("110-{:09}", stream.details.random_range(0..1_000_000_000_u32)),
        };
        let lookup = stream.details.random::<f64>() < stream.lookup;
        let id_ms = ID_BASE_MS + u64::try_from(due.as_millis()).expect("resolved phases are hours, not ages");
        let id = Builder::from_unix_timestamp_millis(id_ms, &seeds::id_bytes(self.seed, op)).into_uuid();
        let deposit =
            Deposit { id: TransferId(id), account: stream.accounts.pick(), amount: amount(self.seed, op), from };
        Some(PlannedOperation { op, load, phase, due, deposit, lookup })
    }
}

/// An amount of its own for each of the first 16.7 million operations, so that an effect in the books tells which operation it is of.
fn amount(seed: u64, op: u64) -> Won {
    let scattered = op.wrapping_mul(0x009e_3779_b97f_4a7d).wrapping_add(seeds::mix(seed)) % AMOUNTS;
    Won::new(1 + i64::try_from(scattered).expect("below 2^24"))
}

#[cfg(test)]
pub(crate) mod tests;
