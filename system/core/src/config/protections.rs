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
    /// P9, P10: where the records of a booking wait for the log.
    pub outbox: Outbox,
    /// P11: which rows the relay reads next.
    pub relay_scan: RelayScan,
    /// P12: under which key records go to the log.
    pub record_key: RecordKey,
}

/// P1, P2. Decided in `posting::booking`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyClaim {
    /// The id is claimed under a unique key, in the transaction that books.
    #[default]
    InTheBooking,
    /// P1 off: an id that stands keeps nobody from posting it once more. The repetition claims a key of its own, and its legs have the
    /// sender's id. Transfers to other banks keep their id, which is the other bank's key as well.
    None,
    /// P2 off: the id is claimed in a transaction that commits before the one that books.
    BeforeTheBooking,
    /// P2 off, second arm: the booking commits, and then the id is claimed in a transaction of its own.
    AfterTheBooking,
}

/// P3. Decided in `book::stood`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// To the hash of the first request's parameters.
    #[default]
    ParamsHash,
    /// P3 off: to nothing. Whatever stands under the id is the answer.
    IdAlone,
}

/// P4, P5. Decided in `posting::steps::meet`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadlineCheck {
    /// In the booking transaction, once the rows are locked.
    #[default]
    UnderTheLock,
    /// P5 off: when a batch takes the request up, before anything is claimed or locked, and never again.
    AtArrival,
    /// P4 off: not at all.
    Never,
}

/// P6. Decided in `fence::resolve`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fence {
    /// By an insert that stays as a tombstone.
    #[default]
    Tombstone,
    /// P6 off: by a plain read, which leaves nothing that a late request would meet.
    PlainRead,
}

/// P25. Decided in `posting::steps::lock` and `outbound::settle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountLock {
    /// The account's row lock.
    #[default]
    Row,
    /// P25 off: rows are read without a lock, and written all the same.
    None,
}

/// P26. Decided in `posting::steps::lock_alone` and `posting::alone::needs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockOrder {
    /// In account order, whoever pays.
    #[default]
    ByAccount,
    /// P26 off: the paying account first, whatever its number, and for as long as anything may wait (`queue_wait`).
    PayerFirst,
}

/// P32. Decided in `outbound::ask::next_question`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Voiding {
    /// On the other bank's definite no, to the credit or to the cancel that expiry sends (D39).
    #[default]
    DefiniteNo,
    /// P32 off: as soon as the hold has expired, whatever the other bank did.
    OnExpiry,
}

/// P9, P10. Decided in `publishing`, `before`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outbox {
    /// As outbox rows, written in the transaction that books.
    #[default]
    InTheBooking,
    /// P9 off: in this process's memory, from the commit's answer on. What is not acknowledged at a kill is gone, and so is what was booked by
    /// a commit that nobody answered. Rows that stand in the outbox stay there.
    DirectProduce,
    /// P10 off: nowhere. They are produced, and acknowledged, before the commit, which may then fail.
    ProduceBeforeCommit,
}

/// P11. Decided in `publishing`, `next`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayScan {
    /// Those that are not marked sent, whatever their ids.
    #[default]
    UnsentRows,
    /// P11 off: those above the highest id that this process has published. Ids are drawn when rows are written and seen once they are
    /// committed: whoever commits late is below it, and is left behind until the next start.
    IdWatermark,
}

/// P12. Decided in `publishing`, `record`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordKey {
    /// The account's number: its entries share a partition, and keep their order there.
    #[default]
    Account,
    /// P12 off: another one for each record, made of its transfer and serial, so that they spread over the partitions. The same record sent
    /// again has the same one.
    Random,
}
