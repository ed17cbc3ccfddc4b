//! What goes wrong at the log, call by call.
//!
//! In: a record's value. Out: the kinds of fault, and the damaged value. Elsewhere: when they strike (`Hook`), what they do to the
//! caller (`producer`, `consumer`).

use std::time::Duration;

use bankstorm_contracts::{Won, event};

/// What happens to a record on its way into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProduceFault {
    /// It is not appended, and the producer is of no use afterwards.
    Before,
    /// It is appended, the acknowledgement is lost, and the producer is of no use afterwards.
    After,
    /// It is acknowledged and not appended. No log that keeps its promises does this: it is there to be caught.
    Swallowed,
    /// It, and what follows it on that producer, takes so long. It is appended then, whether anybody still waits or not.
    Stalled(Duration),
}

/// What happens to an offset commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetCommitFault {
    /// The broker says no; nothing is committed.
    Refused,
    /// It happens at once and is answered so much later; after [`super::COMMIT_WAIT`] the client waits no longer and fails.
    Late(Duration),
}

/// What happens to a record after it was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// No consumer ever sees it.
    Lost,
    /// Consumers see a damaged value.
    Damaged(Damage),
    /// It lies there twice, and consumers see both: what a producer without idempotence leaves that sent it again.
    Doubled,
}

impl RecordFault {
    /// The damage of a plan's number: 0 unreadable, anything else a wrong balance.
    pub fn damaged(number: i64) -> Self {
        Self::Damaged(if number == 0 { Damage::Unreadable } else { Damage::WrongBalance })
    }
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It cannot be read at all.
    Unreadable,
    /// It is an entry with another balance; unreadable, when it was no entry.
    WrongBalance,
}

impl Damage {
    /// The value as consumers see it.
    pub(super) fn of(self, value: &[u8]) -> Vec<u8> {
        if self == Self::WrongBalance
            && let Ok(mut entry) = event::decode(value)
        {
            entry.balance_after = Won::new(entry.balance_after.get().wrapping_add(1));
            return event::encode(&entry);
        }
        // The first half is no JSON whatever the whole was, and looks like what a torn write leaves.
        let mut half = value[..value.len() / 2].to_vec();
        half.push(0xff);
        half
    }
}
