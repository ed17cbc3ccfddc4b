//! The record on topic `core.entries`: key = account number as decimal text, value = JSON with a schema number.
//!
//! In: an [`Entry`] or bytes. Out: bytes or an [`Entry`]. Elsewhere: partitions, offsets and delivery (`outside::log`).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::AccountNo;
use crate::entry::Entry;

/// The topic of customers' entries.
pub const ENTRIES_TOPIC: &str = "core.entries";
/// The topic of records that could not be applied.
pub const DEAD_LETTERS_TOPIC: &str = "core.entries.dlt";
/// The schema number that this build writes, and the only one that it reads.
pub const SCHEMA: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Wire<T> {
    schema: u32,
    #[serde(flatten)]
    entry: T,
}

/// Why a record's value was not understood.
#[derive(Debug, Error)]
pub enum CodecError {
    /// Not JSON, or a field is absent or of the wrong type.
    #[error("not an entry event: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A schema number that this build does not read.
    #[error("schema {found}, and only schema {SCHEMA} is read")]
    Schema {
        /// The number found.
        found: u32,
    },
}

/// The key of an entry's record: every entry of an account goes to one partition.
pub fn key(account: AccountNo) -> Vec<u8> {
    account.get().to_string().into_bytes()
}

/// The value of an entry's record.
pub fn encode(entry: &Entry) -> Vec<u8> {
    serde_json::to_vec(&Wire { schema: SCHEMA, entry }).expect("an entry has no map keys that JSON lacks")
}

/// Reads a record's value. Unknown fields are ignored: an older reader must survive a newer writer.
pub fn decode(value: &[u8]) -> Result<Entry, CodecError> {
    let wire: Wire<Entry> = serde_json::from_slice(value)?;
    if wire.schema == SCHEMA { Ok(wire.entry) } else { Err(CodecError::Schema { found: wire.schema }) }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{CodecError, decode, encode};
    use crate::{AccountNo, Entry, EntryKind, TransferId, WallMicros, Won};

    fn entry() -> Entry {
        Entry {
            account: AccountNo::new(1_000_001),
            seq: 4,
            amount: Won::new(500),
            balance_after: Won::new(1_500),
            transfer: TransferId(Uuid::from_u128(7)),
            kind: EntryKind::Deposit,
            posted_at: WallMicros(1_700_000_000_000_000),
        }
    }

    #[test]
    fn bytes_are_pinned_because_old_records_stay_on_topics() {
        let text = String::from_utf8(encode(&entry())).expect("JSON is text");
        assert_eq!(
            text,
            r#"{"schema":1,"account":1000001,"seq":4,"amount":500,"balance_after":1500,"transfer":"00000000-0000-0000-0000-000000000007","kind":"deposit","posted_at":1700000000000000}"#
        );
        assert_eq!(decode(text.as_bytes()).expect("own bytes"), entry());
    }

    #[test]
    fn another_schema_is_refused_and_unknown_fields_are_not() {
        let text = String::from_utf8(encode(&entry())).expect("JSON is text");
        let newer = text.replace(r#""schema":1"#, r#""schema":2"#);
        assert!(matches!(decode(newer.as_bytes()), Err(CodecError::Schema { found: 2 })));
        let wider = text.replace(r#""schema":1"#, r#""schema":1,"memo":"rent""#);
        assert_eq!(decode(wider.as_bytes()).expect("unknown field ignored"), entry());
    }
}
