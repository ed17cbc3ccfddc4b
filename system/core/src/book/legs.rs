//! Legs as they are written: a customer's with serial, balance and an event, an internal one with none of them (D40).
//!
//! In: what was booked. Out: rows. Elsewhere: which legs make a posting (`deposit`, `transfer`, `outbound`).

use bankstorm_contracts::{AccountNo, EntryKind, Head, Leg, TransferId, WallMicros, Won};
use bankstorm_outside::core_store::Writes;

/// What the legs of one posting share.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    pub(super) transfer: TransferId,
    pub(super) posted_at: WallMicros,
}

/// The leg that gave a customer's account this head, and its event.
pub(super) fn customer(stamp: Stamp, kind: EntryKind, amount: Won, head: Head, writes: &mut Writes) {
    let leg = Leg {
        transfer: stamp.transfer,
        account: head.account,
        seq: Some(head.seq),
        amount,
        balance_after: Some(head.balance),
        kind,
        posted_at: stamp.posted_at,
    };
    writes.outbox.extend(leg.entry());
    writes.legs.push(leg);
}

/// The settlement account's leg: the side of the other banks.
pub(super) fn settlement(stamp: Stamp, kind: EntryKind, amount: Won, writes: &mut Writes) {
    writes.legs.push(Leg {
        transfer: stamp.transfer,
        account: AccountNo::SETTLEMENT,
        seq: None,
        amount,
        balance_after: None,
        kind,
        posted_at: stamp.posted_at,
    });
}
