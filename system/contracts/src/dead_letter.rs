//! The record on topic `core.entries.dlt`: a record that could not be applied, where it lay, and why. Key = the record's own key.
//!
//! In: a [`DeadLetter`] or bytes. Out: bytes or a [`DeadLetter`]. Elsewhere: when a record becomes one and how it is driven again
//! (`channel::letters`).
//!
//! A letter means no more than "this account has to reach this serial" (D2): one that was overtaken meanwhile is of no use any more, and to
//! drive one twice changes nothing.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::{AccountNo, Seq};

/// The schema number that this build writes, and the only one that it reads.
pub const SCHEMA: u32 = 1;

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It cannot: the record went at once.
    Permanent,
    /// It did not, in so many attempts.
    Transient,
}

impl Class {
    /// The word on the topic, in the database and in the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
        }
    }

    /// The class that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Permanent, Self::Transient].into_iter().find(|class| class.as_str() == word)
    }
}

/// A record that could not be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The topic that it was read from.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Whose it is, where its value or its key can be read.
    pub account: Option<AccountNo>,
    /// Its serial, where its value can be read.
    pub seq: Option<Seq>,
    /// Whether trying again may help.
    pub class: Class,
    /// What failed, in a word: the SQLSTATE where the database refused it, else such as `unreadable` or `chain_break`.
    pub code: String,
    /// What failed, for people.
    pub detail: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The record's key, as lower-case hexadecimal.
    pub key: String,
    /// The record's value, as lower-case hexadecimal.
    pub value: String,
}

#[derive(Serialize, Deserialize)]
struct Wire<T> {
    schema: u32,
    #[serde(flatten)]
    letter: T,
}

/// Why a letter was not understood.
#[derive(Debug, Error)]
pub enum LetterError {
    /// Not JSON, or a field is absent or of the wrong type.
    #[error("not a dead letter: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A schema number that this build does not read.
    #[error("schema {found}, and only schema {SCHEMA} is read")]
    Schema {
        /// The number found.
        found: u32,
    },
}

/// The value of a letter's record.
pub fn encode(letter: &DeadLetter) -> Vec<u8> {
    serde_json::to_vec(&Wire { schema: SCHEMA, letter }).expect("a letter has no map keys that JSON lacks")
}

/// Reads a letter's value. Unknown fields are ignored.
pub fn decode(value: &[u8]) -> Result<DeadLetter, LetterError> {
    let wire: Wire<DeadLetter> = serde_json::from_slice(value)?;
    if wire.schema == SCHEMA { Ok(wire.letter) } else { Err(LetterError::Schema { found: wire.schema }) }
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

/// The bytes of a hexadecimal text; `None` where it is none.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Class, DeadLetter, LetterError, decode, encode, hex, unhex};
    use crate::AccountNo;

    fn letter() -> DeadLetter {
        DeadLetter {
            topic: "core.entries".to_owned(),
            partition: 3,
            offset: 17,
            account: Some(AccountNo::new(1_000_001)),
            seq: Some(5),
            class: Class::Permanent,
            code: "22003".to_owned(),
            detail: "out of range".to_owned(),
            attempts: 1,
            key: hex(b"1000001"),
            value: hex(&[0, 255, 16]),
        }
    }

    #[test]
    fn a_letter_survives_the_topic_with_every_byte_of_its_record() {
        let read = decode(&encode(&letter())).expect("a letter");
        assert_eq!(read, letter());
        assert_eq!(unhex(&read.value), Some(vec![0, 255, 16]));
        assert_eq!(unhex(&read.key), Some(b"1000001".to_vec()));
    }

    #[test]
    fn what_is_no_letter_is_told_apart_from_one_of_another_schema() {
        assert!(matches!(decode(b"{}"), Err(LetterError::Malformed(_))));
        let newer = String::from_utf8(encode(&letter())).expect("text").replace("\"schema\":1", "\"schema\":2");
        assert!(matches!(decode(newer.as_bytes()), Err(LetterError::Schema { found: 2 })));
        for odd in ["0", "zz", "é"] {
            assert_eq!(unhex(odd), None, "{odd}");
        }
    }
}
