//! Core's protections: each one a named strategy, taken at one decision point.
//!
//! In: nothing. Out: [`Protections`]. Elsewhere: what happens at the points (the functions named here).
//!
//! A weaker variant is another arm of its enum and another program of steps at its point, never a switch inside a store.

/// What protects the money. The defaults are the safe ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protections {
    /// P1, P2: how an id is kept from posting twice.
    pub key: KeyClaim,
    /// P3: what an id is bound to.
    pub binding: Binding,
    /// P4, P5: when a transfer's validity is judged.
    pub deadline_check: DeadlineCheck,
    /// P6: how `resolve` asks.
    pub fence: Fence,
    /// P25: what keeps two postings from the same balance.
    pub account_lock: AccountLock,
    /// P26: in which order one transaction waits for two accounts.
    pub lock_order: LockOrder,
    /// P32: when a hold is given back.
    pub voiding: Voiding,
}

/// P1, P2. Decided in `posting::steps::claim_and_lock`: the weaker ones claim nothing, or commit the claim by itself before (or after) the
/// booking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyClaim {
    /// The id is claimed under a unique key, in the transaction that books.
    #[default]
    InTheBooking,
}

/// P3. Decided in `book::stood`: the weaker one answers whatever stands under the id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// To the hash of the first request's parameters.
    #[default]
    ParamsHash,
}

/// P4, P5. Decided in `posting::steps::expired`: the weaker ones judge at arrival, or never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadlineCheck {
    /// In the booking transaction, once the rows are locked.
    #[default]
    UnderTheLock,
}

/// P6. Decided in `fence::resolve`: the weaker one reads, and answers "not received" without leaving anything that a late request meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fence {
    /// By an insert that stays as a tombstone.
    #[default]
    Tombstone,
}

/// P25. Decided in `posting::steps::claim_and_lock` and `outbound::settle`: the weaker one reads heads without locking their rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountLock {
    /// The account's row lock.
    #[default]
    Row,
}

/// P26. Decided in `posting::steps::lock_alone`: the weaker one waits for the paying account first, whatever its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockOrder {
    /// In account order, whoever pays.
    #[default]
    ByAccount,
}

/// P32. Decided in `outbound::ask::next_question`: the weaker one voids as soon as the hold has expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Voiding {
    /// On the other bank's definite no, to the credit or to the cancel that expiry sends (D39).
    #[default]
    DefiniteNo,
}
