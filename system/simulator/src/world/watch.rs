//! What stands while load runs: for tests of what must hold in the middle of a fault, not only at the end.
//!
//! In: a running bank, a pace. Out: [`Watched`]: the books at equal distances, and what customers were told. Elsewhere: what must hold at the
//! end (`check`), who did what when (`trace`).
//!
//! A look takes no time and draws nothing. Payments and deposits are named by their operation's number in the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_contracts::TransferId;
use bankstorm_outside::core_store::HoldEnd;
use tokio::time::{Instant, sleep_until};

use super::bank::{Bank, account};
use super::ledger::Ledger;
use crate::model::core_store::HoldRow;

/// What was seen of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The books while load ran, in order of time; none where nobody asked for them.
    pub looks: Vec<Look>,
    /// What the sender of each operation was told, at the end of load.
    pub told: BTreeMap<u64, Told>,
}

/// The books at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Since load began.
    pub at: Duration,
    /// Customers' accounts, in the order of the plan's numbers.
    pub accounts: Vec<Funds>,
    /// Every hold that there ever was, by its payment.
    pub holds: BTreeMap<u64, HoldSeen>,
    /// Payments that are open in the channels.
    pub open: BTreeSet<u64>,
}

/// One account's money, in won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funds {
    /// As its row says.
    pub balance: i64,
    /// As its entries add up.
    pub booked: i64,
    /// What is kept back, as its row says.
    pub held: i64,
}

/// One hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldSeen {
    /// The account that pays, by its number in the plan.
    pub account: u32,
    /// How much, in won.
    pub won: i64,
    /// How it ended; absent while it is open.
    pub end: Option<HoldEnd>,
}

/// What the sender of an operation was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The first outcome's word; absent while he waits.
    pub outcome: Option<String>,
    /// How long after he had sent it first.
    pub after: Duration,
}

/// Looks that go on until load ends.
pub(super) struct Watch {
    bank: Arc<Bank>,
    begun: Instant,
    looks: Mutex<Vec<Look>>,
}

impl Watch {
    pub(super) fn new(bank: Arc<Bank>, begun: Instant) -> Arc<Self> {
        Arc::new(Self { bank, begun, looks: Mutex::default() })
    }

    /// Looks every so often, until `until`.
    pub(super) async fn run(self: Arc<Self>, every: Duration, until: Instant) {
        let mut next = self.begun;
        while next < until {
            sleep_until(next).await;
            let look = self.look();
            self.looks.lock().unwrap_or_else(PoisonError::into_inner).push(look);
            next += every.max(Duration::from_millis(1));
        }
    }

    /// All that was seen.
    pub(super) fn watched(&self, ledger: &Ledger) -> Watched {
        let looks = std::mem::take(&mut *self.looks.lock().unwrap_or_else(PoisonError::into_inner));
        Watched { looks, told: ledger.told() }
    }

    fn look(&self) -> Look {
        let Self { bank, begun, .. } = self;
        let open = bank.channel_store.with(|copy| copy.open.iter().map(|id| number(*id)).collect());
        let first = account(0).get();
        bank.core_store.with(|core| {
            let booked = core.legs.iter().fold(BTreeMap::new(), |mut booked, leg| {
                *booked.entry(leg.account).or_insert(0) += leg.amount.get();
                booked
            });
            let funds = |index| {
                let account = account(index);
                Funds {
                    balance: core.heads.get(&account).map_or(0, |head| head.balance.get()),
                    booked: booked.get(&account).copied().unwrap_or(0),
                    held: core.held.get(&account).map_or(0, |held| held.get()),
                }
            };
            let hold = |(id, row): (&TransferId, &HoldRow)| {
                let account = u32::try_from(row.hold.account.get() - first).unwrap_or(u32::MAX);
                let end = row.ended.map(|ended| ended.end);
                (number(*id), HoldSeen { account, won: row.hold.amount.get(), end })
            };
            Look {
                at: begun.elapsed(),
                accounts: (0..bank.topology.accounts).map(funds).collect(),
                holds: core.holds.iter().map(hold).collect(),
                open,
            }
        })
    }
}

/// The number of the operation that an id was made for.
fn number(id: TransferId) -> u64 {
    id.0.as_u64_pair().1
}
