//! What is asked for, with the hash that binds its id.
//!
//! In: requests that were found valid. Out: [`Order`]s, their claims, the accounts they touch. Elsewhere: limits of fields (`contracts`).

use bankstorm_contracts::core_api::{Deposit, Destination, Transfer};
use bankstorm_contracts::{AccountNo, ParamsHash, TransferId, TransferKind, WallMicros};
use bankstorm_outside::core_store::{Claim, OpenHold, Promise};

/// A request for a posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is to be posted.
    pub what: What,
    /// Its parameters' hash.
    pub hash: ParamsHash,
}

/// What is to be posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Money from another bank.
    Deposit(Deposit),
    /// Money for another account of this bank.
    Transfer {
        /// The request.
        transfer: Transfer,
        /// Whom it goes to.
        to: AccountNo,
    },
    /// Money for an account at another bank.
    Outbound(Transfer),
}

/// One or two customers' accounts, in the order in which they are waited for: account order, as long as P26 is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OneOrTwo {
    first: AccountNo,
    second: Option<AccountNo>,
}

impl OneOrTwo {
    /// One.
    pub const fn one(account: AccountNo) -> Self {
        Self { first: account, second: None }
    }

    /// Two, whichever comes first.
    pub fn two(one: AccountNo, other: AccountNo) -> Self {
        Self { first: one.min(other), second: Some(one.max(other)) }
    }

    /// Two, in this order (P26 off).
    pub const fn in_turn(first: AccountNo, second: AccountNo) -> Self {
        Self { first, second: Some(second) }
    }

    /// Them.
    pub fn iter(self) -> impl Iterator<Item = AccountNo> {
        std::iter::once(self.first).chain(self.second)
    }

    /// Whether this is one of them.
    pub fn contains(self, account: AccountNo) -> bool {
        self.iter().any(|one| one == account)
    }
}

impl Order {
    /// A deposit.
    pub fn deposit(deposit: Deposit) -> Self {
        let hash = deposit.params_hash();
        Self { what: What::Deposit(deposit), hash }
    }

    /// A transfer to where [`Transfer::validate`] says it goes.
    pub fn transfer(transfer: Transfer, destination: Destination) -> Self {
        let hash = transfer.params_hash();
        let what = match destination {
            Destination::Own(to) => What::Transfer { transfer, to },
            Destination::Other(_) => What::Outbound(transfer),
        };
        Self { what, hash }
    }

    /// Its id.
    pub const fn id(&self) -> TransferId {
        match &self.what {
            What::Deposit(deposit) => deposit.id,
            What::Transfer { transfer, .. } | What::Outbound(transfer) => transfer.id,
        }
    }

    /// What its id stands for.
    pub const fn kind(&self) -> TransferKind {
        match &self.what {
            What::Deposit(_) => TransferKind::Deposit,
            What::Transfer { .. } => TransferKind::Transfer,
            What::Outbound(_) => TransferKind::Outbound,
        }
    }

    /// The accounts whose rows it needs.
    pub fn touched(&self) -> OneOrTwo {
        match &self.what {
            What::Deposit(deposit) => OneOrTwo::one(deposit.account),
            What::Transfer { transfer, to } => OneOrTwo::two(transfer.from, *to),
            What::Outbound(transfer) => OneOrTwo::one(transfer.from),
        }
    }

    /// The same, whoever pays first (P26 off).
    pub fn payer_first(&self) -> OneOrTwo {
        match &self.what {
            What::Transfer { transfer, to } => OneOrTwo::in_turn(transfer.from, *to),
            What::Deposit(_) | What::Outbound(_) => self.touched(),
        }
    }

    /// What its caller promised about time; deposits promise nothing, and never expire.
    pub const fn promise(&self) -> Option<Promise> {
        match &self.what {
            What::Deposit(_) => None,
            What::Transfer { transfer, .. } | What::Outbound(transfer) => {
                Some(Promise { requested_at: transfer.requested_at, valid_for_ms: transfer.valid_for_ms })
            }
        }
    }

    /// The claim that stands for it.
    pub fn claim(&self) -> Claim {
        match &self.what {
            What::Deposit(deposit) => Claim::deposit(deposit, self.hash),
            What::Transfer { transfer, .. } | What::Outbound(transfer) => {
                Claim::transfer(transfer, self.kind(), self.hash)
            }
        }
    }

    /// The hold that it has once its money is held; `None` for what goes to no other bank.
    pub fn open_hold(&self, placed_at: WallMicros) -> Option<OpenHold> {
        match &self.what {
            What::Deposit(_) | What::Transfer { .. } => None,
            What::Outbound(transfer) => Some(OpenHold {
                transfer: transfer.id,
                account: transfer.from,
                amount: transfer.amount,
                party: transfer.to.clone(),
                placed_at,
            }),
        }
    }
}
